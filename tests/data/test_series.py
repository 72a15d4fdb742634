"""Series: .ts, NumPy archives, idx and tables, and what of them is refused."""

import gzip
import io
import struct

import numpy as np
import pytest
from data.mutations import mutations

from headgate.data import DataError
from headgate.data.series import idx_series, is_idx, labels_beside, npz_series, ts_series
from headgate.data.series_tables import file_series, listed_series, long_series, numeric_columns, wide_series
from headgate.data.tables import open_table

TS = (
    "# a comment\n@problemName signs\n@timeStamps false\n@univariate false\n@classLabel true a b\n@data\n"
    "1,2,3:4,5,6:a\n0.5,?:1e-3,-2:b\n"
)


def put(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def idx(values, code=0x08):
    head = bytes([0, 0, code, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.tobytes()


def test_ts_of_several_channels_and_lengths(tmp_path):
    for name, content in (("x_TRAIN.ts", TS.encode()), ("x_TRAIN.ts.gz", gzip.compress(TS.encode()))):
        first, second = ts_series(put(tmp_path, name, content))
        np.testing.assert_array_equal(first.input, np.array([[1, 4], [2, 5], [3, 6]], np.float32))
        np.testing.assert_array_equal(second.input, np.array([[0.5, 1e-3], [np.nan, -2]], np.float32))
        assert [first.target, second.target] == ["a", "b"]
        assert (first.place.line, second.place.line) == (7, 8)
        assert first.input.dtype == np.float32


def test_ts_without_labels_is_read_where_none_are_asked_for(tmp_path):
    bare = TS.replace("@classLabel true a b", "@classLabel false").replace(":a", "").replace(":b", "")
    path = put(tmp_path, "x.ts", bare)
    assert [example.target for example in ts_series(path, answers=False)] == [None, None]
    with pytest.raises(DataError, match="has no labels"):
        list(ts_series(path))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("5,6:a", "5:a", r"line 7 has channels of \[2, 3\] steps"),
        ("0.5,?:1e-3,-2:b", "0.5,1:b", "line 8 has 1 channels, but the series before it have 2"),
        ("0.5,?", "0.5,x", "line 8, channel 1: 'x' came where a number|column channel 1: 'x' came"),
        ("0.5,?", "0.5,inf", "step 2 of channel 1 is inf"),
        ("0.5,?", "0.5,-1e31", "step 2 of channel 1 is -1e[+]31"),
        (":b", ":", "line 8 ends without a label"),
        ("@timeStamps false", "@timeStamps true", "line 3: series with time stamps are not read"),
        ("@data", "@date", "line 7: '1,2,3:4,5,6:a' came before the line @data"),
        ("1,2,3:4,5,6:a\n0.5,?:1e-3,-2:b\n", "", "holds no series"),
    ],
)
def test_what_is_wrong_in_a_ts_file(tmp_path, before, after, message):
    assert before in TS
    with pytest.raises(DataError, match=message) as caught:
        list(ts_series(put(tmp_path, "x.ts", TS.replace(before, after))))
    assert "x.ts" in str(caught.value)


def test_npz(tmp_path):
    x = np.arange(24.0).reshape(3, 4, 2)
    np.savez(tmp_path / "a.npz", x=x, y=np.array([1.0, 0.0, 1.0]), lengths=np.array([4, 2, 1]))
    found = list(npz_series(tmp_path / "a.npz"))
    assert [example.input.shape for example in found] == [(4, 2), (2, 2), (1, 2)]
    assert [example.target for example in found] == ["1", "0", "1"]
    np.savez_compressed(tmp_path / "b.npz", X=x[..., 0], y=np.array(["p", "q", "p"]))
    found = [(example.input.shape, example.target) for example in npz_series(tmp_path / "b.npz")]
    assert found == [((4, 1), "p"), ((4, 1), "q"), ((4, 1), "p")]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((2, 3))}, "has no labels"),
        ({"y": np.zeros(2)}, "but an array x of numbers"),
        ({"x": np.zeros((2, 3)), "y": np.zeros(3)}, r"y has shape \[3\], but x has 2 rows"),
        ({"x": np.zeros((2, 3)), "y": np.zeros(2), "lengths": np.array([1, 4])}, "whole numbers from 1 to 3"),
        ({"x": np.zeros((0, 3)), "y": np.zeros(0)}, "holds no series"),
        ({"x": np.array([["a"]], object), "y": np.zeros(1)}, "no readable NumPy archive"),
        ({"x": np.full((1, 2), np.inf), "y": np.zeros(1)}, "x.0.: step 1 of channel 1 is inf"),
    ],
)
def test_what_is_wrong_in_an_archive(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        list(npz_series(tmp_path / "a.npz"))


def test_idx_with_the_labels_beside_it(tmp_path):
    pictures = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    path = put(tmp_path, "t-images-idx3-ubyte.gz", gzip.compress(idx(pictures)))
    with pytest.raises(DataError, match="has no labels"):
        list(idx_series(path))
    labels = put(tmp_path, "t-labels-idx1-ubyte", idx(np.array([7, 0], np.uint8)))
    assert is_idx(path) and labels_beside(path) == labels
    first, second = idx_series(path)
    np.testing.assert_array_equal(second.input, pictures[1])
    assert [first.target, second.target] == ["7", "0"]
    put(tmp_path, "t-labels-idx1-ubyte", idx(np.array([7], np.uint8)))
    with pytest.raises(DataError, match="different numbers of items"):
        list(idx_series(path))


def test_damaged_idx(tmp_path):
    whole = idx(np.zeros((5, 3, 4), np.uint8))
    for raw, message in {
        whole[:-1]: "ends in item 5 of 5",
        whole[:6]: "is damaged or of another shape",
        bytes([0, 0, 8, 3]) + struct.pack(">3I", 9, 2**31, 2**31): "empty or damaged",
        b"\0\0\7\3": "is no idx file",
    }.items():
        with pytest.raises(DataError, match=message):
            list(idx_series(put(tmp_path, "a-idx3-ubyte", raw), answers=False))


LONG = "id,time,x,y,label\na,2,3,4,up\na,1,1,2,up\nb,1,?,6,down\n"


def series_of(table, **changes):
    kept = {"id_column": "id", "time_column": "time", "channels": ["x", "y"]} | changes
    return list(long_series(table, label=lambda values, place: values.get("label"), **kept))


def test_long_tables_are_ordered_by_time(tmp_path):
    first, second = series_of(open_table(put(tmp_path, "a.csv", LONG)))
    np.testing.assert_array_equal(first.input, np.array([[1, 2], [3, 4]], np.float32))
    np.testing.assert_array_equal(second.input, np.array([[np.nan, 6]], np.float32))
    assert [first.target, second.target] == ["up", "down"]
    dated = LONG.replace("a,2,3", "a,2020-01-02,3").replace("a,1,1", "a,2020-01-01,1")
    table = open_table(put(tmp_path, "b.csv", dated))
    np.testing.assert_array_equal(series_of(table)[0].input, first.input)
    assert series_of(open_table(tmp_path / "a.csv"), time_column="")[0].input[0, 0] == 3


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("b,1,?,6,down", "b,1,?,6,down\na,3,1,1,up", "line 5: series 'a' comes again"),
        ("a,1,1,2,up", "a,1,1,2,down", "line 3: the label of series 'a' changes"),
        ("a,1,1,2,up", "a,1,1,two,up", "line 3, column y: 'two' came where a number"),
    ],
)
def test_what_is_wrong_in_a_long_table(tmp_path, before, after, message):
    with pytest.raises(DataError, match=message):
        series_of(open_table(put(tmp_path, "a.csv", LONG.replace(before, after))))


