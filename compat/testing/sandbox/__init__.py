"""A server on this machine that speaks the deprecated interface and both of its successors."""

from __future__ import annotations

from .application import Intercept
from .dataset import Dataset, Exam, generate
from .faults import Fault
from .messages import Call, SandboxAnswer, SandboxRequest
from .people import RosterRow
from .sandbox import Sandbox

__all__ = [
    "Call",
    "Dataset",
    "Exam",
    "Fault",
    "Intercept",
    "RosterRow",
    "Sandbox",
    "SandboxAnswer",
    "SandboxRequest",
    "generate",
]
