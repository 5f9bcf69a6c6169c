"""Old scripts rewritten to the new client, as far as it is certain that they print the same."""

from compat.migration.codemod.files import MigratedFile, migrate_source, refused_lines
from compat.migration.codemod.results import Change, Left, Rewritten
from compat.migration.codemod.rewrite import RewriteFailed, rewritten
from compat.migration.program.tree import Importers

__all__ = [
    "Change",
    "Importers",
    "Left",
    "MigratedFile",
    "RewriteFailed",
    "Rewritten",
    "migrate_source",
    "refused_lines",
    "rewritten",
]
