"""The watch within Lightning: when it looks, what it logs, what it keeps, and that it leaves training alone."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from inspection.test_leaves_no_trace import hooks_of
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from nn.layer_runs import normal
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import distributed, nn
from torch.utils.data import DataLoader, TensorDataset

import headgate as hg
from headgate.training.callback import WatchCallback

T, B, I, H = 9, 4, 2, 4  # noqa: E741 - the field's letter
BATCHES = 6
# Lightning's own: advice on data loaders, and its use of torch's pytree.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The 'train_dataloader' does not have many workers",
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated",
)


class Reader(LightningModule):
    """Reads the last step of a recurrent layer; notes at which batches hooks were on."""

    def __init__(self, layer=None):
        super().__init__()
        self.rnn = nn.LSTM(I, H, batch_first=True) if layer is None else layer
        self.head = nn.Linear(H, 1)
        self.hooked = []

    def forward(self, input):
        return self.head(self.rnn(input)[0][:, -1])

    def training_step(self, batch, batch_idx):
        self.hooked.append(bool(hooks_of(self.rnn)))
        input, target = batch
        return (self(input)[:, 0] - target).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def data():
    input = normal(B * BATCHES, T, I, dtype=torch.float32)
    return DataLoader(TensorDataset(input, input[:, 0, 0]), batch_size=B)


def model_of(kind=Reader, *args):
    torch.manual_seed(0)
    return kind(*args)


def trainer_of(folder, *callbacks, **options):
    options = {"logger": False, "max_epochs": 1, "enable_checkpointing": False, **options}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu", "devices": 1}
    return Trainer(callbacks=list(callbacks), default_root_dir=folder, **quiet, **options)


def watching(every=2, **settings):
    return WatchCallback(every, **{"budget": None, **settings})


def fit(folder, model, callback, **options):
    trainer = trainer_of(folder, *[callback] if callback else [], **options)
    trainer.fit(model, data())
    return trainer


def looked(callback):
    return [entry["step"] for entry in callback.monitor.history]


# --- when it looks ----------------------------------------------------------------------------------------------


def test_it_looks_every_so_many_steps_and_hooks_are_on_only_then(tmp_path):
    model, callback = model_of(), watching(every=4)
    fit(tmp_path, model, callback, max_epochs=2)
    assert looked(callback) == [0, 4, 8]
    assert [k for k, on in enumerate(model.hooked) if on] == [0, 4, 8]
    assert hooks_of(model) == []
    assert callback.film.arrays("rnn.l0")["film"].shape == (3, T)
    assert all(entry["loss"] > 0 for entry in callback.monitor.history)


def test_training_is_the_same_to_the_bit(tmp_path):
    plain, watched = model_of(), model_of()
    fit(tmp_path, plain, None, gradient_clip_val=0.1)
    fit(tmp_path, watched, watching(every=1), gradient_clip_val=0.1)
    assert all(map(torch.equal, plain.state_dict().values(), watched.state_dict().values()))


def test_gradients_that_are_accumulated(tmp_path):
    """The last batch before the optimiser's step is looked at, so that the gradient's norm is that of the update."""
    model, callback = model_of(), watching(every=1)
    fit(tmp_path, model, callback, accumulate_grad_batches=4, gradient_clip_val=1e-6)
    assert model.hooked == [False, False, False, True, False, True], "six batches: after the fourth, and at the end"
    assert looked(callback) == [0, 1]
    assert callback.monitor.history[-1]["rnn/clip_rate"] == 1.0


class ByHand(Reader):
    """Two optimiser steps a batch, by hand."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        for optimizer in self.optimizers():
            loss = super().training_step(batch, batch_idx)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        return {"loss": loss.detach()}

    def configure_optimizers(self):
        return torch.optim.SGD(self.rnn.parameters(), 0.1), torch.optim.SGD(self.head.parameters(), 0.1)


