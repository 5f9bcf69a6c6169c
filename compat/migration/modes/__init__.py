"""Which endpoint answers a call: modes, their router, switches and brownouts."""
