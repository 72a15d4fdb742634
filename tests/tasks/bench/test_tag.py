"""Tagging: what is read as what, spans of characters and tokens, scores against seqeval, and that it learns."""

import json
import random
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from data.mutations import mutations
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from seqeval.scheme import IOBES
from torchcrf import CRF

from headgate.data import DataError, Example, Store
from headgate.data.example import Place
from headgate.data.spans import Scheme, Span, may_follow, spans_of, tags_of
from headgate.tasks import bench
from headgate.tasks.bench.tag.encoding import CASES, LONGEST_WORD, Sentence, case, inner
from headgate.tasks.bench.tag.network import FORBIDDEN
from headgate.tasks.bench.tag.scores import SpanCounts
from headgate.tasks.settings import Layers

TASK = bench.get("tag")
Options = TASK.Options
HERE = Place("test")
SMALL = Layers(hidden_size=12, dropout=0.1)
BIO = Scheme("BIO")
SENTENCES = [
    ("Anna lives in New York .", "B-per O O B-loc I-loc O"),
    ("New York saw Bob Lee .", "B-loc I-loc O B-per I-per O"),
    ("in York lives Lee !", "O B-loc O B-per O"),
    ("Bob Lee saw Anna in May", "B-per I-per O B-per O O"),
]
TOKENS = [Example(words.split(), tags.split(), HERE) for words, tags in SENTENCES]
TEXTS = [
    Example("Anna lives in New York.", [Span(0, 4, "per"), Span(14, 22, "loc")], HERE),
    Example("  New York saw\u00a0Bob!", [Span(2, 10, "loc"), Span(15, 18, "per")], HERE),
    Example("He saw Anna", [Span(7, 11, "per")], HERE),
]


def put(folder, name, content):
    path = folder / name
    path.write_text(content)
    return path


def read(path, answers=True, **options):
    return [(example.input, example.target) for example in TASK.read([path], Options(**options), answers)]


def trained(folder, examples, options=Options(word_dropout=0.05, rare_dropout=0.1), epochs=25):  # noqa: B008
    """A network, its encoding and batches, after plain training on all rows."""
    encoding = TASK.learn(iter(examples), options)
    store = Store.write(folder / "rows", TASK.encode(iter(examples), encoding, options))
    torch.manual_seed(0)
    network = TASK.network(encoding, options, SMALL)
    learning = replace(TASK.learning, batch_size=2)
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
    ("name", "content"),
    [
        ("a.conll", "Anna\tB-per\nlives\tO\n\nYork\tB-loc\n"),
        ("b.txt", "Anna B-per\nlives O\n \nYork B-loc\n"),
        ("c.annotated", "Anna\tB-per\nlives\tO\n\t\nYork\tB-loc\n"),
        ("d.json", '[{"tokens": ["Anna", "lives"], "tags": ["B-per", "O"]}, {"words": ["York"], "labels": ["B-loc"]}]'),
    ],
)
def test_forms_of_tags(tmp_path, name, content):
    path = put(tmp_path, name, content)
    assert read(path) == [(["Anna", "lives"], ["B-per", "O"]), (["York"], ["B-loc"])]
    assert TASK.fits(path, Options()).sureness > 0.9


@pytest.mark.parametrize(
    "spans",
    ['"spans": [{"start": 0, "end": 4, "label": "per"}]', '"entities": [[0, 4, "per"]]',
     '"labels": [{"start_offset": 0, "end_offset": 4, "type": "per"}]'],
)  # fmt: skip
def test_forms_of_spans(tmp_path, spans):
    path = put(tmp_path, "a.jsonl", f'{{"text": "Anna lives", {spans}}}\n')
    assert read(path) == [("Anna lives", [Span(0, 4, "per")])]
    assert TASK.fits(path, Options()).sureness > 0.9


