"""A tagger elsewhere: from the scores of an ONNX file or a program, the best tags are those that headgate says."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch

import headgate as hg
from headgate.tasks.bench.tag.encoding import Inputs, Sentence
from headgate.tasks.bench.tag.task import collate

SENTENCES = (["Ada", "went", "to", "Vienna", "."], ["Kurt", "sleeps"], ["to"])


CELLS = {"plain": ("lstm", 3), "peephole": ("peephole_lstm", 3), "words alone": ("gru", 0)}


@pytest.fixture(scope="module", params=CELLS.values(), ids=CELLS)
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tag")
    rows = "Ada\tB-person\nwent\tO\nto\tO\nVienna\tB-place\n.\tO\n\nKurt\tB-person\nsleeps\tO\n\n"
    (folder / "a.conll").write_text(rows * 30)
    cell, units = request.param
    given = {"epochs": 2, "hidden_size": 6, "embedding_size": 5, "character_units": units, "character_size": 4}
    return hg.train(folder / "a.conll", "tag", out=folder / "run", cell=cell, watch=False, progress=False, **given)


def inputs_of(run):
    inputs = Inputs(run.encoding)
    batch = collate([inputs.row(Sentence(tokens)) for tokens in SENTENCES])
    return [batch[name].long() for name in run.task.exported(run.network(), run.encoding, run.options).inputs]


def best(scores, start, transitions, end, length, row):
    """By going through all of them."""

    def total(tags):
        inside = sum(scores[t, row, tag] for t, tag in enumerate(tags))
        return start[tags[0]] + end[tags[-1]] + inside + sum(transitions[pair] for pair in pairwise(tags))

    return max(product(range(len(start)), repeat=length), key=total)


def assert_the_same_tags(run, outputs):
    said = [answer["tags"] for answer in hg.predict(run, [{"tokens": tokens} for tokens in SENTENCES[1:]])]
    for row, tags in enumerate(said, 1):
        inner = [run.encoding["tags"][k] for k in best(*outputs, len(tags), row)]
        assert [tag[2:] for tag in inner] == [tag[2:] for tag in tags], "their beginnings differ by the scheme"


def test_onnx(run):
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime")
    session = onnxruntime.InferenceSession(hg.export(run, "onnx"), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    given = dict(zip(names, (value.numpy() for value in inputs_of(run)), strict=True))
    assert_the_same_tags(run, session.run(None, given))


def test_a_program_of_torch_export(run):
    program = torch.export.load(hg.export(run, "torch")).module()
    with torch.no_grad():
        assert_the_same_tags(run, program(*inputs_of(run)))
