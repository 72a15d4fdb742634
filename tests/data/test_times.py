"""Dates of common forms, the steps between them, what follows them, and the calendar."""

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from headgate.data import DataError
from headgate.data.frames import Frame
from headgate.data.times import (
    DAY,
    Frequency,
    calendar,
    calendar_names,
    infer_frequency,
    is_time_or_number,
    looks_like_times,
    read_times,
    written,
)


def frame_of(cells):
    return Frame(Path("t.csv"), pl.DataFrame({"ds": [str(cell) or None for cell in cells]}), np.arange(len(cells)) + 2)


def frequency_of(cells):
    times = read_times(frame_of(cells), "ds")
    return infer_frequency(np.unique(times.values), times.kind)


FORMS = [
    (["2024-02-29", "2024-03-01"], ["2024-02-29", "2024-03-01"]),
    (["2024/02/29", "2024/03/01"], ["2024-02-29", "2024-03-01"]),
    (["29/02/2024", "01/03/2024"], ["2024-02-29", "2024-03-01"]),
    (["02/29/2024", "03/01/2024"], ["2024-02-29", "2024-03-01"]),
    (["29.02.2024", "01.03.2024"], ["2024-02-29", "2024-03-01"]),
    (["20240229", "20240301"], ["2024-02-29", "2024-03-01"]),
    (["29-Feb-24", "01-Mar-24"], ["2024-02-29", "2024-03-01"]),
    (["Feb 29, 2024", "Mar 1, 2024"], ["2024-02-29", "2024-03-01"]),
    (["Feb 2024", "Mar 2024"], ["2024-02-01", "2024-03-01"]),
    (["2024-02", "2024-03"], ["2024-02-01", "2024-03-01"]),
    (["2024-02-29 23:00:00", "2024-03-01T00:00:00"][:1] * 2, ["2024-02-29 23:00:00"] * 2),
    (["2024-02-29T23:00:00Z", "2024-03-01T02:00:00+02:00"], ["2024-02-29 23:00:00", "2024-03-01 00:00:00"]),
    (["2/29/2024 11:00 PM", "3/1/2024 12:00 AM"], ["2024-02-29 23:00:00", "2024-03-01 00:00:00"]),
    ([5, 7], [5, 7]),
    ([0.5, 0.75], [0.5, 0.75]),
]


@pytest.mark.parametrize(("cells", "expected"), FORMS, ids=lambda value: str(value[0]))
def test_common_forms(cells, expected):
    times = read_times(frame_of(cells), "ds")
    days = times.kind == "date" and bool((times.values % DAY == 0).all())
    assert [written(value, times.kind, days) for value in times.values] == expected
    assert looks_like_times(frame_of(cells), "ds") == (times.kind == "date")


def test_day_and_month_that_could_change_places_are_said():
    assert read_times(frame_of(["01/02/2024", "02/02/2024", "03/02/2024"]), "ds").either_way
    assert not read_times(frame_of(["01/02/2024", "13/02/2024"]), "ds").either_way
    # Of both readings, the one with even steps: days in March, not the third of four months.
    assert read_times(frame_of(["03/01/2024", "03/02/2024", "03/03/2024", "03/04/2024"]), "ds").form == "%m/%d/%Y"
    assert read_times(frame_of(["01/03/2024", "02/03/2024", "03/03/2024", "04/03/2024"]), "ds").form == "%d/%m/%Y"


@pytest.mark.parametrize(("cell", "words"), [("soon", "no time"), ("", "is empty"), ("2024-02-30", "no time")])
def test_a_cell_that_is_no_time_is_named(cell, words):
    with pytest.raises(DataError, match=f"t.csv, line 4, column ds.*{words}"):
        read_times(frame_of(["2024-01-01", "2024-01-02", cell, "2024-01-04", "2024-01-05"]), "ds")
    with pytest.raises(DataError, match="line 2, column ds: 'soon' is no time"):
        read_times(frame_of(["soon", "later"]), "ds")


def days(first, last, step=1):
    return np.arange(np.datetime64(first), np.datetime64(last), step).astype(str).tolist()


STEPS = [
    (days("2024-01-01", "2024-01-09"), "every 1 d", 7, ["2024-01-09", "2024-01-10"]),
    (days("2024-01-01", "2024-03-01", 7), "every 7 d", 52, ["2024-03-04", "2024-03-11"]),
    ([d for d in days("2024-01-01", "2024-01-20") if np.is_busday(d)], "every 1 business day", 5, ["2024-01-22"]),
    (["2023-11-30", "2023-12-31", "2024-01-31"], "every 1 month end", 12, ["2024-02-29", "2024-03-31"]),
    (["2024-01-15", "2024-02-15", "2024-03-15"], "every 1 month", 12, ["2024-04-15"]),
    (["2023-01-01", "2023-04-01", "2023-07-01", "2023-10-01"], "every 3 month", 4, ["2024-01-01"]),
    (["2020-01-01", "2021-01-01", "2022-01-01"], "every 12 month", 1, ["2023-01-01"]),
    (["2024-01-01 00:00", "2024-01-01 00:15", "2024-01-01 00:30"], "every 15 min", 96, ["2024-01-01 00:45:00"]),
    (["2024-01-01 22:00", "2024-01-01 23:00", "2024-01-02 00:00"], "every 1 h", 24, ["2024-01-02 01:00:00"]),
    ([3, 5, 7, 9], "every 2", 1, [11, 13]),
    ([0.1, 0.2, 0.3, 0.4], "every 0.1", 1, [0.5]),
    ([1, 2, 4, 7, 30, 31, 500], "irregular", 1, [502]),
]


