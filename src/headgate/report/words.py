"""What the numbers say, in sentences. Nothing here knows the outcome beforehand: each sentence is chosen by a rule."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.report.scale import magnitude, percent
from headgate.report.summary import Row, Summary

WEAK, STRONG, CHANGED = 1e-3, 1e-7, 0.1
VANISHED_SOURCE = "vanishing is less than 10⁻³ here, the ratio that AUTOTRAINER, Zhang et al. 2021, uses between layers"


def score(value: float) -> str:
    """A score as tables print it: a share in percent, never rounded up to a whole it is not."""
    text = f"{100 * value:.1f} %"
    return "> 99.9 %" if text == "100.0 %" and value < 1 else text


def verdict(row: Row) -> str:
    """Solved on all seeds, on some, or on none."""
    if row.always:
        return "yes"
    diverged = f" (diverged on {row.diverged})" if row.diverged else ""
    return ("no" if row.solved == 0 else f"{row.solved} of {len(row.trials)} seeds") + diverged


def headline(summary: Summary) -> str:
    """Who solved what, in one sentence."""
    groups: dict[tuple[str, ...], list[str]] = {}
    phrases = [task["phrase"] for task in summary.results["tasks"]]
    for cell in summary.results["cells"]:
        rows = [row for row in summary.rows if row.cell["key"] == cell["key"]]
        groups.setdefault(tuple(row.task["phrase"] for row in rows if row.always), []).append(cell["label"])
    parts = [_solved(labels, solved, phrases) for solved, labels in sorted(groups.items(), key=lambda g: -len(g[0]))]
    return _capital("; ".join(parts)) + "."


def answer(summary: Summary) -> list[str]:
    """The sentences at the top of the page: what happened, why gradients vanish, and what the gates did about it."""
    sentences = [headline(summary)]
    sentences += [_failure(row) for row in summary.expected if not row.always]
    found = (_why_vanishing(summary), _gates(summary), _after(_most_telling(summary)), _highway(summary))
    return sentences + [sentence for sentence in found if sentence]


def of_task(rows: Sequence[Row]) -> list[str]:
    """Two or three sentences about one task."""
    sentences = [_scores(rows)]
    gated, plain = _by_gates(rows)
    won, lost = [row for row in rows if row.always], [row for row in rows if not row.always]
    sentences += [_why_lost(row) for row in lost]
    if gated and plain and all(row.always for row in plain):
        sentences.append(_no_gate_needed(plain, gated))
    elif gated and plain and all(row.always for row in gated) and not any(row.solved for row in plain):
        sentences.append(f"On this task the gates made the difference: {_and([row.label for row in gated])} had them.")
    elif not won:
        sentences.append("Nobody solved it on every seed, so this run does not tell the cells apart.")
    return sentences


def _solved(labels: list[str], solved: tuple[str, ...], phrases: list[str]) -> str:
    who = "the " + _and(labels)
    if not solved:
        return f"{who} solved {'neither' if len(phrases) == 2 else 'none'} of the tasks on every seed"
    if len(solved) == len(phrases) and len(phrases) > 1:
        return f"{who} solved {'both tasks' if len(phrases) == 2 else 'all tasks'} on every seed"
    return f"{who} solved {'only ' if len(phrases) > 1 else ''}{_and(solved)}"


def _failure(row: Row) -> str:
    return (
        f"This run does not show what it is there to show: the {row.label} solved {row.task['phrase']} on "
        f"{row.solved} of {len(row.trials)} seeds only. Please report it, with the seed."
    )


def _scores(rows: Sequence[Row]) -> str:
    each = ", ".join(f"{row.label} {score(row.score)}" for row in rows)
    task = rows[0].task
    return f"{_capital(task['score_words'])}: {each}; {task['baseline_words']} gets {score(rows[0].baseline)}."


def _most_telling(summary: Summary) -> list[Row]:
    """The task on which the cells differ most in whether they solved it; the first, if they do not differ."""
    tasks = [rows for _, rows in summary.by_task()]
    return max(tasks, key=lambda rows: max(r.solved for r in rows) - min(r.solved for r in rows))


def _why_vanishing(summary: Summary) -> str:
    rows = _longest(summary)
    steps = _steps(rows[0])
    if all(row.reached("default") < WEAK for row in rows):
        each = _and([f"{_factor(row, 'default')} in the {row.label}" for row in rows])
        left = magnitude(max(row.reached("default") for row in rows))
        return (
            "Gradients vanish because each step back multiplies them by about the same factor. With torch.nn's default "
            f"start it is {each}, so that {steps} steps leave {left} at most."
        )
    each = _and([f"{magnitude(row.reached('default'))} in the {row.label}" for row in rows])
    return f"With torch.nn's default start, the gradient {steps} steps back, relative to the last, is {each}."


def _gates(summary: Summary) -> str | None:
    rows = _longest(summary)
    gated = [row for row in rows if row.cell["keeps"]]
    if not gated:
        return None
    row = next((row for row in gated if row.cell["key"] == summary.results["expected"]), gated[0])
    keeps, longest = row.cell["keeps"], row.task["recipe"]["longest"]
    plain = "".join(
        f" The {other.label}, with the orthogonal recurrence that every cell gets here, starts at "
        f"{magnitude(other.reached('before'))}."
        for other in rows
        if not other.cell["gates"]
    )
    if row.reached("default") < WEAK <= row.reached("before"):
        return (
            f"Gates help if they are open: with {keeps} biased to keep over up to {longest} steps, the {row.label}'s "
            f"factor is {_factor(row, 'before')} before any training, and {magnitude(row.reached('before'))} arrives, "
            f"{percent(row.highway('before'))} of it along the highway alone, from memory to memory through {keeps}."
            f"{plain}"
        )
    return (
        f"With {keeps} biased to keep over up to {longest} steps, {magnitude(row.reached('before'))} arrives in the "
        f"{row.label} before any training, {percent(row.highway('before'))} of it along the highway alone.{plain}"
    )


def _after(rows: Sequence[Row]) -> str:
    best, worst = (f(rows, key=lambda row: row.reached("after")) for f in (max, min))
    high, low = best.reached("after"), worst.reached("after")
    where = f"After training on {best.task['phrase']}, the gradient {_steps(best)} steps back is"
    if low >= WEAK:
        return (
            f"{where} between {magnitude(low)} ({worst.label}) and {magnitude(high)} ({best.label}) times that at the "
            "last step: in none of the networks did it vanish."
        )
    if high < WEAK:
        return f"{where} at most {magnitude(high)} times that at the last step ({best.label}): it vanished in all."
    return (
        f"{where} {magnitude(high)} times that at the last step in the {best.label}, and {magnitude(low)} times in the "
        f"{worst.label}."
    )


def _highway(summary: Summary) -> str | None:
    row = next((r for r in _longest(summary) if r.cell["key"] == summary.results["expected"]), None)
    if row is None:
        return None
    before, after = row.highway("before"), row.highway("after")
    numbers = f"from {percent(before)} to {percent(after)}"
    if after < before - CHANGED:
        return (
            f"Training took the highway's share at the {row.label}'s first step {numbers}: what it learned sends "
            "gradient through the gates' own weights as well, so a product of forget gates is not the whole story."
        )
    if after > before + CHANGED:
        return f"Training took the highway's share at the {row.label}'s first step {numbers}: onto the highway."
    return f"Training left the highway's share at the {row.label}'s first step much as it was, {numbers}."


def _why_lost(row: Row) -> str:
    before, after = row.reached("before"), row.reached("after")
    verb = "did not solve it" if row.solved == 0 else f"solved it on {row.solved} of {len(row.trials)} seeds"
    numbers = f"{magnitude(before)} before training and {magnitude(after)} after"
    if row.diverged:
        seeds = f"{row.diverged} of {len(row.trials)} seeds"
        return f"The {row.label} {verb}: its loss stopped being a finite number on {seeds}."
    if max(before, after) < STRONG:
        return f"The {row.label} {verb}: its gradient had all but gone by the first step, {numbers}."
    if max(before, after) < WEAK:
        return f"The {row.label} {verb}: its gradient had faded by the first step to {numbers} ({VANISHED_SOURCE})."
    if after < WEAK:
        return f"The {row.label} {verb}: its gradient faded while it trained, at the first step {numbers}."
    return f"The {row.label} {verb}, though not for want of gradient: at the first step it had {numbers}."


def _no_gate_needed(plain: Sequence[Row], gated: Sequence[Row]) -> str:
    steps = _steps(plain[0]) + 1
    reached = max(row.reached("before") for row in plain)
    better = [row.label for row in gated if row.score > max(p.score for p in plain)]
    compare = f"{_and(better)} did better, though" if better else "no cell with gates did better"
    return (
        f"The {_and([row.label for row in plain])} solved it without a gate: over {steps} steps its orthogonal start "
        f"lets {magnitude(reached)} of the gradient through; {compare}."
    )


def _steps(row: Row) -> int:
    return len(row.profiles["after"].middle) - 1


def _factor(row: Row, moment: str) -> str:
    """The factor by which one step back multiplies the gradient, geometric mean over all steps."""
    return f"{row.reached(moment) ** (1 / _steps(row)):.3f}"


def _by_gates(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    return [row for row in rows if row.cell["gates"]], [row for row in rows if not row.cell["gates"]]


def _longest(summary: Summary) -> list[Row]:
    return max((rows for _, rows in summary.by_task()), key=lambda rows: rows[0].task["length"])


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
