"""Text in Records and on the page: what was asked for, where it belongs, and nothing else."""

import pytest
import torch
from torch import nn

import headgate as hg

WORDS = [f"word{t}" for t in range(7)]


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.GRU(2, 4), nn.LSTM(4, 3)

    def forward(self, x):
        return self.decoder(self.encoder(x)[0][:4])[0]


def found(text, model=None):
    torch.manual_seed(0)
    model, x = model or Both(), torch.randn(7, 3, 2)
    return hg.examine(model, [x], lambda m, x: m(x).square().mean((0, 2)), causes=False, dynamics=False, text=text)


def told(examination):
    return {name: record.facts.get("text") for name, record in examination.records.items()}


def test_no_text_unless_it_is_given():
    assert told(found(None)) == {"encoder.l0": None, "decoder.l0": None}


def test_tokens_go_to_the_layers_that_take_as_many_steps():
    assert told(found(WORDS)) == {"encoder.l0": WORDS, "decoder.l0": None}


def test_or_to_those_that_are_named(tmp_path):
    seen = found({"encoder": WORDS, "decoder": ["a", "<blink>", "c", "d"]})
    assert told(seen) == {"encoder.l0": WORDS, "decoder.l0": ["a", "<blink>", "c", "d"]}
    seen.save(tmp_path / "records")
    page = hg.write_watch_report(tmp_path / "records", tmp_path).read_text()
    assert "word6" in page and "&lt;blink&gt;" in page and "<blink>" not in page


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (WORDS[:5], ValueError, r"text has 5 tokens, .* \(7 in encoder.l0, 4 in decoder.l0\); give one token a step"),
        ({"decoder": WORDS}, ValueError, r"text has 7 tokens, but .* \(4 in decoder.l0\)"),
        ({"head": WORDS}, ValueError, r"for 'head', but the layers are encoder.l0, decoder.l0\."),
        ("word " * 7, TypeError, r"a list of words is needed, one a step"),
        ([1] * 7, TypeError, r"a list of words is needed, one a step"),
    ],
    ids=["no layer so long", "not the one named", "no such layer", "one string", "numbers"],
)
def test_what_is_refused(text, error, words):
    with pytest.raises(error, match=rf"^examine: .*{words}"):
        found(text)
