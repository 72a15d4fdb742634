"""Standard input: where lines are rows, each is answered as it comes; none is read otherwise than in a file."""

from __future__ import annotations

import gzip
import io
import random
import re

import pytest

import headgate as hg
from headgate.data import DataError
from headgate.tasks import bench
from headgate.verbs.standard_input import kept, lots

TEXTS = "so good\n\nso bad, really\na\tb\nGrace\nYork\n{x\n  \n__nothing\nlast one"
OBJECTS = '{"text": "so good", "id": 1}\n{"text": "", "id": 2}\n\n{"id": 3, "text": "bad"}\n'
STREAMS = {
    "texts": TEXTS,
    "texts of windows": TEXTS.replace("\n", "\r\n"),
    "one line": "so good\n",
    "one line without end": "so good",
    "a line with separators": "so good, really\nso bad\n",
    "a head alone": "text,label\ngood,a\nbad,b\n",
    "head of an unknown table": "review;stars\ngood;a\nbad;b\n",
    "tabs": "good\ta\nbad\tb\n",
    "objects": OBJECTS,
    "an array": "[\n" + OBJECTS.strip().replace("\n\n", "\n").replace("}\n", "},\n") + "]\n",
    "series": '{"values": [1, 2, 3]}\n{"values": [4, 5]}\n',
    "steps of series": '{"id": 1, "time": 0, "a": 1.5}\n{"id": 1, "time": 1, "a": 2.5}\n{"id": 2, "time": 0, "a": 3}\n',
    "dialogues": '{"turns": ["hello", "good day"]}\n{"turns": ["what is it"]}\n',
    "columns": "Ann B-PER\nwent O\n\nBob B-PER\n\n",
    "tokens": "Ann\nwent\n\nBob\n",
    "wide": TEXTS.encode("utf-16-be").join((b"\xfe\xff", b"")),
    "compressed": gzip.compress(TEXTS.encode(), mtime=0),
}


class Pieces(io.RawIOBase):
    """A stream that gives its content in pieces, as a pipe does whose writer is slow."""

    def __init__(self, pieces):
        self.pieces, self.asked = list(pieces), 0

    def read1(self, size):
        self.asked += 1
        return self.pieces.pop(0) if self.pieces else b""

    read = read1

    def readable(self):
        return True


def examples(task, options, path):
    """What is read, without the file's name; or what is said against it."""
    found = []
    try:
        for example in task.read([path], options, answers=False):
            inputs = example.input if isinstance(example.input, (str, list)) else repr(example.input)
            found.append((inputs, repr(example.target), example.place.line))
    except DataError as error:
        found.append(str(error).replace(str(path), "it"))
    return found


def in_lots(task, options, pieces, folder):
    """As `examples`, of all lots up to what is said against one; and how many they were."""
    found, count = [], 0
    for path, reading, before in lots(task, options, Pieces(pieces), folder):
        count += 1
        for entry in examples(task, reading, path):
            if isinstance(entry, str):
                return [*found, re.sub(r"line (\d+)", lambda line, b=before: f"line {int(line[1]) + b}", entry)], count
            found.append((*entry[:2], entry[2] and entry[2] + before))
    return found, count


def cut(content, seed):
    choose = random.Random(seed)
    while content:
        size = choose.randint(1, 12)
        yield content[:size]
        content = content[size:]


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("name", ("classify", "tag", "translate", "language", "forecast"))
def test_rows_are_read_as_from_a_file_however_they_come(name, stream, tmp_path):
    task = bench.get(name)
    content = STREAMS[stream] if isinstance(STREAMS[stream], bytes) else STREAMS[stream].encode()
    whole = tmp_path / "rows"
    whole.write_bytes(content)
    expected = examples(task, task.Options(), kept(task, task.Options(), whole))
    for seed in range(4):
        folder = tmp_path / str(seed)
        folder.mkdir()
        assert in_lots(task, task.Options(), cut(content, seed), folder)[0] == expected


@pytest.mark.parametrize(
    "stream, by_line",
    [
        ("texts", "classify tag translate"),
        ("objects", "classify tag translate"),
        ("tokens", "classify translate"),
        ("dialogues", "translate"),
        ("series", "classify"),
        *((other, "") for other in ("a head alone", "steps of series", "compressed")),
    ],
)
def test_what_is_answered_line_by_line(stream, by_line, tmp_path):
    content = STREAMS[stream] if isinstance(STREAMS[stream], bytes) else STREAMS[stream].encode()
    for name in ("classify", "tag", "translate", "language", "forecast"):
        task, folder = bench.get(name), tmp_path / name
        folder.mkdir()
        found = in_lots(task, task.Options(), content.splitlines(keepends=True), folder)[1]
        assert (found > 1) == (name in by_line.split()), name


def test_an_answer_is_there_before_the_next_row(trained):
    stream = Pieces([b"0110\n", b"1\n10", b"01\n", b"\n", b"00\n"])
    answers = hg.predict(trained[1], stream)
    expected = [one["answer"] for one in hg.predict(trained[1], ["0110", "1", "1001"])]
    asked = []
    for _, answer in zip(range(3), answers, strict=False):
        assert answer["answer"] == expected[len(asked)]
        asked.append(stream.asked)
    assert asked == [1, 2, 3]
    with pytest.raises(DataError, match=r"standard input, line 4: '' holds other signs"):
        list(answers)


def test_the_columns_of_the_first_lines_are_those_of_all(tmp_path):
    """A later line is no new guess: what lacks the column is refused, and its line said."""
    task = bench.get("translate")
    lines = [b'{"source": "a"}\n', b'{"source": "b"}\n', b'{"sorce": "c"}\n']
    found, _ = in_lots(task, task.Options(), lines, tmp_path)
    assert [entry[0] for entry in found[:2]] == ["a", "b"] and len(found) == 3 and "source" in found[2]
