"""What a Python program does with its values, read off its text: where they come from, and where they mean the same."""

from compat.migration.program.definitions import Defined, Program
from compat.migration.program.module import Module, Unsure

__all__ = ["Defined", "Module", "Program", "Unsure"]
