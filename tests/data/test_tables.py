"""Tables: every form of the same rows is read alike, and what is wrong is said with its place."""

import csv
import gzip
import io
import json
import random

import polars as pl
import pytest
from data.mutations import mutations

from headgate.data import DataError
from headgate.data.nested import find
from headgate.data.tables import open_table

ROWS = [
    {"text": "a plain one", "label": "good"},
    {"text": 'with "quotes", commas; and a\ttab', "label": "bad"},
    {"text": "über 日本", "label": "good"},
    {"text": "", "label": "bad"},
]
KNOWN = frozenset(("text", "label"))


def put(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows_of(path, **options):
    return [values for values, _ in open_table(path, **options)]


def as_csv(rows, **options):
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), **options)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_json_lines(rows):
    return "\n".join(json.dumps(row, ensure_ascii=k % 2 == 0) for k, row in enumerate(rows)) + "\n\n"


FORMS = {
    "r.csv": as_csv(ROWS),
    "semicolons.csv": as_csv(ROWS, delimiter=";"),
    "r.csv.gz": gzip.compress(as_csv(ROWS).encode()),
    "bom.csv": "\ufeff" + as_csv(ROWS),
    "wide.csv": as_csv(ROWS).encode("utf-16"),
    "r.jsonl": as_json_lines(ROWS),
    "r.json": json.dumps(ROWS),
    "inside.json": json.dumps({"version": 2, "data": ROWS}),
    "lines.json": as_json_lines(ROWS),
    "rows": as_json_lines(ROWS),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_rows(tmp_path, name):
    assert rows_of(put(tmp_path, name, FORMS[name])) == ROWS


def test_parquet(tmp_path):
    rows = [{"text": f"row {k}", "labels": ["a", "b"][: k % 3], "n": k} for k in range(45_000)]
    pl.DataFrame(rows).write_parquet(tmp_path / "r.parquet")
    assert rows_of(tmp_path / "r.parquet") == rows


def test_random_tables_come_back_as_they_were_written(tmp_path):
    chance = random.Random(0)
    signs = 'abc ,;"\t\n\r\'é日|{}[]#'
    for k in range(300):
        count = chance.randint(1, 4)
        rows = [
            {f"c{c}": "".join(chance.choices(signs, k=chance.randint(1, 9))) for c in range(count)}
            for _ in range(chance.randint(1, 5))
        ]
        # A line that is blank is no row, and the csv module makes every end of line inside quotes as it stands.
        rows = [row for row in rows if "".join(row.values()).strip()] or [{f"c{c}": "x" for c in range(count)}]
        path = put(tmp_path, f"{k}.csv", as_csv(rows, quoting=csv.QUOTE_ALL))
        assert rows_of(path, header=True) == rows, path.read_bytes()


def test_tsv_keeps_quotes_that_are_text_and_drops_those_that_wrap(tmp_path):
    path = put(tmp_path, "r.tsv", 'text\tlabel\n"Oh," he said. "No"\tbad\n"with ""quotes"""\tgood\n"\tgood\n')
    assert [row["text"] for row in rows_of(path)] == ['"Oh," he said. "No"', 'with "quotes"', '"']


@pytest.mark.parametrize(
    ("content", "columns", "count"),
    [
        ("0\twith pale blue berries\t1\n1\tit flows so long\t0\n", ("1", "2", "3"), 2),  # a number: no header
        ("words\tkind\nfine\tpos\nok\tpos\n", ("words", "kind"), 2),
        ("I love it\tpos\nI hate it\tneg\nok\tpos\n", ("1", "2"), 3),  # "pos" comes again in its column: no header
        ("Text\tpos\nI hate it\tneg\nok\tpos\n", ("Text", "pos"), 2),  # a known name decides
    ],
)
def test_headers_are_told_from_rows(tmp_path, content, columns, count):
    table = open_table(put(tmp_path, "r.tsv", content), known=KNOWN)
    assert (table.columns, len(list(table))) == (columns, count)


def test_a_header_may_be_said(tmp_path):
    path = put(tmp_path, "r.csv", "1,2\n3,4\n")
    assert rows_of(path) == [{"1": "1", "2": "2"}, {"1": "3", "2": "4"}]
    assert rows_of(path, header=True) == [{"1": "3", "2": "4"}]


def test_fasttext_and_plain_lines(tmp_path):
    path = put(tmp_path, "f.txt", "__label__a __label__b  two labels\n\n__label__a one\n")
    assert rows_of(path) == [{"label": ["a", "b"], "text": "two labels"}, {"label": ["a"], "text": "one"}]
    path = put(tmp_path, "p.txt", "Hello, world; fine\n\nsecond\n")
    assert rows_of(path) == [{"text": "Hello, world; fine"}, {"text": ""}, {"text": "second"}]


DIALOGUES = [
    {"id": 7, "services": ["Food_1"], "turns": [{"say": "hi", "id": 1}, {"say": "yes", "tags": {"kind": "x"}}]},
    {"id": 8, "services": ["Bus_2", "Taxi_1"], "turns": []},
    {"id": 9, "services": ["Bus_2"], "turns": [{"say": "bye"}]},
]


@pytest.mark.parametrize("name", ["d.json", "d.jsonl"])
def test_rows_inside_json_know_what_holds_them(tmp_path, name):
    content = json.dumps(DIALOGUES) if name == "d.json" else as_json_lines(DIALOGUES)
    rows = rows_of(put(tmp_path, name, content), records="turns")
    assert [(row["say"], row["id"], find(row, "services.0")) for row in rows] == [
        ("hi", 1, "Food_1"),  # of two fields of one name, the inner
        ("yes", 7, "Food_1"),
        ("bye", 9, "Bus_2"),
    ]
    assert find(rows[1], "tags.kind") == "x"


def test_lines_are_counted_through_quoted_ends_of_line(tmp_path):
    path = put(tmp_path, "r.csv", 'text,label\n"one\ntwo",a\n\nthree,b\nfour,c,d\n')
    with pytest.raises(DataError, match=r"r\.csv, line 6 has 3 cells, but the header names 2 columns"):
        rows_of(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,label,text\nx,y,z\n", "line 1: the header names column 'text' twice"),
        ("a.csv", "text,label\n", "header, but no rows"),
        ("a.csv", "\n\n", "holds no rows"),
        ("a.csv", b"", "is empty"),
        ("a.csv", 'text,label\n"open,1\nx,2\n', "line 2: its quotes do not fit"),
        ("a.csv", "text,label\nx\n", "line 2 has 1 cells"),
        ("a.jsonl", '{"text": "x"}\n[1]\n', "line 2 is a list, but an object was expected"),
        ("a.jsonl", '{"text": "x"}\n{"text": \n', "line 2, column 9 is no JSON"),
        ("a.jsonl", '{"text": "\\ud800"}\n', "half of a surrogate pair"),
        ("a.jsonl", '{"n": ' + "9" * 5000 + "}\n", "cannot be read as JSON"),
        ("a.json", "[" * 100_000, "cannot be read as JSON"),
        ("a.json", "[]", "a list without rows"),
        ("a.json", '{"a": [{}], "b": [{}]}', "say --records"),
        ("a.json", "[1]", "is a number, but an object"),
        ("a.parquet", b"PAR1 nonsense", "no readable Parquet"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message) as caught:
        rows_of(put(tmp_path, name, content), known=KNOWN)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"no list at 'talks'"):
        rows_of(put(tmp_path, "d.json", json.dumps(DIALOGUES)), records="talks")


@pytest.mark.parametrize("form", ["r.csv", "r.tsv", "r.jsonl", "r.json", "r.txt"])
def test_mutations_are_read_or_refused(tmp_path, form):
    """Ten thousand over all forms."""
    whole = {"r.tsv": "text\tlabel\na b\tgood\nc\tbad\n", "r.txt": "__label__a one\n__label__b two\n"}
    files = [raw if isinstance(raw := whole.get(form) or FORMS[form], bytes) else raw.encode()]
    refused, path = 0, tmp_path / form
    for raw in mutations(files, 2000, seed=1):
        path.write_bytes(raw)
        try:
            rows_of(path, records="turns" if len(raw) % 5 == 0 and "js" in form else "", known=KNOWN)
        except DataError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 20 < refused < 1990
