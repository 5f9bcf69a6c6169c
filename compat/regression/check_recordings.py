"""The old path of :mod:`compat.regression.check`, which documents named."""

from compat.regression.check import RecordingCheck, check_recordings

__all__ = ["RecordingCheck", "check_recordings"]
