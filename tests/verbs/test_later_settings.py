"""What can be asked of a trained model in another way than it was trained: by Python and by the command."""

from __future__ import annotations

import json

import numpy as np
import pytest

import headgate as hg
from headgate import cli

QUIET = {"epochs": 1, "watch": False, "progress": False}


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    (folder / "a.txt").write_text("the cat sat on the mat and the dog on the log. " * 40 + "zyx wvu tsr qpo " * 40)
    return hg.train(folder / "a.txt", "language", out=folder / "run", hidden_size=12, steps=16, **QUIET)


@pytest.fixture(scope="module")
def translate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translate")
    words = ["red", "green", "blue", "house", "tree"]
    rows = "".join(f"{a} {b}\t{b} {a}\n" for a in words for b in words)
    (folder / "a.tsv").write_text("x\ty\n" + rows * 3)
    given = {"hidden_size": 12, "embedding": 8, "pieces": 280, "source": "x", "target": "y"}
    given |= {"batch_size": 4, "rate": 0.02, "warmup": 0, "epochs": 6}
    return hg.train(folder / "a.tsv", "translate", out=folder / "run", **QUIET | given)


@pytest.fixture(scope="module")
def forecast(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forecast")
    draw, rows = np.random.default_rng(0), ["ds,y,promo"]
    for t, day in enumerate(np.arange("2024-01-01", "2024-04-10", dtype="datetime64[D]")):
        rows.append(f"{day},{draw.normal() + 5 * (t % 7 == 3):.3f},{int(t % 7 == 3)}")
    (folder / "a.csv").write_text("\n".join(rows) + "\n")
    given = {"horizon": 3, "lookback": 8, "season": 7, "future": "promo", "hidden_size": 6, "head": "gaussian"}
    return hg.train(folder / "a.csv", "forecast", out=folder / "run", target="y", **given, **QUIET)


def test_dynamic_evaluation_of_a_model_that_was_trained_without(language):
    plain, going_on = hg.evaluate(language), hg.evaluate(language, dynamic_rate=1.0, dynamic_steps=8)
    assert plain["metrics"] == language.results["test"]["metrics"]
    assert going_on["metrics"]["nats"] < plain["metrics"]["nats"], "the text's end is unlike the rest, and repeats"
    assert going_on["baseline"] == plain["baseline"]
    assert hg.evaluate(language) == plain, "nothing of it is kept"


def test_a_beam_for_an_answer_and_for_a_judgement(translate):
    rows = ["red tree", "blue house green"]
    one, many = (list(hg.predict(translate, rows, beam=beam)) for beam in (1, 5))
    assert list(hg.predict(translate, rows)) == many
    assert list(hg.load(translate.folder).predict(rows, beam=1)) == one
    assert [row["score"] for row in one] != [row["score"] for row in many]
    # Without a penalty the shortest of all, nothing at all, is often the likeliest.
    scores = [hg.evaluate(translate, length_penalty=power)["metrics"] for power in (0, 3)]
    assert scores[0]["loss"] == scores[1]["loss"] and scores[0]["chrf"] != scores[1]["chrf"]


def test_quantiles_an_interval_and_values_to_come(forecast, tmp_path):
    history = "\n".join((forecast.folder.parent / "a.csv").read_text().splitlines()[:60]) + "\n"
    (tmp_path / "h.csv").write_text(history)
    (tmp_path / "later.csv").write_text("ds,promo\n" + "".join(f"2024-02-{28 + k},{k}\n" for k in (1, 2)))
    coverage = [hg.evaluate(forecast, interval=share)["metrics"]["coverage"] for share in (0.01, 0.999)]
    assert coverage[0] < coverage[1]
    with pytest.raises(hg.data.DataError, match="0 rows follow the end of series 'h'"):
        list(hg.predict(forecast, tmp_path / "h.csv"))
    days = [str(day) for day in np.arange("2024-02-29", "2024-03-04", dtype="datetime64[D]")]
    (tmp_path / "later.csv").write_text("ds,promo\n" + "".join(f"{day},1\n" for day in days))
    (answer,) = hg.predict(forecast, tmp_path / "h.csv", quantiles="0.25", future_values=str(tmp_path / "later.csv"))
    assert answer["ds"] == days[:3] and "0.25" in answer["quantiles"]["y"]


def test_the_command(language, translate, capfd, tmp_path):
    assert cli.main(["eval", str(language.folder), "--json", "--dynamic-rate", "1", "--dynamic-steps", "8"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["metrics"] == hg.evaluate(language, dynamic_rate=1.0, dynamic_steps=8)["metrics"]
    (tmp_path / "rows.txt").write_text("red tree\n")
    assert cli.main(["predict", str(translate.folder), str(tmp_path / "rows.txt"), "--beam", "1"]) == 0
    assert json.loads(capfd.readouterr().out) == next(hg.predict(translate, ["red tree"], beam=1))
    assert cli.main(["eval", str(translate.folder), "--help"]) == 0
    shown = capfd.readouterr().out
    assert "--beam" in shown and "as trained" in shown and "--pieces" not in shown
    assert cli.main(["predict", str(language.folder), "--dynamic-rate", "1"]) == 2
    assert "--dynamic-rate" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"steps": 5}, "evaluate cannot change 'steps' of a trained model; of this one it can change dynamic_rate, "),
        ({"beam": 5}, "evaluate cannot change 'beam'"),
        ({"dynamic_rate": "much"}, "evaluate: dynamic_rate='much', but a number is needed"),
        ({"dynamic_rate": -1}, r"dynamic_rate=-1\.0 came, but at least 0 was expected"),
    ],
    ids=["learned", "another task's", "no number", "out of range"],
)
def test_what_cannot_be_is_refused(language, given, words):
    with pytest.raises(ValueError, match=words):
        hg.evaluate(language, **given)


def test_what_a_model_of_points_cannot_answer_is_refused(forecast, tmp_path):
    data = forecast.folder.parent / "a.csv"
    settings = {"head": "mae", "lookback": 6, "horizon": 2, "epochs": 1, "hidden_size": 4}
    run = hg.train(data, "forecast", out=tmp_path / "run", watch=False, progress=False, **settings)
    for verb, given in (("evaluate", {"interval": 0.5}), ("predict", {"quantiles": "0.1"})):
        with pytest.raises(ValueError, match=f"{verb} has no use for '{next(iter(given))}', since .* head 'mae'"):
            list(getattr(hg, verb)(run, data, **given))


def test_where_nothing_can_be_changed(trained):
    with pytest.raises(ValueError, match=r"predict cannot change 'beam' .* it can change nothing"):
        next(hg.predict(trained[1], ["01"], beam=1))
