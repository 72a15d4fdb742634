"""A program: a small model trained by two processes under the watch; says what each saw, as JSON.

    python two_watched_processes.py FOLDER
"""

import json
import sys
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from headgate.training.callback import WatchCallback


class Reader(LightningModule):
    """Reads the last step; notes at which batches hooks were on."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(2, 4, batch_first=True), nn.Linear(4, 1)
        self.hooked = []

    def training_step(self, batch, batch_idx):
        self.hooked.append(bool(self.rnn._forward_hooks))
        return self.head(self.rnn(batch[0])[0][:, -1]).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class Note(Callback):
    """Leaves what its process saw in a file, for processes do not come back."""

    def __init__(self, folder, watching):
        self.folder, self.watching = folder, watching

    def on_fit_end(self, trainer, pl_module):
        found = {
            "hooked": pl_module.hooked,
            "looks": [entry["step"] for entry in self.watching.monitor.history],
            "weights": [p.sum().item() for p in pl_module.parameters()],
        }
        (Path(self.folder) / f"{trainer.global_rank}.json").write_text(json.dumps(found))


def main(folder):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    watching = WatchCallback(every=2, budget=None)
    data = DataLoader(TensorDataset(torch.randn(24, 5, 2)), batch_size=4)
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False)
    callbacks = [watching, Note(folder, watching)]
    # Forked, since this program holds no threads and importing everything again takes longest.
    processes = {"accelerator": "cpu", "devices": 2, "strategy": "ddp_fork"}
    Trainer(max_epochs=1, callbacks=callbacks, default_root_dir=folder, **processes, **quiet).fit(Reader(), data)


if __name__ == "__main__":
    main(sys.argv[1])
