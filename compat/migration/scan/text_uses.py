"""Uses of the old interface in any language, by the text of their lines; what is commentary, and marks in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from compat.migration.scan.files import lines_of
from compat.migration.scan.rules import ACTIONS, CERTAIN, GRADES, LIKELY, MENTION, ROUTE_RULES, Grade, Use

__all__ = ["Marks", "grade_in", "route_in", "text_uses"]

_ACTIONS = "|".join(ACTIONS)
_ROUTE = re.compile(rf"\bexams\b.{{0,200}}?[/\"'`}}]({_ACTIONS})\b(?!\s*\()", re.DOTALL)
_LIST = re.compile(r"(?<![\w.>:])[/\"'`]?(index_students)\b(?!\s*\()")

_NAME = re.compile(rf"(?:(?<!\w)|(?<=%2[fF]))({_ACTIONS})(?!\w)")
_EXAMS = re.compile(r"(?:(?<!\w)|(?<=%2[fF]))exams(?=[/\"'`%\\?{]|\x00)")
_SEPARATED = ("/", '"', "'", "`", "}", "%2f", "%2F")
_FURTHEST = 200
"""Characters between the exams' part of a path and its action, at most."""
_LINES_BEFORE = 3
_GOES_ON = re.compile(r"(?:[,+.(\[{\\&|=:]|\.\.|<<|\bconcat)\s*$")
_CALLED = re.compile(r"\s*\(")
_FILE_ENDING = re.compile(
    r"\.(?:html?|xhtml|erb|haml|slim|jinja2?|j2|ejs|twig|blade|php|phtml|hbs|mustache|vue|svelte|[jt]sx?|py|rb|txt|cshtml|jsp|ftl|md)\b"
)
_OWN_NAME = re.compile(
    r"(?:\b(?:def|function|func|fun|fn|sub|method|class|const|let|var)\s+(?:self\.)?|[\w>)\]][.#]|->|::|(?<!:):)$"
)
_OWN_FILE = re.compile(r"\b(?:views?|templates?|partials?|layouts?|spec|controllers?)/[\w/-]*$")
_SHOWS = re.compile(
    r"\b(?:render|redirect_to|redirect|reverse|url_for|link_to|resolve|template|partial|include|extends|template_name)\b"
    r"[\s(:=>%'\"{\[]*$"
)
_SHOWS_IN_VIEWS = re.compile(r"\b(?:action|view|route|url|path|only|except)\b[\s(:=>%'\"{\[]*$")
_VIEWS = (".rb", ".erb", ".haml", ".slim", ".php", ".phtml", ".html", ".twig", ".jinja", ".jinja2", ".j2", ".ejs",
    ".hbs")  # fmt: skip
_SERVES = re.compile(
    r"""\b(?:app|router|server|fastify|express|api|blueprint|bp)\.(?:get|post|put|patch|delete|all|route)\s*\(\s*['"`]/.*(?:=>|function|\breq\b)
    |\b(?:app|router|server|fastify|express)\.(?:get|post|put|patch|delete|all|route)\s*\(\s*['"`]/[^'"`]*/:\w
    |^\s*(?:get|post|put|patch|delete)\s+['"]/?exams/|\broute_to\(
    |\bRoute::\w+\(|\b(?:mux|http|r|router)\.Handle(?:Func)?\(|\bto:\s*['":]\w|=>\s*['"][\w/]+\#\w+
    |^\s*@\w+\.(?:route|get|post|put|patch|delete)\(|^\s*(?:re_)?path\(|^\s*url\(r?['"]""",
    re.VERBOSE,
)
_HOST = re.compile(r"https?://|\$\{?\w*(?:URL|HOST|BASE)\w*|\{\{\s*\w*(?:url|host|base)", re.IGNORECASE)
_SENDERS = re.compile(r"\b(curl|wget)\b")


