"""Intervals: what they cover, what they are of, and what they are not given for."""

import numpy as np
import pytest

from headgate.inspection.bootstrap import LOSS, SHARE, Paired


def covered(draw, truth, N, trials=400, spoil=lambda effect: effect):
    """Share of data sets whose interval holds the truth."""
    hits = 0
    for k in range(trials):
        random = np.random.default_rng([7, k])
        base, losses, chance = draw(random, N)
        low, _, high = spoil(Paired(base, chance, seed=k, resamples=400).effects(losses))
        hits += low <= truth <= high
    return hits / trials


def differences(random, N):
    """Sequences of very different difficulty, each a little harder under the condition: 0.3 on average."""
    base = random.exponential(5.0, N)
    return base, base + random.normal(0.3, 1.0, N), None


def shares(random, N):
    """Skewed losses of mean 0.5 and 0.8 beside a chance level of 2: 0.2 of what was learnt."""
    base = random.exponential(0.5, N)
    return base, base + random.exponential(0.3, N), 2.0


@pytest.mark.parametrize(("draw", "truth"), [(differences, 0.3), (shares, 0.2)])
def test_the_interval_covers_the_truth_as_often_as_it_says(draw, truth):
    """Binomial noise of 400 trials at 95 % is 1.1 %; the percentile bootstrap itself is a little narrow at N = 60."""
    assert 0.92 <= covered(draw, truth, N=60) <= 0.98


def test_an_interval_half_as_wide_is_noticed():
    """Mutant."""

    def halved(effect):
        low, middle, high = effect
        return (low + middle) / 2, middle, (middle + high) / 2

    assert covered(differences, 0.3, N=60, spoil=halved) < 0.8


def test_pairs_are_kept_together():
    """Not those of two samples, whose difficulty would drown the difference."""
    base, losses, _ = differences(np.random.default_rng(0), 200)
    low, _, high = Paired(base).effects(losses)
    mixed = Paired(base).effects(np.random.default_rng(1).permutation(losses))
    assert high - low < 0.35 < 1.2 < mixed[2] - mixed[0]


def test_shares_of_what_was_learnt():
    base = np.array([0.0, 0.2, 0.1, 0.1])
    paired = Paired(base, chance=1.1)
    assert (paired.unit, paired.scale) == (SHARE, pytest.approx(1.0))
    assert paired.effects(base + 0.25)[1] == pytest.approx(0.25)
    assert paired.effects(np.full(4, 1.1))[1] == pytest.approx(1.0)
    np.testing.assert_allclose(paired.effects(np.full(4, 1.1)), 1.0)


def test_a_loss_that_may_be_chance_gives_no_shares():
    base = np.random.default_rng(0).normal(1.0, 0.5, 50)
    for chance in (0.9, float(base.mean()), float(base.mean()) + 0.02):
        paired = Paired(base, chance)
        assert (paired.unit, paired.scale) == (LOSS, 1.0)
        assert paired.effects(base + 0.5)[1] == pytest.approx(0.5)
    assert Paired(base).unit == LOSS
    assert Paired(base, 3.0).effects(base + 0.5, raw=True)[1] == pytest.approx(0.5)


def test_no_difference_is_exactly_none():
    base = np.random.default_rng(0).normal(size=30)
    assert (Paired(base, chance=5.0).effects(base) == 0.0).all()


def test_many_conditions_at_once_are_each_by_itself():
    random = np.random.default_rng(0)
    base, losses = random.random(20), random.random((3, 2, 20))
    losses[1, 1, :7] = np.nan
    found = Paired(base, 2.0, seed=3).effects(losses)
    assert found.shape == (3, 2, 3)
    for place in np.ndindex(3, 2):
        np.testing.assert_allclose(found[place], Paired(base, 2.0, seed=3).effects(losses[place]))


def test_sequences_that_were_not_tried_count_for_nothing():
    base, losses = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 4.0, np.nan, np.nan])
    assert Paired(base).effects(losses)[1] == pytest.approx(1.5)
    assert np.isnan(Paired(base).effects(np.full(4, np.nan))).all()
    low, middle, high = Paired(base).effects(np.array([2.0, np.nan, np.nan, np.nan]))
    assert (middle, np.isnan(low), np.isnan(high)) == (1.0, True, True)


def test_a_loss_that_went_to_infinity_has_no_effect_to_tell():
    assert np.isnan(Paired(np.ones(5)).effects(np.array([1.0, np.inf, 1.0, 1.0, 1.0]))).all()


def test_one_sequence_has_no_interval():
    low, middle, high = Paired(np.array([1.0])).effects(np.array([1.5]))
    assert (middle, np.isnan(low), np.isnan(high)) == (0.5, True, True)


def test_a_seed_repeats_it_and_pieces_change_nothing(monkeypatch):
    base, losses = np.random.default_rng(0).random((2, 30))
    first, again, other = (Paired(base, seed=seed).effects(losses) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    monkeypatch.setattr("headgate.inspection.bootstrap._AT_ONCE", 100)
    np.testing.assert_allclose(Paired(base, seed=1).effects(losses), first, rtol=0.2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([],), r"^the losses have shape \[0\], but one a sequence is needed, \[N\]\.$"),
        ((np.ones((2, 2)),), "one a sequence is needed"),
        (([1.0, np.inf],), "the model's own loss is not finite in 1 of 2 sequences"),
        (([1.0], np.nan), "^chance=nan is no loss; give a finite number, or None"),
        (([1.0], 2.0, 0, 10), "^resamples=10 are too few"),
    ],
)
def test_what_makes_no_sense(arguments, words):
    with pytest.raises(ValueError, match=words):
        Paired(*arguments)
