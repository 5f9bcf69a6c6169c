"""``exam-compat check``: does the new endpoint answer what the old one did, and how sure can one be?"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import reduce
from multiprocessing import active_children, get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import msgspec

from compat.cli.check_report import tell, write_reports
from compat.cli.console import counting, note, say
from compat.cli.counted import counted_in
from compat.cli.options import ExistingPath, NewFile, config_option, configuration_if_any
from compat.cli.program import require_extra
from compat.cli.scan import found_below
from compat.config.settings import Configuration
from compat.errors import ConfigurationError
from compat.legacy.signature import Caller
from compat.migration.inventory.report import caller_report
from compat.regression.check import RecordingCheck
from compat.regression.comparing.known import KnownDifferences, load_known
from compat.regression.evidence.headline import CallerLeft, callers_left, told_as_json
from compat.regression.evidence.result import CheckResult
from compat.regression.evidence.verdict import Judgement, Thresholds, judge
from compat.regression.recordings.call_lists import Asker, NewEndpoint, OldEndpoint
from compat.regression.recordings.pseudonyms import KEY_VARIABLE, key_of
from compat.regression.recordings.reader import calls_in_file, open_recording, read_head
from compat.regression.replay import Endpoints

STATUSES = {"ready": 0, "not ready": 1, "not enough evidence": 3}
"""The exit status of each verdict; 2 is that of wrong usage."""

_FILE = ExistingPath(folder=False)
_AGE = re.compile(r"(\d{1,6})([dh])", re.ASCII)


def _age(value: str) -> int:
    """Seconds, of days or hours such as 30d."""
    matched = _AGE.fullmatch(value)
    if matched is None:
        raise click.BadParameter("must be days or hours such as 30d or 12h")
    return int(matched[1]) * {"d": 86400, "h": 3600}[matched[2]]


@click.command(short_help="Compare the answers of both endpoints, and say how sure that is.")
@click.argument("recordings", nargs=-1, type=ExistingPath())
@click.option("--live", is_flag=True, help="Check what the modes shadow and canary have recorded so far.")
@click.option("--known", type=_FILE, help="The file of known differences, each with its reason and its end.")
@click.option("--max-age", type=_age, metavar="AGE", help="Refuse recordings that are older, such as 30d or 12h.")
@click.option("--max-unexplained", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="RATE",
              help="The highest bound on the rate of unexplained differences, such as 0.006.")  # fmt: skip
@click.option("--max-not-comparable", type=click.FloatRange(0, 1), metavar="SHARE",
              help="The largest share of calls that may be impossible to compare, such as 0.05.")  # fmt: skip
@click.option("--offline", is_flag=True,
              help="Ask no endpoint. Compare only calls of which both answers were recorded.")  # fmt: skip
@click.option("--rereads", type=click.IntRange(0), default=RecordingCheck.rereads, show_default=True, metavar="N",
              help="Stop reading differences again once N calls of a file kept theirs.")  # fmt: skip
@click.option("--key-file", type=_FILE, help="The file with the key of the recordings' pseudonyms.")
@click.option("--jobs", type=click.IntRange(1), default=1, metavar="N", help="How many files are checked at once.")
@click.option("--callers", is_flag=True, help="Show a score for each caller that still makes deprecated calls.")
@click.option("--scripts", multiple=True, type=ExistingPath(),
              help="Where the scripts of these callers are; may be given again.")  # fmt: skip
@click.option("--more", is_flag=True, help="Show every route, caller, field and difference.")
@click.option("--html", type=NewFile(), help="Write the report as one HTML page.")
@click.option("--markdown", type=NewFile(), help="Write the report as Markdown, for a pull request or a ticket.")
@click.option("--junit", type=NewFile(), help="Write the report as JUnit XML, which CI systems show.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict and all counts as JSON.")
@config_option
def check(**options: Any) -> int:
    """Compare what both endpoints answered, and say how sure the result is.

    RECORDINGS are files and folders that exam-compat record has made. If both answers are recorded, they are compared.
    If only the old one is, the new endpoint is asked now. Lists are compared by id.

    Three things explain a difference: a declared loss of the mapping, a rule in the file of known differences, and
    drift. For drift, what differs is read again: old, new, old. If the old answers differ from each other, the data
    changed meanwhile.

    Without a configuration, or with --offline, no endpoint is asked.

    \b
    Exit status:
      0  ready: the evidence is enough
      1  not ready: a difference is unexplained;
         or a recording cannot be read, or is older than --max-age
      2  wrong usage or configuration
      3  not enough evidence yet

    \b
    Examples:
      exam-compat check recordings
      exam-compat check monday.ndjson.gz --known known.toml --max-age 30d
      exam-compat check --live --callers --scripts jobs
      exam-compat check --live --json > check.json
      exam-compat check recordings --html check.html --junit check.xml
    """
    return _check(SimpleNamespace(**options))


def _check(options: SimpleNamespace) -> int:
    files = {form: path for form in ("html", "markdown", "junit") if (path := getattr(options, form)) is not None}
    counted = options.callers or bool(options.scripts)
    if files:
        require_extra("regression")
    if options.scripts:
        require_extra("migration")
    given = None if options.offline and not (options.live or counted) else configuration_if_any()
    paths = _paths(options, given)
    settings = dict(given.regression) if given is not None else {}
    for name in ("max_unexplained", "max_not_comparable", "known"):
        if (value := getattr(options, name)) is not None:
            settings[name] = value
    result = _checked(paths, _how(options, given, settings), options.jobs)
    thresholds = Thresholds.of(settings)
    judged, left = judge(result, thresholds), None
    if counted:
        if given is None:
            raise ConfigurationError("no configuration: it says where callers are counted")
        left = _left_by(given, judged, options.scripts)
        judged = judge(result, thresholds, {each.name: each.calls_a_day for each in left})
    write_reports(files, result, judged, left)
    if options.as_json:
        told = told_as_json(result, judged) | ({} if left is None else {"callers_left": left})
        say(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    else:
        tell(result, judged, everything=options.more, left=left)
    return STATUSES[judged.verdict]


def _paths(options: SimpleNamespace, given: Configuration | None) -> tuple[Path, ...]:
    places = list(options.recordings)
    if options.live:
        if given is None or "record" not in given.regression:
            raise ConfigurationError("[regression] record names no folder: shadow and canary keep nothing to check")
        places.append(Path(given.regression["record"]))
    if not places:
        raise click.UsageError("Say what to check: recordings, or --live.")
    paths, most = open_recording(*places).paths, options.max_age
    for path in paths if most is not None else ():
        age = time.time() - read_head(path).made_at
        if age > most:
            raise click.ClickException(f"{path} is {age / 86400:.1f} days old; --max-age allows {most / 86400:g}")
    return paths


def _how(options: SimpleNamespace, given: Configuration | None, settings: Mapping[str, Any]) -> RecordingCheck:
    return RecordingCheck(
        known=load_known(Path(settings["known"])) if "known" in settings else KnownDifferences(),
        endpoints=None if options.offline or given is None else _endpoints(given, options.key_file),
        upstream=None if given is None else given.upstream.kind,
        unfinished="accept" if options.live else "refuse",
        rereads=options.rereads,
    )


def _endpoints(given: Configuration, key_file: Path | None) -> Endpoints | None:
    """Who can be asked; nobody without the key of the recordings."""
    path = Path(key_file or given.regression.get("key_file", ""))
    if key_file is None and not (given.regression.get("key") or os.environ.get(KEY_VARIABLE) or path.is_file()):
        note("No key of pseudonyms: neither endpoint is asked, and what differs is not read again.")
        return None
    return Endpoints(key_of(given, key_file), NewEndpoint(given), _old_endpoints(given))


def _old_endpoints(given: Configuration) -> dict[str | None, Asker]:
    """Who asks the old endpoint, by the caller whose account that takes; nobody without an address."""
    if given.legacy_base_url is None:
        return {}
    accounts: dict[str | None, Caller] = {each.caller.name: each.caller for each in given.callers}
    ours = given.legacy_account or (given.callers[0].caller if len(given.callers) == 1 else None)
    if ours is not None:
        accounts |= {None: ours, ours.name: ours}
    return {name: OldEndpoint(given.legacy_base_url, account) for name, account in accounts.items()}


def _checked(paths: Sequence[Path], how: RecordingCheck, jobs: int) -> CheckResult:
    with counting("calls") as progress:
        bar = progress.add_task("Checking", total=None if progress.disable else sum(map(calls_in_file, paths)))
        if jobs == 1 or len(paths) == 1:
            results = (how(path, lambda: progress.advance(bar)) for path in paths)
            return reduce(CheckResult.merge, results, CheckResult())
        whole = CheckResult()
        for result in _in_processes(paths, how, jobs):
            whole = whole.merge(result)
            progress.update(bar, completed=whole.all.calls + whole.all.not_comparable)
        return whole


def _in_processes(paths: Sequence[Path], how: RecordingCheck, jobs: int) -> Iterator[CheckResult]:
    """The results of files that are checked at once, in their order."""
    # A process that was forked would share its parent's connections.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_end_when_interrupted)
    try:
        with _interrupts_waiting():
            results = pool.map(how, paths)
        yield from results
    except BrokenProcessPool:
        raise click.ClickException("a process that checked a file was ended from outside: try fewer --jobs") from None
    except BaseException:
        # Whoever interrupts this process alone, as a supervisor does, waits for none of the others either.
        for child in active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_waiting() -> Iterator[None]:
    """Processes that are started meanwhile get no Ctrl-C before they are ready for one; this one gets it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_when_interrupted() -> None:
    """Ctrl-C reaches all processes of a terminal, and the first of them says so for all."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _left_by(given: Configuration, judged: Judgement, scripts: Sequence[Path]) -> list[CallerLeft]:
    """Who still calls, by the inventory of a configuration, with what is said of the scripts that are here."""
    names = [each.caller.name for each in given.callers]
    callers = [each for each in caller_report(counted_in(given).usages, names, time.time()) if each.left]
    return callers_left(callers, judged, found_below(scripts).uses() if scripts else ())