def route_in(text: str) -> re.Match[str] | None:
    """Where a text names a deprecated route, its action as the first group; None where it does not.

    ``index_students`` alone is told by its name; the others are words that any program may use, and need the exams'
    part of the path before them.
    """
    return _ROUTE.search(text) or _LIST.search(text)


def grade_in(text: str, start: int, end: int, *, is_view: bool = False) -> Grade | None:
    """How sure it is that the action at a place of a text is the old interface; None where it is somebody else's word.

    Args:
        text: all that belongs together, such as a string, or a line with those that it goes on from.
        start: where the action begins.
        end: where it ends.
        is_view: whether the text is of a language in which web pages are made.
    """
    head, is_list = text[max(0, start - _FURTHEST) : start], text[start:end] == "index_students"
    exams = list(_EXAMS.finditer(head))
    separated = head.endswith(_SEPARATED)
    if _CALLED.match(text, end) and not separated:
        return MENTION if is_list else None
    if not exams or not separated:
        return _by_name(head, is_view=is_view) if is_list else None
    # The route has the exam's id there; without it, it is the path of a template or the name of an action.
    has_id = re.search(r"[^\W_]|[\x00{(<*$]", head[exams[-1].end() :])
    return MENTION if not has_id or (_FILE_ENDING.match(text, end) and "://" not in head) else CERTAIN


def text_uses(text: str, path: str = "") -> Iterator[Use]:
    """The uses in a text, one for each line and route, in their order; the path says what is a comment in it."""
    commentary, lines, is_view = _Commentary(text, path), lines_of(text), path.endswith(_VIEWS)
    for number, line in enumerate(lines, 1):
        best: dict[str, Use] = {}
        for match in _NAME.finditer(line):
            use = _use(lines, number, match, commentary, is_view=is_view)
            if use and (use.rule not in best or GRADES.index(use.grade) < GRADES.index(best[use.rule].grade)):
                best[use.rule] = use
        yield from sorted(best.values())


def _use(
    lines: Sequence[str], number: int, match: re.Match[str], commentary: _Commentary, *, is_view: bool
) -> Use | None:
    line = lines[number - 1]
    before = _goes_on_from(lines, number)
    grade = grade_in(before + line, len(before) + match.start(), len(before) + match.end(), is_view=is_view)
    if grade is None:
        return None
    if commentary.covers(number, match.start()) or (_SERVES.search(line) and not _HOST.search(line)):
        grade = MENTION
    sender = _SENDERS.search(line)
    return Use(number, match.start() + 1, ROUTE_RULES[match[1]].id, sender[1] if sender else "", grade, number)


def _goes_on_from(lines: Sequence[str], number: int) -> str:
    """The lines above that a line goes on from, such as those of a list or a sum."""
    first = number - 1
    while first and number - 1 - first < _LINES_BEFORE and _GOES_ON.search(lines[first - 1]):
        first -= 1
    return "".join(each + "\n" for each in lines[first : number - 1])


def _by_name(head: str, *, is_view: bool) -> Grade:
    bare = head.rstrip("\"'`/")
    own = _OWN_NAME.search(head) or _OWN_FILE.search(head) or _SHOWS.search(bare)
    return MENTION if own or (is_view and _SHOWS_IN_VIEWS.search(bare)) else LIKELY


_SLASH = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".vue", ".svelte", ".java", ".kt", ".kts",
    ".scala", ".groovy", ".gradle", ".go", ".rs", ".cs", ".fs", ".swift", ".c", ".cc", ".cpp", ".h", ".hpp", ".m",
    ".dart", ".php", ".phtml", ".inc", ".jsp", ".jspx", ".tf", ".http", ".rest", ".proto", ".css", ".scss", ".less",
    ".cshtml")  # fmt: skip
