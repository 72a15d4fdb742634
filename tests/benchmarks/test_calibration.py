"""The calibration: two tiny runs from end to end, and the table's arithmetic on made-up rows with known rates."""

from __future__ import annotations

import copy
import json

import pytest
import torch

import headgate as hg
from benchmarks import calibration, calibration_runs, calibration_table
from benchmarks.calibration_runs import LAYER, LONG, Plan, autograd_entry, losses_of, network_of, plans
from benchmarks.calibration_table import ARITHMETIC, BEGIN, END, QUESTIONS, line, report, wilson, with_report
from headgate.tasks import Batch

CHANCE, STEPS = 2.0, 900
PIECES = STEPS // calibration_runs.EVERY
# Below 0.4 of chance, and above.
GOOD, BAD = 0.5, 1.9


def row(loss=BAD, warnings=(), verdicts=(), **changed):
    """A run that neither learnt nor blew up, unless something is said."""
    curve = loss if isinstance(loss, list) else [loss] * PIECES
    plan = plans()[-1]
    return {
        "key": plan.key,
        "task": plan.task,
        "chance": CHANCE,
        "steps": STEPS,
        "examined": 600,
        "finite": True,
        "solved": False,
        "loss": curve,
        "worst": curve,
        "clipped": [0.1] * len(curve),
        "held_out_examined": curve[29] if len(curve) > 29 else None,
        "held_out_end": curve[-1],
        "highway": True,
        "verdicts": [{"name": name, "about": about} for name, about in verdicts],
        "warnings": [{"name": name, "step": step, "number": "norm = 9", "about": ""} for name, step in warnings],
        "gates": ["i", "f"],
        "constant_again": [],
        "units": [],
        "unit_of_kill": None,
        "reached": -5.0,
        "used_again": [-0.1, 0.0, 0.1],
        "gates_again": {},
        **changed,
    }


def learns_at(step):
    """A curve that is below 0.4 of chance from the piece that ends with this step."""
    before = step // calibration_runs.EVERY - 1
    return [BAD] * before + [GOOD] * (PIECES - before)


def spike(k, value=4.1):
    return [value if piece == k else BAD for piece in range(PIECES)]


def counts(words, rows):
    """Said, cases, wrong, cases in which it would be wrong, missed, cases in which it would be right."""
    (question,) = (q for q in (*QUESTIONS, ARITHMETIC) if q.words == words)
    cases = [case for one in rows for case in question.cases(one)]
    said, right = [case for case in cases if case.said], [case for case in cases if case.right]
    wrong, missed = sum(not case.right for case in said), sum(not case.said for case in right)
    return len(said), len(cases), wrong, len(cases) - len(right), missed, len(right)


def check_vanishing_in_training():
    rows = [
        row(warnings=[("VANISHING", 100)]),  # never learns: right
        row(learns_at(280), [("VANISHING", 100)]),  # at the end of the fifth that follows: wrong
        row(learns_at(300), [("VANISHING", 100)]),  # after it: right
        row(learns_at(40), [("VANISHING", 100)]),  # had learnt: wrong
        row(),  # never learns, nothing said: missed
        row(learns_at(300)),
    ]
    assert counts("VANISHING, in training", rows) == (4, 6, 2, 3, 1, 3)


def check_exploding_in_training():
    rows = [
        row(warnings=[("EXPLODING", 200)]),  # nothing happens: wrong
        row(warnings=[("EXPLODING", 200)], worst=spike(15)),  # steps 300 to 320: right
        row(warnings=[("EXPLODING", 200)], worst=spike(20)),  # steps 400 to 420, too late: wrong
        row(warnings=[("EXPLODING", 200)], clipped=[0.6] * PIECES),  # right
        row([BAD] * 12, [("EXPLODING", 200)], finite=False),  # ends by a number that is none: right
        row(worst=spike(20)),  # missed
        row(worst=spike(2)),  # in the first tenth, where every loss is high: nothing to be said
        row(),
    ]
    assert counts("EXPLODING, in training", rows) == (5, 8, 2, 4, 1, 4)


