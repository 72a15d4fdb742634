"""Tables by column: what is a number, what is missing, and which cell is to blame."""

import gzip

import numpy as np
import polars as pl
import pytest

from headgate.data import DataError
from headgate.data.frames import read_frame

ROWS = "ds,y,name\n2024-01-01,1.5,a\n2024-01-02,,b\n2024-01-03,3e2,c\n"


def written(folder, text, name="table.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def forms(folder):
    """One table in every form."""
    days = ["2024-01-01", "2024-01-02", "2024-01-03"]
    table = pl.DataFrame({"ds": days, "y": [1.5, None, 300.0], "name": list("abc")})
    table.write_parquet(folder / "table.parquet")
    table.write_ndjson(folder / "table.jsonl")
    yield written(folder, ROWS)
    yield written(folder, ROWS.replace(",", "\t"), "table.tsv")
    yield written(folder, ROWS.replace(",", ";").replace("1.5", "1,5"), "semicolons.csv")
    yield written(folder, gzip.compress(ROWS.encode()), "table.csv.gz")
    yield written(folder, ROWS.encode("utf-16"), "wide.csv")
    yield folder / "table.parquet"
    yield folder / "table.jsonl"


def test_every_form_of_a_table_says_the_same(tmp_path):
    for path in forms(tmp_path):
        frame = read_frame(path)
        assert frame.names == ["ds", "y", "name"], path
        np.testing.assert_array_equal(frame.numbers("y"), [1.5, np.nan, 300.0], err_msg=str(path))
        assert frame.table["name"].to_list() == ["a", "b", "c"]
        assert frame.has_numbers("y") and not frame.has_numbers("name") and not frame.has_numbers("ds")


@pytest.mark.parametrize("cell", ["", " ", "NA", "n/a", "NaN", "nan", "null", "None", "-", "?"])
def test_words_for_nothing_are_missing(tmp_path, cell):
    frame = read_frame(written(tmp_path, f"a,b\n1,{cell}\n2,5\n"))
    np.testing.assert_array_equal(frame.numbers("b"), [np.nan, 5.0])


WRONG = {"7 apples": "no number", "1.2.3": "no number", "inf": "infinite", "1e200": "too large"}


@pytest.mark.parametrize(("cell", "word"), WRONG.items())
def test_a_cell_that_is_no_number_is_named(tmp_path, cell, word):
    path = written(tmp_path, f"ds,load\n2024-01-01,1\n\n2024-01-02,{cell}\n2024-01-03,3\n")
    with pytest.raises(DataError, match=rf"table.csv, line 4, column load: .*{word}"):
        read_frame(path).numbers("load")


def test_the_line_is_that_of_the_file_where_cells_hold_ends_of_lines(tmp_path):
    path = written(tmp_path, 'note,y\n"two\nlines",1\nplain,x\n')
    with pytest.raises(DataError, match="line 4, column y"):
        read_frame(path).numbers("y")


def test_parquet_names_the_row(tmp_path):
    pl.DataFrame({"y": ["1", "two", "3"]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t.parquet, column 'y' of row 2: 'two' is no number"):
        read_frame(tmp_path / "t.parquet").numbers("y")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a,b\n", "no rows"),
        ("1,2\n3,4\n", "header"),
        ("a,a\n1,2\n", "twice"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells"),
        (b"a,b\n1,\xff\n", "not utf-8"),
        (b"a,b\n1,\x00\n", "binary"),
        (b"\x1f\x8bbroken", "damaged"),
        (b"PAR1broken", "binary|table|number|rows"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(tmp_path, text, words):
    with pytest.raises(DataError, match=words) as caught:
        read_frame(written(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [('{"a": 1}\n{"a": [1]}\n', "one value"), ('{"a": 1}\n' * 201 + '{"b": 1}\n', "first rows"), ('{"a": 1\n', "JSON")],
)
def test_json_that_is_no_table_is_refused(tmp_path, text, words):
    with pytest.raises(DataError, match=words):
        read_frame(written(tmp_path, text, "t.jsonl"))


def test_no_such_column(tmp_path):
    with pytest.raises(DataError, match="has no column 'z', which is to hold times; it has: ds, y, name"):
        read_frame(written(tmp_path, ROWS)).require("z", "times")