def test_wide_tables_files_and_lists(tmp_path):
    table = open_table(put(tmp_path, "w.csv", "label,s1,s2,s3\nup,1,2,3\ndown,4,5,\n"))
    assert numeric_columns(table) == ["s1", "s2", "s3"]
    found = list(wide_series(table, ["s1", "s2", "s3"], lambda values, place: values["label"]))
    assert [example.input.ravel().tolist() for example in found] == [[1, 2, 3], [4, 5]]
    one = file_series(open_table(put(tmp_path, "f.csv", "x,y\n1,2\n3,4\n")), ["x", "y"], "walking")
    assert (one.input.tolist(), one.target) == ([[1, 2], [3, 4]], "walking")
    rows = open_table(put(tmp_path, "l.jsonl", '{"series": [[1, 2], [3, null]]}\n{"series": [1, 2]}\n'))
    first, second = listed_series(iter(rows), "series", lambda values, place: None)
    np.testing.assert_array_equal(first.input, np.array([[1, 2], [3, np.nan]], np.float32))
    assert second.input.shape == (2, 1)


@pytest.mark.parametrize("value", ["[]", "3", '[[1, 2], [3]]', '["x"]', "[[[1]]]", "[[]]"])
def test_lists_that_are_no_series(tmp_path, value):
    rows = open_table(put(tmp_path, "l.jsonl", f'{{"series": {value}}}\n'))
    with pytest.raises(DataError, match=r"line 1, column series"):
        list(listed_series(iter(rows), "series", lambda values, place: None))


def archive():
    out = io.BytesIO()
    np.savez(out, x=np.ones((3, 4, 2)), y=np.arange(3))
    return out.getvalue()


def read_long(path):
    return series_of(open_table(path, known=frozenset(("id", "label"))))


FUZZED = {
    "a.ts": ([TS.encode(), gzip.compress(TS.encode(), mtime=0)], lambda path: list(ts_series(path)), 4000),
    "a.npz": ([archive()], lambda path: list(npz_series(path)), 2500),
    "a-idx3": ([idx(np.ones((3, 2, 2), np.uint8))], lambda path: list(idx_series(path, answers=False)), 1500),
    "a.csv": ([LONG.encode()], read_long, 2000),
}


@pytest.mark.filterwarnings("ignore:Reading `.npy` or `.npz` file required additional header parsing")
@pytest.mark.parametrize("name", FUZZED)
def test_mutations_are_read_or_refused(tmp_path, name):
    """Ten thousand over all forms; what is read has steps and channels, and no infinite number."""
    files, read, count = FUZZED[name]
    refused, path = 0, tmp_path / name
    for raw in mutations(files, count, seed=4):
        path.write_bytes(raw)
        try:
            for example in read(path):
                assert min(example.input.shape) > 0 and not np.isinf(example.input).any()
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)
    assert count // 10 < refused < count
