"""The words that `headgate watch RUN --text` shows are those that the network read, step by step."""

import pytest

import headgate as hg
from headgate.cli import main
from headgate.training.subject import of_run

TEXT = "the cat sat on a mat and then it ran away from the dog\n"
FILES = {
    "classify": ("rows.tsv", "text\tlabel\n" + "the cat sat\tanimal\nbread and jam\tfood\n" * 40, {}),
    "tag": ("rows.conll", "the O\ncat B-ANIMAL\nsat O\n\nbread B-FOOD\nis O\nhere O\n\n" * 40, {}),
    "language": ("text.txt", TEXT * 60, {"units": "characters"}),
    "translate": ("pairs.tsv", "de\ten\n" + "die katze\tthe cat\nein hund\ta dog\n" * 40, {"pieces": 300}),
}
READ = {
    "classify": {("the", "cat", "sat"), ("bread", "and", "jam")},
    "tag": {("the", "cat", "sat"), ("bread", "is", "here")},
    "translate": {"die katze", "ein hund"},
}


@pytest.fixture(scope="module", params=FILES)
def run(request, tmp_path_factory):
    name, text, settings = FILES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    (folder / name).write_text(text)
    hg.train(
        folder / name,
        request.param,
        out=folder / "run",
        epochs=1,
        hidden_size=8,
        watch=False,
        progress=False,
        **settings,
    )
    return request.param, folder / "run"


def test_every_word_has_its_step(run):
    task, folder = run
    (subject,) = of_run(folder)
    seen = hg.examine(subject.model, subject.batches, subject.losses, causes=False, dynamics=False, text=subject.words)
    kept = [record.facts["text"] for record in seen.records.values() if "text" in record.facts]
    assert kept and all(words == kept[0] for words in kept)
    words = kept[0]
    if task == "language":
        assert "".join(words) in TEXT * 60
    elif task == "translate":
        assert "".join(words).removesuffix("<end>").strip() in READ[task] and words[-1] == "<end>"
    else:
        assert tuple(words) in READ[task]


def test_the_command(run, tmp_path, capfd):
    _, folder = run
    marks = []
    for name, more in (("with.html", ["--text"]), ("without.html", [])):
        assert main(["watch", str(folder), "--no-causes", "--out", str(tmp_path / name), *more]) == 0
        marks.append('class="tokens"' in (tmp_path / name).read_text())
    assert marks == [True, False]
