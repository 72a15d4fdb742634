"""Classification: what is read as what, what is learned of it, how it is judged, and that it learns."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from data.mutations import mutations
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional.classification import multiclass_calibration_error

from headgate.data import DataError, Example, Store
from headgate.data.example import Place
from headgate.tasks import bench
from headgate.tasks.bench.classify import scores
from headgate.tasks.bench.classify.encoding import Scaler
from headgate.tasks.settings import Layers

TASK = bench.get("classify")
Options = TASK.Options
HERE = Place("test")
SMALL = Layers(hidden_size=8)


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


def pairs(path, answers=True, **options):
    return [(example.input, example.target) for example in TASK.read([path], Options(**options), answers)]


def texts(*rows):
    return [Example(text, label, HERE) for text, label in rows]


FRUIT = texts(
    *[(f"the {word} was {kind}", label) for word in ("apple", "pear", "plum") for kind, label in
      (("sweet and ripe", "good"), ("sour and green", "bad"), ("soft and brown", "old"))]
)  # fmt: skip


def steps(*labels, seed=0):
    """Noise, whose mean says the label."""
    random = np.random.default_rng(seed)
    middles = [3 if label == "up" else -3 for label in labels]
    noisy = [random.normal(middle, size=(random.integers(3, 9), 2)).astype(np.float32) for middle in middles]
    return [Example(values, label, HERE) for values, label in zip(noisy, labels, strict=True)]


def trained(folder, examples, options, layers=SMALL, epochs=40, seed=0):
    """A network, its encoding and batches, after plain training on all rows."""
    encoding = TASK.learn(iter(examples), options)
    store = Store.write(folder / "rows", TASK.encode(iter(examples), encoding, options))
    torch.manual_seed(seed)
    network = TASK.network(encoding, options, layers)
    learning = replace(TASK.learning, batch_size=8, seed=seed)
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    for epoch in range(epochs):
        for batch in TASK.loader(store, encoding, learning, training=True).epoch(epoch):
            found = TASK.losses(network, batch)
            optimiser.zero_grad()
            (found.sums.sum() / found.counts.sum()).backward()
            optimiser.step()
    loader = TASK.loader(store, encoding, learning, training=False)
    return network.eval(), encoding, lambda: loader.epoch(0)


# --- reading


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", "text,label\nso good,pos\nso bad,neg\n", {}),
        ("b.csv", "id,sentiment,review\n1,pos,so good\n2,neg,so bad\n", {}),
        ("c.tsv", "0\tso good\tpos\n1\tso bad\tneg\n2\tbad too\tneg\n", {}),
        ("d.txt", "__label__pos so good\n__label__neg so bad\n", {}),
        ("e.jsonl", '{"text": "so good", "label": "pos"}\n{"text": "so bad", "label": "neg"}\n', {}),
        ("f.csv", "what,kind\nso good,pos\nso bad,neg\n", {"text_column": "what", "label_column": "kind"}),
        ("g.json", '[{"a": {"b": ["so good"]}, "label": "pos"}, {"a": {"b": ["so bad"]}, "label": "neg"}]',
         {"text_column": "a.b.0"}),
    ],
)  # fmt: skip
def test_forms_of_one_text(tmp_path, name, content, options):
    found = pairs(put(tmp_path, name, content), **options)
    flat = [(text, label if isinstance(label, str) else label[0]) for text, label in found]
    assert flat[:2] == [("so good", "pos"), ("so bad", "neg")]
    assert TASK.fits(tmp_path / name, Options(**options)).sureness > 0.2


def test_several_labels(tmp_path):
    path = put(tmp_path, "a.csv", "text,labels\none,a|b\ntwo,b\nnone,\n")
    assert pairs(path, label_separator="|") == [("one", ["a", "b"]), ("two", ["b"]), ("none", [])]
    path = put(tmp_path, "a.jsonl", '{"text": "one", "labels": ["a", 1, true, 2.0]}\n')
    assert pairs(path) == [("one", ["a", "1", "true", "2"])]


def test_utterances_of_dialogues(tmp_path):
    talk = [{"services": ["Bus_1"], "turns": [{"utterance": "hi"}, {"utterance": "to Rome"}]}]
    path = put(tmp_path, "d.json", json.dumps(talk))
    options = {"records": "turns", "text_column": "utterance", "label_column": "services.0"}
    assert pairs(path, **options) == [("hi", "Bus_1"), ("to Rome", "Bus_1")]


def test_forms_of_series(tmp_path):
    path = put(tmp_path, "l.csv", "id,time,x,y,label\na,1,1,2,up\na,2,3,4,up\nb,1,5,6,down\n")
    assert [(x.tolist(), label) for x, label in pairs(path)] == [([[1, 2], [3, 4]], "up"), ([[5, 6]], "down")]
    assert [x.tolist() for x, _ in pairs(path, channels="y")] == [[[2], [4]], [[6]]]
    path = put(tmp_path, "w.csv", "label,s1,s2\nup,1,2\ndown,3,4\n")
    assert [(x.tolist(), label) for x, label in pairs(path)] == [([[1], [2]], "up"), ([[3], [4]], "down")]
    path = put(tmp_path / "walking", "1.csv", "ax,ay\n1,2\n3,4\n")
    assert [(x.tolist(), label) for x, label in pairs(path)] == [([[1, 2], [3, 4]], "walking")]
    path = put(tmp_path, "s.jsonl", '{"series": [[1, 2], [3, 4]], "label": 1}\n')
    assert [(x.tolist(), label) for x, label in pairs(path)] == [([[1, 2], [3, 4]], "1")]


def test_without_answers(tmp_path):
    assert pairs(put(tmp_path, "a.txt", "so good, really\n\nso bad\n"), answers=False) == [
        ("so good, really", None), ("", None), ("so bad", None),
    ]  # fmt: skip
    assert pairs(put(tmp_path, "a.csv", "text,label\ngood,\nbad,x\n"), answers=False) == [("good", None), ("bad", "x")]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("text,label\na,\n", {}, "line 2, column label: the label is missing"),
        ("text,other\na,1\nb,2\nc,3\nd,4\ne,5\n", {}, "no column of labels; its columns are 'text', 'other'"),
        ("text,label\na,b\n", {"text_column": "body"}, "text_column='body' is no column; its columns are"),
        ("text,label\na,b\n", {"label_column": "kind"}, "label_column='kind' is no column"),
        ("x,y,label\n1,2,a\n", {"channels": "x,z"}, "channels='z' is no column"),
    ],
)
def test_columns_that_are_not_there(tmp_path, content, options, message):
    with pytest.raises(DataError, match=message):
        pairs(put(tmp_path, "a.csv", content), **options)
    assert TASK.fits(tmp_path / "nothing.csv", Options()).sureness == 0


MUTATED = {
    "a.csv": "id,sentiment,review\n1,pos,so good\n2,neg,so bad\n3,pos,well\n",
    "b.csv": "id,time,x,y,label\na,1,1,2,up\na,2,3,4,up\nb,1,5,6,down\n",
    "c.jsonl": '{"text": "so good", "label": ["a", "b"]}\n{"series": [1, [2]], "label": {"x": 1}}\n',
    "d.tsv": "0\tso good\tpos\n1\tso bad\tneg\n2\tbad too\tneg\n",
}


@pytest.mark.parametrize("name", MUTATED)
def test_mutations_are_read_or_refused(tmp_path, name):
    """Whichever columns a broken table seems to have; looking never raises."""
    refused, path = 0, tmp_path / name
    for k, raw in enumerate(mutations([MUTATED[name].encode()], 1000, seed=5)):
        path.write_bytes(raw)
        try:
            list(TASK.read([path], Options(), answers=k % 2 == 0))
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)
        assert 0 <= TASK.fits(path, Options()).sureness <= 1
    assert 50 < refused < 1000


@pytest.mark.parametrize("option", [{"pooling": "sum"}, {"word_dropout": 1.0}, {"embedding_size": 0}, {"header": "x"}])
def test_options_are_checked(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        Options(**option)


# --- learning and encoding


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "hold no rows"),
        (texts(("a", "x"), ("b", "x")), "every row has the label 'x'"),
        (texts(*[("a", str(k)) for k in range(11)]), "each of 11 rows has a label of its own"),
        ([*texts(("a", "x")), *steps("up")], "is series, but the rows before it are text"),
        ([*steps("up"), Example(np.zeros((2, 3), np.float32), "down", HERE)], "has 3 channels, but 2 were expected"),
    ],
)
def test_what_cannot_be_learned_from(examples, message):
    with pytest.raises(DataError, match=message):
        TASK.learn(iter(examples), Options())


def test_labels_are_in_a_natural_order_and_encodings_are_json():
    encoding = TASK.learn(iter(texts(("a", "10"), ("b", "9"), ("c", "x"), ("d", "9"))), Options())
    assert encoding["labels"] == ["9", "10", "x"] and encoding["counts"] == [2, 1, 1]
    assert json.loads(json.dumps(encoding)) == encoding


def test_scaler_is_not_moved_by_a_few_large_values():
    random = np.random.default_rng(0)
    scaler = Scaler(3)
    for _ in range(50):
        values = random.normal((5, -2, 7), (2, 0.5, 0), size=(100, 3)).astype(np.float32)
        values[0, 0], values[1, 1] = 1e6, np.nan
        scaler.add(values)
    middle, spread = scaler.found()
    np.testing.assert_allclose(middle, [5, -2, 7], atol=0.1)
    np.testing.assert_allclose(spread, [2, 0.5, 1], rtol=0.06)
    assert scaler.missing == 50


def test_series_become_frames_with_missing_values_marked():
    examples = [Example(np.array([[1.0], [np.nan], [3.0]], np.float32), "a", HERE), *steps_of_one("b")]
    encoding = TASK.learn(iter(examples), Options(frame=2))
    row = next(TASK.encode(iter(examples), encoding, Options(frame=2)))
    assert encoding["features"] == 4 and row["values"].shape == (2, 4)
    assert row["values"][:, [1, 3]].tolist() == [[0, 1], [0, 0]]  # which of the two steps of a frame are missing
    assert row["values"][1, 2] == 0 == row["values"][0, 2]  # filled up; the middle


def steps_of_one(*labels):
    return [Example(np.array([[1.0], [2.0], [3.0], [2.0]], np.float32), label, HERE) for label in labels]


def test_rows_of_another_kind_are_refused_and_strange_labels_are_marked():
    encoding = TASK.learn(iter(FRUIT), Options())
    row = next(TASK.encode(iter(texts(("apple", "new"))), encoding, Options()))
    assert row["label"] == -1
    for example, message in ((steps("up")[0], "trained on text"), (texts(("a", None))[0], "has no label"),
                             (texts(("a", ["good", "bad"]))[0], "has 2 labels")):  # fmt: skip
        with pytest.raises(DataError, match=message):
            list(TASK.encode(iter([example]), encoding, Options()))


# --- judging


def judged(multi, seed=0, count=200, labels=4):
    random = np.random.default_rng(seed)
    scores_ = random.normal(size=(count, labels)).round(1)  # with ties
    if multi:
        answers = (scores_ + random.normal(size=scores_.shape) > 0.5).astype(int)
        return 1 / (1 + np.exp(-scores_)), answers
    answers = (scores_ + random.gumbel(size=scores_.shape)).argmax(1)
    return np.exp(scores_) / np.exp(scores_).sum(1, keepdims=True), answers


def expected(probabilities, answers):
    """By scikit-learn and torchmetrics."""
    multi = answers.ndim == 2
    said = probabilities > 0.5 if multi else probabilities.argmax(1)
    both = {f"{kind}_f1": sklearn_metrics.f1_score(answers, said, average=kind) for kind in ("macro", "micro")}
    options = {} if multi else {"multi_class": "ovr"}
    return both | {
        "accuracy": sklearn_metrics.accuracy_score(answers, said),
        "auroc": sklearn_metrics.roc_auc_score(answers, probabilities, average="macro", **options),
    }


@pytest.mark.parametrize("multi", [False, True])
def test_scores_are_those_of_the_libraries(multi):
    probabilities, answers = judged(multi)
    found = scores.scores(probabilities, answers)
    for name, value in expected(probabilities, answers).items():
        assert found[name] == pytest.approx(value, abs=1e-12), name
    if not multi:
        assert found["loss"] == pytest.approx(sklearn_metrics.log_loss(answers, probabilities))
        theirs = multiclass_calibration_error(torch.tensor(probabilities), torch.tensor(answers), 4, n_bins=scores.BINS)
        assert found["ece"] == pytest.approx(theirs.item(), abs=1e-6)


def test_the_comparison_can_fail():
    """Columns that changed places, which accuracy alone might not tell from noise, are seen by every score."""
    probabilities, answers = judged(multi=False)
    found = scores.scores(probabilities[:, [1, 0, 2, 3]], answers)
    for name, value in expected(probabilities, answers).items():
        assert abs(found[name] - value) > 0.01, name


def test_scores_by_hand():
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9]])
    found = scores.scores(probabilities, np.array([0, 1, 1, -1]))
    assert found["accuracy"] == 0.5  # a label that training did not have is never right
    named, predicted = ["a", "b", "b", "c"], ["a", "a", "b", "b"]
    assert found["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(named, predicted, average="macro"))
    several = scores.scores(probabilities, np.array([0, -2, 1, -1]))["macro_f1"]
    assert several == pytest.approx(sklearn_metrics.f1_score(["a", "d", "b", "c"], predicted, average="macro"))
    assert found["ece"] == pytest.approx((0.2 + 0.6 + 0.3 + 0.9) / 4)
    assert found["loss"] == pytest.approx(-np.log([0.8, 0.4, 0.7]).mean())
    told = scores.details(probabilities, np.array([0, 1, 1, -1]), ["a", "b"])
    assert told["confusion"] == [[1, 0], [1, 1]] and told["strange"] == 1
    assert told["notes"] == ["1 of 4 rows have a label that training did not have; they count as wrong"]
    assert told["by_label"]["b"]["precision"] == 0.5


def test_one_label_alone_in_a_test_has_no_auroc():
    assert "auroc" not in scores.scores(np.array([[0.8, 0.2]]), np.array([0]))


# --- learning, deciding, answering


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_texts_are_learned_by_heart(tmp_path, pooling):
    options = Options(pooling=pooling, embedding_size=16, smallest_count=1)
    network, encoding, batches = trained(tmp_path, FRUIT, options)
    found = TASK.evaluate(network, batches(), encoding, options)
    assert found["accuracy"] == 1 and found["loss"] < 0.1 and set(found) == set(TASK.metrics)
    assert TASK.baseline(batches(), encoding, options)["accuracy"] == pytest.approx(1 / 3)
    told = TASK.details(network, batches(), encoding, options)
    assert told["confusion"] == [[3, 0, 0], [0, 3, 0], [0, 0, 3]]


def test_series_and_sets_of_labels_are_learned_by_heart(tmp_path):
    rows = steps(*["up", "down"] * 8)
    network, encoding, batches = trained(tmp_path / "a", rows, Options(), epochs=15)
    assert TASK.evaluate(network, batches(), encoding, Options())["accuracy"] == 1
    sets = [["up", "any"] if row.target == "up" else ["any"] if k % 4 else [] for k, row in enumerate(rows)]
    several = [replace(row, target=labels) for row, labels in zip(rows, sets, strict=True)]
    options = Options(class_weights="balanced", label_smoothing=0.02)
    network, encoding, batches = trained(tmp_path / "b", several, options, epochs=15)
    found = TASK.evaluate(network, batches(), encoding, options)
    assert encoding["multi"] and found["auroc"] > 0.9 and set(found) == set(TASK.metrics)
    answer = next(TASK.predict(network, iter(several), encoding, options))
    assert set(answer["labels"]) == {"up", "any"}


def test_answers_do_not_hang_on_the_other_rows_of_a_batch(tmp_path):
    options = Options(embedding_size=16, smallest_count=1)
    network, encoding, _ = trained(tmp_path, FRUIT, options, epochs=2)
    for pooling in ("last", "mean", "max"):
        network.pooling = pooling
        together = list(TASK.predict(network, iter([*FRUIT, *texts(("the " * 30, None))]), encoding, options))
        for example, answer in zip(FRUIT, together, strict=False):
            alone = next(TASK.predict(network, iter([example]), encoding, options))
            assert alone["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-6)


def test_what_is_unusual_is_noted(tmp_path):
    options = Options(embedding_size=16, smallest_count=1)
    network, encoding, _ = trained(tmp_path, FRUIT, options, epochs=1)
    rows = texts(("the apple", None), ("", None), ("a b c d e f g", None))
    notes = [answer["notes"] for answer in TASK.predict(network, iter(rows), encoding, options)]
    assert notes[:2] == [[], ["empty: nothing to judge by"]]
    longer = "longer than trained: 7 words, at most 6 in training"
    assert notes[2] == ["unknown words: a, b, c, d, e and 2 more", longer]
    json.dumps(notes)


def test_class_weights_and_smoothing_act_in_training_alone(tmp_path):
    rows = [*FRUIT, *FRUIT[:1] * 6]
    plain = Options(smallest_count=1)
    weighted = replace(plain, class_weights="balanced", label_smoothing=0.1)
    encoding = TASK.learn(iter(rows), plain)
    batch = next(iter(TASK.loader(Store.write(tmp_path / "r", TASK.encode(iter(rows), encoding, plain)), encoding,
                                  TASK.learning, False).epoch(0)))  # fmt: skip
    found = []
    for options in (plain, weighted):
        torch.manual_seed(0)
        network = TASK.network(encoding, options, replace(SMALL, dropout=0))
        network.word_dropout = 0
        found.append([TASK.losses(network.train(mode), batch).sums for mode in (True, False)])
    assert torch.equal(found[0][1], found[1][1])
    assert not torch.allclose(found[0][0], found[1][0])


def test_defaults_give_few_rows_more_epochs():
    few, many = ({"rows": rows} for rows in (40, 60_000))
    assert TASK.defaults(few)[1].epochs > TASK.defaults(many)[1].epochs


def test_described():
    found = TASK.describe(iter([*FRUIT, FRUIT[0], replace(FRUIT[0], target="bad"), *texts(("", None))]))
    assert (found["rows"], found["duplicates"], found["contradictions"]) == (12, 2, 1)
    assert (found["empty"], found["unlabelled"], found["lengths"]["longest"]) == (1, 1, 6)
    assert found["labels"] == {"good": 4, "bad": 4, "old": 3}
