"""Why the gateway refused a call: which signing dialect made its signature, and the smallest change that helps.

The documented signature leaves much to choose, and each choice that a client makes otherwise gives another digest,
which says nothing by itself. Here each of these choices is declared once, and a refused signature is held against
every set of up to three of them, the smaller sets first.
"""

from compat.doctor.calls import SeenRequest, UnreadableCall, read_curl, token_seen
from compat.doctor.diagnosis import CLUED, Diagnosis, clues, diagnose, diagnose_entry, read_entry, token_clue
from compat.doctor.findings import Finding

__all__ = [
    "CLUED",
    "Diagnosis",
    "Finding",
    "SeenRequest",
    "UnreadableCall",
    "clues",
    "diagnose",
    "diagnose_entry",
    "read_curl",
    "read_entry",
    "token_clue",
    "token_seen",
]