def test_optimisation_by_hand(tmp_path):
    model, callback = model_of(ByHand), watching(every=3)
    fit(tmp_path, model, callback)
    assert looked(callback) == [0, 4, 6, 10], "the first batch at or after every third step"
    assert callback.monitor.missing == {} and all(entry["loss"] > 0 for entry in callback.monitor.history)


@pytest.mark.parametrize("layer", [None, hg.LSTM(I, H, batch_first=True)], ids=["torch", "ours"])
def test_half_precision(tmp_path, layer):
    callback = watching(every=2)
    fit(tmp_path, model_of(Reader, layer), callback, precision="bf16-mixed")
    assert looked(callback) == [0, 2, 4] and callback.monitor.missing == {}


def test_a_compiled_model_is_left_alone_and_the_log_says_so_once(tmp_path, caplog):
    model, callback = model_of(), watching(every=2)
    with caplog.at_level(logging.WARNING, "headgate.monitor"):
        fit(tmp_path, torch.compile(model, backend="eager"), callback)
    assert len([text for text in caplog.messages if "not seen: it is compiled" in text]) == 1
    assert callback.monitor.missing.keys() == {"rnn"} and hooks_of(model) == []


# --- what it says and logs --------------------------------------------------------------------------------------


class Forgetful(Reader):
    """Learns nothing, and its layer forgets at once."""

    def training_step(self, batch, batch_idx):
        with torch.no_grad():
            self.rnn.bias_ih_l0[H : 2 * H] = -6.0
            self.rnn.weight_hh_l0.mul_(0.1)
        return 1.0 + 1e-3 * super().training_step(batch, batch_idx)


def test_warnings_come_once_an_epoch(tmp_path, caplog):
    callback = watching(every=1, needs_lag=7, chance=1.0)
    with caplog.at_level(logging.WARNING, "headgate.monitor"):
        fit(tmp_path, model_of(Forgetful), callback, max_epochs=2)
    assert [(a.step, a.verdict.name) for a in callback.monitor.warnings] == [(1, "VANISHING"), (6, "VANISHING")]
    assert [text for text in caplog.messages if "VANISHING" in text] == [str(a) for a in callback.monitor.warnings]


def test_tensorboard_gets_scalars_histograms_and_a_film_an_epoch(tmp_path):
    callback = watching(every=2, histograms_every=2)
    logger = TensorBoardLogger(tmp_path, name="", version="")
    fit(tmp_path, model_of(), callback, logger=logger, max_epochs=2, log_every_n_steps=1)
    read = EventAccumulator(logger.log_dir, size_guidance={"images": 0, "histograms": 0}).Reload()
    assert [event.step for event in read.Scalars("rnn/rnn.l0/horizon_trainable")] == [0, 2, 4, 6, 8, 10]
    assert [event.step for event in read.Histograms("rnn/rnn.l0/logit_f")] == [0, 4, 8]
    assert [event.step for event in read.Images("rnn/rnn.l0/film")] == [BATCHES, 2 * BATCHES]


def test_other_loggers_get_the_scalars(tmp_path):
    logger = CSVLogger(tmp_path, name="", version="")
    fit(tmp_path, model_of(), watching(every=3), logger=logger, log_every_n_steps=1)
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert "rnn/rnn.l0/tau_max" in lines[0] and len(lines) == 3


def test_the_norm_that_is_told_is_that_before_clipping(tmp_path):
    """As torch computes it; by value there is no norm that it is clipped to."""

    class Noting(Reader):
        norms = ()

        def on_before_optimizer_step(self, optimizer):
            self.norms = (*self.norms, nn.utils.get_total_norm([p.grad for p in self.parameters()]).item())

    model, callback = model_of(Noting), watching(every=1)
    fit(tmp_path, model, callback, gradient_clip_val=1e-6, gradient_clip_algorithm="value")
    assert callback.monitor.state_dict()["norms"] == pytest.approx(list(model.norms))
    assert "rnn/clip_rate" not in callback.monitor.history[-1]


