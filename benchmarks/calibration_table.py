"""What the calibration's rows say of each verdict: how often it was given, how often it was wrong, what was missed.

What counts as right is said in `benchmarks.calibration`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.calibration_runs import EVERY, Plan, Row
from benchmarks.table import markdown
from headgate.inspection.thresholds import DEFAULTS

BEGIN, END = "<!-- calibration writes from here -->", "<!-- to here -->"
LEARNT, SOON, BURST, MOSTLY, ACCOUNT = 0.4, 0.2, 2.0, 0.5, 0.01
COLUMNS = (
    *("verdict", "said", "wrong", "share of what was said (95 %)", "of cases where it would be wrong (95 %)"),
    "missed",
)
TRAINING, EXAMINED = "in training", "examined"


@dataclass(frozen=True)
class Case:
    """One occasion on which a verdict could be given: whether it was, and whether it was, or would have been, right."""

    said: bool
    right: bool


@dataclass(frozen=True)
class Question:
    """A verdict and where its cases come from.

    Attributes:
        words: as the table calls it.
        cases: of one row.
        missed: whether a case that was right and unsaid is a miss; what a verdict says may be one of many reasons.
        what: what one case is.
    """

    words: str
    cases: Callable[[Row], Iterator[Case]]
    missed: bool = True
    what: str = "runs"


# --- what became of a run -----------------------------------------------------------------------------------------


def learnt(row: Row, held_out: str) -> bool:
    """Whether the loss on held-out sequences is below the share of chance that counts as learnt."""
    loss = row[held_out]
    return loss is not None and loss < LEARNT * row["chance"]


def learnt_by(row: Row, step: float) -> bool:
    """Whether the training loss was so in any piece that ended by then."""
    return any(
        loss is not None and loss < LEARNT * row["chance"] and (k + 1) * EVERY <= step
        for k, loss in enumerate(row["loss"])
    )


def blew_up(row: Row, first: float, last: float) -> bool:
    """Whether training came to harm between two steps; pieces that the first or the last step is in count whole."""
    pieces = range(int(first // EVERY), min(len(row["loss"]), math.ceil(last / EVERY)))
    if not row["finite"] and last >= (len(row["loss"]) - 1) * EVERY:
        return True
    high = (k for k in pieces if k * EVERY >= row["steps"] / 10)
    if any(row["worst"][k] is None or row["worst"][k] > BURST * row["chance"] for k in high):
        return True
    return bool(pieces) and sum(row["clipped"][k] for k in pieces) / len(pieces) > MOSTLY


# --- cases ----------------------------------------------------------------------------------------------------------


def _in_training(name: str, right: Callable[[Row, int | None], bool]) -> Callable[[Row], Iterator[Case]]:
    def cases(row: Row) -> Iterator[Case]:
        step = next((warning["step"] for warning in row["warnings"] if warning["name"] == name), None)
        yield Case(step is not None, right(row, step))

    return cases


def _examined(
    name: str, right: Callable[[Row], bool], counts: Callable[[Row], bool] = lambda row: True
) -> Callable[[Row], Iterator[Case]]:
    def cases(row: Row) -> Iterator[Case]:
        if "verdicts" in row and counts(row):
            yield Case(any(verdict["name"] == name for verdict in row["verdicts"]), right(row))

    return cases


def _not_learnt_soon(row: Row, step: int | None) -> bool:
    """No step: never."""
    if step is None:
        return not learnt(row, "held_out_end")
    return not learnt_by(row, step + SOON * row["steps"])


def _blew_up_soon(row: Row, step: int | None) -> bool:
    """A warning needs two looks in a row, so what it is about began a look before."""
    if step is None:
        return blew_up(row, 0, row["steps"])
    return blew_up(row, step - EVERY, step + SOON * row["steps"])


def _constant_in_training(row: Row) -> Iterator[Case]:
    if "verdicts" in row:
        told = {warning["about"] for warning in row["warnings"] if warning["name"] == "CONSTANT"}
        yield from (Case(gate in told, gate in _called_constant(row)) for gate in row["gates"])


def _constant(row: Row) -> Iterator[Case]:
    if "verdicts" in row:
        yield from (Case(gate in _called_constant(row), gate in row["constant_again"]) for gate in row["gates"])


def _called_constant(row: Row) -> set[str]:
    return {verdict["about"] for verdict in row["verdicts"] if verdict["name"] == "CONSTANT"}


def _decorative(row: Row) -> Iterator[Case]:
    if "verdicts" in row:
        told = {verdict["about"] for verdict in row["verdicts"] if verdict["name"] == "DECORATIVE"}
        yield from (Case(gate in told, not matters) for gate, matters in row["gates_again"].items())


def _above_nothing(interval: Sequence[float | None]) -> bool:
    return interval[0] is not None and interval[0] > 0


def _unit(name: str, needed: bool) -> Callable[[Row], Iterator[Case]]:
    def cases(row: Row) -> Iterator[Case]:
        for unit in row.get("units", ()):
            if unit["fresh"][0] is not None:
                yield Case(unit["verdict"] == name, _above_nothing(unit["fresh"]) == needed)

    return cases


def _dead(row: Row) -> Iterator[Case]:
    found = row["dead"]
    yield Case(found["lag"] is not None, found["largest"] < found["tiny"])


VANISHING = Question(f"VANISHING, {EXAMINED}", _examined("VANISHING", lambda row: not learnt(row, "held_out_end")))
EXPLODING = Question(f"EXPLODING, {TRAINING}", _in_training("EXPLODING", _blew_up_soon))
REMEMBERS = Question(
    f"REMEMBERS, {EXAMINED}",
    _examined("REMEMBERS", lambda row: _above_nothing(row["used_again"]), lambda row: row["highway"]),
)
QUESTIONS = (
    Question(f"VANISHING, {TRAINING}", _in_training("VANISHING", _not_learnt_soon)),
    VANISHING,
    EXPLODING,
    Question(
        f"EXPLODING, {EXAMINED}",
        _examined("EXPLODING", lambda row: blew_up(row, row["examined"], row["steps"])),
    ),
    Question(
        f"SHORT MEMORY BY DESIGN, {EXAMINED}",
        _examined(
            "SHORT MEMORY BY DESIGN",
            lambda row: not learnt(row, "held_out_examined"),
            lambda row: row["highway"],
        ),
        missed=False,
    ),
    REMEMBERS,
    Question(f"CONSTANT, {TRAINING}", _constant_in_training, what="gates"),
    Question(f"CONSTANT, {EXAMINED}", _constant, what="gates"),
    Question(f"DECORATIVE, {EXAMINED}", _decorative, what="gates"),
    Question("INTEGRATOR", _unit("INTEGRATOR", needed=True), what="units"),
    Question("DEAD", _unit("DEAD", needed=False), what="units"),
)
ARITHMETIC = Question("GRADIENT DEAD", _dead, what="untrained networks")


# --- the table ------------------------------------------------------------------------------------------------------


def wilson(count: int, of: int) -> tuple[float, float]:
    """Both ends of the 95 % interval of a share (Wilson 1927, Journal of the American Statistical Association 22).

    Raises:
        ValueError: of nothing there is no share, and no more can be counted than there are.
    """
    if not 0 <= count <= of or of < 1:
        raise ValueError(f"wilson: {count} of {of} is no share; give 0 <= count <= of and of >= 1.")
    z = 1.959964
    middle = (count + z * z / 2) / (of + z * z)
    half = z / (of + z * z) * math.sqrt(count * (of - count) / of + z * z / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def line(question: Question, rows: Sequence[Row]) -> list[str]:
    """One line of the table: counts, and shares with their intervals."""
    cases = [case for row in rows for case in question.cases(row)]
    said = [case for case in cases if case.said]
    wrong = sum(not case.right for case in said)
    right = sum(case.right for case in cases)
    missed = f"{sum(case.right and not case.said for case in cases)} of {right}" if question.missed else ""
    counted = f"{len(said)} of {len(cases)} {question.what}"
    return [question.words, counted, str(wrong), _share(wrong, len(said)), _share(wrong, len(cases) - right), missed]


def report(rows: Sequence[Row], plans: Sequence[Plan]) -> str:
    """The table and what has to be said of it; an unfinished set says so."""
    planned = {plan.key: plan for plan in plans}
    rows = [row for row in rows if row["key"] in planned]
    trained = [row for row in rows if not planned[row["key"]].long]
    long = [row for row in rows if planned[row["key"]].long]
    all_trained = sum(not plan.long for plan in plans)
    lines = [*(line(question, trained) for question in QUESTIONS), line(ARITHMETIC, long)]
    unfinished = " **The set is not finished; these counts are of what is there.**" if len(rows) < len(plans) else ""
    end, solved = sum(learnt(row, "held_out_end") for row in trained), sum(row["solved"] for row in trained)
    parts = [
        f"{len(trained)} of {all_trained} short runs and {len(long)} of {len(plans) - all_trained} untrained networks; "
        f"{end} runs had learnt at the end, {solved} by their task's own rule.{unfinished}",
        markdown(COLUMNS, lines),
        *_remarks(trained, long),
    ]
    return "\n\n".join(parts)


def with_report(page: str, text: str) -> str:
    """A page with what stands between its markers made anew.

    Raises:
        ValueError: it does not have the two markers, once each, in their order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in after or END in before + after:
        raise ValueError(f"the page has to hold {BEGIN} and {END} once each, in this order.")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def _share(count: int, of: int) -> str:
    if not of:
        return "none"
    low, high = wilson(count, of)
    return f"{count} of {of}: {count / of:.0%} ({low:.0%} to {high:.0%})"


