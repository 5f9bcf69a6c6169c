"""For users' own tests: a sandbox with all three interfaces, hypothesis strategies, and the laws."""

from compat.testing.sandbox import Fault, Sandbox

__all__ = ["Fault", "Sandbox"]
