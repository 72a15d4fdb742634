"""Text out of a network, and how likely texts are to it."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest
import torch
from tasks.bench.language_texts import SEED, TEXT, documents, prepared, read, small, written

from headgate.data import Example
from headgate.data.example import Place
from headgate.tasks.bench.language import TASK, generate, prediction
from headgate.tasks.bench.language.generation import draw
from headgate.tasks.bench.language.options import UNITS, Options
from headgate.tasks.bench.language.units import units_of


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    options, encoding, _ = prepared(tmp_path_factory.mktemp("text"))
    return small(encoding, options, num_layers=2).eval(), encoding


def by_hand(network, encoding, text):
    """log P of each unit of a text, and of each unit after it, one step at a time."""
    units, state, logs = units_of(encoding), None, []
    before = encoding["start"]
    with torch.no_grad():
        for number in [*units.measured(text)[0].tolist(), None]:
            scores, state = network.step(torch.tensor([before]), state)
            log = scores[0].log_softmax(-1)
            logs.append(log if number is None else float(log[number]))
            before = number
    return sum(logs[:-1]), logs[-1]


def test_the_same_seed_gives_the_same_text_and_another_another(model):
    texts = ["".join(generate(*model, "To", 60, seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2] and len(texts[0]) == 60
    asked = {"prompt": "To", "length": 60, "seed": 1, "top_p": 1.0}
    assert "".join(TASK.sample(*model, Options(), **asked)) == texts[0]


def test_temperature_zero_takes_the_likeliest(model):
    network, encoding = model
    text = "".join(generate(*model, "To be", 12, temperature=0))
    units, prompt = units_of(encoding), "To be"
    for sign in text:
        _, after = by_hand(network, encoding, prompt)
        after[[*prediction.impossible(units), units.end]] = -math.inf
        assert units.name(int(after.argmax())) == sign
        prompt += sign
    assert text == "".join(generate(*model, "To be", 12, temperature=1.0, top_k=1, seed=SEED))


def chi_square(counts, chances, total):
    """Pearson's statistic over what has a chance, and its degrees of freedom."""
    expected = chances * total
    there = expected > 0
    return float((((counts - expected) ** 2)[there] / expected[there]).sum()), int(there.sum()) - 1


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(1.0, 0, 1.0), (0.5, 0, 1.0), (2.0, 4, 1.0), (1.0, 0, 0.7), (1.0, 4, 0.9)]
)
def test_units_are_drawn_as_the_softmax_says(temperature, top_k, top_p):
    scores = torch.tensor([2.0, 1.0, -1.0, 0.5, 0.0, 1.5, -math.inf], dtype=torch.float64)
    chances = (scores / temperature).softmax(0)
    order = chances.argsort(descending=True)
    kept = order[:top_k] if top_k else order
    alone = chances[kept] / chances[kept].sum()
    # The fewest of the likeliest whose chances together reach top_p.
    kept = kept[: int((alone.cumsum(0) < top_p - 1e-12).sum()) + 1]
    expected = torch.zeros_like(chances).index_copy(0, kept, chances[kept])
    expected /= expected.sum()
    random, total = torch.Generator().manual_seed(SEED), 2000
    counts = Counter(draw(scores, temperature, top_k, top_p, random) for _ in range(total))
    drawn = torch.tensor([float(counts[k]) for k in range(len(scores))], dtype=torch.float64)
    assert drawn[expected == 0].sum() == 0
    statistic, freedom = chi_square(drawn, expected, total)
    # Three standard deviations above its mean.
    assert statistic < freedom + 3 * math.sqrt(2 * freedom)
    # Another distribution is noticed.
    wrong, freedom = chi_square(drawn, expected.roll(1), total)
    assert wrong > freedom + 3 * math.sqrt(2 * freedom)


def test_samples_are_as_likely_as_they_should_be(model):
    """The mean of -log P over samples of one unit is the entropy of what follows."""
    network, encoding = model
    _, after = by_hand(network, encoding, "To ")
    units = units_of(encoding)
    after[[*prediction.impossible(units), units.end]] = -math.inf
    chances = after.softmax(0)
    drawn = Counter("".join(generate(network, encoding, "To ", 1, seed=seed)) for seed in range(600))
    counts = torch.tensor([float(drawn[units.name(k)]) for k in range(len(units))], dtype=torch.float64)
    common = chances > 5 / 600
    statistic, freedom = chi_square(counts[common], chances[common], 600)
    assert statistic < freedom + 3 * math.sqrt(2 * freedom)


