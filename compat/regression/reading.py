"""The old path of :mod:`compat.regression.recordings.reader`, which documents named."""

from compat.regression.recordings.reader import SUFFIX, FileRead, Recording, open_recording, read_head

__all__ = ["SUFFIX", "FileRead", "Recording", "open_recording", "read_head"]
