"""The documentation site: it has every page in its menu, builds without a warning, and loads nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import compat
from compat.cli.program import COMMANDS

ROOT = Path(__file__).parents[2]
INDEX = ROOT / "docs" / "index.md"
PARTS = ["Tutorials", "How-to guides", "Reference", "Explanation"]


def _navigation() -> dict[str, list[str]]:
    """Each part of the menu, and the files of its pages."""
    parts = re.split(r"^## (.+)\n", INDEX.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {
        name: re.findall(r"^- \[[^\]]+\]\(([^)#]+)\)", text, flags=re.MULTILINE)
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_the_menu_has_the_four_kinds_of_pages() -> None:
    assert list(_navigation()) == PARTS
    assert all(_navigation().values())


def test_every_page_is_in_the_menu_once() -> None:
    named = [name for pages in _navigation().values() for name in pages]
    pages = {path.name for path in INDEX.parent.glob("*.md")} - {INDEX.name}
    missing = sorted(pages - set(named))
    assert not missing, f"link these pages in docs/index.md, each below the heading of its kind: {', '.join(missing)}"
    assert not {name for name in named if named.count(name) > 1}
    assert {"../README.md", "../MIGRATION.md", "../CHANGELOG.md"} < set(named)


class _Loaded(HTMLParser):
    """What a page loads when it is opened; where a link leads does not count."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.addresses.append(given.get("src") or "")
        elif tag == "link" and given.get("rel") in ("stylesheet", "preload", "preconnect", "icon"):
            self.addresses.append(given.get("href") or "")


def test_the_site_is_built_without_a_warning_and_stands_by_itself(tmp_path: Path) -> None:
    # One test, since each process of the suite would build the site anew.
    site = _built(tmp_path)
    for name in (name for pages in _navigation().values() for name in pages):
        assert (site / "docs" / name).with_suffix(".html").is_file(), name
    assert 'url=docs/index.html"' in (site / "index.html").read_text(encoding="utf-8")
    _loads_nothing_from_elsewhere(site)
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    assert {"README", "docs/gateway", "docs/api"} <= set(index["docnames"])
    api = (site / "docs" / "api.html").read_text(encoding="utf-8")
    assert not [name for name in compat.__all__ if name != "__version__" and f'id="compat.{name}"' not in api]
    commands = (site / "docs" / "commands.html").read_text(encoding="utf-8")
    assert not [name for name in COMMANDS if f"<h3>{name}<" not in commands]
    assert ".. option::" not in commands


def _built(folder: Path) -> Path:
    """The site, built as ``tox -e site`` does."""
    if importlib.util.find_spec("furo") is None:
        pytest.skip("the site is not built: Sphinx is not installed (pip install -e '.[docs]')")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", "docs/site"]
    built = subprocess.run(
        [*command, "-d", str(folder / "read"), ".", str(folder / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (built.returncode, built.stderr) == (0, ""), built.stderr
    return folder / "site"


def _loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        loaded = _Loaded(page.read_text(encoding="utf-8")).addresses
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet
