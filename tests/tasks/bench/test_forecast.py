"""The forecast task as a whole: its networks, what they may read, what they answer, and that they learn."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from headgate.data import DataError, Store
from headgate.tasks import bench
from headgate.tasks.bench.forecast.options import Options
from headgate.tasks.settings import Layers, Learning

TASK = bench.get("forecast")
MISSING = ("validation", "test")
LAYERS = Layers(hidden_size=6)
LEARNING = Learning(batch_size=16, holdout=0.2)
SMALL = {"horizon": 3, "lookback": 8, "season": 4}


def long_table(folder, steps=60, series=2, name="t.csv", counts=False, holes=False):
    random = np.random.default_rng(0)
    rows = ["unique_id,ds,y,z,price,promo,shop,area"]
    for k in range(series):
        y, z = random.normal(size=(2, steps)).cumsum(1) + 10 * k
        y = np.rint(np.abs(y)) if counts else y
        for t, day in enumerate(np.arange(np.datetime64("2024-01-01"), np.datetime64("2024-01-01") + steps)):
            value = "" if holes and t % 7 == 3 else y[t]
            covariates = f"{random.normal():.3f},{t % 3},{'ns'[k % 2]},{k + 1}"
            rows.append(f"s{k},{day},{value},{z[t]},{covariates}")
    path = folder / name
    path.write_text("\n".join(rows) + "\n")
    return path


ROLES = {"target": "y,z", "past": "price", "future": "promo", "static": "shop,area"}


class Run:
    """A task's way from a file to batches and an untrained network."""

    def __init__(self, folder, path, seed=0, layers=LAYERS, **given):
        self.folder, self.path = folder, path
        self.options = Options(**(ROLES | SMALL | given))
        self.examples = list(TASK.read([path], self.options))
        parts = {s: list(TASK.part(self.examples, s, MISSING, self.options, LEARNING)) for s in ("train", "test")}
        self.encoding = json.loads(json.dumps(TASK.learn(parts["train"], self.options)))
        self.stores = {s: Store.write(folder / s, TASK.encode(parts[s], self.encoding, self.options)) for s in parts}
        torch.manual_seed(seed)
        self.network = TASK.network(self.encoding, self.options, layers).eval()

    def batches(self, split="test", number=0):
        return TASK.loader(self.stores[split], self.encoding, LEARNING, split == "train").epoch(number)

    def raw(self, batch):
        with torch.no_grad():
            return self.network(batch)[0]

    def metrics(self):
        return TASK.evaluate(self.network, self.batches(), self.encoding, self.options)

    def predictions(self, path=None):
        examples = TASK.read([path or self.path], self.options, answers=False)
        return list(TASK.predict(self.network, examples, self.encoding, self.options))

    def train(self, epochs, rate=0.02):
        optimiser = torch.optim.Adam(self.network.parameters(), rate)
        self.network.train()
        for number in range(epochs):
            for batch in self.batches("train", number):
                found = TASK.losses(self.network, batch)
                optimiser.zero_grad()
                (found.sums.sum() / found.counts.sum()).backward()
                optimiser.step()
        self.network.eval()
        return self


HEADS = ["mse", "mae", "quantile", "gaussian", "student_t", "negative_binomial"]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("decoder", ["direct", "recursive"])
@pytest.mark.parametrize("joint", [True, False], ids=["joint", "apart"])
def test_every_head_trains_judges_and_answers(tmp_path, head, decoder, joint):
    path = long_table(tmp_path, counts=head == "negative_binomial")
    target = "y" if head == "negative_binomial" else "y,z"
    run = Run(tmp_path, path, head=head, decoder=decoder, joint=joint, target=target)
    before = run.metrics()["loss"]
    run.train(2)
    found, base = run.metrics(), TASK.baseline(run.batches(), run.encoding, run.options)
    assert set(found) | set(base) <= set(TASK.metrics) and all(map(np.isfinite, found.values()))
    assert found["loss"] != before and ("coverage" in found) == (head not in ("mse", "mae"))
    losses = [TASK.losses(run.network, batch) for batch in run.batches()]
    mean = sum(part.sums.sum() for part in losses) / sum(part.counts.sum() for part in losses)
    assert found["loss"] == pytest.approx(mean.item(), rel=1e-5)
    later = tmp_path / "later.csv"
    later.write_text("unique_id,ds,promo\n" + "".join(f"s{k},2024-03-0{d},1\n" for k in range(2) for d in (1, 2, 3)))
    run.options = replace(run.options, future_values=str(later))
    first, second = run.predictions()
    assert first["ds"] == ["2024-03-01", "2024-03-02", "2024-03-03"] and second["unique_id"] == "s1"
    assert set(first["values"]) == set(target.split(",")) and len(first["values"]["y"]) == 3
    json.dumps([first, second], allow_nan=False)
    if head not in ("mse", "mae"):
        levels = list(first["quantiles"]["y"].values())
        assert list(first["quantiles"]["y"]) == ["0.1", "0.5", "0.9"]
        assert all(low <= high for low, high in zip(levels[0], levels[2], strict=True))


@pytest.mark.parametrize("given", [{}, {"joint": False}, {"line": False}, {"normalise": "window"}], ids=str)
def test_recursive_and_direct_are_one_at_horizon_1(tmp_path, given):
    """With the same weights; further ahead they are not."""
    path = long_table(tmp_path)
    direct, recursive = (Run(tmp_path / d, path, decoder=d, **SMALL | given | {"horizon": 1}) for d in
                         ("direct", "recursive"))  # fmt: skip
    recursive.network.load_state_dict(direct.network.state_dict())
    for batch in direct.batches():
        torch.testing.assert_close(recursive.raw(batch), direct.raw(batch))


def ahead_of(run, step, field="ahead"):
    """Which forecast steps change where what is known of one step to come does."""
    batch = next(iter(run.batches()))
    changed = batch | {field: batch[field].clone()}
    changed[field][step] += 1
    return ((run.raw(batch) - run.raw(changed)).abs().amax((1, 2, 3)) > 0).tolist()


def test_what_a_step_hangs_on(tmp_path):
    """A recursive forecast reads what is known up to its step, a direct one that of its step; none reads the truth."""
    path = long_table(tmp_path)
    recursive, direct = (Run(tmp_path / d, path, decoder=d) for d in ("recursive", "direct"))
    assert ahead_of(recursive, 1) == [False, True, True]
    assert ahead_of(direct, 1) == [False, True, False]
    for run in (recursive, direct):
        assert not any(ahead_of(run, 0, "future"))
        assert all(ahead_of(run, 7, "history")) and all(ahead_of(run, 7, "past"))


def test_targets_apart_do_not_see_each_other(tmp_path):
    path = long_table(tmp_path)
    for joint in (True, False):
        run = Run(tmp_path / str(joint), path, joint=joint)
        batch = next(iter(run.batches()))
        changed = batch | {"history": batch["history"].clone()}
        changed["history"][2, :, 0] += 1
        apart = (run.raw(batch) - run.raw(changed)).abs().amax((0, 1, 3)) > 0
        assert apart.tolist() == [True, joint]


def test_a_short_history_is_read_as_if_alone(tmp_path):
    """Padding changes nothing, whatever stands in it and whoever stands beside."""
    run = Run(tmp_path, long_table(tmp_path), head="gaussian", normalise="window", decoder="recursive")
    batch = next(iter(run.batches()))
    short = {name: value.clone() for name, value in batch.items()}
    for name in ("history", "past", "known"):
        short[name][:5] = batch[name][3:]
        short[name][5:] = 99.0
    short["lengths"][:] = 5
    alone = {name: value[:1] if value.dim() < 3 else value[:, :1] for name, value in short.items()}
    alone = alone | {name: alone[name][:5] for name in ("history", "history_seen", "past", "known")}
    run.network.line.weight.data[:, :3] = 0.0
    expected = run.raw(short)[:, :1]
    run.network.line.weight.data = run.network.line.weight.data[:, 3:]
    torch.testing.assert_close(run.raw(alone), expected)


def test_the_network_starts_as_the_seasonal_naive_forecast(tmp_path):
    run = Run(tmp_path, long_table(tmp_path))
    for part in (run.network.readout.own, run.network.readout.common[-1]):
        torch.nn.init.zeros_(part.weight), torch.nn.init.zeros_(part.bias)
    base = TASK.baseline(run.batches(), run.encoding, run.options)
    found = run.metrics()
    assert {name: found[name] for name in ("mae", "rmse", "mase")} == pytest.approx(
        {name: base[name] for name in ("mae", "rmse", "mase")}, rel=1e-5
    )


OTHER = {
    "time": "when", "series": "who", "target": "z", "past": "", "future": "", "static": "shop", "horizon": 4,
    "lookback": 9, "head": "mse", "decoder": "recursive", "normalise": "window", "joint": False, "line": False,
    "calendar": False, "fill": "mean", "season": 5, "split": "30/10/20", "stride": 2, "interval": 0.5,
    "quantiles": "0.2", "future_values": "", "date_form": "%d.%m.%Y",
}  # fmt: skip


@pytest.mark.parametrize("name", [field.name for field in fields(Options)])
def test_every_option_changes_the_result_or_is_refused(tmp_path, name):
    path = long_table(tmp_path, holes=True)
    given = {name: OTHER[name]} | ({"head": "quantile"} if name in ("interval", "quantiles") else {})
    base = {"head": "quantile"} if name in ("interval", "quantiles") else {}

    def outcome(folder, **settings):
        run = Run(tmp_path / folder, path, **settings)
        return run.metrics() | {"weights": sum(weight.sum().item() for weight in run.network.parameters())}

    if name == "future_values":
        given = {name: str(tmp_path / "none.csv")}
    if name in ("time", "series", "future_values", "date_form"):
        with pytest.raises(DataError):
            outcome("other", **base, **given)
    else:
        assert outcome("one", **base) == outcome("again", **base), "the same settings give the same numbers"
        assert outcome("one", **base) != outcome("other", **base | given)


