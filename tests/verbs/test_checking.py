"""What `check` warns of, and refusals that every task makes alike."""

from __future__ import annotations

import pytest

import headgate as hg
from headgate.cli import main
from headgate.tasks import bench


def texts(path, rows):
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    return path


@pytest.fixture
def files(tmp_path):
    train = texts(tmp_path / "train.csv", [(f"some words {k} here", "ab"[k % 2]) for k in range(40)])
    test = texts(tmp_path / "test.csv", [("some words", "a"), ("more words", "c"), ("other", "d"), ("others", "c")])
    return train, test


def test_labels_that_training_lacks_are_said(files, tmp_path, capfd):
    train, test = files
    found = hg.check(train, "classify", test=test)
    assert "test: 3 rows have labels that training lacks ('c', 'd'); they count as wrong." in found["findings"]
    out = str(tmp_path / "run")
    assert main(["train", str(train), "--task", "classify", "--test", str(test), "--epochs", "1", "--out", out]) == 0
    assert main(["eval", out]) == 0
    shown = capfd.readouterr().out
    assert shown.count("3 of 4 rows have a label that training did not have; they count as wrong.") == 2


def test_a_report_keeps_its_lines(tmp_path, capfd):
    (tmp_path / "text.txt").write_text("a\nb\n" * 200)
    assert main(["check", str(tmp_path / "text.txt"), "--task", "language"]) == 0
    lines = [line.strip() for line in capfd.readouterr().out.splitlines()]
    assert "⏎: 400" in lines and "" not in lines


@pytest.mark.parametrize("name", ("classify", "tag", "translate", "language"))
def test_an_unknown_encoding_is_refused_by_name(name):
    with pytest.raises(ValueError, match="encoding='nonsense' is not known; give one of Python's"):
        bench.get(name).Options(encoding="nonsense")


def test_an_unknown_encoding_ends_in_one_sentence(files, capfd):
    assert main(["train", str(files[0]), "--task", "classify", "--encoding", "nonsense"]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and "encoding='nonsense' is not known" in error


def test_the_answer_is_no_question(files, capfd):
    column = ["--text-column", "label", "--label-column", "label"]
    assert main(["train", str(files[0]), "--task", "classify", *column]) == 2
    assert "text_column and label_column are both 'label'" in capfd.readouterr().err
