"""Where a tree of files still uses the old interface: in Python by its syntax, in other languages by their text."""

from compat.migration.scan.files import NotRead, Problem, Source, sources
from compat.migration.scan.report import Baseline, left_out, sarif
from compat.migration.scan.rules import GRADES, LIKELY, RULES, Find, Grade, Rule
from compat.migration.scan.uses import Scanned, finds_in, scan_files

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
