"""What of a file is said to people and not to a machine: comments in any language, and the prose of documents."""

from __future__ import annotations

import re
from pathlib import PurePath

from compat.migration.scan.decoding import lines_of

__all__ = ["Commentary"]

_SLASH = (
    *(
        ".js",
        ".mjs",
        ".cjs",
        ".jsx",
        ".ts",
        ".mts",
        ".cts",
        ".tsx",
        ".vue",
        ".svelte",
        ".java",
        ".kt",
        ".kts",
        ".scala",
    ),
    *(".groovy", ".gradle", ".go", ".rs", ".cs", ".fs", ".swift", ".c", ".cc", ".cpp", ".h", ".hpp", ".m", ".dart"),
    *(
        ".php",
        ".phtml",
        ".inc",
        ".jsp",
        ".jspx",
        ".tf",
        ".http",
        ".rest",
        ".proto",
        ".css",
        ".scss",
        ".less",
        ".cshtml",
    ),
)
_MARKUP = (
    *(
        ".html",
        ".htm",
        ".xml",
        ".xhtml",
        ".vue",
        ".svelte",
        ".jmx",
        ".jsp",
        ".jspx",
        ".phtml",
        ".svg",
        ".md",
        ".markdown",
    ),
    *(".erb", ".ejs", ".j2", ".jinja", ".jinja2", ".tmpl", ".twig", ".hbs", ".cshtml", ".php", ".csproj", ".config"),
)
_LINE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((".sql", ".lua", ".hs", ".elm", ".ada", ".vhd"), ("--",)),
    **dict.fromkeys((".ini", ".cfg", ".conf", ".properties"), ("#", ";")),
    **dict.fromkeys((".el", ".clj", ".cljs", ".lisp", ".scm", ".asm"), (";",)),
    **dict.fromkeys((".tex", ".erl", ".hrl", ".sty"), ("%",)),
    **dict.fromkeys((".vb", ".bas", ".vbs", ".cls"), ("'",)),
    **dict.fromkeys((".php", ".phtml", ".inc", ".tf", ".http", ".rest"), ("//", "#")),
    **dict.fromkeys((".html", ".htm", ".xml", ".xhtml", ".jmx", ".svg", ".json", ".jsonl", ".har", ".csproj"), ()),
    **dict.fromkeys((".css", ".scss", ".less"), ("//",)),
}
_ENDINGS_OF_NAMES = {"Jenkinsfile": ".groovy"}
_QUOTES = "\"'`"
_BATCH = re.compile(r"^\s*@?(?:rem\b|::)", re.IGNORECASE)
_BLOCKS = {"/*": "*/", "<!--": "-->", "<%--": "--%>", "{#": "#}", "{{!--": "--}}", "@*": "*@", "<%#": "%>"}
_RUBY = re.compile(r"^=begin\b.*?^=end\b", re.MULTILINE | re.DOTALL)
_PROSE = (".md", ".markdown", ".rst", ".adoc", ".asciidoc", ".txt", ".text", ".textile", ".org", ".tex", ".rmd", ".qmd")
_PROSE_NAMES = (
    "README",
    "CHANGELOG",
    "CHANGES",
    "LICENSE",
    "NOTICE",
    "AUTHORS",
    "CONTRIBUTING",
    "HISTORY",
    "NEWS",
    "TODO",
)
_FENCE = re.compile(r"^\s*(```|~~~)")
_ORDER = re.compile(r"^[\s>$%#]*(?:curl|wget|https?|xh|(?:GET|POST|DELETE)\s+https?://\S+\s*$|https?://\S+\s*$)")
_SENT = re.compile(r"https?://|\b(?:curl|wget|fetch|requests?|httpx|axios|Invoke-\w+)\b")


class Commentary:
    """Tells of a place in a text whether it is commentary.

    In doubt it is none: what looks like a comment inside a string is code.
    """

    def __init__(self, text: str, path: str) -> None:
        """Read a text.

        Args:
            text: all of it.
            path: whose name says the language.
        """
        name = PurePath(path)
        self._suffix = name.suffix.lower() or _ENDINGS_OF_NAMES.get(name.name, "")
        self._markers = _LINE.get(self._suffix, ("//",) if self._suffix in _SLASH else ("#",))
        self._is_prose = self._suffix in _PROSE or (not self._suffix and name.name.upper() in _PROSE_NAMES)
        self._runs_fences = self._suffix in (".rmd", ".qmd")
        self._lines = lines_of(text)
        self._blocks = self._block_lines(text)
        self._fenced = self._fenced_lines() if self._is_prose else frozenset()

    def covers(self, number: int, column: int) -> bool:
        """Whether a place is commentary.

        Args:
            number: of the line, from 1.
            column: from 0.
        """
        line = self._lines[number - 1]
        if self._is_prose:
            return not self._is_order(number, line)
        if number in self._blocks or self._in_block(line, column):
            return True
        if self._suffix in (".bat", ".cmd"):
            return bool(_BATCH.match(line))
        return any(self._after(line, marker, column) for marker in self._markers)

    def _is_order(self, number: int, line: str) -> bool:
        """Whether a line of a document is one that people or the document run."""
        if number in self._fenced:
            return not line.lstrip().startswith("#") and (self._runs_fences or bool(_SENT.search(line)))
        return bool(_ORDER.match(line))

    def _fenced_lines(self) -> frozenset[int]:
        found, inside = set(), False
        for number, line in enumerate(self._lines, 1):
            if _FENCE.match(line):
                inside = not inside
            elif inside:
                found.add(number)
        return frozenset(found)

    def _block_lines(self, text: str) -> frozenset[int]:
        """Lines that stand wholly inside a comment of more lines."""
        found: set[int] = set()
        if self._suffix == ".rb":
            for match in _RUBY.finditer(text):
                first = len(lines_of(text[: match.start()]))
                found.update(range(first, first + len(lines_of(match[0]))))
        closer = ""
        for number, line in enumerate(self._lines, 1):
            if closer:
                found.add(number)
                if closer in line:
                    if line.partition(closer)[2].strip():
                        found.discard(number)
                    closer = ""
                continue
            for opener in self._openers():
                at = _outside_strings(line, opener)
                if at >= 0 and _BLOCKS[opener] not in line[at + len(opener) :]:
                    closer = _BLOCKS[opener]
        return frozenset(found)

    def _openers(self) -> tuple[str, ...]:
        found: tuple[str, ...] = ("/*",) if self._suffix in _SLASH or self._suffix == ".sql" else ()
        if self._suffix in _MARKUP:
            found += ("<!--", "<%--", "{#", "{{!--", "@*", "<%#")
        return found

    def _in_block(self, line: str, column: int) -> bool:
        for opener in self._openers():
            at = _outside_strings(line, opener)
            if 0 <= at < column and _BLOCKS[opener] not in line[at:column]:
                return True
        return False

    def _after(self, line: str, marker: str, column: int) -> bool:
        at = _outside_strings(line, marker)
        return 0 <= at < column


def _outside_strings(line: str, marker: str) -> int:
    """Where a marker begins a comment: at the line's begin or behind a space, and in no string; -1 where none does."""
    begin = len(line) - len(line.lstrip())
    counted, counts, at = 0, [0, 0, 0], line.find(marker)
    while at >= 0:
        # Counted on from the last place: a line may be a whole program.
        counts = [number + line.count(quote, counted, at) for number, quote in zip(counts, _QUOTES, strict=True)]
        counted = at
        opened = any(number % 2 for number in counts)
        if at <= begin or (not opened and line[at - 1] in " \t;{}(,>"):
            return at
        at = line.find(marker, at + 1)
    return -1
