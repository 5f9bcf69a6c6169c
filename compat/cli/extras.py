"""What some commands need beyond the base installation."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from compat.errors import ConfigurationError

__all__ = ["require_extra"]

_DISTRIBUTION = "exam-students-compat"


def require_extra(extra: str) -> None:
    """Refuse where the packages of an extra are not installed.

    Args:
        extra: its name, as in ``pip install 'exam-students-compat[migration]'``.

    Raises:
        ConfigurationError: names the first package that is missing, and how to get it.
    """
    missing = next((name for name in _packages_of(extra) if not _is_installed(name)), None)
    if missing is not None:
        raise ConfigurationError(
            f"this needs {missing}, which is not installed; get it with: pip install '{_DISTRIBUTION}[{extra}]'"
        )


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _packages_of(extra: str) -> Iterator[str]:
    """The packages that an extra adds to the base, as the installation itself declares them."""
    # Imported here: few commands need an extra.
    from packaging.requirements import Requirement

    try:
        declared = metadata.requires(_DISTRIBUTION) or ()
    except metadata.PackageNotFoundError:
        # Found by PYTHONPATH alone. What is missing then fails where it is imported, in one line too.
        return
    for requirement in map(Requirement, declared):
        marker = requirement.marker
        if marker is not None and not marker.evaluate({"extra": ""}) and marker.evaluate({"extra": extra}):
            yield requirement.name
