"""Sentences follow the numbers: other numbers, other sentences."""

from __future__ import annotations

import pytest
from report.made_up import CELLS, VANISHING, Made, usual

from headgate.report.words import answer, headline, of_task, score, verdict


def said(made: Made) -> str:
    """Everything, as one text with plain spaces."""
    summary = made.summary()
    sentences = answer(summary) + [s for _, rows in summary.by_task() for s in of_task(rows)]
    return " ".join(sentences).replace("\u00a0", " ")


def test_what_the_demo_usually_finds():
    text = said(usual())
    assert text.startswith("The GRU and LSTM solved both tasks on every seed; the RNN solved only the digits.")
    assert "each step back multiplies them by about the same factor" in text and "0.215 in the RNN" in text
    assert "80 % of it along the highway alone, from memory to memory through f" in text
    assert "is 1.7 times that at the last step in the LSTM, and 10⁻⁵ times in the RNN" in text
    assert "Training took the highway's share at the LSTM's first step from 80 % to 40 %" in text
    assert "its gradient had faded by the first step to 10⁻⁴ before training and 10⁻⁵ after" in text
    assert "On this task the gates made the difference: GRU and LSTM had them." in text
    assert "does not show" not in text


@pytest.mark.parametrize("seeds", (0, 2))
def test_an_lstm_that_fails_is_said_to_fail(seeds):
    made = usual()
    made.solved["adding", "lstm"] = seeds
    text = said(made)
    assert "This run does not show what it is there to show" in text
    assert f"the LSTM solved the adding problem on {seeds} of 3 seeds only" in text
    assert "made the difference" not in text
    assert not made.summary().as_expected and usual().summary().as_expected


def test_a_plain_network_that_solves_it_is_said_to():
    text = said(Made(reached={**VANISHING, ("adding", "rnn", "before"): 0.02}))
    assert text.startswith("The RNN, GRU and LSTM solved both tasks on every seed.")
    assert (
        "The RNN solved it without a gate: over 31 steps its orthogonal start lets 0.02 of the gradient through" in text
    )
    assert "made the difference" not in text and "did not solve" not in text


def test_who_did_better_is_said():
    worse = Made(scores={("digits", "rnn"): 0.91, ("digits", "lstm"): 0.95, ("digits", "gru"): 0.90})
    assert "LSTM did better, though" in said(worse)
    assert "no cell with gates did better" in said(Made())


def test_nothing_vanished_is_said():
    text = said(Made())
    assert "in none of the networks did it vanish" in text
    assert "multiplies them by about the same factor" not in text
    assert "is 0.5 in the RNN, 0.5 in the GRU and 0.5 in the LSTM" in text


def test_everything_vanished_is_said():
    everything = {("adding", cell, moment): 1e-9 for cell in CELLS for moment in ("default", "before", "after")}
    text = said(Made(solved={("adding", cell): 0 for cell in CELLS}, reached=everything))
    assert "it vanished in all" in text and "had all but gone by the first step" in text
    assert "Nobody solved it on every seed" in text


def test_a_failure_with_gradient_is_not_blamed_on_it():
    made = Made(solved={("adding", "rnn"): 1})
    assert "The RNN solved it on 1 of 3 seeds, though not for want of gradient" in said(made)
    fading = Made(solved={("adding", "rnn"): 0}, reached={("adding", "rnn", "after"): 1e-4})
    assert "its gradient faded while it trained" in said(fading)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    ((0.2, 0.9, "onto the highway"), (0.5, 0.45, "much as it was"), (0.9, 0.2, "the gates' own weights")),
)
def test_the_highway_may_gain_lose_or_stay(before, after, words):
    shares = {("adding", "lstm", "before"): before, ("adding", "lstm", "after"): after}
    assert words in said(Made(highway=shares))


def test_a_run_that_diverged_is_said():
    made = Made(solved={("adding", "gru"): 2}, diverged=(("adding", "gru"),))
    assert "its loss stopped being a finite number on 1 of 3 seeds" in said(made)
    row = next(row for row in made.summary().rows if row.cell["key"] == "gru")
    assert verdict(row) == "2 of 3 seeds (diverged on 1)"


def test_nobody_and_everybody_have_a_headline():
    assert headline(Made(solved={(t, c): 0 for t in ("adding", "digits") for c in CELLS}).summary()) == (
        "The RNN, GRU and LSTM solved neither of the tasks on every seed."
    )
    mixed = Made(solved={("adding", "rnn"): 0, ("digits", "gru"): 0}).summary()
    assert headline(mixed).startswith("The LSTM solved both tasks on every seed; ")


def test_a_score_is_not_rounded_up_to_perfect():
    assert score(1.0) == "100.0 %" and score(0.9996) == "> 99.9 %" and score(0.5) == "50.0 %"
