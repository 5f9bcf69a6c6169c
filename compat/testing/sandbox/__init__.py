"""A server on this machine that speaks the deprecated interface and both of its successors."""

from __future__ import annotations

from compat.testing.sandbox.dataset import Dataset, Exam, RosterRow, generate
from compat.testing.sandbox.messages import Call, SandboxAnswer, SandboxRequest
from compat.testing.sandbox.sandbox import Intercept, Sandbox
from compat.testing.sandbox.server import Fault

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
