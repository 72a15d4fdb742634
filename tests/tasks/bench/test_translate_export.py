"""A translator elsewhere: its scores are the network's, so a search over them finds the same translation."""

from __future__ import annotations

import pytest
import torch

import headgate as hg
from headgate.data.subwords import Subwords
from headgate.tasks.bench.translate.task import END, START

GIVEN = {"hidden_size": 32, "embedding": 32, "pieces": 300, "dropout": 0.0, "smoothing": 0.0, "beam": 1}
LEARNING = {"epochs": 12, "batch_size": 4, "rate": 0.01, "warmup": 0, "patience": 12}
QUIET = {"watch": False, "progress": False}
PAIRS = {"ein hund": "a dog", "eine katze": "a cat", "zwei hunde": "two dogs", "ein haus": "a house"}
CELLS = {"lstm, general": ("lstm", "general"), "gru, mlp": ("gru", "mlp"), "peephole, dot": ("peephole_lstm", "dot")}


def write(folder):
    (folder / "a.tsv").write_text("de\ten\n" + "".join(f"{de}\t{en}\n" for de, en in PAIRS.items()) * 12)
    return folder / "a.tsv"


@pytest.fixture(scope="module", params=CELLS.values(), ids=CELLS)
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("translate")
    cell, attention = request.param
    given = GIVEN | LEARNING | QUIET | {"cell": cell, "attention": attention, "source": "de", "target": "en", "seed": 1}
    return hg.train(write(folder), "translate", out=folder / "run", **given)


def written(run, score, text, longest=40):
    """Piece by piece the likeliest, all that is written given anew each time."""
    subwords = Subwords.from_json(run.encoding["subwords"])
    source = torch.tensor([*subwords.numbers(text), subwords.mark(END)])[:, None]
    pieces = [subwords.mark(START)]
    while len(pieces) <= longest:
        scores = score(source, torch.tensor([len(source)]), torch.tensor(pieces)[:, None])
        best = int(torch.as_tensor(scores)[-1, 0].argmax())
        if best == subwords.mark(END):
            break
        pieces.append(best)
    return subwords.text(pieces[1:])


def assert_the_same(run, score):
    said = {row["source"]: row["translation"] for row in hg.predict(run, list(PAIRS))}
    assert said == PAIRS == {text: written(run, score, text) for text in PAIRS}
    # Rows beside each other, of other lengths, are what they are alone.
    source, pieces = torch.randint(1, 200, (6, 3)), torch.randint(1, 200, (5, 3))
    lengths = torch.tensor([6, 2, 4])
    network = run.network()
    with torch.no_grad():
        expected = network.write(pieces, network.read(source, lengths))
        torch.testing.assert_close(torch.as_tensor(score(source, lengths, pieces)), expected, atol=2e-5, rtol=1e-4)


def test_onnx(run):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime")
    session = onnxruntime.InferenceSession(hg.export(run, "onnx"), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    assert names == ["source", "lengths", "pieces"]

    def score(*given):
        return session.run(None, {name: value.numpy() for name, value in zip(names, given, strict=True)})[0]

    assert_the_same(run, score)


def test_a_program_of_torch_export(run):
    program = torch.export.load(hg.export(run, "torch")).module()
    with torch.no_grad():
        assert_the_same(run, program)


def test_input_feeding_is_refused_in_a_sentence(tmp_path):
    given = {"epochs": 1, "hidden_size": 8, "embedding": 8, "pieces": 300, "input_feeding": True} | QUIET
    made = hg.train(write(tmp_path), "translate", out=tmp_path / "run", source="de", target="en", **given)
    for format in ("onnx", "torch"):
        with pytest.raises(ValueError, match="input_feeding goes through a translation step by step"):
            hg.export(made, format)
    assert hg.load(hg.export(made)).task.name == "translate"
