"""Evaluation, prediction, sampling, checking and models apart from their runs."""

from __future__ import annotations

import gzip
import io
import json

import numpy as np
import pytest
import torch
from training import tiny_task

import headgate as hg
from headgate.data import DataError
from headgate.verbs.checking import digest


def test_evaluation_of_the_runs_own_rows_is_what_training_found(trained):
    _, run = trained
    for split in ("test", "validation"):
        found = hg.evaluate(run.folder, split=split)
        assert found == run.results[split] | {"split": split, "task": "tiny"}
    assert hg.evaluate(run, split="train")["rows"] > hg.evaluate(run)["rows"]
    json.dumps(found, allow_nan=False)


def test_evaluation_of_other_files(trained, tmp_path):
    _, run = trained
    folder = tmp_path / "more"
    folder.mkdir()
    tiny_task.write(folder / "train.tiny", rows=5)
    tiny_task.write(folder / "test.tiny", rows=9, seed=4)
    assert hg.evaluate(run, folder)["rows"] == 9 and hg.evaluate(run, folder / "train.tiny")["rows"] == 5
    (folder / "bad.tiny").write_text("0110\n")
    with pytest.raises(DataError, match=r"bad.tiny, line 1: the answer is ''"):
        hg.evaluate(run, folder / "bad.tiny")
    with pytest.raises(ValueError, match="split='dev', but one of"):
        hg.evaluate(run, split="dev")


ROWS = ["0110", "1", "1001", "00"]


def test_predictions_are_the_same_from_anywhere(trained, tmp_path):
    _, run = trained
    path = tmp_path / "rows.tiny"
    path.write_text("\n".join(ROWS))
    (tmp_path / "rows.tiny.gz").write_bytes(gzip.compress(path.read_bytes()))
    expected = list(hg.predict(run, path))
    assert [one["answer"] for one in expected] == ["no", "yes", "yes", "no"]
    model = hg.load(run.folder)
    for found in (
        hg.predict(run.folder, ROWS),
        hg.predict(run, io.BytesIO("\n".join(ROWS).encode())),
        model.predict(ROWS),
        hg.load(model.save_pretrained(tmp_path / "kept")).predict(path),
    ):
        assert list(found) == expected


def test_predictions_come_as_rows_do(trained):
    """The first answer is there before the last row is asked for."""
    _, run = trained
    found = hg.predict(run, [*ROWS, "12"])
    assert next(found)["answer"] == "no"
    with pytest.raises(DataError, match=r"the rows, line 5: '12' holds other signs"):
        list(found)
    with pytest.raises(DataError, match="is no row"):
        list(hg.predict(run, [3]))
    with pytest.raises(DataError, match="standard input is empty"):
        list(hg.predict(run, io.BytesIO(b"")))


def test_a_model_apart_from_its_run(trained, tmp_path):
    _, run = trained
    kept = hg.load(run.folder).save_pretrained(tmp_path / "kept")
    assert sorted(path.name for path in kept.iterdir()) == ["config.json", "model.safetensors"]
    again = hg.load(kept)
    for name, value in run.network().state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value)
    assert again.chosen == run.config.chosen
    facts = json.loads((kept / "config.json").read_text())
    for change, words in (
        ({"library_name": "other"}, "is no model of this version"),
        ({"task": "tagg"}, "no task named 'tagg'"),
        ({"layers": {}}, "is damaged"),
        ({"encoding": {"signs": ["0"], "often": "no"}}, "does not belong to this run: its table.weight"),
    ):
        (kept / "config.json").write_text(json.dumps(facts | change))
        with pytest.raises(ValueError, match=words):
            hg.load(kept)
    with pytest.raises(ValueError, match="is no folder, and the Hugging Face hub gave no such model"):
        hg.load("no such/name at all")


def test_folders_that_are_no_runs(tmp_path, trained):
    (tmp_path / "config.toml").write_text("schema = 1\n")
    for place, words in (
        (tmp_path / "missing", "is no folder"),
        (tmp_path, "was not written by `headgate train`"),
    ):
        with pytest.raises(ValueError, match=words):
            list(hg.predict(place, ROWS))
    (tmp_path / "config.toml").write_text("schema = [")
    with pytest.raises(ValueError, match="is damaged"):
        hg.evaluate(tmp_path)


def test_what_writes_no_text_is_not_sampled(trained):
    with pytest.raises(ValueError, match="is a run of task tiny, which writes no text"):
        hg.sample(trained[1])


