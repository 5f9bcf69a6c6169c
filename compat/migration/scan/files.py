"""The files of a tree that may use the old interface, and their bytes as text.

None that its owner ignores, none that others wrote; whatever encoding a file has, and a binary file told as such.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import stat
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pathspec import GitIgnoreSpec

__all__ = ["NotRead", "NotText", "Problem", "Source", "is_below", "lines_of", "sources"]

_PYTHON = (".py", ".pyi", ".pyw")
_SKIPPED = {
    *(".git", ".hg", ".svn", "node_modules", "__pycache__", "site-packages", ".tox", ".nox", ".eggs"),
    *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".ipynb_checkpoints"),
}
_LARGEST = 10_000_000
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}

_Ignored = Sequence[tuple[str, GitIgnoreSpec]]
"""An absolute directory, its slash at the end, and what is ignored below it."""


@dataclass(frozen=True)
class Problem:
    """A file that was not looked at as it should be.

    Attributes:
        read: whether its lines were read all the same.
        line: where it is, from 1; 0 where it is of the whole file.
    """

    path: str
    reason: str
    read: bool = False
    line: int = 0

    @property
    def told(self) -> str:
        """The sentence for people, behind the place as editors read it."""
        place = f"{self.path}:{self.line}:1" if self.line else self.path
        reason = self.reason.removeprefix(f"line {self.line}").lstrip(": ") if self.line else self.reason
        return f"{place}: {reason}" if self.read else f"{place}: not looked at: {reason}"


@dataclass(frozen=True)
class NotRead:
    """Something in a tree that holds no text to look at, such as a picture or a named pipe."""

    path: str
    reason: str


class NotText(ValueError):
    """A file that holds no text."""


@dataclass(frozen=True)
class Source:
    """A file to look at, its path as its tree was named."""

    path: Path
    _content: list[bytes] = field(default_factory=list, repr=False, compare=False)

    @property
    def is_python(self) -> bool:
        """Whether it is a module or a script in Python, by its ending or its first line."""
        return self.path.suffix in _PYTHON or (not self.path.suffix and self._begins_as_python())

    @property
    def is_notebook(self) -> bool:
        """Whether it is a Jupyter notebook."""
        return self.path.suffix == ".ipynb"

    @property
    def content(self) -> bytes:
        """Its bytes; kept, so that one look at a file reads it once.

        Raises:
            ValueError: it is too large.
            OSError: it cannot be read, or is no regular file.
        """
        if not self._content:
            self._content.append(_read(self.path))
        return self._content[0]

    def forget(self) -> None:
        """Let go of what it says: a tree is larger than the memory."""
        self._content.clear()

    @property
    def text(self) -> str:
        """What it says, in the encoding that it declares where it is Python.

        Raises:
            ValueError: it is binary, too large, or Python that cannot be read so; the text says why.
            OSError: it cannot be opened.
        """
        text, doubt = self.reading()
        if doubt and (self.is_python or self.is_notebook):
            raise ValueError(doubt)
        return text

    def reading(self) -> tuple[str, str]:
        """What it says, and why its encoding is in doubt; the second is empty where it is not.

        A byte order mark decides, then the encoding that a Python file declares, then UTF-8. What is none of these is
        read as Latin-1, in which every byte is a character and the routes' own letters are what they are.

        Raises:
            ValueError: it is too large, or binary, which is a :class:`NotText`.
            OSError: it cannot be opened.
        """
        content = self.content
        for mark, encoding in _MARKS:
            if content.startswith(mark):
                text, doubt = _decoded(content, encoding)
                # Python itself reads no other mark than that of UTF-8.
                of_python = self.is_python and mark != codecs.BOM_UTF8
                return text, doubt or (f"{encoding.upper()} is no encoding of Python" if of_python else "")
        if b"\0" in content:
            return _decoded(content, _unmarked(content))
        return _decoded(content, _declared(content) if self.is_python else "utf-8")

    def _begins_as_python(self) -> bool:
        try:
            first = self.content[:200].partition(b"\n")[0]
        except (OSError, ValueError):
            return False
        return first.startswith(b"#!") and b"python" in first


def _read(path: Path) -> bytes:
    status = path.stat()
    # A named pipe would be waited for, without end.
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(_kind(status.st_mode))
    if status.st_size > _LARGEST:
        raise ValueError(f"larger than {_LARGEST // 1_000_000} MB")
    return path.read_bytes()


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "no regular file")


def sources(paths: Sequence[Path], exclude: Sequence[str] = ()) -> Iterator[Source | Problem | NotRead]:
    """Every file below some paths that may use the old interface, in the order of their names, each once.

    Args:
        paths: files and directories; what a ``.gitignore`` names is left out, and directories of other people's code.
        exclude: further patterns, as in a ``.gitignore``.
    """
    own = GitIgnoreSpec.from_lines(exclude)
    seen: set[str] = set()
    for path in paths:
        found: Iterator[Source | Problem | NotRead]
        if path.is_dir():
            found = _below(path, [(_absolute(path), own), *_ignored_above(path)], paths)
        elif path.exists():
            found = iter([Source(path)])
        else:
            found = iter([Problem(str(path), "no such file or directory")])
        for each in found:
            absolute = os.path.abspath(each.path)
            if absolute not in seen:
                seen.add(absolute)
                yield each


def _below(directory: Path, ignored: _Ignored, roots: Sequence[Path]) -> Iterator[Source | Problem | NotRead]:
    """All files below a directory; without recursion, since a tree may be deeper than that goes."""
    waiting: list[Source | Problem | NotRead | tuple[Path, _Ignored]] = [(directory, ignored)]
    while waiting:
        here = waiting.pop()
        if isinstance(here, tuple):
            waiting += reversed(list(_in(*here, roots)))
        else:
            yield here


def _in(
    directory: Path, ignored: _Ignored, roots: Sequence[Path]
) -> Iterator[Source | Problem | NotRead | tuple[Path, _Ignored]]:
    """The files of a directory, and its directories with what is ignored in them."""
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError as error:
        yield Problem(str(directory), error.strerror or str(error))
        return
    ignored = [*ignored, *_ignored_in(directory)]
    here = _absolute(directory)
    for entry in entries:
        path = directory / entry.name
        # A link to a directory is followed by nobody who does not want to walk in circles.
        if entry.is_dir(follow_symlinks=False):
            own = entry.name not in _SKIPPED and not os.path.exists(path / "pyvenv.cfg")
            if own and not _matches(f"{here}{entry.name}/", ignored):
                yield path, ignored
        elif not _matches(here + entry.name, ignored):
            yield from _one(path, entry, roots)


def _one(path: Path, entry: os.DirEntry[str], roots: Sequence[Path]) -> Iterator[Source | NotRead]:
    """What is no directory: a file, or what is none."""
    try:
        mode = entry.stat().st_mode
    except OSError:
        yield NotRead(str(path), "a link that leads nowhere")
        return
    if stat.S_ISREG(mode):
        yield Source(path)
    elif not stat.S_ISDIR(mode):
        yield NotRead(str(path), _kind(mode))
    elif not is_below(os.path.realpath(path), roots):
        yield NotRead(str(path), "a link to a directory elsewhere")


def is_below(path: str, roots: Sequence[Path]) -> bool:
    """Whether a real path is one of some others, or lies in one."""
    tops = [os.path.realpath(root) for root in roots]
    return any(path == top or path.startswith(top.rstrip(os.sep) + os.sep) for top in tops)


def _absolute(directory: Path) -> str:
    return directory.absolute().as_posix().rstrip("/") + "/"


def _matches(absolute: str, ignored: _Ignored) -> bool:
    return any(spec.match_file(absolute[len(base) :]) for base, spec in ignored)


def _ignored_in(directory: Path) -> list[tuple[str, GitIgnoreSpec]]:
    file = directory / ".gitignore"
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    except OSError:
        return []
    return [(_absolute(directory), GitIgnoreSpec.from_lines(lines))] if lines else []


def _ignored_above(directory: Path) -> list[tuple[str, GitIgnoreSpec]]:
    """What the directories above ignore, up to the one that is the repository."""
    found: list[tuple[str, GitIgnoreSpec]] = []
    here = directory.absolute()
    for above in (here, *here.parents):
        if above != here:
            found += _ignored_in(above)
        if os.path.exists(above / ".git"):
            return found
    return []


_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # A UTF-32 mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 4096
_LINE_ENDS = re.compile(r"\r\n|\r|\n")


def lines_of(text: str) -> list[str]:
    """The lines of a text as editors count them: a form feed or a Unicode separator ends none."""
    return _LINE_ENDS.split(text)


def _decoded(content: bytes, encoding: str) -> tuple[str, str]:
    try:
        return content.decode(encoding), ""
    except (UnicodeDecodeError, LookupError):
        if b"\0" in content:
            raise NotText("binary") from None
        return content.decode("latin-1"), "neither UTF-8 nor in the encoding that it declares"


def _declared(content: bytes) -> str:
    try:
        return tokenize.detect_encoding(io.BytesIO(content).readline)[0]
    except SyntaxError:
        return "an unknown one"


def _unmarked(content: bytes) -> str:
    """UTF-16 without a mark, told by the zero in every second byte of what is mostly ASCII."""
    sample = content[:_SAMPLE]
    high, low = sample[0::2], sample[1::2]
    for zeros, letters, encoding in ((low, high, "utf-16-le"), (high, low, "utf-16-be")):
        if zeros.count(0) * 2 > len(zeros) and not letters.count(0):
            return encoding
    raise NotText("binary")
