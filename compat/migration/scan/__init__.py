"""Where a tree of files still uses the old interface: in Python by its syntax, in other languages by their text."""

from compat.migration.scan.files import Problem, Source, sources
from compat.migration.scan.finds import Find
from compat.migration.scan.report import left_out, sarif
from compat.migration.scan.rules import RULES, Rule
from compat.migration.scan.uses import finds_in

__all__ = ["RULES", "Find", "Problem", "Rule", "Source", "finds_in", "left_out", "sarif", "sources"]
