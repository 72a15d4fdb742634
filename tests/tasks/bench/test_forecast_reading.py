"""Tables to series: roles, sorting, gaps and repeats, what is said of them, and no hostile table that gets further."""

import random

import numpy as np
import polars as pl
import pytest

from headgate.data import DataError
from headgate.tasks.bench.forecast import TASK
from headgate.tasks.bench.forecast.options import Options

LONG = """unique_id,ds,y,price,promo,shop
a,2024-01-01,1,10,0,north
a,2024-01-02,2,11,1,north
a,2024-01-03,3,12,0,north
a,2024-01-04,4,13,0,north
a,2024-01-05,5,14,0,north
b,2024-01-01,10,10,0,south
b,2024-01-02,20,11,0,south
b,2024-01-03,30,12,0,south
b,2024-01-04,40,13,1,south
b,2024-01-05,50,14,1,south
"""
WIDE = "date,load,heat,sky\n" + "".join(f"2024-01-{d:02},{d},{2 * d},clear\n" for d in range(1, 31))


def written(folder, text, name="t.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder, text, name="t.csv", **options):
    return [example.input for example in TASK.read([written(folder, text, name)], Options(**options))]


def test_a_long_table(tmp_path):
    a, b = read(tmp_path, LONG, past="price", future="promo", static="shop")
    assert (a.name, b.name, len(a)) == ("a", "b", 5)
    np.testing.assert_array_equal(b.values["y"], [10, 20, 30, 40, 50])
    np.testing.assert_array_equal(a.values["promo"], [0, 1, 0, 0, 0])
    assert a.static == {"shop": "north"} and b.static == {"shop": "south"}
    assert a.roles.targets == ("y",) and a.frequency.words == "every 1 d" and a.notes == ()


def test_a_wide_table(tmp_path):
    (series,) = read(tmp_path, WIDE, "power.csv")
    assert series.name == "power" and series.roles.targets == ("load", "heat")
    assert series.notes == ("sky holds text and is left out",)
    (one,) = read(tmp_path, WIDE, target="heat", past="load")
    assert one.roles.targets == ("heat",) and set(one.values) == {"heat", "load"}


def test_columns_beside_y_that_nobody_named_are_said(tmp_path):
    a, _ = read(tmp_path, LONG, past="price")
    assert a.notes == ("promo, shop are not read; past, future and static name what is",)
    assert read(tmp_path, LONG, past="price", future="promo", static="shop")[0].notes == ()


def test_a_table_without_a_header_is_refused_but_numbers_may_be_names(tmp_path):
    with pytest.raises(DataError, match=r"t.csv, line 1 holds '2023-03-01T00:00:00', but names of columns were"):
        read(tmp_path, "2023-03-01T00:00:00,9.8\n2023-03-01T01:00:00,9.9\n")
    (series,) = read(tmp_path, WIDE.replace("load,heat", "0,1"))
    assert series.roles.targets == ("0", "1")


def test_zones_and_seconds_are_said(tmp_path):
    (zoned,) = read(tmp_path, "ds,y\n" + "".join(f"2023-04-{d}T01:00:00+02:00,{d}\n" for d in range(10, 20)))
    assert zoned.notes == ("times have zones; they are told in UTC",)
    (epoch,) = read(tmp_path, "ds,y\n" + "".join(f"{1_700_000_000 + 60 * k},{k}\n" for k in range(10)))
    assert epoch.notes == ("times are seconds since 1970",) and epoch.frequency.words == "every 1 min"
    told = TASK.describe(TASK.read([tmp_path / "t.csv"], Options()))
    assert (told["first"], told["last"]) == (1_700_000_000, 1_700_000_540)


def test_the_same_series_from_any_form_and_order(tmp_path):
    table = pl.read_csv(LONG.encode())
    table.write_parquet(tmp_path / "t.parquet")
    table.with_columns(pl.col("ds").str.to_date()).write_parquet(tmp_path / "dates.parquet")
    table.write_ndjson(tmp_path / "t.jsonl")
    lines = LONG.splitlines(keepends=True)
    random.Random(0).shuffle(rows := lines[1:])
    shuffled = written(tmp_path, lines[0] + "".join(rows), "shuffled.csv")
    expected = {series.name: series for series in read(tmp_path, LONG, target="y")}
    for path in [tmp_path / "t.parquet", tmp_path / "dates.parquet", tmp_path / "t.jsonl", shuffled]:
        found = {e.input.name: e.input for e in TASK.read([path], Options(target="y"))}
        assert found.keys() == expected.keys()
        for name, series in found.items():
            np.testing.assert_array_equal(series.values["y"], expected[name].values["y"], err_msg=str(path))
            np.testing.assert_array_equal(series.times, expected[name].times)
        assert any("sorted" in note for note in found["a"].notes) == (path == shuffled)


def test_gaps_and_repeats_are_found_and_said(tmp_path):
    lines = WIDE.splitlines(keepends=True)
    gone = "".join(lines[:5] + lines[7:])
    (series,) = read(tmp_path, gone)
    assert len(series) == 30 and np.isnan(series.values["load"][4:6]).all() and series.values["load"][6] == 7
    assert "2 steps have no row; their values count as missing" in series.notes
    (series,) = read(tmp_path, WIDE + "2024-01-03,33,,clear\n")
    assert series.values["load"][2] == 33 and series.values["heat"][2] == 6, "a missing cell takes no value's place"
    assert "1 rows repeat the time of another; the later row stands" in series.notes
    (series,) = read(tmp_path, "ds,y\n" + "".join(f"{k * k},{k}\n" for k in range(20)))
    assert series.frequency.unit == "row" and any("irregular" in note for note in series.notes)


def test_several_series_in_one_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"line 7, column ds: 2024-01-01.*stands in a row before.*--series"):
        read(tmp_path, LONG.replace("unique_id", "which"), target="y")


