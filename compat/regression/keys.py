"""The key of pseudonyms: from the configuration, the environment, or a file that is made when it is first needed."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from compat.config import Configuration
from compat.errors import ConfigurationError
from compat.regression.pseudonyms import PseudonymKey

__all__ = ["KEY_VARIABLE", "key_of", "read_or_make"]

KEY_VARIABLE = "EXAM_COMPAT_RECORDING_KEY"
_DEFAULT = "exam-compat-recording.key"


def key_of(given: Configuration, key_file: Path | None = None) -> PseudonymKey:
    """The key to use: of the file named here, else ``key`` of ``[regression]``, the environment's, else ``key_file``.

    Raises:
        ConfigurationError: it is too short, or the file cannot be read or made.
    """
    if key_file is None:
        for where, text in (
            ("[regression] key", given.regression.get("key")),
            (KEY_VARIABLE, os.environ.get(KEY_VARIABLE)),
        ):
            if text:
                return _checked(where, text)
        key_file = Path(given.regression.get("key_file", _DEFAULT))
    return read_or_make(key_file)


def read_or_make(path: Path) -> PseudonymKey:
    """The key of a file, which only its owner may read; where there is none, one is made.

    Raises:
        ConfigurationError: it is too short, or the file cannot be read or made.
    """
    try:
        if not path.exists():
            _make(path)
        return _checked(str(path), path.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {getattr(error, 'strerror', None) or 'no text'}") from None


def _make(path: Path) -> None:
    """Put a new key there, whole or not at all, unless another process is first."""
    number, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32) + "\n")
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.unlink(draft)


def _checked(where: str, text: str) -> PseudonymKey:
    try:
        return PseudonymKey(text.encode())
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}") from None
