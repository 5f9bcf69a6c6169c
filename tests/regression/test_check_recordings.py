"""Recordings, one or many: an engine that is there already gives the same result, and what is missing is said."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from answers_of import Page, call_of, pair_of
from faults import FAULTS, WHOLE

from compat.regression.check import RecordingCheck, check_recordings
from compat.regression.evidence.result import CheckResult
from compat.regression.evidence.verdict import judge
from compat.regression.recordings.format import SecretFound
from compat.regression.recordings.pseudonyms import PseudonymKey
from compat.regression.recordings.writer import Recorder

FILES = 6


def recordings(folder: Path) -> list[str]:
    """Faults and clean pairs, spread over files."""
    key = PseudonymKey(b"sixteen bytes or more")
    old = Page.of(WHOLE, 2).answered()
    paths = []
    for file in range(FILES):
        path = folder / f"{file}.ndjson.gz"
        paths.append(str(path))
        with Recorder(path, key, upstream="student_sessions") as recorder:
            for number, fault in enumerate(FAULTS[file::FILES]):
                page = Page.of(WHOLE, 2)
                fault.tamper(page)
                call = call_of({"page": 2, "limit": 10 + number})
                for new in (old, page.answered()):
                    recorder.keep_pair(pair_of(call, old, new, at=1.54e9 + number))
    return paths


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")
def test_a_local_cluster_gives_the_same_result_and_verdict(tmp_path: Path) -> None:
    from dask import bag
    from distributed import Client, LocalCluster

    paths = recordings(tmp_path)
    here = check_recordings(paths)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        spread = bag.from_sequence(paths, npartitions=FILES).map(RecordingCheck()).fold(CheckResult.merge).compute()
    assert here.all.unexplained > 30
    assert msgspec.structs.replace(spread, checked_at=0.0) == msgspec.structs.replace(here, checked_at=0.0)
    assert judge(spread) == judge(here)


def test_calls_that_a_recorder_lost_are_said(tmp_path: Path) -> None:
    path = tmp_path / "some.ndjson.gz"
    page = Page.of(WHOLE).answered()
    with Recorder(path, PseudonymKey(b"sixteen bytes or more"), sought=["a canary that sings"]) as recorder:
        recorder.keep_pair(pair_of(call_of({"limit": 10}), page, page))
        with pytest.raises(SecretFound):
            recorder.keep_pair(pair_of(call_of({"limit": 10}), page, page, caller="a canary that sings"))
    result = check_recordings([path])
    assert (result.all.calls, result.not_comparable) == (
        1,
        {"they were dropped, or could not be written": 1},
    )
