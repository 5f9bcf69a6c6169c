"""Sphinx's configuration of the documentation site.

The source folder is the repository's root, so that a link between README.md, MIGRATION.md and ``docs/*.md`` is the same
on the site and in a checkout::

    python -m sphinx -W -c docs/site . build/site

The navigation is ``docs/index.md``: each of its headings is a part of the menu, and each link below it a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from compat import __version__ as release

project = "exam-students-compat"
author = "the authors of exam-students-compat"
project_copyright = author
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "docs/*.md",
    "benchmarks/*.md",
    "examples/clients/README.md",
    "examples/legacy/README.md",
]
smartquotes = False  # an option's two hyphens are no dash
nitpicky = False  # names of the standard library lead nowhere: the site is built without a network

myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 4
# A link to a file that is no page of the site offers that file.
suppress_warnings = ["myst.strikethrough"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"exam-students-compat {release}"
html_extra_path = ["redirect"]
html_show_sourcelink = False
html_copy_source = False
# "Copy" leaves out the prompt and the output of a console block, and the number of a line.
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

_HEADING = re.compile(r"^## (.+)\n((?:(?!## ).*\n?)*)", re.MULTILINE)
_PAGE = re.compile(r"^- \[([^\]]+)\]\(([^)#]+)\.md\)", re.MULTILINE)
_FOLDER = re.compile(r"\[([^\]]+)\]\([^):#]+/\)")


def navigation(index: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The parts of the menu: a heading of ``docs/index.md``, and title and name of each page below it."""
    for heading in _HEADING.finditer(index):
        yield heading[1], [(page[1], page[2]) for page in _PAGE.finditer(heading[2])]


def unlink_folders(app: Any, name: str, source: list[str]) -> None:
    """Sphinx's ``source-read``: a folder of the repository, whose links end with a slash, is no page of the site."""
    source[0] = _FOLDER.sub(r"\1", source[0])


def add_navigation(app: Any, name: str, source: list[str]) -> None:
    """Sphinx's ``source-read``: the links of the index become its menu."""
    if name != root_doc:
        return
    for caption, pages in navigation(source[0]):
        entries = "\n".join(f"{title} <{page}>" for title, page in pages)
        source[0] += f"\n```{{toctree}}\n:caption: {caption}\n:hidden:\n\n{entries}\n```\n"


def setup(app: Any) -> dict[str, Any]:
    """Sphinx's entrance."""
    app.connect("source-read", add_navigation)
    app.connect("source-read", unlink_folders)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