def check_examined():
    rows = [
        row(verdicts=[("VANISHING", ""), ("REMEMBERS", ""), ("SHORT MEMORY BY DESIGN", "")]),
        row(learns_at(700), verdicts=[("VANISHING", ""), ("SHORT MEMORY BY DESIGN", "")]),
        row(
            learns_at(500),
            verdicts=[("REMEMBERS", ""), ("SHORT MEMORY BY DESIGN", ""), ("EXPLODING", "")],
            used_again=[0.1, 0.2, 0.3],
        ),
        row(learns_at(500), highway=False, used_again=[0.1, 0.2, 0.3]),
        row(worst=spike(35), verdicts=[("EXPLODING", "")]),
    ]
    ended = row([BAD, None], finite=False)
    del ended["verdicts"]  # it was over before it could be examined
    rows.append(ended)
    assert counts("VANISHING, examined", rows) == (2, 5, 1, 3, 1, 2)
    assert counts("EXPLODING, examined", rows) == (2, 5, 1, 4, 0, 1)
    assert counts("SHORT MEMORY BY DESIGN, examined", rows) == (3, 4, 1, 1, 1, 3)
    assert counts("REMEMBERS, examined", rows) == (2, 4, 1, 3, 0, 1)
    rows[1]["used_again"] = [0.01, 0.2, 0.3]  # used, and not said
    assert counts("REMEMBERS, examined", rows) == (2, 4, 1, 2, 1, 2)
    # i: right, f: wrong, o: missed; a network that has learnt nothing is no case.
    again = {"i": False, "f": True, "o": False}
    decorated = row(verdicts=[("DECORATIVE", "i"), ("DECORATIVE", "f")], gates_again=again)
    assert counts("DECORATIVE, examined", [decorated, row()]) == (2, 3, 1, 1, 1, 2)


def check_gates_and_units():
    units = [
        {"unit": 0, "verdict": "INTEGRATOR", "kill": 0.2, "fresh": [0.1, 0.2, 0.3]},
        {"unit": 1, "verdict": "INTEGRATOR", "kill": 0.2, "fresh": [-0.1, 0.1, 0.3]},
        {"unit": 2, "verdict": "DEAD", "kill": 0.0, "fresh": [-0.1, 0.0, 0.1]},
        {"unit": 3, "verdict": "DEAD", "kill": 0.0, "fresh": [0.001, 0.002, 0.003]},
        {"unit": 4, "verdict": "DEAD", "kill": 0.0, "fresh": [-0.1, -0.05, -0.01]},
        {"unit": 5, "verdict": "DEAD", "kill": 0.0, "fresh": [None, 0.0, None]},  # could not be tried again
    ]
    rows = [row(verdicts=[("CONSTANT", "i"), ("CONSTANT", "f")], constant_again=["f"], units=units), row()]
    assert counts("CONSTANT, examined", rows) == (2, 4, 1, 3, 0, 1)
    rows[0]["warnings"] = [{"name": "CONSTANT", "step": 20, "about": "i"}]
    rows[1]["warnings"] = [{"name": "CONSTANT", "step": 20, "about": "f"}]  # not there any more when it is examined
    assert counts("CONSTANT, in training", rows) == (2, 4, 1, 2, 1, 2)
    assert counts("INTEGRATOR", rows) == (2, 5, 1, 3, 1, 2)
    assert counts("DEAD", rows) == (3, 5, 1, 2, 1, 3)


CHECKS = {
    "vanishing": check_vanishing_in_training,
    "exploding": check_exploding_in_training,
    "examined": check_examined,
    "units": check_gates_and_units,
}


@pytest.mark.parametrize("name", CHECKS)
def test_false_alarms_and_misses_are_counted(name):
    CHECKS[name]()


