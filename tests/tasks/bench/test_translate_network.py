"""The translator, and its search."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch

from headgate.tasks.bench.translate.network import Attention, Memory, Progress, Translator
from headgate.tasks.bench.translate.options import Options
from headgate.tasks.bench.translate.search import search
from headgate.tasks.settings import Layers

SIZE = 7
START, END = 1, 2


def made(cell="lstm", feeding=False, attention="general", layers=1, seed=0, **switches):
    torch.manual_seed(seed)
    options = Options(embedding=6, input_feeding=feeding, attention=attention)
    network = Translator(SIZE, options, Layers(cell, 8, layers, 0.0, switches)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)
    return network


@pytest.mark.parametrize("attention", ["general", "dot", "mlp"])
@pytest.mark.parametrize("feeding", [False, True], ids=["plain", "input feeding"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "peephole_lstm"])
@pytest.mark.parametrize("layers", [1, 2])
def test_writing_step_by_step_is_writing_at_once(cell, feeding, attention, layers):
    network = made(cell, feeding, attention, layers)
    torch.manual_seed(1)
    source, lengths = torch.randint(3, SIZE, (5, 3)), torch.tensor([5, 1, 3])
    target = torch.randint(1, SIZE, (6, 3))
    memory = network.read(source, lengths)
    expected = network.write(target, memory)
    progress, steps = network.begin(memory), []
    for now in target:
        logits, progress = network.step(now, progress, memory)
        steps.append(logits)
    torch.testing.assert_close(torch.stack(steps), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("feeding", [False, True])
def test_padding_changes_nothing(feeding):
    network = made(feeding=feeding)
    source, target = torch.randint(3, SIZE, (4, 1)), torch.randint(1, SIZE, (5, 1))
    alone = network.write(target, network.read(source, torch.tensor([4])))
    longer = torch.cat([source, torch.randint(3, SIZE, (3, 1))])
    both = torch.cat([longer, torch.randint(3, SIZE, (7, 1))], 1)
    beside = network.write(target.expand(-1, 2), network.read(both, torch.tensor([4, 7])))
    torch.testing.assert_close(beside[:, :1], alone, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(beside[:, 1:], alone)


def test_input_feeding_changes_what_is_written():
    """With weights that are the same but for what the fed part has."""
    fed = made(feeding=True)
    target, source = torch.randint(1, SIZE, (4, 2)), torch.randint(3, SIZE, (3, 2))
    memory = fed.read(source, torch.tensor([3, 3]))
    before = fed.write(target, memory)
    with torch.no_grad():
        fed.decoder.weight_ih_l0[:, 6:] = 0
    changed = fed.write(target, memory)
    assert torch.allclose(before[0], changed[0]) and not torch.allclose(before[1:], changed[1:])


def test_attention_is_a_mean_of_what_it_sees():
    attention = Attention(4, 4, "dot")
    values = torch.eye(4)[None, :3] * 3
    outside = torch.tensor([[False, False, True]])
    memory = Memory(values, attention.keys(values), outside, ())
    seen = attention(torch.tensor([[[50.0, 0, 0, 0], [0, 0, 50.0, 0]]]), memory)
    torch.testing.assert_close(seen[0, 0], values[0, 0])
    # What lies outside is not seen, however well it fits; the rest fits equally.
    torch.testing.assert_close(seen[0, 1], values[0, :2].mean(0))


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="hidden_size=7 is odd"):
        Translator(SIZE, Options(), Layers(hidden_size=7))
    with pytest.raises(ValueError, match="'dot' needs equal sizes"):
        Attention(4, 6, "dot")


class Written:
    """In place of a network: the probability of a piece hangs on the pieces before, by a table."""

    def __init__(self, seed, rows=1):
        self.random, self.rows = torch.Generator().manual_seed(seed), rows
        self.table = {}

    def memory(self):
        return Memory(torch.zeros(self.rows, 1, 1), torch.zeros(self.rows, 1, 1), torch.zeros(self.rows, 1), ())

    def begin(self, memory, each):
        which = torch.arange(self.rows).repeat_interleave(each)
        return Progress((which[None, :, None].double(),), torch.zeros(self.rows * each, 0))

    def logits(self, history):
        if history not in self.table:
            self.table[history] = torch.randn(SIZE, generator=self.random, dtype=torch.float64) * 2
        return self.table[history]

    def step(self, pieces, progress, memory):
        state = torch.cat([progress.state[0], pieces[None, :, None].double()], 2)
        histories = [tuple(int(v) for v in row) for row in state[0]]
        return torch.stack([self.logits(h) for h in histories]), Progress((state,), progress.looked)

    def best(self, row, penalty, longest):
        """By trying every text."""
        found = []
        for length in range(1, longest + 1):
            for pieces in product([p for p in range(SIZE) if p != END], repeat=length - 1):
                total = 0.0
                for k, piece in enumerate((*pieces, END)):
                    total += float(self.logits((row, START, *pieces[:k])).log_softmax(-1)[piece])
                found.append((total / length**penalty, list(pieces)))
        return max(found)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_the_best_of_all(seed, penalty):
    network = Written(seed, rows=2)
    found = search(network, network.memory(), START, END, 6**3, penalty, 4)
    for row in range(2):
        score, pieces = network.best(row, penalty, 4)
        assert found[row].pieces == pieces
        assert found[row].score == pytest.approx(score, rel=1e-5)


def test_a_beam_of_one_takes_the_best_piece_each_time():
    network = Written(3)
    (found,) = search(network, network.memory(), START, END, 1, 0.0, 8)
    history = (0, START)
    for piece in found.pieces:
        assert int(network.logits(history).argmax()) == piece
        history += (piece,)
    assert not found.ended or int(network.logits(history).argmax()) == END


def test_what_does_not_end_is_cut_and_said():
    network = Written(0)
    network.logits = lambda history: torch.tensor([0.0, 0, -99, 5, 0, 0, 0])
    (found,) = search(network, network.memory(), START, END, 2, 1.0, 5)
    assert found.pieces == [3] * 5 and not found.ended


def test_the_comparison_can_fail():
    """A search that forgets to divide by length is another search."""
    wrong = 0
    for seed in range(5):
        network = Written(seed)
        (found,) = search(network, network.memory(), START, END, 6**3, 0.0, 4)
        wrong += found.pieces != network.best(0, 1.0, 4)[1]
    assert wrong


def test_rows_of_a_translator_are_searched_together_as_alone():
    network = made(seed=4)
    source, lengths = torch.randint(3, SIZE, (5, 3)), torch.tensor([5, 2, 4])
    together = search(network, network.read(source, lengths), START, END, 3, 1.0, 12)
    for k in range(3):
        memory = network.read(source[: lengths[k], k : k + 1], lengths[k : k + 1])
        (alone,) = search(network, memory, START, END, 3, 1.0, 12)
        assert alone.pieces == together[k].pieces and alone.score == pytest.approx(together[k].score, rel=1e-5)


@pytest.mark.parametrize("setting", [{"pieces": 255}, {"beam": 0}, {"smoothing": 1.0}, {"attention": "no"}])
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        replace(Options(), **setting)


def test_a_side_alone_is_refused():
    with pytest.raises(ValueError, match="source is given alone"):
        Options(source="de")


def test_unlikely_ends_do_not_hide_a_likely_text():
    """A sure text of seven pieces, beside which every other end is one in a million."""
    network = Written(0)
    sure = [3, 4, 5, 6, 3, 4, 5]

    def logits(history):
        written = list(history[2:])
        right = sure[len(written)] if written == sure[: len(written)] and len(written) < len(sure) else END
        return torch.tensor([30.0 if piece == right else 15.0 if piece == END else 14.0 for piece in range(SIZE)])

    network.logits = logits
    (found,) = search(network, network.memory(), START, END, 3, 1.0, 20)
    assert found.pieces == sure