def test_predictions_say_what_was_unusual(tmp_path):
    run = Run(tmp_path, long_table(tmp_path), future="", calendar=False)
    header = "unique_id,ds,y,z,price,shop,area\n"
    path = tmp_path / "new.csv"
    rows = "".join(f"s0,2024-05-0{d},{d},{d},1,n,1\n" for d in range(1, 6))
    rows += "".join(f"new,2024-05-0{d},{d},{d},1,w,\n" for d in range(1, 6))
    path.write_text(header + rows + "void,2024-05-01,,,1,n,1\n")
    known, new, void = run.predictions(path)
    assert known["notes"] == ["the history has 5 steps, fewer than the 8 of the look-back; all are read"]
    assert any("not in training; its scale" in note for note in new["notes"])
    assert "shop 'w' was not in training" in new["notes"] and "area is not given" in new["notes"]
    assert void["values"] == {} and void["notes"][-1].startswith("no target has a value")


def test_future_values_are_needed_where_they_are_read(tmp_path):
    run = Run(tmp_path, long_table(tmp_path))
    with pytest.raises(DataError, match=r"0 rows follow the end of series 's0', but forecasting 3 steps needs"):
        run.predictions()


def test_one_series_under_another_name_keeps_its_scale(tmp_path):
    run = Run(tmp_path, long_table(tmp_path, series=1), future="", static="")
    text = run.path.read_text()
    other = tmp_path / "other.csv"
    other.write_text(text.replace("s0,", "elsewhere,"))
    (one,), (same,) = run.predictions(), run.predictions(other)
    assert one["values"] == same["values"] and not same["notes"]


def test_a_noiseless_process_is_learned_at_every_step(tmp_path):
    """y(t) = 0.8 y(t-1) and rare pulses: the best forecast is known, at each of four steps."""
    random, values = np.random.default_rng(1), [0.0]
    for _ in range(399):
        values.append(0.8 * values[-1] + (random.normal() if random.random() < 0.2 else 0.0))
    path = tmp_path / "ar.csv"
    path.write_text("ds,y\n" + "\n".join(f"{t},{value:.6f}" for t, value in enumerate(values)) + "\n")
    plain = {"target": "", "past": "", "future": "", "static": "", "horizon": 4, "season": 1, "normalise": "none"}
    for decoder in ("direct", "recursive"):
        run = Run(tmp_path / decoder, path, decoder=decoder, line=False, head="mae", **plain)
        assert (distance(run) > 0.2 * np.std(values)).all(), "before training they are far from it"
        assert (distance(run.train(8, rate=0.01)) < 0.13 * np.std(values)).all()


def distance(run):
    """Of each step's forecast from the best one."""
    errors = []
    for batch in run.batches():
        last = batch["history"][-1] * batch["size"] + batch["shift"]
        best = last * 0.8 ** torch.arange(1, 5)[:, None, None]
        errors.append((run.raw(batch)[..., 0] * batch["size"] + batch["shift"] - best).abs().mean((1, 2)))
    return torch.stack(errors[:-1]).mean(0)


def test_details_add_up_to_the_metrics(tmp_path):
    run = Run(tmp_path, long_table(tmp_path, holes=True), head="mse")
    found, base = run.metrics(), TASK.baseline(run.batches(), run.encoding, run.options)
    details = TASK.details(run.network, run.batches(), run.encoding, run.options)
    json.dumps(details, allow_nan=False)
    assert list(details["by_target"]) == ["y", "z"] and len(details["by_step"]) == 3
    counts = [sum(float(batch["future_seen"][:, :, d].sum()) for batch in run.batches()) for d in range(2)]
    each = [part["mae"] for part in details["by_target"].values()]
    assert np.average(each, weights=counts) == pytest.approx(found["mae"])
    assert base["loss"] == base["standardised_mse"] and found["loss"] == pytest.approx(found["standardised_mse"])


def test_few_windows_are_learned_from_for_longer():
    few, many = (TASK.defaults({"windows": count})[1] for count in (300, 8521))
    assert few.batch_size < many.batch_size and few.epochs > many.epochs and few.patience > many.patience
    assert many == TASK.learning


def test_mutants_of_the_network_are_caught(tmp_path):
    """A linear path that starts a step too late is no seasonal naive forecast."""
    run = Run(tmp_path, long_table(tmp_path))
    for part in (run.network.readout.own, run.network.readout.common[-1]):
        torch.nn.init.zeros_(part.weight), torch.nn.init.zeros_(part.bias)
    run.network.line.weight.data = run.network.line.weight.data.roll(1, 1)
    base = TASK.baseline(run.batches(), run.encoding, run.options)
    assert run.metrics()["mae"] != pytest.approx(base["mae"], rel=1e-3)