def test_without_answers(tmp_path):
    assert read(put(tmp_path, "a.txt", "Anna lives in York.\nYes.\n"), answers=False) == [
        ("Anna lives in York.", None), ("Yes.", None),
    ]  # fmt: skip
    found = read(put(tmp_path, "b.txt", "Anna\nlives\n\nYes\n"), answers=False)
    assert found == [(["Anna", "lives"], None), (["Yes"], None)]
    assert read(put(tmp_path, "c.jsonl", '{"text": "Anna"}\n'), answers=False) == [("Anna", None)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "Anna", "spans": [[0, 5, "per"]]}', "line 1, column spans: span 0 to 5 does not lie in the text"),
        ('{"text": "Anna", "spans": [[0, 3, "per"], [2, 4, "x"]]}', "overlap; a token has one tag"),
        ('{"text": "Anna", "spans": [[0, true, "per"]]}', "a span has a start, an end and a label"),
        ('{"text": "Anna", "spans": "per"}', "a list of spans was expected"),
        ('{"text": "Anna"}', "has no spans or entities; it has text"),
        ('{"tokens": ["Anna"], "tags": []}', "0 tags for 1 tokens"),
        ('{"tokens": [], "tags": []}', "a list of tokens with at least one"),
        ('{"tokens": ["Anna"], "tags": [3]}', "a list of tags, one a token"),
    ],
)
def test_what_is_wrong_in_json(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read(put(tmp_path, "a.jsonl", content + "\n"))


def test_tables_of_texts_are_hardly_meant_for_tagging(tmp_path):
    assert TASK.fits(put(tmp_path, "a.csv", "text,label\nso good,pos\nso bad,neg\n"), Options()).sureness < 0.5
    assert TASK.fits(put(tmp_path, "a.txt", "It was a day.\nIt was a night.\n"), Options()).sureness < 0.5


@pytest.mark.parametrize("name", ["a.jsonl", "b.conll", "c.txt"])
def test_mutations_are_read_or_refused(tmp_path, name):
    whole = {"a.jsonl": '{"text": "Anna in Rome", "spans": [{"start": 0, "end": 4, "label": "per"}, [8, 12, "loc"]]}\n'}
    files = [whole.get(name, "Anna\tB-per\nlives\tO\n\nYork\tB-loc\n").encode()]
    refused, path = 0, tmp_path / name
    for k, raw in enumerate(mutations(files, 1000, seed=6)):
        path.write_bytes(raw)
        try:
            list(TASK.read([path], Options(), answers=k % 2 == 0))
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)
        assert 0 <= TASK.fits(path, Options()).sureness <= 1
    assert 20 < refused < 1000


# --- learning and encoding


def test_what_is_learned_is_json_and_holds_every_tag_of_the_inner_scheme():
    encoding = TASK.learn(iter(TOKENS), Options())
    assert json.loads(json.dumps(encoding)) == encoding
    assert encoding["scheme"]["name"] == "BIO"
    assert encoding["tags"] == ["O", "B-loc", "B-per", "E-loc", "E-per", "I-loc", "I-per", "S-loc", "S-per"]


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "hold no tokens"),
        ([Example(["a", "b"], ["O", "O"], HERE)], "every token has the tag 'O'"),
        ([*TOKENS, *TEXTS], "are mixed"),
        ([Example(["a"], None, HERE)], "has no tags"),
    ],
)
def test_what_cannot_be_learned_from(examples, message):
    with pytest.raises(DataError, match=message):
        TASK.learn(iter(examples), Options())


def test_rows_hold_the_spans_of_their_sentences():
    for examples in (TOKENS, TEXTS):
        encoding = TASK.learn(iter(examples), Options())
        for example, row in zip(examples, TASK.encode(iter(examples), encoding, Options()), strict=True):
            tags = [encoding["tags"][k] for k in row["tags"]]
            spans = spans_of(tags, Scheme("BIOES"))
            sentence = Sentence.of(example)
            assert row["letters"].sum() == len(row["characters"]) == sum(map(len, sentence.tokens))
            if sentence.offsets is None:
                assert spans == spans_of(example.target, BIO)
            else:
                places = [(sentence.offsets[s.start][0], sentence.offsets[s.end - 1][1], s.label) for s in spans]
                assert places == [tuple(span) for span in example.target]


def test_tokens_stand_where_their_text_has_them():
    chance = random.Random(0)
    for _ in range(300):
        text = "".join(chance.choices("ab1.,-'<> \t\u00a0é日\u0301#", k=30))
        sentence = Sentence.of(Example(text, None, HERE))
        assert [text[start:end] for start, end in sentence.offsets] == sentence.tokens
        assert "".join(sentence.tokens) == "".join(text.split())


def test_how_words_are_written():
    words = {"house": "small", "NATO": "UPPER", "Anna": "Title", "iPhone": "mIxed", "1984": "digits"}
    for word, name in (words | {"4th": "with digits", "?!": "signs", "日本": "small", "A": "UPPER"}).items():
        assert CASES[case(word)] == name, word


# --- judging