def test_a_static_column_that_changes_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"line 3, column promo: 1\.0 differs from 0\.0 in line 2"):
        read(tmp_path, LONG, static="promo")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"time": "when"}, "no column 'when', which is to hold times"),
        ({"target": "z"}, "no column 'z'"),
        ({"series": "who"}, "no column 'who'"),
        ({"target": "shop"}, "line 2, column shop: 'north' is no number"),
        ({"future_values": "f.csv"}, "no column is named by --future"),
    ],
)
def test_columns_that_are_not_there(tmp_path, options, words):
    with pytest.raises(DataError, match=words):
        read(tmp_path, LONG, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"head": "cauchy"}, "head is 'cauchy'"),
        ({"horizon": 0}, "horizon is 0"),
        ({"interval": 1.5}, "interval is 1.5"),
        ({"quantiles": "0.1,x"}, "quantiles is"),
        ({"quantiles": "0"}, "quantiles is"),
        ({"split": "0.5/0.6/0.2"}, "split is"),
        ({"split": "100/20"}, "split is"),
        ({"past": "a", "future": "a"}, "given as past and as future"),
        ({"head": "negative_binomial", "normalise": "last"}, "shifts values"),
    ],
)
def test_settings_that_make_no_sense(options, words):
    with pytest.raises(ValueError, match=words):
        Options(**options)


def test_future_values_follow_the_history(tmp_path):
    later = written(tmp_path, "unique_id,ds,promo\na,2024-01-06,1\na,2024-01-07,0\nb,2024-01-06,1\n", "later.csv")
    a, b = read(tmp_path, LONG, target="y", future="promo", future_values=str(later))
    assert (len(a), a.end, len(b)) == (7, 5, 6)
    np.testing.assert_array_equal(a.values["promo"], [0, 1, 0, 0, 0, 1, 0])
    assert np.isnan(a.values["y"][5:]).all()
    assert a.notes == (), "what is to come is no missing value"


def test_what_check_says(tmp_path):
    lines = LONG.splitlines(keepends=True)
    text = "".join([*lines[:3], *lines[4:]]).replace("b,2024-01-02,20", "b,2024-01-02,")
    said = TASK.describe(TASK.read([written(tmp_path, text)], Options(static="shop")))
    assert said["series"] == 2 and said["rows"] == 9 and said["gaps"] == 1 and said["missing"] == {"y": 1}
    assert said["columns"]["targets"] == ["y"] and said["columns"]["static"] == ["shop"]
    assert said["first"] == "2024-01-01 00:00:00" and said["frequencies"] == {"every 1 d": 2}
    assert said["ranges"] == {"y": [1.0, 50.0]}


def test_fits(tmp_path):
    assert TASK.fits(written(tmp_path, LONG), Options()).sureness > 0.9
    assert TASK.fits(written(tmp_path, WIDE), Options()).sureness > 0.4
    assert TASK.fits(written(tmp_path, "text,label\ngood film,1\nbad film,0\n"), Options()).sureness < 0.1
    assert TASK.fits(written(tmp_path, "To be or not to be\n"), Options()).sureness < 0.1
    assert TASK.fits(written(tmp_path, b"\x00\x01"), Options()).sureness == 0
    assert TASK.fits(tmp_path / "none.csv", Options()).sureness == 0


# --- mutations ------------------------------------------------------------------------------------------------------

PIECES = [b"", b",", b"\n", b'"', b"nan", b"inf", b"1e999", b"\x00", b"\xff", b"-", b"2024-13-01", b"\r", b"9" * 400]
PIECES += [b";", b"\t", b"{}", b"null", b"ds", b"1970-01-01", b"9999-12-31", b"0001-01-01", b"\xef\xbb\xbf", b"["]
ROLES = [{}, {"past": "price", "future": "promo", "static": "shop"}, {"target": "price", "static": "promo"}]


def mutated(text, draw):
    """Bytes taken out, put in, exchanged or repeated; or, as often, one digit for another."""
    data = bytearray(text)
    if draw.random() < 0.5:
        at = draw.choice([k for k, byte in enumerate(data) if chr(byte).isdigit()])
        data[at] = ord(draw.choice("0123456789 "))
        return bytes(data)
    for _ in range(draw.randint(1, 3)):
        at, length = draw.randrange(len(data) + 1), draw.choice([0, 1, 1, 2, 8, 40])
        repeated = bytes(data[: draw.randint(0, 60)])
        data[at : at + length] = draw.choice([draw.choice(PIECES), repeated, draw.randbytes(2)])
    return bytes(data)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_mutations_are_read_or_refused_in_a_sentence(tmp_path, name):
    """Nothing but DataError is raised; both ends are reached."""
    if name == "t.jsonl":
        text = pl.read_csv(LONG.encode()).write_ndjson().encode()
    else:
        text = (LONG if name == "t.csv" else LONG.replace(",", "\t")).encode()
    draw, ends = random.Random(name), {"read": 0, "refused": 0}
    path = tmp_path / name
    for k in range(1000):
        path.write_bytes(mutated(text, draw))
        try:
            for example in TASK.read([path], Options(**ROLES[k % 3])):
                assert all(len(column) == len(example.input) for column in example.input.values.values())
            ends["read"] += 1
        except DataError as refusal:
            assert "\n" not in str(refusal)
            ends["refused"] += 1
    assert min(ends.values()) > 50
