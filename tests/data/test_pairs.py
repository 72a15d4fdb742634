"""Pairs of texts from parallel files, tables and dialogues."""

from __future__ import annotations

import gzip
import json
import random

import pytest

from headgate.data import DataError
from headgate.data.pairs import PairForm, ending, pairs_in, read_pairs

GUESSED = PairForm()


def written(folder, **files):
    paths = []
    for name, text in files.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        paths.append(path)
    return paths


def pairs(paths, form=GUESSED, answers=True):
    return [(example.input, example.target) for example in read_pairs(paths, form, answers)]


def test_parallel_files_go_line_by_line(tmp_path):
    paths = written(tmp_path, train_de="eins\n\nzwei \n", train_en="one\n\ntwo\n")
    assert pairs(paths) == [("eins", "one"), ("zwei", "two")]
    assert pairs(paths, PairForm("en", "de")) == [("one", "eins"), ("two", "zwei")]
    # One of them alone finds its partner.
    assert pairs(paths[:1]) == pairs(paths)
    assert str(list(read_pairs(paths, GUESSED))[1].place).endswith("train.de, line 3")


def test_compressed_ones_too_and_several_at_once(tmp_path):
    one = written(tmp_path, a_de_gz=gzip.compress(b"eins\n"), a_en_gz=gzip.compress(b"one\n"))
    two = written(tmp_path, b_de="zwei\n", b_en="two\n")
    assert pairs([*one, *two]) == [("eins", "one"), ("zwei", "two")]
    assert ending(one[0]) == "de"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a_de": "x\ny\n", "a_en": "x\n"}, r"a\.en ends after line 1, but .*a\.de goes on"),
        ({"a_de": "x\n", "a_en": "x\ny\n"}, r"a\.de ends after line 1"),
        ({"a_de": "x\n", "a_en": "x\n", "b_de": "x\n"}, r"b\.de has no partner .*b\.en"),
    ],
)
def test_lines_without_partners_are_named(tmp_path, files, words):
    with pytest.raises(DataError, match=words):
        pairs(written(tmp_path, **files))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x_csv", "source,target\na,b\nc,d\n"),
        ("x_tsv", "a\tb\nc\td\n"),
        ("x_jsonl", '{"src": "a", "tgt": "b", "id": 3}\n{"src": "c", "tgt": "d", "id": 4}\n'),
        ("x_json", json.dumps([{"Prompt": "a", "Completion": "b"}, {"Prompt": "c", "Completion": "d"}])),
    ],
)
def test_columns_are_told_by_their_names(tmp_path, name, text):
    (path,) = written(tmp_path, **{name: text})
    assert pairs([path]) == [("a", "b"), ("c", "d")]
    assert pairs_in(path, GUESSED)[1] > 0


@pytest.mark.parametrize("head", ["de,en", "German,English"])
def test_languages_are_names_of_columns(tmp_path, head):
    (path,) = written(tmp_path, x_csv=f"{head}\neins,one\nzwei,two\n")
    assert pairs([path]) == [("eins", "one"), ("zwei", "two")]
    (words,) = written(tmp_path, y_csv="no,nein\nyes,ja\n")
    assert pairs([words]) == [("no", "nein"), ("yes", "ja")]


def test_columns_may_be_named_and_lie_deep(tmp_path):
    (path,) = written(tmp_path, x_jsonl='{"translation": {"de": "eins", "en": "one"}}\n')
    assert pairs([path], PairForm("translation.de", "translation.en")) == [("eins", "one")]


def test_turns_answer_the_turns_before(tmp_path):
    turns = [{"speaker": s, "utterance": u} for s, u in zip("USUS", "abcd", strict=True)]
    path, plain = written(
        tmp_path, x_json=json.dumps([{"id": 1, "turns": turns}]), y_jsonl='{"messages": ["a", "b", "c"]}\n'
    )
    assert pairs([path]) == [("a", "b"), ("b", "c"), ("c", "d")]
    assert pairs([path], PairForm(speaker="S", context=2)) == [("a", "b"), ("b\nc", "d")]
    assert pairs([plain]) == [("a", "b"), ("b", "c")]
    assert pairs([path], PairForm(context=2), answers=False) == [("c\nd", None)]


def test_without_answers_no_row_is_passed_over(tmp_path):
    text, table = written(tmp_path, x_txt="eins\n\n  \nzwei\n", y_jsonl='{"source": "eins"}\n{"source": ""}\n')
    assert [source.strip() for source, _ in pairs([text], answers=False)] == ["eins", "", "", "zwei"]
    assert pairs([table], answers=False) == [("eins", None), ("", None)]
    (both,) = written(tmp_path, z_csv="source,target\neins,one\n,\nzwei,two\n")
    assert pairs([both]) == [("eins", "one"), ("zwei", "two")] and len(pairs([both], answers=False)) == 3


def test_without_answers_a_line_is_a_source(tmp_path):
    text, table = written(tmp_path, x_txt="eins\nzwei\n", y_jsonl='{"source": "eins"}\n{"source": "zwei"}\n')
    assert pairs([text], answers=False) == pairs([table], answers=False) == [("eins", None), ("zwei", None)]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x_csv", "a,b,c\n1,2,3\n", "say --source and --target"),
        ("x_txt", "only text\n", "columns text"),
        ("x_jsonl", '{"source": "a", "target": "b"}\n{"source": "a"}\n', r"line 2, column target is missing"),
        ("x_jsonl", '{"source": ["a"], "target": "b"}\n', r"line 1, column source holds list"),
        ("x_jsonl", '{"turns": ["a", "b"]}\n{"turns": 3}\n', r"line 2, column turns is no list of turns"),
        ("x_jsonl", '{"turns": ["a", {"who": "me"}]}\n', r"column turns\[1\] is missing"),
        ("x_csv", "", "is empty"),
    ],
)
def test_what_are_no_pairs_is_refused_in_a_sentence(tmp_path, name, text, words):
    with pytest.raises(DataError, match=words):
        pairs(written(tmp_path, **{name: text}))


def test_a_file_of_other_kinds_holds_no_pairs_for_sure(tmp_path):
    tagged, prose, blob = written(
        tmp_path, x_conll="EU\tB-ORG\nsays\tO\n", y_txt="running text\n", z_bin=bytes(range(256))
    )
    assert pairs_in(tagged, GUESSED)[1] < 0.5
    assert pairs_in(prose, GUESSED)[1] < 0.1 and pairs_in(blob, GUESSED) is None


def test_nothing_but_a_sentence_comes_of_any_bytes(tmp_path):
    """Mutations of every form; opening a file is slow, so hundreds of each (the readers below have ten thousand)."""
    forms = {
        "x.csv": b"source,target\na,b\nc,d\n",
        "x.jsonl": b'{"turns": [{"speaker": "U", "text": "a"}, {"speaker": "S", "text": "b"}]}\n' * 2,
        "x.de": b"eins\nzwei\n",
    }
    (tmp_path / "x.en").write_text("one\ntwo\n")
    chance, refused = random.Random(0), 0
    for k in range(900):
        name, start = list(forms.items())[k % 3]
        changed = bytearray(start)
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        path = tmp_path / name
        path.write_bytes(changed[: chance.randint(0, len(changed))])
        try:
            list(read_pairs([path], GUESSED, chance.random() < 0.5))
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)
        finally:
            path.unlink()
    assert 100 < refused < 899