def test_unknown_characters_of_a_prompt_are_said(model):
    sample = generate(*model, "Tö 日", 5)
    assert sample.notes == ["2 characters that training did not know: 'ö', '日'"]
    assert len("".join(sample)) == 5 and generate(*model, "To", 5).notes == []


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.5}, {"top_k": -1}, {"length": -1}])
def test_settings_out_of_range_are_refused(model, wrong):
    with pytest.raises(ValueError, match=f"sample: {next(iter(wrong))}="):
        generate(*model, **wrong)


@pytest.mark.parametrize("kind", UNITS[1:])
def test_text_comes_in_whole_characters(tmp_path, kind):
    options, encoding, _ = prepared(tmp_path, "Añb 日本 👍🏽 é\n" * 9, units=kind, largest_vocabulary=260)
    network = small(encoding, options).eval()
    sample = generate(network, encoding, "", 80, seed=SEED)
    parts = list(sample)
    assert parts and "<" not in "".join(parts)
    if kind != "pieces":
        assert "\ufffd" not in "".join(parts)
    # Pieces that make up a character are held back until it is whole.
    writer, text = units_of(encoding).writer(), "日本 👍🏽 é"
    numbers = units_of(encoding).measured(text)[0]
    again = "".join(writer.write(int(number)) for number in numbers)
    assert again.replace(" ", "") == text.replace(" ", "")


def test_a_document_ends_where_training_had_several(tmp_path):
    encoding = TASK.learn(read(documents(tmp_path, ["ab", "ba"] * 3)), Options())
    network = small(encoding, Options()).eval()
    lengths = [len("".join(generate(network, encoding, "", 200, seed=seed))) for seed in range(6)]
    assert min(lengths) < 200


@pytest.mark.parametrize("most", [1, 2**22])
def test_a_text_is_as_likely_as_its_units_together(model, monkeypatch, most):
    monkeypatch.setattr(prediction, "MOST_SCORES", most)
    network, encoding = model
    texts = ["To be", "", "or not", "T", TEXT[:40], "to  be"]
    examples = [Example(text, None, Place("x", k)) for k, text in enumerate(texts)]
    found = list(TASK.predict(network, examples, encoding, Options()))
    units = units_of(encoding)
    for text, answer in zip(texts, found, strict=True):
        likelihood, after = by_hand(network, encoding, text)
        assert answer["log_likelihood"] == pytest.approx(likelihood, rel=1e-10)
        after[prediction.impossible(units)] = -math.inf
        assert answer["next"] == units.name(int(after.argmax()))
        assert answer["next_probability"] == pytest.approx(float(after.softmax(0).max()), rel=1e-10)
        assert (answer["units"], answer["characters"]) == (len(text), len(text))
        if text:
            assert answer["bits_per_character"] == pytest.approx(-likelihood / math.log(2) / len(text))
            assert answer["perplexity"] == pytest.approx(math.exp(-likelihood / len(text)))
    assert found[1]["bits_per_character"] is None and found[1]["notes"] == [
        "there is no text; what follows is what texts begin with"
    ]
    json.dumps(found)


def test_answers_do_not_depend_on_what_stands_beside(model, monkeypatch):
    lines = [f"{'to be or not '[: k % 13]}" for k in range(30)]
    examples = [Example(line, None, Place("x")) for line in lines]
    network, encoding = model
    together = list(TASK.predict(network, iter(examples), encoding, Options()))
    monkeypatch.setattr(prediction, "AT_ONCE", 1)
    alone = list(TASK.predict(network, iter(examples), encoding, Options()))
    for one, two in zip(together, alone, strict=True):
        assert one["log_likelihood"] == pytest.approx(two["log_likelihood"], rel=1e-12)
        assert one["next"] == two["next"]


def test_unknown_units_of_a_line_are_noted(model):
    (answer,) = TASK.predict(model[0], [Example("To 日", None, Place("x"))], model[1], Options())
    assert answer["notes"] == ["1 character that training did not know: '日'"]
    assert math.isfinite(answer["log_likelihood"])


def test_lines_are_what_is_predicted(tmp_path):
    path = written(tmp_path, "To be\n\nor not\n")
    found = list(TASK.read([path], Options(), answers=False))
    assert [(example.input, str(example.place)) for example in found] == [
        ("To be", f"{path}, line 1"),
        ("", f"{path}, line 2"),
        ("or not", f"{path}, line 3"),
    ]