def test_span_scores_are_those_of_seqeval():
    chance, counts = random.Random(0), SpanCounts()
    scheme = Scheme("BIOES")
    truth, said = [], []
    for _ in range(200):
        spans = [Span(k, k + 2, chance.choice("xy")) for k in range(0, 8, 2) if chance.random() < 0.6]
        # Some are right, some have another label, some are shorter.
        found = [Span(s.start, s.end - (chance.random() < 0.3), chance.choice("xy")) for s in spans]
        truth.append(tags_of(spans, 8, scheme))
        said.append(tags_of(found, 8, scheme))
        counts.add(spans, found, sum(a == b for a, b in zip(truth[-1], said[-1], strict=True)), 8)
    options = {"mode": "strict", "scheme": IOBES}
    expected = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
    for name, function in expected.items():
        assert counts.scores()[name] == pytest.approx(function(truth, said, **options)), name
    report = classification_report(truth, said, output_dict=True, **options)
    for label, found in counts.details()["by_label"].items():
        assert [found["precision"], found["recall"], found["f1"], found["spans"]] == pytest.approx(
            [report[label][name] for name in ("precision", "recall", "f1-score", "support")]
        )
    # Spans that lost their labels are not the same scores: the comparison can fail.
    mutant = SpanCounts()
    for a, b in zip(truth, said, strict=True):
        mutant.add(*([span._replace(label="x") for span in spans_of(tags, scheme)] for tags in (a, b)), 0, 8)
    assert mutant.scores()["f1"] > counts.scores()["f1"] + 0.01


def test_baseline_by_hand(tmp_path):
    test = [Example(["Anna", "met", "Lee", "in", "York"], ["B-per", "O", "B-per", "O", "B-loc"], HERE)]
    encoding = TASK.learn(iter(TOKENS), Options())
    store = Store.write(tmp_path / "r", TASK.encode(iter(test), encoding, Options()))
    found = TASK.baseline(TASK.loader(store, encoding, TASK.learning, False).epoch(0), encoding, Options())
    # Anna: B-per. met: unknown, O. Lee: I-per twice, B-per once, so a person all the same. York: I-loc, a place.
    assert found == {"precision": 1, "recall": 1, "f1": 1, "token_accuracy": 1}


# --- the network


def test_illegal_tags_are_never_said_whatever_the_weights():
    encoding = TASK.learn(iter(TOKENS), Options())
    tags, scheme = encoding["tags"], inner(BIO)
    torch.manual_seed(0)
    network = TASK.network(encoding, Options(), SMALL).eval()
    with torch.no_grad():
        for parameter in network.field.parameters():
            parameter.normal_(0, 50)
    words = random.Random(0)
    for _ in range(20):
        example = Example(words.choices("abcdefgh", k=9), None, HERE)
        said = next(TASK.predict(network, iter([example]), encoding, Options()))
        assert spans_of(said["tags"], BIO) == [Span(*span.values()) for span in said["spans"]]
    scores = torch.randn(9, 50, len(tags)) * 30
    for row in network.field.decode(scores, torch.ones(9, 50, dtype=torch.bool)):
        walk = [None, *(tags[k] for k in row), None]
        assert all(may_follow(a, b, scheme) for a, b in pairwise(walk))
    # The same field without what forbids does break the scheme.
    free = CRF(len(tags))
    walks = free.decode(scores, torch.ones(9, 50, dtype=torch.bool))
    assert not all(may_follow(tags[a], tags[b], scheme) for row in walks for a, b in pairwise(row))


def test_training_leaves_what_is_forbidden(tmp_path):
    network, encoding, batches = trained(tmp_path, TOKENS, epochs=3)
    tags = encoding["tags"]
    transitions = network.field.transitions
    assert transitions[tags.index("B-per"), tags.index("O")] == FORBIDDEN
    assert transitions[tags.index("O"), tags.index("B-per")].abs() < 1
    costs, counts = network.costs(next(iter(batches())))
    assert (costs > 0).all() and counts.tolist() == [5, 6]


@pytest.mark.parametrize("examples", [TOKENS, TEXTS], ids=["tokens", "texts"])
def test_sentences_are_learned_by_heart(tmp_path, examples):
    network, encoding, batches = trained(tmp_path, examples)
    found = TASK.evaluate(network, batches(), encoding, Options())
    assert found["f1"] == found["token_accuracy"] == 1 and set(found) == set(TASK.metrics)
    told = TASK.details(network, batches(), encoding, Options())["by_label"]
    assert told["per"]["f1"] == told["loc"]["f1"] == 1
    for example, answer in zip(examples, TASK.predict(network, iter(examples), encoding, Options()), strict=True):
        spans = [Span(**span) for span in answer["spans"]]
        assert spans == (example.target if isinstance(example.input, str) else spans_of(example.target, BIO))
        assert answer["notes"] == []
        json.dumps(answer)


