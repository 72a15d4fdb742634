"""`headgate watch --before`: the page turns to measurements of the same layers before training."""

from __future__ import annotations

import shutil

import pytest
from cli.watched import everything, outcome, refused, save_npz

from headgate.inspection import Record

pytestmark = pytest.mark.usefixtures("few_rows")


def test_the_page_turns_to_what_was_before(run, here, capfd):
    model = run / "models" / "digits" / "lstm" / "9"
    assert outcome(capfd, model, "--no-causes", "--records", "kept")[0] == 0
    assert 'class="river-time"' not in (here / "watch.html").read_text()
    code, _, _ = outcome(capfd, model, "--no-causes", "--before", "kept")
    assert code == 0 and 'class="river-time"' in (here / "watch.html").read_text()


def test_what_does_not_match_is_refused_and_nothing_written(run, here, capfd):
    save_npz(here / "short.npz")
    (here / "empty").mkdir()
    assert outcome(capfd, run / "models" / "digits" / "rnn" / "0", "--no-causes", "--records", "kept")[0] == 0
    (here / "watch.html").unlink()
    shutil.copytree(here / "kept", here / "other")
    shutil.move(here / "other" / "rnn.l0" / "record.json", here / "other" / "rnn.l0" / "none.json")
    there, model = everything(here), run / "models" / "digits" / "lstm" / "9"
    said = {
        ("--before", "empty"): "--before empty: empty holds no record.json",
        ("--before", "other"): "--before other: other holds no record.json",
        ("--before", "kept"): "--before: rnn.l0 has cell RNN before, but LSTM now",
        ("short.npz", "--before", "kept"): "--before: rnn.l0 has cell",
    }
    for arguments, words in said.items():
        refused(outcome(capfd, model, "--no-causes", *arguments), here, there, words)


def test_measurements_without_arrows_are_refused(run, here, capfd):
    model = run / "models" / "digits" / "lstm" / "9"
    assert outcome(capfd, model, "--no-causes", "--records", "kept")[0] == 0
    record = Record.load(here / "kept" / "rnn.l0")
    silent = {name: value for name, value in record.arrays.items() if name != "arrow_norm"}
    Record(record.name, record.facts, silent).save(here / "kept" / "rnn.l0")
    (here / "watch.html").unlink()
    words = "before training, rnn.l0: the unrolled picture needs the gradient's arrows"
    refused(outcome(capfd, model, "--no-causes", "--before", "kept"), here, everything(here), words)
