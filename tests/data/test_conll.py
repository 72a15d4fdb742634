"""Columns of tokens and tags."""

import pytest
from data.mutations import mutations

from headgate.data import DataError
from headgate.data.conll import LONGEST_SENTENCE, columns_of, sentences

TABS = "EU\tB-ORG\nrejects\tO\n\t\n\nPeter\tB-PER\n#tag\tO\n"
SPACES = "-DOCSTART- -X- O\n\nEU NNP B-ORG\nrejects VBZ O\n   \nPeter NNP B-PER\n#tag NN O\n"
UNIVERSAL = (
    "# text = dámelo ya\n1-2\tdámelo\t_\t_\t_\t_\t_\t_\t_\t_\n1\tda\tdar\tVERB\t_\t_\t0\troot\t_\t_\n"
    "2\tmelo\tlo\tPRON\t_\t_\t1\tobj\t_\t_\n2.1\tx\t_\t_\t_\t_\t_\t_\t_\t_\n3\tya\tya\tADV\t_\t_\t1\tmod\t_\t_\n"
)


def found(folder, content, answers=True, name="a.conll", **options):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    columns = columns_of(path, answers=answers, **options)
    return [(sentence.tokens, sentence.tags) for sentence in sentences(path, columns)]


@pytest.mark.parametrize("content", [TABS, SPACES, TABS.replace("\n", "\r\n")], ids=["tabs", "spaces", "windows"])
def test_tokens_and_tags(tmp_path, content):
    assert found(tmp_path, content) == [
        (["EU", "rejects"], ["B-ORG", "O"]),
        (["Peter", "#tag"], ["B-PER", "O"]),
    ]


def test_columns_may_be_said(tmp_path):
    assert found(tmp_path, SPACES, tag=2)[0] == (["EU", "rejects"], ["NNP", "VBZ"])
    assert found(tmp_path, SPACES, token=-2, tag=-1)[0] == (["NNP", "VBZ"], ["B-ORG", "O"])


def test_conll_u(tmp_path):
    assert found(tmp_path, UNIVERSAL) == [(["da", "melo", "ya"], ["VERB", "PRON", "ADV"])]


def test_tokens_alone_where_no_tags_are_asked_for(tmp_path):
    assert found(tmp_path, "EU\nrejects\n\nPeter\n", answers=False) == [(["EU", "rejects"], None), (["Peter"], None)]


def test_places_are_those_of_first_tokens(tmp_path):
    (tmp_path / "a.conll").write_text(TABS)
    path = tmp_path / "a.conll"
    assert [sentence.place.line for sentence in sentences(path, columns_of(path))] == [1, 5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("EU\tB-ORG\nrejects\n", "line 2 has 1 columns, but 2 were expected, parted by tabs"),
        ("EU\tB-ORG\nrejects\t\n", "line 2, column 2: the tag is missing"),
        ("EU\tB-ORG\n\tO\n", "line 2, column 1: the token is missing"),
        ("EU\nrejects\n", "has tokens, but no tags"),
        (" \n\t\n", "holds no tokens"),
        ("x\tO\n" * (LONGEST_SENTENCE + 1), "without a blank line"),
        (b"EU\tB-ORG\n\xe9\tO\n", "line 2, column 1: byte 0xe9 is not utf-8"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        found(tmp_path, content)


def test_a_column_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="has 2 columns, so there is no column 3"):
        found(tmp_path, TABS, tag=3)


def test_mutations_are_read_or_refused(tmp_path):
    """Ten thousand; whatever is read has as many tags as tokens, and none is empty."""
    refused = 0
    for raw in mutations([TABS.encode(), SPACES.encode(), UNIVERSAL.encode()], 10_000, seed=2):
        try:
            for tokens, tags in found(tmp_path, raw):
                assert len(tokens) == len(tags) and all(tokens) and all(tags)
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 1000 < refused < 9900
