"""Uses of the old interface in any language, by the text of their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from compat.migration.scan.comments import Commentary
from compat.migration.scan.decoding import lines_of
from compat.migration.scan.finds import CERTAIN, GRADES, LIKELY, MENTION, Grade, Use
from compat.migration.scan.rules import ACTIONS, ROUTE_RULES

__all__ = ["grade_in", "route_in", "text_uses"]

_ACTIONS = "|".join(ACTIONS)
_ROUTE = re.compile(rf"\bexams\b.{{0,200}}?[/\"'`}}]({_ACTIONS})\b(?!\s*\()", re.DOTALL)
_LIST = re.compile(r"(?<![\w.>:])[/\"'`]?(index_students)\b(?!\s*\()")

_NAME = re.compile(rf"(?:(?<!\w)|(?<=%2[fF]))({_ACTIONS})(?!\w)")
_EXAMS = re.compile(r"(?:(?<![\w])|(?<=%2[fF]))exams(?=[/\"'`%\\?{]|\x00)")
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
_VIEWS = (
    ".rb",
    ".erb",
    ".haml",
    ".slim",
    ".php",
    ".phtml",
    ".html",
    ".twig",
    ".jinja",
    ".jinja2",
    ".j2",
    ".ejs",
    ".hbs",
)
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
    between = _between(head)
    separated = head.endswith(_SEPARATED)
    if _CALLED.match(text, end) and not separated:
        return MENTION if is_list else None
    if between is None or not separated:
        return _by_name(head, is_view=is_view) if is_list else None
    # The route has the exam's id there; without it, it is the path of a template or the name of an action.
    if not re.search(r"[^\W_]|[\x00{(<*$]", between):
        return MENTION
    if _FILE_ENDING.match(text, end) and "://" not in head:
        return MENTION
    return CERTAIN


def text_uses(text: str, path: str = "") -> Iterator[Use]:
    """The uses in a text, one for each line and route, in their order.

    Args:
        text: all of it.
        path: its file, whose name says what is a comment in it.
    """
    commentary, lines, is_view = Commentary(text, path), lines_of(text), path.endswith(_VIEWS)
    for number, line in enumerate(lines, 1):
        best: dict[str, Use] = {}
        for match in _NAME.finditer(line):
            use = _use(lines, number, match, commentary, is_view=is_view)
            if use and (use.rule not in best or GRADES.index(use.grade) < GRADES.index(best[use.rule].grade)):
                best[use.rule] = use
        yield from sorted(best.values())


def _use(
    lines: Sequence[str], number: int, match: re.Match[str], commentary: Commentary, *, is_view: bool
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


def _between(head: str) -> str | None:
    """What stands between the exams' part of a path and what follows; None where there is no such part."""
    found = list(_EXAMS.finditer(head))
    return head[found[-1].end() :] if found else None


def _by_name(head: str, *, is_view: bool) -> Grade:
    bare = head.rstrip("\"'`/")
    own = _OWN_NAME.search(head) or _OWN_FILE.search(head) or _SHOWS.search(bare)
    return MENTION if own or (is_view and _SHOWS_IN_VIEWS.search(bare)) else LIKELY
