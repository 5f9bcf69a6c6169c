"""Old scripts rewritten to the new client, as far as it is certain that they print the same."""

from compat.migration.codemod.edits import Change, Left
from compat.migration.codemod.rewrite import (
    Importers,
    MigratedFile,
    RewriteFailed,
    Rewritten,
    migrate_source,
    refused_lines,
    rewritten,
)

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