def _remarks(rows: Sequence[Row], long: Sequence[Row]) -> Iterator[str]:
    yield (
        "What counts as wrong is said at the head of `benchmarks/calibration.py`, and no threshold was chosen by these "
        "runs. Units and gates of one network are not independent, so their intervals are too narrow."
    )
    yield (
        "Without a row: TBPTT-BLIND and DTYPE-CAPPED compare what the user stated, and no run here truncates or has "
        "gates in half precision; NEED BEYOND DATA compares the need with the data, and these data have it; COULD "
        "REMEMBER says itself that use was not shown. Of a verdict that was never said, only its silence was tested."
    )
    dead = [(row, unit) for row in rows for unit in row.get("units", ()) if unit["verdict"] == "DEAD"]
    dear = sum(unit["fresh"][1] is not None and unit["fresh"][1] > _account(row) for row, unit in dead)
    if dead:
        yield (
            f"Of {len(dead)} units called DEAD, {dear} cost more than {ACCOUNT:.0%} of what was learnt (of chance, "
            "where nothing was) when they were held on other sequences."
        )
    sharp = [found["before"] >= found["tiny"] for found in (row["dead"] for row in long) if found["lag"] is not None]
    if sharp:
        yield (
            "Where GRADIENT DEAD was said, autograd still left a normal number at nine tenths of that lag in "
            f"{sum(sharp)} of {len(sharp)} networks."
        )
    yield from _other_reasons(rows)
    yield from _remembered(rows)
    yield from _told_too_early(rows)
    left = [row["key"] for row in rows if "verdicts" not in row]
    if left:
        yield f"Not examined, since training had ended or nothing could be followed: {', '.join(left)}."


