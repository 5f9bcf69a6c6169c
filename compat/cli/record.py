"""``exam-compat record``: old calls and answers, asked now or out of a HAR file, in a form in which nobody is named."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click

from compat.cli.console import counting, note, say
from compat.cli.options import (
    ExistingPath,
    NewFile,
    caller_named,
    config_option,
    configuration,
    offering_callers,
    offering_exams,
)
from compat.config.settings import Configuration
from compat.errors import ConfigurationError
from compat.legacy.query import STATUSES
from compat.legacy.routes import LegacyCall
from compat.legacy.signature import Caller
from compat.regression.comparing.pairs import Answered
from compat.regression.recordings.call_lists import (
    Accounts,
    Asker,
    NewEndpoint,
    OldEndpoint,
    calls_in,
    further_pages,
    listing,
    pages_of,
)
from compat.regression.recordings.format import SecretFound
from compat.regression.recordings.har import HarCalls, base_of
from compat.regression.recordings.pseudonyms import key_of
from compat.regression.recordings.reader import SUFFIX
from compat.regression.recordings.writer import Recorder
from compat.settings_checks import without_api_path
from compat.text.json import several

_NOT_WRITTEN = "a secret in what would have been written"
_MOST_HOSTS = 5


@click.command(short_help="Record old calls and answers, for checks, without anybody's data.")
@click.argument("output", type=click.Path(path_type=Path), required=False)
@click.option("--exam", "exams", multiple=True, metavar="ID", shell_complete=offering_exams,
              help="Record the list of this exam's students; may be given again.")  # fmt: skip
@click.option("--status", type=click.Choice(STATUSES), metavar="STATUS", help="Only students with this status.")
@click.option("--filter", "filter_", metavar="JSON", help="Only students that match this filter, as in the old call.")
@click.option("--sort", metavar="JSON", help="In this order, as in the old call.")
@click.option("--limit", metavar="N", help="Students on a page.")
@click.option("--queries", type=click.File(encoding="utf-8"),
              help="A file with one call on each line; - is the standard input.")  # fmt: skip
@click.option("--har", type=ExistingPath(folder=False),
              help="Record what a browser or a proxy saw. No endpoint is asked.")  # fmt: skip
@click.option("--ask", type=click.Choice(("old", "new", "both")), default="old", show_default=True,
              help="The endpoint to ask.")  # fmt: skip
@click.option("--as", "name", metavar="CALLER", shell_complete=offering_callers,
              help="The caller of [[callers]] whose account asks the old endpoint. With --har: whose the calls are "
                   "if neither token nor signature says it.  "
                   "[default: that of [legacy]; with --har, nobody's]")  # fmt: skip
@click.option("--base-url", "base_urls", multiple=True, metavar="URL",
              help="The address of the calls of --har; may be given again.  "
                   "[default: base_url of [legacy]]")  # fmt: skip
@click.option("--key-file", type=NewFile(),
              help="The file with the key of the pseudonyms. It is made if there is none.")  # fmt: skip
@click.option("--canary", "canaries", multiple=True, metavar="TEXT",
              help="A text that must not get into the recording, in any form; may be given again.")  # fmt: skip
@config_option
def record(**options: Any) -> int:
    """Record calls of the old interface and their answers, without personal data.

    OUTPUT is a new file that ends with .ndjson.gz, or a folder. The default is the folder that [regression] names, else
    recordings.

    Names, email addresses, ids of persons and free text become pseudonyms. Pseudonyms select and sort as the values do.
    Tokens, secrets and signatures are left out. Every byte is searched for them before it is written.

    A list is read page by page to its end, unless the call names its page. A line of --queries is a call such as
    17?status=exam_finished, the URL of one, or a JSON object such as {"exam": 17, "sort": [{"name": "asc"}]}.

    From a --har file, the deprecated reads of --base-url are recorded. At the end it says how many other entries were
    left out, and why.

    \b
    Exit status:
      0  recorded
      1  a call was left out, nothing was recorded, or no call was answered
      2  wrong usage or configuration

    \b
    Examples:
      exam-compat record --exam 17 --exam 18 --ask both
      exam-compat record monday.ndjson.gz --queries calls.txt --as 'night export'
      exam-compat record --har saved-by-the-browser.har
    """
    return _record(SimpleNamespace(**options))


def _record(options: SimpleNamespace) -> int:
    _check_output(options.output)
    given = configuration()
    calls = _calls(options)
    if (options.har is not None) == bool(calls):
        raise click.UsageError("Say what to record: --exam or --queries, or else --har.")
    if options.har is None and options.base_urls:
        raise click.UsageError("--base-url goes with --har.")
    source = _LiveRecording(given, calls, options) if options.har is None else _HarRecording(given, options)
    recorder = Recorder(
        options.output or Path(given.regression.get("record", "recordings")),
        key_of(given, options.key_file),
        zone=given.settings.zone,
        upstream=given.upstream.kind,
        source="queries" if options.har is None else "har",
        sought=[*given.secrets, *options.canaries],
    )
    with recorder:
        kept, left_out = source.record(recorder)
    say(f"Recorded {several(kept, 'call')} in {recorder.path}; pseudonyms by the key {recorder.key_id}.")
    source.tell()
    return 0 if kept and not left_out and source.was_answered else 1


def _check_output(output: Path | None) -> None:
    """Refuse what looks like a file of another kind, and would become a folder of that name."""
    if output is None or output.is_dir() or output.name.endswith(SUFFIX) or not output.suffix[1:2].isalpha():
        return
    raise ConfigurationError(
        f"{output}: a recording is a file that ends with {SUFFIX}, or a folder: write "
        f"{output.with_name(output.name.partition('.')[0] + SUFFIX)}, or a name without an ending"
    )


def _calls(options: SimpleNamespace) -> list[LegacyCall]:
    parameters = {"status": options.status, "filter": options.filter_, "sort": options.sort, "limit": options.limit}
    if not options.exams and any(parameters.values()):
        raise click.UsageError("--status, --filter, --sort and --limit go with --exam.")
    calls = [listing(exam, parameters) for exam in options.exams]
    # Read to the end before anything is asked: a mistake in the last line is better known now.
    return [*calls, *(calls_in(options.queries, options.queries.name) if options.queries is not None else ())]


def _accounts(given: Configuration) -> list[Caller]:
    own = () if given.legacy_account is None else (given.legacy_account,)
    return [*(each.caller for each in given.callers), *own]


def _account(given: Configuration, name: str | None) -> Caller:
    """The account that asks the old endpoint; ConfigurationError where nothing says which."""
    if name is not None:
        return caller_named(name, "--as", _accounts(given))
    if given.legacy_account is None and len(given.callers) != 1:
        raise ConfigurationError("[legacy] has no api_token and secret_key: add them, or say by --as whose to use")
    return given.legacy_account or given.callers[0].caller


def _legacy_url(given: Configuration, otherwise: str) -> str:
    if given.legacy_base_url is None:
        raise ConfigurationError(f"[legacy] has no base_url: {otherwise}")
    return given.legacy_base_url


class _LiveRecording:
    """Records calls by asking them, with the account of the caller that ``--as`` names."""

    def __init__(self, given: Configuration, calls: list[LegacyCall], options: SimpleNamespace) -> None:
        self._calls, self._name, self._left_out = calls, options.name, 0
        self._odd = Counter[str]()
        self.was_answered = False
        self._askers: dict[str, Asker] = {}
        if options.ask != "new":
            url = _legacy_url(given, "where the old endpoint is has to be said, or --ask new")
            self._askers["old"] = OldEndpoint(url, _account(given, options.name))
        if options.ask != "old":
            self._askers["new"] = NewEndpoint(given)

    def record(self, recorder: Recorder) -> tuple[int, int]:
        """Ask and record every call, page by page; how many were recorded, and how many left out."""
        asked = 0
        answers: dict[str, Answered] = {}

        def ask(each: LegacyCall) -> Answered:
            answers.update({side: asker(each) for side, asker in self._askers.items()})
            self._odd.update(told for side, answer in answers.items() if (told := _not_answered(side, answer)))
            return next(iter(answers.values()))

        with counting("calls") as progress:
            expected = len(self._calls)
            bar = progress.add_task("Recording", total=expected)
            for call in self._calls:
                for page in pages_of(call, ask):
                    asked += 1
                    if page is call:
                        expected += further_pages(call, next(iter(answers.values())))
                    try:
                        recorder.keep(page, old=answers.get("old"), new=answers.get("new"), caller=self._name)
                    except SecretFound as error:
                        note(str(error))
                        self._left_out += 1
                    progress.update(bar, advance=1, total=expected)
        self.was_answered = sum(self._odd.values()) < asked * len(self._askers)
        return asked - self._left_out, self._left_out

    def tell(self) -> None:
        """Say how many calls were left out, and which answers are none."""
        _list("Recorded all the same", self._odd)
        if self._left_out:
            note(f"{self._left_out} left out, since a secret stood in what would have been written.")


class _HarRecording:
    """Records the calls of a HAR file, each with the caller whose token or signature it has, else that of ``--as``."""

    was_answered = True

    def __init__(self, given: Configuration, options: SimpleNamespace) -> None:
        self._accounts = Accounts(_accounts(given))
        self._otherwise = None if options.name is None else _account(given, options.name).name
        given_urls = tuple(map(without_api_path, options.base_urls))
        for url in given_urls:
            _refuse_no_base(url)
        where = "say by --base-url where the calls of the HAR file went"
        self._base_urls = given_urls or (_legacy_url(given, where),)
        self._path = options.har
        self._calls = HarCalls(self._path, self._base_urls)
        self._strangers = 0

    def record(self, recorder: Recorder) -> tuple[int, int]:
        """Record every call; how many were recorded, and how many entries left out that are calls, or may be."""
        kept = 0
        with counting("entries") as progress:
            bar = progress.add_task("Recording", total=self._calls.entries)
            for seen in self._calls:
                progress.update(bar, completed=self._calls.looked_at)
                old, new = (None, seen.answered) if seen.by_shim else (seen.answered, None)
                caller = self._accounts.owner(seen.call, self._otherwise)
                try:
                    recorder.keep(seen.call, old=old, new=new, caller=caller, at=seen.at)
                except SecretFound:
                    self._calls.left_out[_NOT_WRITTEN] += 1
                    continue
                kept += 1
                self._strangers += caller is None
        return kept, sum(self._calls.left_out.values()) + sum(self._calls.elsewhere.values())

    def tell(self) -> None:
        """Say what became of the entries, and of how many calls the caller is not known."""
        seen = self._calls
        note(f"{self._path}: {several(seen.entries, 'entry').replace('entrys', 'entries')}.")
        _list("Not recorded", seen.others)
        _list("Left out", seen.left_out)
        if seen.elsewhere:
            note(f"Left out, calls of another address than {' or '.join(self._base_urls)}: {_hosts(seen.elsewhere)}.")
            note("Take them by --base-url, which may be given again, if they are of the old endpoint or its gateway.")
        _list("Recorded all the same", seen.odd)
        if self._strangers:
            note(
                f"{several(self._strangers, 'call')} by nobody whose token or signature is known: "
                "recorded without a caller. Of those without a token --as says whose they are."
            )


def _not_answered(side: str, answer: Answered) -> str | None:
    """What an answer is that says nothing of the interface: a failure, or a refusal of the account."""
    if answer.failure:
        return f"no answer of the {side} endpoint: {answer.failure}"
    return f"status {answer.status} of the {side} endpoint" if answer.status in (401, 403) else None


def _refuse_no_base(url: str) -> None:
    try:
        base_of(url)
    except ValueError as error:
        raise ConfigurationError(f"--base-url {url!r}: {error}") from None


def _list(heading: str, counts: Counter[str]) -> None:
    if counts:
        note(f"{heading}: " + "; ".join(f"{number:,} × {reason}" for reason, number in counts.most_common()) + ".")


def _hosts(counts: Counter[str]) -> str:
    told = [f"{host} ({several(number, 'call')})" for host, number in counts.most_common(_MOST_HOSTS)]
    more = len(counts) - len(told)
    return ", ".join(told) + (f", and of {several(more, 'other')}" if more else "")
