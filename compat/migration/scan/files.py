"""The files of a tree that may use the old interface: none that its owner ignores, and none that others wrote."""

from __future__ import annotations

import io
import os
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pathspec import GitIgnoreSpec

__all__ = ["LANGUAGES", "Problem", "Source", "sources"]

LANGUAGES = (
    *(".py", ".pyi", ".pyw", ".ipynb", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".vue", ".svelte"),
    *(".php", ".java", ".kt", ".kts", ".scala", ".groovy", ".rb", ".erb", ".go", ".rs", ".cs", ".vb", ".fs", ".swift"),
    *(".c", ".cc", ".cpp", ".h", ".hpp", ".m", ".pl", ".pm", ".r", ".lua", ".dart", ".ex", ".exs", ".sql"),
    *(".sh", ".bash", ".zsh", ".fish", ".ps1", ".psm1", ".bat", ".cmd", ".yaml", ".yml", ".json", ".toml", ".ini"),
    *(".cfg", ".conf", ".env", ".properties", ".xml", ".http", ".rest", ".tf", ".j2", ".tmpl", ".html"),
)
"""Endings of the files that are read; a file that is named outright is read whatever its ending."""
_NAMES = ("Dockerfile", "Makefile", "Jenkinsfile", "crontab", ".env", "Procfile")
_SKIPPED = {
    *(".git", ".hg", ".svn", "node_modules", "__pycache__", "site-packages", ".tox", ".nox", ".eggs"),
    *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".ipynb_checkpoints"),
}
_LARGEST = 10_000_000


@dataclass(frozen=True)
class Problem:
    """A file that could not be looked at.

    Attributes:
        path: the file.
        reason: why.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Source:
    """A file to look at.

    Attributes:
        path: where it is, as its tree was named.
    """

    path: Path
    _text: list[str] = field(default_factory=list, repr=False, compare=False)

    @property
    def is_python(self) -> bool:
        """Whether it is a module or a script in Python, by its ending or its first line."""
        return self.path.suffix in (".py", ".pyi", ".pyw") or (not self.path.suffix and self._begins_as_python())

    @property
    def is_notebook(self) -> bool:
        """Whether it is a Jupyter notebook."""
        return self.path.suffix == ".ipynb"

    @property
    def text(self) -> str:
        """What it says, in the encoding that it declares where it is Python, else in UTF-8.

        Raises:
            ValueError: it cannot be read so; the text says why.
            OSError: it cannot be opened.
        """
        if not self._text:
            self._text.append(_read(self.path))
        return self._text[0]

    def _begins_as_python(self) -> bool:
        return self.text.startswith("#!") and "python" in self.text.partition("\n")[0]


def _read(path: Path) -> str:
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"larger than {_LARGEST // 1_000_000} MB")
    content = path.read_bytes()
    encoding = "utf-8-sig"
    if path.suffix in (".py", ".pyi", ".pyw"):
        try:
            encoding = tokenize.detect_encoding(io.BytesIO(content).readline)[0]
        except SyntaxError:
            raise ValueError("neither UTF-8 nor in the encoding that it declares") from None
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"not {error.encoding} at byte {error.start}") from None


def sources(paths: Sequence[Path], exclude: Sequence[str] = ()) -> Iterator[Source | Problem]:
    """Every file below some paths that may use the old interface, in the order of their names.

    Args:
        paths: files and directories; what a ``.gitignore`` names is left out, and directories of other people's code.
        exclude: further patterns, as in a ``.gitignore``.
    """
    own = GitIgnoreSpec.from_lines(exclude)
    for path in paths:
        if path.is_dir():
            yield from _below(path, [(path, own), *_ignored_above(path)])
        elif path.exists():
            yield Source(path)
        else:
            yield Problem(str(path), "no such file or directory")


def _below(directory: Path, ignored: list[tuple[Path, GitIgnoreSpec]]) -> Iterator[Source | Problem]:
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError as error:
        yield Problem(str(directory), error.strerror or str(error))
        return
    ignored = [*ignored, *_ignored_in(directory)]
    for entry in entries:
        path = directory / entry.name
        if _matches(path, entry.is_dir(), ignored):
            continue
        # A link to a directory is followed by nobody who does not want to walk in circles.
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in _SKIPPED and not (path / "pyvenv.cfg").exists():
                yield from _below(path, ignored)
        elif entry.is_file() and _may_use(path):
            yield Source(path)


def _may_use(path: Path) -> bool:
    return path.suffix.lower() in LANGUAGES or path.name in _NAMES or path.name.startswith(".env.")


def _matches(path: Path, is_directory: bool, ignored: Sequence[tuple[Path, GitIgnoreSpec]]) -> bool:
    ending = "/" if is_directory else ""
    absolute = path.absolute()
    return any(spec.match_file(absolute.relative_to(base.absolute()).as_posix() + ending) for base, spec in ignored)


def _ignored_in(directory: Path) -> list[tuple[Path, GitIgnoreSpec]]:
    file = directory / ".gitignore"
    try:
        return [(directory, GitIgnoreSpec.from_lines(file.read_text(encoding="utf-8", errors="replace").splitlines()))]
    except OSError:
        return []


def _ignored_above(directory: Path) -> list[tuple[Path, GitIgnoreSpec]]:
    """What the directories above ignore, up to the one that is the repository."""
    found: list[tuple[Path, GitIgnoreSpec]] = []
    here = directory.absolute()
    for above in (here, *here.parents):
        if above != here:
            found += _ignored_in(above)
        if (above / ".git").exists():
            return found
    return []