def test_sampling_hands_on_what_is_asked(trained, monkeypatch):
    def write(self, network, encoding, options, **asked):
        yield from (str(asked[name]) for name in ("prompt", "length", "temperature", "top_k", "top_p", "seed"))

    monkeypatch.setattr(type(trained[1].task), "sample", write, raising=False)
    asked = {"temperature": 0.5, "top_k": 3, "top_p": 0.9, "seed": 7}
    assert list(hg.sample(trained[1], "once", 9, **asked)) == ["once", "9", "0.5", "3", "0.9", "7"]


# --- check


def test_a_report_on_data(tmp_path):
    (tmp_path / "train.tiny").write_text("01,no\n10,yes\n01,no\n11,yes\n")
    (tmp_path / "test.tiny").write_text("10,no\n0,no\n")
    found = hg.check(tmp_path)
    assert found["task"] == "tiny" and found["why"] == "its name ends in .tiny"
    train = found["splits"]["train"]
    assert (train["rows"], train["longest"], train["duplicates"]) == (4, 2, 1)
    assert train["first_duplicate"].endswith("train.tiny, line 3") and found["splits"]["test"]["duplicates"] == 0
    assert found["leakage"] == {"train and test": 1} and len(found["findings"]) == 3
    assert "training would stop at this" in found["findings"][2] and "none is held out" in found["findings"][2]
    assert found["files"]["test"][0]["encoding"] == "utf-8"
    json.dumps(found, allow_nan=False)
    clean = hg.check(tiny_task.write(tmp_path / "other.csv", rows=60), "tiny")
    assert [sentence for sentence in clean["findings"] if "stood before" not in sentence] == []
    with pytest.raises(DataError, match="line 1: '2' holds other signs"):
        (tmp_path / "train.tiny").write_text("2,no\n")
        hg.check(tmp_path)


def test_files_that_do_not_go_together_are_found_before_training(tmp_path):
    for name, channels in (("a.ts", 2), ("b.ts", 3)):
        row = ":".join(["1,2,3"] * channels)
        (tmp_path / name).write_text("@classLabel true x y\n@data\n" + f"{row}:x\n{row}:y\n" * 20)
    found = hg.check(tmp_path)
    assert "b.ts, line 3 has 3 channels, but 2 were expected" in found["findings"][-1]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", r"a\.csv is empty"),
        ("a.csv", b"text,label\n\x00\x01", r"a\.csv is a binary file"),
        ("a.csv", "text,label\nh\xe9,a\nb,c\n".encode("latin-1"), r"a\.csv, line 2, column 2: byte 0xe9 is not utf-8"),
        ("a.csv", b'text,label\n"abc,a\nfoo,b\n', r"a\.csv, line 2: its quotes do not fit"),
        ("a.csv", b"text,label\n", r"classify: .*a header, but no rows below it.* say which with --task"),
        ("a.tar.gz", gzip.compress(b"\0" * 99), r"a\.tar\.gz is a binary file"),
    ],
    ids=["empty", "binary", "encoding", "quotes", "no rows", "gzip"],
)
def test_a_file_of_no_task_says_what_is_wrong_with_it(tmp_path, monkeypatch, name, content, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    for verb in (hg.train, hg.check):
        with pytest.raises(DataError, match=words):
            verb(name)
    assert not (tmp_path / "runs").exists()


def test_rows_that_make_no_batch_are_refused_before_anything_is_written(tmp_path):
    (tmp_path / "a.txt").write_text("text,label\n")
    with pytest.raises(DataError, match=r"The text for evaluation has 1 units"):
        hg.train(tmp_path / "a.txt", "language", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_compressed_is_still_text(tmp_path):
    with gzip.open(tmp_path / "train.tiny", "wt", encoding="utf-8") as file:
        file.write("01,no\n10,yes\n")
    assert hg.check(tmp_path)["files"]["train"][0]["encoding"] == "utf-8"


def test_digests_tell_rows_apart():
    rows = ["ab", ["ab"], ["a", "b"], [["a"], "b"], 1, "1", 1.0, None, {"a": "b"}, {"b": "a"}, b"ab"]
    rows += [np.zeros(2), np.zeros((2, 1)), np.zeros(2, np.float32), np.zeros(3), np.array(["a", None], object)]
    assert len({digest(row) for row in rows}) == len(rows)
    assert digest(np.arange(6).reshape(2, 3).T) == digest(np.ascontiguousarray(np.arange(6).reshape(2, 3).T))
