"""The report as Markdown, for a pull request or a ticket."""

from __future__ import annotations

import re

from compat.regression.report.content import Content
from compat.regression.report.wording import environment

__all__ = ["as_markdown"]


def as_markdown(content: Content) -> str:
    """The report as GitHub's Markdown.

    Args:
        content: what it says.
    """
    text = environment(autoescape=False).get_template("report.md").render(page=content)
    # A line of a template that only says what to do next leaves none behind.
    spaced = re.sub(r"\n(#+ |Made )", r"\n\n\1", text)
    return re.sub(r"\n{3,}", "\n\n", spaced).strip() + "\n"