@pytest.mark.parametrize(("cells", "words", "season", "following"), STEPS, ids=lambda value: str(value)[:20])
def test_frequency_season_and_what_follows(cells, words, season, following):
    times = read_times(frame_of(cells), "ds")
    found = infer_frequency(times.values, times.kind)
    assert found.words.startswith(words) and found.season == season
    whole = len(str(following[0])) == 10
    after = [written(value, times.kind, whole) for value in found.after(times.values[-1], len(following))]
    assert after == pytest.approx(following) if times.kind == "number" else after == following
    assert Frequency.from_json(found.as_json()) == found


def test_gaps_lie_on_the_grid():
    cells = ["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06"]
    times = read_times(frame_of(cells), "ds").values
    assert frequency_of(cells).positions(times).tolist() == [0, 1, 4, 5]
    hour = times + np.array([0, 0, 3600 * 10**6, 0])
    assert Frequency("date", "microsecond", DAY).positions(hour) is None, "an hour off is off the grid"


def test_a_month_end_stays_one():
    start = np.datetime64("2024-01-31", "us").astype(np.int64)
    after = Frequency("date", "month end", 1).after(start, 13)
    assert [written(value, "date", True) for value in after[:3]] == ["2024-02-29", "2024-03-31", "2024-04-30"]
    assert written(Frequency("date", "month", 1).after(start, 1)[0], "date", True) == "2024-02-29"


def test_times_at_the_end_of_what_can_be_written():
    last = np.datetime64("9999-12-31", "us").astype(np.int64)
    assert written(Frequency("date", "month end", 1).after(last, 1)[0], "date", True) == "10000-01-31"
    far = np.array([0.0, 1.0, 1e90])
    assert infer_frequency(far, "number").unit == "row"


def test_calendar():
    hourly = Frequency("date", "microsecond", DAY // 24)
    assert calendar_names(hourly) == ["day", "week", "year"]
    assert calendar_names(Frequency("date", "month", 1)) == ["year"]
    assert calendar_names(Frequency("whole", "number", 1)) == []
    monday = np.array([np.datetime64("2024-01-01T06:00", "us").astype(np.int64)])
    waves = calendar(monday, ["day", "week"])
    np.testing.assert_allclose(waves[0, :2], [1, 0], atol=1e-7)  # six o'clock is a quarter of the day
    np.testing.assert_allclose(waves[0, 2:], [np.sin(np.pi / 14), np.cos(np.pi / 14)], atol=1e-6)
    week_later = calendar(monday + 7 * DAY, ["day", "week"])
    np.testing.assert_allclose(week_later, waves, atol=1e-6)


@pytest.mark.parametrize("form", ("%m/%d/%Y", "%d/%m/%Y", "%d/%m/%y"))
@pytest.mark.parametrize("every", ("month", "quarter"))
def test_first_days_of_months_with_slashes_are_months(form, every):
    """In the wrong order they are twelve days of each January."""
    apart = {"month": 1, "quarter": 3}[every]
    days = [datetime(2014 + k // 12, k % 12 + 1, 1) for k in range(0, 60, apart)]
    times = read_times(frame_of([day.strftime(form) for day in days]), "ds")
    assert written(times.values[-1], "date", True) == days[-1].strftime("%Y-%m-%d") and times.either_way
    assert infer_frequency(times.values, "date").words == f"every {apart} month" + "s" * (apart > 1)


def test_the_form_can_be_said():
    cells = frame_of(["01/02/2024", "02/02/2024", "03/02/2024"])
    for form, last in (("%d/%m/%Y", "2024-02-03"), ("%m/%d/%Y", "2024-03-02")):
        times = read_times(cells, "ds", form)
        assert written(times.values[-1], "date", True) == last and not times.either_way
    with pytest.raises(DataError, match=r"line 2, column ds: '01/02/2024' is no time in the form %Y"):
        read_times(cells, "ds", "%Y-%m-%d")
    with pytest.raises(DataError, match="is no time like the others"):
        read_times(frame_of(["01/02/2024", "2024-02-02"]), "ds", "%d/%m/%Y")


@pytest.mark.parametrize("unit, size", [("seconds", 1), ("milliseconds", 1_000), ("microseconds", 1_000_000)])
def test_numbers_since_1970_are_dates_and_answered_as_numbers(unit, size):
    cells = [str((1_700_000_000 + 3_600 * k) * size) for k in range(30)]
    times = read_times(frame_of(cells), "ds")
    frequency = infer_frequency(times.values, times.kind)
    assert (times.kind, times.form, frequency.words, frequency.season) == ("date", unit, "every 1 h", 24)
    assert written(times.values[3], "date", form=times.form) == int(cells[3])
    assert read_times(frame_of(["1", "2", "1700000000"]), "ds").kind == "whole"


def test_a_zone_is_answered_with_one():
    times = read_times(frame_of(["2023-04-14T01:00:00+02:00", "2023-04-14T02:00:00+02:00"]), "ds")
    assert written(times.values[0], "date", form=times.form) == "2023-04-13 23:00:00+00:00"
    with pytest.raises(DataError, match="or others are written otherwise; write all alike"):
        read_times(frame_of(["2023-03-01T00:00:00", "2023-03-01T01:00:00Z"]), "ds")


def test_what_is_no_name_of_a_column():
    assert all(map(is_time_or_number, ("2024-01-01", "2023-03-01T00:00:00", "9.85", "-1", "nan")))
    assert not any(map(is_time_or_number, ("ds", "y", "load 1", "T2", "")))
