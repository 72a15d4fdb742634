"""The documents keep their word: their examples run, and their tables say what the code does."""

from __future__ import annotations

import ast
import math
import re
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from headgate import cells, tasks
from headgate.cli import main
from headgate.inspection import gate_rules, rules
from headgate.inspection.schema import ARRAYS
from headgate.inspection.thresholds import DEFAULTS, Thresholds, Verdict
from headgate.training import subject
from headgate.training.model_folder import ModelFolder
from headgate.training.network import seeded_network
from headgate.training.run_folder import RunFolder

ROOT = Path(__file__).resolve().parent.parent
WATCH, README = ROOT / "docs" / "watch.md", ROOT / "README.md"
# Lightning's own: advice on data loaders, and its use of torch's pytree.
quiet = pytest.mark.filterwarnings(
    "ignore:The 'train_dataloader' does not have many workers",
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated",
)


def section(text: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {heading!r}"
    return found[1]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def rows_below(text: str, header: str) -> list[list[str]]:
    """The cells of the table that begins with this header."""
    _, found, below = text.partition(header)
    assert found, f"there is no table {header!r}"
    lines = [line for line in below.partition("\n\n")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


# --- the verdicts -----------------------------------------------------------------------------------------------


def all_verdicts(limits: Thresholds = DEFAULTS) -> list[Verdict]:
    """Every rule made to speak in every way it can, by numbers far on the side at which it does."""
    nothing, much, still = -300.0, 300.0, (0.0, 0.0, 1.0)
    costs, free = (0.2, 0.3, 0.4), (-0.1, 0.0, 0.1)
    known = {"loss": 1.0, "baseline": 1.0, "limits": limits}
    jump = {"norm": 1e300, "usual_norm": 1.0, "limits": limits}
    between = (math.log10(limits.strong) + math.log10(limits.weak)) / 2
    said = [
        rules.gradient_dead([0, 9], [0.0, nothing], math.log10(torch.finfo(torch.float32).tiny), "float32", 9),
        rules.vanishing(between, 9, **known, gain=free),
        rules.vanishing(nothing, 9, **known, gain=free),
        rules.vanishing(nothing, 9, cut=free, limits=limits),
        rules.vanishing(nothing, 9, **known),
        rules.vanishing(nothing, 9, limits=limits),
        rules.exploding(loss=math.nan, limits=limits),
        rules.exploding(growth=much, limits=limits),
        rules.exploding(growth=much, product=much, limits=limits),
        rules.exploding(**jump, loss=2.0, usual_loss=1.0),
        rules.exploding(**jump),
        rules.exploding(lyapunov=1e9, steps=9, limits=limits),
        rules.tbptt_blind(9, 5, limits=limits),
        rules.tbptt_blind(None, 5, 2.0, limits),
        rules.short_memory([1.0], 9, nothing, limits),
        rules.remembers(0.0, math.inf, 9, limits, cut=costs),
        rules.remembers(0.0, math.inf, 9, limits, cut=free),
        rules.dtype_capped("bfloat16", 10**9, limits),
        rules.dtype_capped("float16", 10**9, limits),
        rules.need_unknown(None),
        rules.need_beyond(9, 5),
        gate_rules.gate_constant("f", *([value] for value in still), limits),
        gate_rules.triage("f", 0, *still, limits=limits),
        gate_rules.triage("f", 0, *still, costs, limits=limits),
        gate_rules.triage("f", 0, *still, free, limits=limits),
        gate_rules.gate_decorative("f", [1e9], free, free, limits),
        gate_rules.triage("f", 0, 1e9, 0.0, 0.0, None, free, free, limits),
    ]
    assert None not in said
    return said


def verdict_rows(limits: Thresholds = DEFAULTS) -> list[list[str]]:
    return [[v.name, v.level, v.rule, v.source] for v in all_verdicts(limits)]


def names_in_rules() -> set[str]:
    """The names of all verdicts that the rules can give, read from their text."""
    texts = [Path(module.__file__).read_text() for module in (rules, gate_rules)]
    calls = [n for text in texts for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)]
    return {c.args[0].value for c in calls if isinstance(c.func, ast.Name) and c.func.id == "Verdict"}


def threshold_rows(limits: Thresholds = DEFAULTS) -> list[list[str]]:
    return [[name, str(value)] for name, value in asdict(limits).items()]


def test_the_page_has_every_verdict_as_the_rules_give_it():
    shown = rows_below(WATCH.read_text(), "| verdict | level | rule | source |")
    assert shown == verdict_rows()
    assert {row[0] for row in shown} == names_in_rules()


def test_the_page_has_every_threshold_at_its_default():
    shown = rows_below(WATCH.read_text(), "| setting | default | where it is from |")
    assert [row[:2] for row in shown] == threshold_rows()


@pytest.mark.parametrize("name", asdict(DEFAULTS))
def test_a_page_with_another_number_is_noticed(name):
    """Each setting halved by itself: both tables differ."""
    other = replace(DEFAULTS, **{name: asdict(DEFAULTS)[name] / 2})
    assert threshold_rows(other) != threshold_rows()
    assert verdict_rows(other) != verdict_rows()


def test_the_calibration_and_the_cost_find_their_places():
    text = WATCH.read_text()
    for begin, end in [
        ("<!-- calibration writes from here -->", "<!-- to here -->"),
        ("<!-- cost writes from here -->", "<!-- cost ends here -->"),
    ]:
        assert text.count(begin) == text.count(end) == 1 and text.index(begin) < text.index(end)


# --- the measurements -------------------------------------------------------------------------------------------


def arrays_named(text: str) -> set[str]:
    """Names of arrays where the page says in which a measurement is."""
    said = re.findall(r"\*Arrays?\*(.*?)(?:\*[A-Z]|\n\n)|[;,] array (`\w+`)", text, re.DOTALL)
    return set(re.findall(r"`([a-z_]+)`", " ".join(a + b for a, b in said)))


def test_every_array_of_a_record_is_explained():
    text = WATCH.read_text()
    said = arrays_named(text) | set(re.findall(r"`([a-z_]+)`", text)) & set(ARRAYS)
    assert arrays_named(text) <= set(ARRAYS), "the page names an array that no Record holds"
    places = {"bins"}  # where a piece of time begins: an axis, no measurement
    assert set(ARRAYS) - said - places == set()


def formulas(text: str) -> list[str]:
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [one or other for one, other in re.findall(r"\$\$([^$]+)\$\$|\$([^$]+)\$", re.sub(r"`[^`]*`", "", text))]


def not_shown(text: str) -> list[str]:
    """Formulas that GitHub would not show as they are meant: Markdown takes a backslash before a sign that is no letter
    away, and a formula stands on one line."""
    found = formulas(text)
    return [f for f in found if re.search(r"\\[^a-zA-Z]", f) or "\n" in f.strip() or f.count("{") != f.count("}")]


@pytest.mark.parametrize("path", [WATCH, README], ids=lambda path: path.name)
def test_formulas_are_what_github_shows(path):
    assert not_shown(path.read_text()) == []


def test_a_formula_that_github_would_spoil_is_noticed():
    assert len(not_shown(r"$\{a\}$ and $a \, b$, $\frac{a$, but $\lbrace a_{b} \rbrace$")) == 3
    assert len(formulas(WATCH.read_text())) > 50


@pytest.mark.parametrize("path", [WATCH, README], ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert re.search(rf"^#+ {target[1:].replace('-', ' ')}$", text, re.MULTILINE | re.IGNORECASE), target
        elif not target.startswith("http"):
            assert (path.parent / target).exists(), target


# --- the examples -----------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of one's own to work in, which modules are imported from as from the place where python runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    with torch.random.fork_rng(devices=[]):
        yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def run_examples(text: str, folder: Path) -> dict:
    """Run Python blocks in order, with the names of those before; one that names its file is written, not run."""
    names: dict = {}
    for block in blocks(text, "python"):
        file = re.match(r"# (\w+\.py)\n", block)
        if file:
            (folder / file[1]).write_text(block)
        else:
            exec(compile(block, "an example", "exec"), names)
    return names


def test_the_examples_of_the_readme(here):
    names = run_examples(section(README.read_text(), "Use"), here)
    assert names["y"].shape == (8, 64) and names["output"].shape == (120, 8, 64)


@quiet
def test_the_examples_of_the_watch(here, capfd, monkeypatch):
    text = section(WATCH.read_text(), "How to")
    names = run_examples(text, here)
    assert names["high"].shape == (20,) and not names["monitor"].missing and len(names["monitor"].history) == 6
    assert [v.name for v in names["found"].verdicts["rnn.l0"]] == ["REMEMBERS"], "the task of the page is learnt"
    assert len(names["watching"].monitor.history) > 0
    for page in ("watch.html", "comparison.html"):
        assert (here / page).read_text().startswith("<!DOCTYPE html>")
    commands(text, here, monkeypatch)
    assert "recall:subject" in capfd.readouterr().err


def commands(text: str, folder: Path, monkeypatch) -> None:
    """Run the lines of the console, on a folder such as `headgate demo` leaves behind."""
    monkeypatch.setattr(subject, "ROWS", 4)
    digits = tasks.get("digits")
    network = seeded_network(0, cells.get("lstm"), digits.input_size, 3, digits.output_size, digits.reads)
    weights = {name: value.detach() for name, value in network.state_dict().items()}
    stored = ModelFolder("digits", "lstm", 3, 0, 0, weights)
    RunFolder({"trials": []}, {}, {"digits/lstm/0": stored}).save(folder / "demo")
    lines = [line for block in blocks(text, "console") for line in block.splitlines()]
    for line in lines:
        program, *words = shlex.split(line)
        assert program == "headgate" and main(words) == 0, line
    assert len(lines) == 3 and all((folder / name).is_file() for name in ("demo.html", "watch.html", "recall.html"))


def test_a_broken_example_is_noticed(here):
    with pytest.raises(AttributeError, match="no attribute 'Moniter'"):
        run_examples("```python\nimport headgate as hg\n```\n\n```python\nhg.Moniter\n```\n", here)


def test_only_the_examples_of_the_section_are_run():
    parts = zip(("## One", "## Use", "### More", "## Two"), range(1, 5), strict=True)
    text = "".join(f"{heading}\n```python\n{number}\n```\n" for heading, number in parts)
    assert blocks(section(text, "Use"), "python") == ["2\n", "3\n"]
