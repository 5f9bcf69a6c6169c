"""The way through: a legacy call, its plan, the reading of a list, and the walks that keep it."""