# --- what it keeps ----------------------------------------------------------------------------------------------


def test_training_that_is_resumed_goes_on_with_the_film(tmp_path):
    whole = watching(every=2, needs_lag=7, chance=1.0)
    fit(tmp_path, model_of(Forgetful), whole, max_epochs=2)
    first = watching(every=2, needs_lag=7, chance=1.0)
    trainer = fit(tmp_path, model_of(Forgetful), first, max_epochs=1)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    second, model = watching(every=2, needs_lag=7, chance=1.0), model_of(Forgetful)
    trainer_of(tmp_path, second, max_epochs=2).fit(model, data(), ckpt_path=tmp_path / "half.ckpt")
    assert looked(second) == looked(whole) == [0, 2, 4, 6, 8, 10]
    assert second.monitor.history == whole.monitor.history
    assert second.monitor.warnings == whole.monitor.warnings
    assert second.film.arrays("rnn.l0")["film"].tolist() == whole.film.arrays("rnn.l0")["film"].tolist()


def test_a_second_fit_goes_on_and_another_model_begins_anew(tmp_path):
    model, callback = model_of(), watching(every=2)
    trainer = fit(tmp_path, model, callback)
    trainer.fit_loop.max_epochs = 2
    trainer.fit(model, data())
    assert looked(callback) == [0, 2, 4, 6, 8, 10]
    trainer_of(tmp_path, callback).fit(model_of(), data())
    assert looked(callback) == [0, 2, 4]


# --- when something goes wrong ----------------------------------------------------------------------------------


class Failing(Reader):
    """Fails in the middle of the first batch."""

    def training_step(self, batch, batch_idx):
        super().training_step(batch, batch_idx)
        raise ZeroDivisionError


def test_an_exception_leaves_no_hook(tmp_path):
    model, callback = model_of(Failing), watching(every=1)
    with pytest.raises(ZeroDivisionError):
        fit(tmp_path, model, callback)
    assert model.hooked == [True] and hooks_of(model) == [] and looked(callback) == []


class Skipping(Reader):
    """Ends each epoch at its first batch."""

    def on_train_batch_start(self, batch, batch_idx):
        return -1


def test_a_batch_that_is_skipped_leaves_no_hook(tmp_path):
    model, callback = model_of(Skipping), watching(every=1)
    fit(tmp_path, model, callback)
    assert hooks_of(model) == [] and looked(callback) == []


def test_only_the_first_process_looks(tmp_path, monkeypatch):
    monkeypatch.setattr(Trainer, "is_global_zero", property(lambda trainer: False))
    model, callback = model_of(), watching(every=1)
    fit(tmp_path, model, callback)
    assert not any(model.hooked) and looked(callback) == []


@pytest.mark.skipif(
    not (distributed.is_available() and distributed.is_gloo_available()), reason="this torch was built without gloo"
)
def test_two_processes_train_as_one_and_the_first_looks(tmp_path):
    """DistributedDataParallel over gloo; a look that waited for the other process would never end."""
    program = Path(__file__).with_name("two_watched_processes.py")
    done = subprocess.run([sys.executable, str(program), str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first["hooked"] == [True, False, True] and first["looks"] == [0, 2]
    assert second["hooked"] == [False] * 3 and second["looks"] == []
    assert first["weights"] == second["weights"]


def test_a_model_without_recurrent_layers_is_refused_before_training(tmp_path):
    with pytest.raises(ValueError, match="holds no recurrent layer"):
        fit(tmp_path, model_of(Reader, nn.Identity()), watching())


def test_settings_that_cannot_be_meant(tmp_path):
    with pytest.raises(ValueError, match="histograms_every=0, but a whole number"):
        WatchCallback(histograms_every=0)
    with pytest.raises(ValueError, match="Monitor: rows=0"):
        fit(tmp_path, model_of(), WatchCallback(rows=0))
