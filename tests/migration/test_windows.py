"""Windows in time: once, or again and again by the clock on the wall, whatever the zone does."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.errors import ConfigurationError
from compat.migration.modes.brownouts import Window, read_window

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
UTC = timezone.utc


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def read(**table: Any) -> Window:
    return read_window(table, "here: ", AMSTERDAM)


def test_once() -> None:
    window = read(starts=at("2027-03-01T09:00"), ends=at("2027-03-01T10:00"))
    assert window.starts.utcoffset() == timedelta(hours=1)
    for moment, holds in (("07:59:59", False), ("08:00:00", True), ("08:59:59", True), ("09:00:00", False)):
        assert (window.at(at(f"2027-03-01T{moment}+00:00")) is not None) == holds
    assert len(list(window.after(at("2020-01-01T00:00+00:00")))) == 1
    assert list(window.after(at("2027-03-01T09:00+00:00"))) == []


def test_a_time_with_its_own_offset_keeps_it() -> None:
    window = read(starts=at("2027-03-01T09:00+05:00"), ends=date(2027, 3, 2))
    assert window.starts == at("2027-03-01T04:00+00:00")
    assert window.ends == at("2027-03-01T23:00+00:00")


def test_nine_o_clock_stays_nine_o_clock() -> None:
    window = read(starts=at("2027-03-26T09:00"), ends=at("2027-03-26T09:30"), every="day", until=date(2027, 3, 29))
    found = [each.starts.isoformat() for each in window.after(at("2027-01-01T00:00+00:00"))]
    assert found == [
        "2027-03-26T09:00:00+01:00",
        "2027-03-27T09:00:00+01:00",
        "2027-03-28T09:00:00+02:00",
        "2027-03-29T09:00:00+02:00",
    ]
    assert window.at(at("2027-03-29T07:10:00+00:00")) is not None
    assert window.at(at("2027-03-29T08:10:00+00:00")) is None


def test_over_midnight_every_week() -> None:
    window = read(starts=at("2027-03-01T23:00"), ends=at("2027-03-02T01:00"), every="week")
    assert window.at(at("2027-03-09T00:59:00+01:00")) is not None
    assert window.at(at("2027-03-10T00:59:00+01:00")) is None
    assert window.at(at("2027-02-23T00:30:00+01:00")) is None
    weekdays = {each.starts.weekday() for each in islice(window.after(at("2031-01-01T00:00+00:00")), 60)}
    assert weekdays == {0}


_MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(_MOMENTS, _MOMENTS, st.integers(1, 23 * 60), st.sampled_from((None, "day", "week")))
def test_what_comes_next_is_what_holds(starts: datetime, moment: datetime, minutes: int, every: str | None) -> None:
    table: dict[str, Any] = {"starts": starts, "ends": starts + timedelta(minutes=minutes)}
    window = read(**table, **({"every": every} if every else {}))
    coming = list(islice(window.after(moment), 3))
    assert coming == sorted(coming, key=lambda each: each.starts)
    assert all(moment < each.ends for each in coming)
    assert window.at(moment) == (coming[0] if coming and coming[0].starts <= moment else None)
    # None is left out before the first that has not ended.
    if every and coming and coming[0].starts > window.starts:
        step = timedelta(days=1 if every == "day" else 7)
        assert (coming[0].ends.replace(tzinfo=None) - step).replace(tzinfo=AMSTERDAM) <= moment


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"ends": at("2027-03-01T10:00")}, "here: starts: must be a time such as"),
        ({"starts": "2027-03-01", "ends": at("2027-03-01T10:00")}, "here: starts: must be a time"),
        ({"starts": at("2027-03-01T10:00"), "ends": at("2027-03-01T10:00")}, "here: ends: must come after"),
        ({"starts": at("2027-03-01T10:00"), "ends": at("2027-03-02T10:00"), "every": "day"}, "within a day"),
        ({"starts": at("2027-03-01T10:00"), "ends": at("2027-03-01T11:00"), "until": date(2028, 1, 1)}, "with every"),
    ],
)
def test_what_is_no_window(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read(**table)
