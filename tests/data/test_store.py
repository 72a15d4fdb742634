"""Encoded rows on disk."""

from __future__ import annotations

import numpy as np
import pytest

from headgate.data import Store


def rows(count: int, seed: int = 0):
    random = np.random.default_rng(seed)
    for k in range(count):
        T = k % 4
        x = random.normal(size=(T, 3)).astype(np.float32)
        yield {"x": x, "y": np.array(k), "tags": np.arange(T, dtype=np.int32)}


def test_what_was_written_is_read(tmp_path):
    store = Store.write(tmp_path / "rows", rows(11))
    assert len(store) == 11 and set(store.fields) == {"x", "y", "tags"}
    for k, row in enumerate(rows(11)):
        for name, value in row.items():
            assert store[k][name].dtype == value.dtype and np.array_equal(store[k][name], value)
    assert store.lengths("x").tolist() == [k % 4 for k in range(11)]
    assert np.array_equal(store[-1]["tags"], store[10]["tags"])
    assert np.array_equal(Store(tmp_path / "rows").column("y"), np.arange(11))
    with pytest.raises(IndexError):
        store[11]


@pytest.mark.parametrize("count", [0, 1])
def test_none_and_one_are_rows_too(tmp_path, count):
    assert len(Store.write(tmp_path / "rows", rows(count))) == count


def test_an_interrupted_writer_leaves_the_old_rows(tmp_path):
    def failing():
        yield from rows(3)
        raise OSError(28, "No space left on device")

    Store.write(tmp_path / "rows", rows(2))
    with pytest.raises(OSError, match="No space left"):
        Store.write(tmp_path / "rows", failing())
    assert len(Store(tmp_path / "rows")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]


@pytest.mark.parametrize("other", [{"y": np.array(1)}, {"x": np.zeros((2, 4), np.float32)}, {"x": np.zeros((2, 3))}])
def test_rows_of_another_kind_are_refused(tmp_path, other):
    first = {"x": np.zeros((2, 3), np.float32)}
    with pytest.raises(ValueError, match="row 1 has"):
        Store.write(tmp_path / "rows", iter([first, other]))


def test_a_folder_without_rows_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no encoded rows"):
        Store(tmp_path)
    (tmp_path / "rows.json").write_text('{"schema": 0}')
    with pytest.raises(ValueError, match="not written by this version"):
        Store(tmp_path)
