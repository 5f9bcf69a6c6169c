"""``python -m compat``: the same as ``exam-compat``, where that is not on the path."""

from compat.cli import main

main("python -m compat")