MUTANTS = {
    "a shorter fifth": ("SOON", 0.1, "vanishing"),
    "a milder sense of learnt": ("LEARNT", 0.99, "examined"),
    "no harm by a high loss": ("BURST", 100.0, "exploding"),
    "no harm by clipping": ("MOSTLY", 0.9, "exploding"),
    "pieces of other steps": ("EVERY", 10, "vanishing"),
    "an alarm that is always right": ("learnt_by", lambda row, step: False, "vanishing"),
    "training that never blows up": ("blew_up", lambda row, first, last: False, "exploding"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_another_ground_truth_gives_other_counts(mutant, monkeypatch):
    attribute, value, name = MUTANTS[mutant]
    monkeypatch.setattr(calibration_table, attribute, value)
    with pytest.raises(AssertionError):
        CHECKS[name]()


def test_gradient_dead_is_held_against_what_autograd_left():
    found = [
        {"lag": 200, "largest": 1e-39},
        {"lag": 200, "largest": 0.0},
        {"lag": 200, "largest": 2e-38},  # a normal number: wrong
        {"lag": None, "largest": 1e-3},
        {"lag": None, "largest": 0.0},  # missed
    ]
    rows = [{"dead": {**one, "before": 1e-30, "tiny": 2.0**-126}} for one in found]
    assert counts("GRADIENT DEAD", rows) == (3, 5, 1, 2, 1, 3)


@pytest.mark.parametrize(
    ("count", "of", "interval"),
    # Of Newcombe 1998 (Statistics in Medicine 17), table I: 81 of 263, 15 of 148, 0 of 20 and 1 of 29.
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
        (20, 20, (0.8389, 1.0)),
    ],
)
def test_the_interval_is_wilsons(count, of, interval):
    assert wilson(count, of) == pytest.approx(interval, abs=5e-5)


def test_the_interval_of_nothing_is_refused():
    for count, of in ((0, 0), (3, 2), (-1, 4)):
        with pytest.raises(ValueError, match=f"{count} of {of} is no share"):
            wilson(count, of)


def test_a_line_prints_counts_with_every_share():
    rows = [row(warnings=[("VANISHING", 100)]), row(learns_at(200), [("VANISHING", 100)]), row()]
    shown = line(QUESTIONS[0], rows)
    assert shown[:3] == ["VANISHING, in training", "2 of 3 runs", "1"]
    assert shown[3:] == ["1 of 2: 50% (9% to 91%)", "1 of 1: 100% (21% to 100%)", "1 of 2"]
    assert line(QUESTIONS[2], rows)[2:] == ["0", "none", "0 of 3: 0% (0% to 56%)", "0 of 0"]


def test_an_unfinished_set_says_so():
    known = plans()
    rows = [{**row(), "key": plan.key} for plan in known if not plan.long]
    rows += [
        {"key": plan.key, "dead": {"lag": 3, "largest": 0.0, "before": 1.0, "tiny": 1e-38}}
        for plan in known
        if plan.long
    ]
    assert "not finished" not in report(rows, known)
    text = report(rows[:-13], known)
    assert "not finished" in text and text.startswith("71 of 72 short runs and 0 of 12 untrained networks")


def test_misses_for_another_reason_are_told_apart():
    """Where the gradient reaches the lag that is needed, it has not vanished."""
    rows = [row(), row(reached=-3.01), row(reached=-2.99), row(reached=None), row(learns_at(100), reached=-1.0)]
    text = report(rows, plans())
    assert "Of the 4 runs in which VANISHING was missed on examination, 1 had a relative gradient of 0.001" in text
    assert "was missed on examination" not in report(rows[-1:], plans())


def test_remembers_is_told_beside_what_was_learnt():
    said = [("REMEMBERS", "")]
    text = report([row(learns_at(500), verdicts=said), row(verdicts=said), row(learns_at(500))], plans())
    assert "Of the 2 runs of which REMEMBERS was said, 1 had learnt at the end." in text


def test_what_false_alarms_have_in_common_is_told():
    told = [("EXPLODING", 200), ("CONSTANT", 20)]
    text = report([row(learns_at(100), told), row(warnings=told), row(warnings=told, worst=spike(15))], plans())
    assert "in vain in 2 runs, in 2 of them for a jump" in text and "; 1 of these runs had learnt" in text
    assert "CONSTANT was told after 20 steps of training at the earliest, 20 at the latest." in text


def test_the_page_is_written_between_its_markers_only(tmp_path):
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_report(page, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    for wrong in ("nothing", f"{END} {BEGIN}", f"{page}{page}"):
        with pytest.raises(ValueError, match="once each, in this order"):
            with_report(wrong, "new")
    assert "stays as it is" in calibration.publish("new", tmp_path / "none.md")


def test_the_set_is_what_was_asked_for():
    keys = [plan.key for plan in plans()]
    assert len(keys) == len(set(keys)) == 84
    trained = [plan for plan in plans() if not plan.long]
    assert len(trained) == 72 and {plan.task for plan in trained} == {"adding", "copy", "order"}
    assert {plan.start for plan in trained if plan.cell == "rnn"} == {"default", "orthogonal", "steep"}
    assert {plan.cell for plan in trained} == {"rnn", "gru", "lstm", "peephole_lstm"}


def test_a_steep_start_multiplies_the_gradient_on_its_way_back():
    plans = (Plan("order", "rnn", start, 11) for start in ("orthogonal", "steep"))
    level, steep = (network_of(plan, calibration_runs.TASKS["order"]).rnn.weight_hh_l0.detach() for plan in plans)
    assert torch.equal(steep, calibration_runs.STEEP * level)
    assert torch.linalg.svdvals(steep) == pytest.approx(1.5, rel=1e-5)


@pytest.fixture
def tiny(monkeypatch):
    """Runs of a second in place of ten."""
    for name, value in {"STEPS": 60, "EXAMINED": 40, "SHOWN": 8, "SHOWN_AT_ONCE": 8, "FRESH": 16}.items():
        monkeypatch.setattr(calibration_runs, name, value)


def test_two_tiny_runs_are_kept_and_not_repeated(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    asked = ["--out", str(tmp_path), "--only", "order/rnn/default/11", "--only", "order/lstm/forget*/11"]
    assert calibration.main(asked) == 0
    path = tmp_path / calibration.ROWS
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    assert [one["key"] for one in rows] == ["order/rnn/default/11", "order/lstm/forget bias 1/11"]
    for one in rows:
        assert one["code"] == calibration_runs.fingerprint() and len(one["loss"]) == 3 and one["finite"]
        assert 0 < one["held_out_end"] < 3 and isinstance(one["verdicts"], list)
    assert [one["highway"] for one in rows] == [False, True]
    assert (tmp_path / calibration.TABLE).read_text().count("2 of 72 short runs") == 1
    path.write_text(path.read_text() + '{"key": "cut sh')
    before = path.read_text()
    with monkeypatch.context() as patch:
        patch.setattr(calibration_runs, "run", lambda plan: pytest.fail(f"{plan.key} is repeated"))
        assert calibration.main(asked) == 0 and path.read_text() == before
    monkeypatch.setattr(calibration, "fingerprint", lambda: "other code")
    assert "earlier code" not in capsys.readouterr().out
    assert calibration.main([*asked, "--table"]) == 0
    assert f"of earlier code ({calibration_runs.fingerprint()}; now other code)" in capsys.readouterr().out
    assert calibration.main(asked[:4]) == 0
    assert json.loads(path.read_text().splitlines()[-1])["code"] == "other code"


def test_a_run_is_the_same_again(tiny):
    plan = Plan("order", "rnn", "default", 11)
    first = calibration_runs.run(plan)
    assert calibration_runs.run(plan) == first
    assert calibration_runs.run(Plan("order", "rnn", "default", 12)) != first


@pytest.mark.parametrize("cell", calibration_runs.LONG_CELLS)
def test_what_autograd_leaves_is_the_memorys_own_gradient(cell):
    """Where it is still a normal number, it is what examine measures in float64; a neighbouring lag is not."""
    network = network_of(Plan("long", cell, "default", 11), LONG)
    held_out = LONG.held_out()
    batch = Batch(held_out.input[:, :5], held_out.target[:, :5])
    with hg.watch(network) as seen:
        losses_of(LONG)(network, batch).sum().backward()
    record = seen[LAYER].record(needs_lag=LONG.needs_lag, sources=1, content=False)
    truth = 10.0 ** record.arrays["largest_entry"][40]
    assert autograd_entry(network, LONG, batch, 40) == pytest.approx(truth, rel=1e-3)
    assert autograd_entry(network, LONG, batch, 41) != pytest.approx(truth, rel=1e-3)


def test_what_is_asked_wrongly_is_refused(tmp_path, capsys):
    assert calibration.main(["--only", "no/such/run", "--out", str(tmp_path)]) == 2
    assert calibration.main(["--workers", "0", "--out", str(tmp_path)]) == 2
    assert "--only names no run" in capsys.readouterr().err
    assert calibration.main(["--table", "--out", str(tmp_path)]) == 2
    assert "holds no run;" in capsys.readouterr().err
    assert calibration.main(["--list", "--only", "copy/gru/*"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_made_up_rows_are_left_as_they_are():
    rows = [row(learns_at(200), [("VANISHING", 100)])]
    before = copy.deepcopy(rows)
    report(rows, plans())
    assert rows == before
