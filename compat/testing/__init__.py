"""For users' own tests: a sandbox with all three interfaces, hypothesis strategies, and the laws.

``compat.testing.sandbox`` needs nothing beside the standard library; ``compat.testing.strategies`` needs hypothesis, of
the extra ``testing``.
"""

from compat.testing.sandbox import Fault, Sandbox

__all__ = ["Fault", "Sandbox"]
