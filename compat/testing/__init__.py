"""For users' own tests: a sandbox with all three interfaces, hypothesis strategies, the laws, and a pytest plugin.

``compat.testing.sandbox`` needs nothing beside the standard library; ``compat.testing.strategies`` needs hypothesis, of
the extra ``testing``; ``compat.testing.pytest_plugin`` needs pytest.
"""

from typing import TYPE_CHECKING

from compat.lazy import on_first_use

if TYPE_CHECKING:
    from compat.testing.sandbox import Fault as Fault
    from compat.testing.sandbox import Sandbox as Sandbox
else:
    # Whoever runs the laws starts no sandbox.
    __getattr__ = on_first_use(__name__, dict.fromkeys(("Fault", "Sandbox"), "compat.testing.sandbox"))

__all__ = ["Fault", "Sandbox"]
