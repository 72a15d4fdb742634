"""Which files are for what, and which rows are held out."""

from __future__ import annotations

import pytest

from headgate.data import DataError, find_splits, held_out
from headgate.data.splits import split_of


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("wnut17train.conll", "train"),
        ("emerging.dev.conll", "validation"),
        ("val.de.gz", "validation"),
        ("test_2016_flickr.en.gz", "test"),
        ("t10k-images.idx", None),
        ("latest.csv", None),
        ("strain.csv", None),
        ("contest.csv", None),
        ("rows.csv", None),
    ],
)
def test_a_name_says_what_a_file_is_for(tmp_path, name, split):
    assert split_of(tmp_path / name) == split


def test_a_folder_is_taken_apart_and_a_file_given_wins(tmp_path):
    for name in ("train.csv", "dev.csv", "test.csv", ".hidden"):
        (tmp_path / name).write_text("x")
    other = tmp_path / "other.csv"
    found = find_splits(tmp_path)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [1, 1, 1]
    other.write_text("x")
    assert find_splits(tmp_path, validation=other).validation == (other,)


def test_a_folder_that_says_nothing_is_all_for_training(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("x")
    assert len(find_splits(tmp_path).train) == 2


def test_what_stands_beside_data_is_left_out(tmp_path):
    for name in ("a.csv", "LICENSE", "Readme.md", ".hidden", "readme_of_all.csv"):
        (tmp_path / name).write_text("x\n")
    assert [path.name for path in find_splits(tmp_path).train] == ["a.csv", "readme_of_all.csv"]


@pytest.mark.parametrize("name", [None, "dev.csv"])
def test_nothing_to_train_on_is_refused(tmp_path, name):
    if name:
        (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match=r"empty folder|none whose name says train"):
        find_splits(tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.csv: there is no such file"):
        find_splits(tmp_path / "gone.csv")


def test_rows_are_held_out_by_their_place_alone():
    first = [held_out(k, 0, 0.2) for k in range(5_000)]
    assert [held_out(k, 0, 0.2) for k in reversed(range(5_000))] == first[::-1]
    # Four standard deviations of a binomial share.
    assert abs(sum(first) / 5_000 - 0.2) < 4 * (0.2 * 0.8 / 5_000) ** 0.5
    assert [held_out(k, 1, 0.2) for k in range(5_000)] != first
    assert not any(held_out(k, 0, 0.0) for k in range(100)) and all(held_out(k, 0, 1.0) for k in range(100))
