"""Where a tree of files still uses the old interface: in Python by its syntax, in other languages by their text."""

from compat.migration.scan.baseline import Baseline
from compat.migration.scan.files import NotRead, Problem, Source, sources
from compat.migration.scan.finds import GRADES, LIKELY, Find, Grade
from compat.migration.scan.report import left_out, sarif
from compat.migration.scan.rules import RULES, Rule
from compat.migration.scan.tree import Scanned, scan_files
from compat.migration.scan.uses import finds_in

__all__ = [
    "GRADES",
    "LIKELY",
    "RULES",
    "Baseline",
    "Find",
    "Grade",
    "NotRead",
    "Problem",
    "Rule",
    "Scanned",
    "Source",
    "finds_in",
    "left_out",
    "sarif",
    "scan_files",
    "sources",
]
