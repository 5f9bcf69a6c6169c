"""What can be wrong with a recording."""

from __future__ import annotations

from compat.errors import CompatError

__all__ = ["DamagedRecording", "RecordingError", "SecretFound", "UnfinishedRecording"]


class RecordingError(CompatError):
    """A recording cannot be written or read; the text says which and why, without anything of its content."""


class UnfinishedRecording(RecordingError):
    """The end is missing: its writer was ended before it could say how many calls there are, or writes it still.

    Attributes:
        calls: how many whole calls were read.
    """

    def __init__(self, message: str, calls: int) -> None:
        super().__init__(message)
        self.calls = calls


class DamagedRecording(UnfinishedRecording):
    """What stands in the file is not what was written."""


class SecretFound(RecordingError):
    """A secret stood in what was about to be written; nothing of that was."""
