"""``python -m compat.cli``: the same as ``exam-compat``."""

from compat.cli import main

main()