_MARKUP = (".html", ".htm", ".xml", ".xhtml", ".vue", ".svelte", ".jmx", ".jsp", ".jspx", ".phtml", ".svg", ".md",
    ".markdown", ".erb", ".ejs", ".j2", ".jinja", ".jinja2", ".tmpl", ".twig", ".hbs", ".cshtml", ".php", ".csproj",
    ".config")  # fmt: skip
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
_PROSE_NAMES = ("README", "CHANGELOG", "CHANGES", "LICENSE", "NOTICE", "AUTHORS", "CONTRIBUTING", "HISTORY", "NEWS",
    "TODO")  # fmt: skip
_FENCE = re.compile(r"^\s*(```|~~~)")
_ORDER = re.compile(r"^[\s>$%#]*(?:curl|wget|https?|xh|(?:GET|POST|DELETE)\s+https?://\S+\s*$|https?://\S+\s*$)")
_SENT = re.compile(r"https?://|\b(?:curl|wget|fetch|requests?|httpx|axios|Invoke-\w+)\b")


class _Commentary:
    """Tells of a place in a text whether it is commentary; the name of its file says the language.

    In doubt it is none: what looks like a comment inside a string is code.
    """

    def __init__(self, text: str, path: str) -> None:
        name = PurePath(path)
        self._suffix = name.suffix.lower() or _ENDINGS_OF_NAMES.get(name.name, "")
        self._markers = _LINE.get(self._suffix, ("//",) if self._suffix in _SLASH else ("#",))
        self._is_prose = self._suffix in _PROSE or (not self._suffix and name.name.upper() in _PROSE_NAMES)
        self._runs_fences = self._suffix in (".rmd", ".qmd")
        self._lines = lines_of(text)
        self._blocks = self._block_lines(text)
        self._fenced = self._fenced_lines() if self._is_prose else frozenset()

    def covers(self, number: int, column: int) -> bool:
        """Whether a place is commentary: the number of its line from 1, the column from 0."""
        line = self._lines[number - 1]
        if self._is_prose:
            return not self._is_order(number, line)
        if number in self._blocks or self._in_block(line, column):
            return True
        if self._suffix in (".bat", ".cmd"):
            return bool(_BATCH.match(line))
        return any(0 <= _outside_strings(line, marker) < column for marker in self._markers)

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
                _, ends, behind = line.partition(closer)
                if not behind.strip():
                    found.add(number)
                closer = "" if ends else closer
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
        places = ((_outside_strings(line, opener), _BLOCKS[opener]) for opener in self._openers())
        return any(0 <= at < column and closer not in line[at:column] for at, closer in places)


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


_MARK = re.compile(
    r"(?:\#|//|/\*|--|;|<!--|<%--|<%\#|\{\#|\{\{!(?:--)?|@\*|\(\*|%|'|::|\brem\b)[ \t]*"
    r"exam-compat:[ \t]*ignore\b(?![-\w])(?P<reason>.*)",
    re.IGNORECASE,
)
_ENDS = ("*/", "-->", "--%>", "%>", "#}", "--}}", "}}", "*@", "*)")


class Marks:
    """The marks in the lines of a text, and which of them let something pass."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._reasons: dict[int, str] = {}
        self._alone: set[int] = set()
        self._used: set[int] = set()
        for number, line in enumerate(lines, 1):
            match = _MARK.search(line)
            if match:
                self._reasons[number] = _reason(match["reason"])
                if not line[: match.start()].strip():
                    self._alone.add(number)

    def over(self, first: int, last: int) -> str | None:
        """The reason of the mark for some lines, perhaps none; None where they have no mark.

        A mark stands behind one of the lines, or alone in the line above.
        """
        for number in range(first, last + 1):
            if number in self._reasons and number not in self._alone:
                return self._take(number)
        return self._take(first - 1) if first - 1 in self._alone else None

    def unused(self) -> list[int]:
        """The lines of marks that let nothing pass."""
        return sorted(self._reasons.keys() - self._used)

    def _take(self, number: int) -> str:
        self._used.add(number)
        return self._reasons[number]


def _reason(text: str) -> str:
    for end in _ENDS:
        text = text.strip().removesuffix(end)
    return text.strip(" \t:-,()")
