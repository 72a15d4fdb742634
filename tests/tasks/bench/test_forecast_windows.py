"""From series to batches: cuts by time, scales of the training part, windows by index, nothing from the future."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headgate.data import DataError, Store
from headgate.tasks.bench.forecast import TASK, scaling
from headgate.tasks.bench.forecast.options import Options
from headgate.tasks.bench.forecast.windows import shuffled
from headgate.tasks.settings import Learning

SPLITS, MISSING = ("train", "validation", "test"), ("validation", "test")
ETT = Path(__file__).resolve().parents[4] / "shared" / "data" / "ett" / "ETTh1.csv.gz"
LEARNING = Learning(batch_size=4, holdout=0.2, seed=3)
SMALL = {"horizon": 3, "lookback": 7, "season": 4}


def table(folder, steps=60, change=None, name="t.csv", missing=()):
    """Two targets, a past and a future column; `change` is (row, column, value)."""
    random = np.random.default_rng(0)
    values = random.normal(size=(steps, 4)).round(3).tolist()
    if change is not None:
        row, column, value = change
        values[row][column] = value
    for row, column in missing:
        values[row][column] = ""
    days = np.arange(np.datetime64("2024-01-01"), np.datetime64("2024-01-01") + steps)
    rows = [",".join(map(str, (day, *row))) for day, row in zip(days, values, strict=True)]
    path = folder / name
    path.write_text("ds,u,v,p,f\n" + "\n".join(rows) + "\n")
    return path


def options(**given):
    return Options(**({"target": "u,v", "past": "p", "future": "f"} | SMALL | given))


def stores(folder, path, opts, learning=LEARNING):
    examples = list(TASK.read([path], opts))
    parts = {split: list(TASK.part(examples, split, MISSING, opts, learning)) for split in SPLITS}
    encoding = TASK.learn(parts["train"], opts)
    made = {s: Store.write(folder / f"{path.stem}-{s}", TASK.encode(parts[s], encoding, opts)) for s in SPLITS}
    return encoding, made


def batches(store, encoding, training=False, learning=LEARNING, **where):
    return list(TASK.loader(store, encoding, learning, training).epoch(where.pop("number", 0), **where))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 17, 64, 65, 1000])
def test_a_shuffled_order_has_every_place_once(count):
    orders = [shuffled(np.arange(count), count, seed=5, epoch=epoch) for epoch in range(3)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(count))
    np.testing.assert_array_equal(orders[0][3:7], shuffled(np.arange(count)[3:7], count, 5, 0))
    if count > 16:
        assert not np.array_equal(orders[0], orders[1]) and not np.array_equal(orders[0], np.arange(count))
        assert np.abs(np.corrcoef(orders[0], np.arange(count))[0, 1]) < 0.5


def test_a_series_is_cut_by_time_and_reads_back(tmp_path):
    opts = options()
    (example,) = TASK.read([table(tmp_path)], opts)
    parts = {s: next(TASK.part([example], s, MISSING, opts, LEARNING)).input for s in SPLITS}
    assert [len(parts[s]) - parts[s].start for s in SPLITS] == [36, 12, 12]
    assert [parts[s].start for s in SPLITS] == [0, 7, 7]
    np.testing.assert_array_equal(parts["validation"].values["u"], example.input.values["u"][36 - 7 : 48])
    longer_season = replace(opts, season=20)
    assert next(TASK.part([example], "test", MISSING, longer_season, LEARNING)).input.start == 20
    steps = replace(opts, split="30/10/5")
    assert [len(next(TASK.part([example], s, MISSING, steps, LEARNING)).input) for s in SPLITS] == [30, 17, 12]
    shares = replace(opts, split="0.5/0.25/0.25")
    assert [len(next(TASK.part([example], s, MISSING, shares, LEARNING)).input) for s in SPLITS] == [30, 22, 22]
    alone = next(TASK.part([example], "validation", ("validation",), opts, LEARNING)).input
    assert len(alone) - alone.start == 12 and alone.times[-1] == example.input.times[-1]
    with pytest.raises(DataError, match=r"room for a part for test .* of 3 steps \(the longest has 60\)"):
        list(TASK.part([example], "test", MISSING, replace(opts, split="30/10/2"), LEARNING))
    with pytest.raises(DataError, match="has 60 steps, but split='50/10/5' needs 65"):
        list(TASK.part([example], "train", MISSING, replace(opts, split="50/10/5"), LEARNING))


def test_windows_are_what_stands_in_the_table(tmp_path):
    opts = options(fill="zero", calendar=False)
    encoding, made = stores(tmp_path, table(tmp_path), opts)
    (example,) = TASK.read([table(tmp_path)], opts)
    raw = {name: column for name, column in example.input.values.items()}
    scale = scaling.Scale.from_json(encoding["series"]["t"])
    found = batches(made["test"], encoding)
    assert sum(batch["history"].shape[1] for batch in found) == 12 - 3 + 1
    for k, origin in enumerate(range(48, 58)):
        batch, b = found[k // 4], k % 4
        for d, name in enumerate("uv"):
            value = (raw[name] - scale.shift[d]) / scale.size[d]
            np.testing.assert_allclose(batch["history"][:, b, d], value[origin - 7 : origin], rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(batch["future"][:, b, d], value[origin : origin + 3], rtol=1e-5, atol=1e-6)
            seasonal = value[[origin - 4, origin - 3, origin - 2]]
            np.testing.assert_allclose(batch["seasonal"][:, b, d], seasonal, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(batch["naive"][:, b, d], value[[origin - 1] * 3], rtol=1e-5, atol=1e-6)
        f = (raw["f"] - encoding["covariates"]["f"]["mean"]) / encoding["covariates"]["f"]["size"]
        np.testing.assert_allclose(batch["ahead"][:, b, 0], f[origin : origin + 3], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(batch["known"][:, b, 0], f[origin - 7 : origin], rtol=1e-5, atol=1e-6)
    assert len(batches(made["test"], encoding, start=2)) == 1
    part = TASK.part([example], "test", MISSING, opts, LEARNING)
    stride = Store.write(tmp_path / "strided", TASK.encode(part, encoding, replace(opts, stride=3)))
    assert sum(batch["history"].shape[1] for batch in batches(stride, encoding)) == 4


def test_batches_are_the_same_at_every_asking_and_shared_without_rest(tmp_path):
    encoding, made = stores(tmp_path, table(tmp_path), options())
    first, again, other = (batches(made["train"], encoding, True, number=n) for n in (0, 0, 1))
    assert all(torch.equal(a["history"], b["history"]) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0]["history"], other[0]["history"])
    halves = [batches(made["train"], encoding, True, share=(k, 2)) for k in (0, 1)]
    for whole, *parts in zip(first, *halves, strict=True):
        rows = [part["future"] for part in parts if "absent" not in part]
        shared, expected = (values.sum((0, 2)).tolist() for values in (torch.cat(rows, 1), whole["future"]))
        assert sorted(shared) == pytest.approx(sorted(expected))
    origins = {round(value, 4) for batch in first for value in batch["future"][0, :, 0].tolist()}
    assert len(origins) == 36 - 7 - 3 + 1, "every origin of the training part, once"


# --- the future stays where it is -----------------------------------------------------------------------------------

SEEN_BEFORE = ("history", "history_seen", "past", "known", "naive", "seasonal")
SEEN_BEFORE += ("shift", "size", "naive_error", "lengths")


def inputs_that_changed(folder, column, missing=()):
    """Names of what a window with origin 50 has before it, that change with a cell of step 50."""
    opts = options(calendar=False)
    found = []
    for name, change in (("before", None), ("after", (50, column, 99.0))):
        encoding, made = stores(folder, table(folder, change=change, name=f"{name}.csv", missing=missing), opts)
        windows = {name: torch.cat([b[name] for b in batches(made["test"], encoding)], -1 if name == "lengths" else -2)
                   for name in SEEN_BEFORE}  # fmt: skip
        found.append({name: tensor[..., 2, :] if name != "lengths" else tensor[2] for name, tensor in windows.items()})
    return [name for name in SEEN_BEFORE if not torch.equal(found[0][name], found[1][name])]


@pytest.mark.parametrize("column", range(4), ids=list("uvpf"))
@pytest.mark.parametrize("missing", [(), ((49, 0), (49, 2), (49, 3))], ids=["whole", "holes before the origin"])
def test_nothing_after_an_origin_is_read_before_it(tmp_path, column, missing):
    assert inputs_that_changed(tmp_path, column, missing) == []


def test_the_leak_test_can_fail(tmp_path, monkeypatch):
    """Straight lines through holes reach past the origin; so does a scale of all rows."""

    def straight(values, *_):
        held = ~np.isnan(values)
        return np.interp(np.arange(len(values)), np.flatnonzero(held), values[held])

    with monkeypatch.context() as patch:
        patch.setattr(scaling, "_filled", straight)
        assert "history" in inputs_that_changed(tmp_path, 0, ((49, 0),))

    def of_everything(series, encoding, origin, counts):
        values = np.stack([series.values[name] for name in encoding["targets"]], 1)
        return scaling.Scale.of(values, 1, counts), None

    monkeypatch.setattr(scaling, "scale_of", of_everything)
    assert "shift" in inputs_that_changed(tmp_path, 0)


def test_scales_are_of_the_training_part_alone(tmp_path):
    path, opts = table(tmp_path), options()
    (example,) = TASK.read([path], opts)
    part = example.input.values["u"][:36]
    encoding, _ = stores(tmp_path, path, opts)
    scale = scaling.Scale.from_json(encoding["series"]["t"])
    assert scale.shift[0] == pytest.approx(part.mean()) and scale.size[0] == pytest.approx(part.std())
    assert scale.naive[0] == pytest.approx(np.abs(part[4:] - part[:-4]).mean())
    later, _ = stores(tmp_path, table(tmp_path, change=(36, 0, 1e6), name="later.csv"), opts)
    assert later["series"]["later"] == encoding["series"]["t"] and later["covariates"] == encoding["covariates"]
    sooner, _ = stores(tmp_path, table(tmp_path, change=(35, 0, 1e6), name="sooner.csv"), opts)
    assert sooner["series"]["sooner"] != encoding["series"]["t"]


@pytest.mark.parametrize(("rule", "expected"), [("last", ["mean", 2, 2]), ("mean", ["mean"] * 3), ("zero", [0] * 3)])
def test_rules_for_missing_values(tmp_path, rule, expected):
    path = tmp_path / "t.csv"
    path.write_text("ds,y\n" + "\n".join(f"{k},{'' if k in (0, 3, 4) else k}" for k in range(40)) + "\n")
    opts = Options(**SMALL, fill=rule)
    encoding, made = stores(tmp_path, path, opts)
    scale = scaling.Scale.from_json(encoding["series"]["t"])
    values, seen = (made["train"][0]["values"][[0, 3, 4], column] for column in (0, 1))
    mean = float(scale.shift[0])
    wanted = [mean if value == "mean" else value for value in expected]
    np.testing.assert_allclose(values * scale.size[0] + mean, wanted, atol=1e-5)
    assert seen.tolist() == [0, 0, 0] and encoding["missing"]
    with pytest.raises(DataError, match=r"value of this series is missing \(step 1\); fill it in"):
        stores(tmp_path, path, replace(opts, fill="refuse"))


def test_short_series_have_windows_of_what_they_have(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("unique_id,ds,y\n" + "".join(f"a,{k},{k}\n" for k in range(6)) + "b,0,1\nb,1,2\n")
    opts = Options(**SMALL)
    examples = list(TASK.read([path], opts))
    store = Store.write(tmp_path / "s", TASK.encode(examples, TASK.learn(examples, opts), opts))
    assert len(store) == 1, "two steps have no room for three to forecast"
    (batch,) = batches(store, TASK.learn(examples, opts))
    assert batch["lengths"].tolist() == [2, 3] and (batch["history"][3:] == 0).all()
    with pytest.raises(DataError, match="longest series has 2 steps, but learning to forecast 3"):
        list(TASK.encode(examples[1:], TASK.learn(examples, opts), opts))


@pytest.mark.parametrize(
    ("text", "given", "words"),
    [
        ("unique_id,ds,y\na,1,1.5\na,2,2\n", {"head": "negative_binomial"}, "column y: 1.5 in step 1 .* is no count"),
        ("unique_id,ds,y\na,1,-1\na,2,2\n", {"head": "negative_binomial"}, "-1 in step 1 .* is no count"),
    ],
)
def test_series_that_a_head_cannot_have(tmp_path, text, given, words):
    path = tmp_path / "t.csv"
    path.write_text(text)
    opts = Options(**given)
    with pytest.raises(DataError, match=words):
        TASK.learn(TASK.read([path], opts), opts)


@pytest.mark.skipif(not ETT.exists(), reason="needs ETTh1.csv.gz, which lies beside the project")
def test_the_standard_split_of_etth1(tmp_path):
    opts = Options(split="8640/2880/2880", stride=24)
    (example,) = TASK.read([ETT], opts)
    parts = {s: next(TASK.part([example], s, MISSING, opts, LEARNING)).input for s in SPLITS}
    assert [len(parts[s]) - parts[s].start for s in SPLITS] == [8640, 2880, 2880] and parts["test"].start == 96
    encoding = TASK.learn([replace(example, input=parts["train"])], opts)
    assert encoding["season"] == 24 and len(encoding["targets"]) == 7 and not encoding["missing"]
    expected = example.input.values["OT"][:8640]
    assert scaling.Scale.from_json(encoding["series"]["ETTh1"]).size[6] == pytest.approx(expected.std(), rel=1e-12)
