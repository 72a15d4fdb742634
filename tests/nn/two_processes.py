"""What each of two processes runs under DistributedDataParallel; a module that a fresh process can import."""

import torch
from nn.layer_runs import normal
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

import headgate as hg

B = 6


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = hg.LSTM(2, 4, num_layers=2, bidirectional=True, dtype=torch.float64)
        self.head = nn.Linear(8, 3, dtype=torch.float64)

    def forward(self, input, lengths):
        return self.head(self.layer(input, lengths=lengths)[0])


def gradients(model, rows):
    input, lengths = normal(5, B, 2)[:, rows], torch.tensor([5, 2, 3, 5, 1, 4])[rows]
    model(input, lengths).square().mean().backward()
    return {name.removeprefix("module."): parameter.grad for name, parameter in model.named_parameters()}


def worker(rank, folder):
    """Begins with weights of its own, which DDP replaces by those of rank 0, and sees half of the rows."""
    distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.manual_seed(rank)
    model = DistributedDataParallel(Tagger())
    found = gradients(model, slice(rank * B // 2, (rank + 1) * B // 2))
    torch.save(found, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()