@pytest.mark.parametrize("name", ["IO", "IOB1", "BIOES", "BILOU"])
def test_tags_are_written_back_as_they_were_read(tmp_path, name):
    scheme = Scheme(name)
    examples = [replace(e, target=tags_of(spans_of(e.target, BIO), len(e.input), scheme)) for e in TOKENS]
    if name == "IOB1":  # seen to be IOB1 by two names that touch
        examples.append(Example(["Anna", "Bob"], ["I-per", "B-per"], HERE))
    network, encoding, _ = trained(tmp_path, examples)
    assert encoding["scheme"]["name"] == name
    assert [answer["tags"] for answer in TASK.predict(network, iter(examples), encoding, Options())] == [
        example.target for example in examples
    ]


def test_parts_of_speech_are_tags_without_spans(tmp_path):
    tagged = (("the dog saw the cat", "D N V D N"), ("dog saw", "N V"))
    examples = [Example(words.split(), tags.split(), HERE) for words, tags in tagged]
    network, encoding, batches = trained(tmp_path, examples)
    found = TASK.evaluate(network, batches(), encoding, Options())
    assert found["f1"] == found["token_accuracy"] == 1
    assert encoding["tags"] == ["D", "N", "V"]


def test_answers_do_not_hang_on_the_other_rows_of_a_batch(tmp_path):
    network, encoding, _ = trained(tmp_path, TOKENS, epochs=2)
    together = list(TASK.predict(network, iter([*TOKENS, Example(["long"] * 40, None, HERE)]), encoding, Options()))
    alone = [next(TASK.predict(network, iter([example]), encoding, Options())) for example in TOKENS]
    assert together[: len(alone)] == alone


def test_what_is_unusual_is_noted(tmp_path):
    network, encoding, _ = trained(tmp_path, TOKENS, epochs=1)
    rows = [Example(words, None, HERE) for words in ("", "anna in Paris", "York " * 9, "x" * 4 * LONGEST_WORD)]
    answers = list(TASK.predict(network, iter(rows), encoding, Options()))
    assert answers[0] == {"tokens": [], "tags": [], "spans": [], "notes": ["empty: nothing to tag"]}
    assert answers[1]["notes"] == ["unknown words: Paris"]
    assert answers[2]["notes"] == ["longer than trained: 9 words, at most 6 in training"]
    assert len(answers[3]["tags"]) == 1


def test_a_label_of_the_test_alone_counts_as_missed(tmp_path):
    network, encoding, _ = trained(tmp_path / "a", TOKENS)
    strange = [Example(["Anna", "lives"], ["B-org", "O"], HERE)]
    store = Store.write(tmp_path / "b", TASK.encode(iter(strange), encoding, Options()))
    found = TASK.evaluate(network, TASK.loader(store, encoding, TASK.learning, False).epoch(0), encoding, Options())
    assert found["recall"] == 0 and found["token_accuracy"] == 0.5 and found["loss"] == 0


@pytest.mark.parametrize("option", [{"case": False}, {"character_units": 0}, {"lower": False}, {"word_dropout": 0.9}])
def test_options_change_the_network(tmp_path, option):
    encodings = [TASK.learn(iter(TOKENS), Options(**changed)) for changed in ({}, option)]
    found = []
    for encoding, changed in zip(encodings, ({}, option), strict=True):
        torch.manual_seed(0)
        network = TASK.network(encoding, Options(**changed), SMALL)
        store = Store.write(tmp_path / str(len(found)), TASK.encode(iter(TOKENS), encoding, Options(**changed)))
        torch.manual_seed(1)
        found.append(network.costs(next(iter(TASK.loader(store, encoding, TASK.learning, False).epoch(0))))[0])
    assert not torch.allclose(*found)
    with pytest.raises(ValueError, match="word_dropout=1"):
        Options(word_dropout=1)


def test_described():
    cut = Example("Anna's dog", [Span(0, 4, "per")], HERE)
    found = TASK.describe(iter([*TEXTS, cut, TEXTS[0]]))
    assert (found["sentences"], found["duplicates"], found["cut_tokens"]) == (5, 1, 1)
    assert found["spans"] == {"per": 5, "loc": 3} and found["scheme"] == "BIO"