def _other_reasons(rows: Sequence[Row]) -> Iterator[str]:
    """A run can fail although its gradient reaches."""
    missed = [row for row in rows for case in VANISHING.cases(row) if case.right and not case.said]
    if missed:
        reached = sum(row["reached"] is not None and row["reached"] >= math.log10(DEFAULTS.weak) for row in missed)
        yield (
            f"Of the {len(missed)} runs in which VANISHING was missed on examination, {reached} had a relative "
            f"gradient of {DEFAULTS.weak:g} or more at the lag that the task needs: they failed for another reason."
        )


def _remembered(rows: Sequence[Row]) -> Iterator[str]:
    """By what was asked of it before it asked for use."""
    said = [row for row in rows for case in REMEMBERS.cases(row) if case.said]
    if said:
        end = sum(learnt(row, "held_out_end") for row in said)
        yield f"Of the {len(said)} runs of which REMEMBERS was said, {end} had learnt at the end."


def _told_too_early(rows: Sequence[Row]) -> Iterator[str]:
    """What the false alarms in training have in common."""
    wrong = [row for row in rows for case in EXPLODING.cases(row) if case.said and not case.right]
    if wrong:
        said = [w["number"] for row in wrong for w in row["warnings"] if w["name"] == "EXPLODING"]
        jumps = sum(number.startswith("norm") for number in said)
        good = sum(learnt(row, "held_out_end") for row in wrong)
        yield (
            f"EXPLODING was told in vain in {len(wrong)} runs, in {jumps} of them for a jump of the gradient's norm, "
            f"with a loss above its usual; {good} of these runs had learnt at the end."
        )
    steps = [w["step"] for row in rows for w in row["warnings"] if w["name"] == "CONSTANT"]
    if steps:
        yield f"CONSTANT was told after {min(steps)} steps of training at the earliest, {max(steps)} at the latest."


def _account(row: Row) -> float:
    """A hundredth, in the unit of that network's kills."""
    return ACCOUNT * (row["chance"] if row["unit_of_kill"] == "loss" else 1.0)
