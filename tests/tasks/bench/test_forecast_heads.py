"""Losses, quantiles and scores against scipy, scikit-learn, torchmetrics, sums by hand, and integrals."""

import numpy as np
import pytest
import torch
import torchmetrics.functional.regression as torchmetrics
from scipy import integrate, stats
from sklearn import metrics as sklearn

from headgate.tasks.bench.forecast import heads
from headgate.tasks.bench.forecast.heads import Units
from headgate.tasks.bench.forecast.metrics import Rescale, Sums, of_baselines
from headgate.tasks.bench.forecast.scaling import naive_error

LEVELS = [0.05, 0.1, 0.5, 0.9, 0.97]
H, B, D = 3, 4, 2


def drawn(head, seed=0, counts=False):
    """Numbers of a network, values and units, float64."""
    random = torch.Generator().manual_seed(seed)
    raw = torch.randn(H, B, D, head.width, generator=random, dtype=torch.float64) * 2
    units = Units(*(torch.rand(B, D, generator=random, dtype=torch.float64) + 0.5 for _ in range(3)))
    values = torch.randn(H, B, D, generator=random, dtype=torch.float64) * 3
    if counts:
        units = Units(torch.zeros(B, D, dtype=torch.float64), units.size, 20 * units.unit)
        values = (values.abs() * units.unit).round() / units.unit
    return raw, values, units


def softplus(value):
    return np.log1p(np.exp(value.numpy()))


def frozen(name, raw, units):
    """The scipy distribution of each value, in standardised units; of counts, in counts."""
    shift, size, unit = (part.numpy() for part in (units.shift, units.size, units.unit))
    if name == "negative_binomial":
        mean, a = unit * size * softplus(raw[..., 0]) + heads.SMALLEST, softplus(raw[..., 1]) + heads.SMALLEST
        return stats.nbinom(1 / a, 1 / (1 + a * mean))
    mean, spread = shift + size * raw[..., 0].numpy(), size * (softplus(raw[..., 1]) + heads.SMALLEST)
    return stats.norm(mean, spread) if name == "gaussian" else stats.t(2 + softplus(raw[..., 2]), mean, spread)


def by_integral(name, head_units, raw, values):
    """CRPS as it is defined: the integral of (F(x) - [x >= y])^2."""
    known = frozen(name, raw, head_units)
    cdf, sf = known.dist.cdf, known.dist.sf
    found = np.empty(values.shape)
    for place in np.ndindex(values.shape):
        y = values[place].item()
        arguments = [np.broadcast_to(part, values.shape)[place] for part in known.args]
        below = integrate.quad(lambda x, a=arguments: cdf(x, *a) ** 2, -np.inf, y, epsabs=1e-10)[0]
        above = integrate.quad(lambda x, a=arguments: sf(x, *a) ** 2, y, np.inf, epsabs=1e-10)[0]
        found[place] = below + above
    return found


@pytest.mark.parametrize("name", ["gaussian", "student_t", "negative_binomial"])
def test_a_distribution_agrees_with_scipy(name):
    head = heads.make(name, LEVELS)
    raw, values, units = drawn(head, counts=name == "negative_binomial")
    known = frozen(name, raw, units)
    if name == "negative_binomial":
        unit = units.unit.numpy()
        expected, mean = -known.logpmf(np.rint(values.numpy() * unit)), known.mean() / unit
        quantiles = [known.ppf(level) / unit for level in LEVELS]
    else:
        expected, mean, quantiles = -known.logpdf(values), known.mean(), [known.ppf(level) for level in LEVELS]
    np.testing.assert_allclose(head.losses(raw, values, units), expected, rtol=1e-9)
    np.testing.assert_allclose(head.point(raw, units), mean, rtol=1e-9)
    np.testing.assert_allclose(head.quantiles(raw, LEVELS, units), quantiles, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["gaussian", "student_t"])
def test_a_score_is_the_integral_that_defines_it(name):
    head = heads.make(name, LEVELS)
    raw, values, units = drawn(head)
    expected = by_integral(name, units, raw, values)
    np.testing.assert_allclose(head.score(raw, values, units), expected, rtol=1e-6)
    wrong = head.score(raw, -values, units)
    assert not np.allclose(wrong, expected, rtol=1e-2), "a value of the other sign must be told"


def test_the_score_of_counts_is_near_the_sum_that_defines_it():
    """A sum over a hundred quantiles has an error of some hundredths, by the tails that it leaves out."""
    head = heads.make("negative_binomial", LEVELS)
    raw, values, units = drawn(head, counts=True)
    known, counts = frozen("negative_binomial", raw, units), np.rint((values * units.unit).numpy())
    most = int(known.ppf(1 - 1e-9).max())
    total = sum((known.cdf(k) - (k >= counts)) ** 2 for k in range(most)) / units.unit.numpy()
    np.testing.assert_allclose(head.score(raw, values, units), total, rtol=0.05, atol=0.002)


def test_quantiles_never_cross_and_their_loss_is_pinball():
    head = heads.make("quantile", LEVELS)
    raw, values, units = drawn(head)
    at_levels = head.at_levels(raw * 20, units)
    assert (at_levels.diff(dim=0) >= 0).all() and torch.isfinite(at_levels).all()
    at_levels = head.at_levels(raw, units)
    pairs = [(at_levels[k].flatten(), level) for k, level in enumerate(LEVELS)]
    each = [sklearn.mean_pinball_loss(values.flatten(), found, alpha=level) for found, level in pairs]
    assert head.losses(raw, values, units).mean().item() == pytest.approx(np.mean(each), rel=1e-12)
    assert head.score(raw, values, units).mean() == pytest.approx(2 * np.mean(each), rel=1e-12)
    np.testing.assert_allclose(head.point(raw, units), at_levels[2])
    np.testing.assert_allclose(head.quantiles(raw, LEVELS, units), at_levels, rtol=1e-12)
    between = head.quantiles(raw, [0.3, 0.99], units)
    np.testing.assert_allclose(between[0], (at_levels[1] + at_levels[2]) / 2, rtol=1e-12)
    np.testing.assert_allclose(between[1], at_levels[-1])


def test_a_point_has_no_quantiles_and_its_score_is_its_error():
    for name in ("mse", "mae"):
        head = heads.make(name, LEVELS)
        raw, values, units = drawn(head)
        errors = (head.point(raw, units) - values).abs()
        assert head.quantiles(raw, LEVELS, units) is None
        np.testing.assert_allclose(head.score(raw, values, units), errors)
        np.testing.assert_allclose(head.losses(raw, values, units), errors**2 if name == "mse" else errors)


@pytest.mark.parametrize("name", ["mse", "quantile", "gaussian", "student_t"])
def test_heads_of_real_values_follow_a_change_of_units(name):
    """Shifted and stretched windows give shifted and stretched answers."""
    head = heads.make(name, LEVELS)
    raw, _, units = drawn(head)
    plain = Units(torch.zeros_like(units.shift), torch.ones_like(units.size), units.unit)
    np.testing.assert_allclose(head.point(raw, units), units.shift + units.size * head.point(raw, plain))


# --- metrics --------------------------------------------------------------------------------------------------------


def rescale(seed=1):
    random = np.random.default_rng(seed)
    return Rescale(random.normal(size=(B, D)) * 5, random.uniform(0.5, 3, (B, D)), random.uniform(0.5, 2, (B, D)))


def measured(forecast, truth, seen, scale):
    sums = Sums()
    for k in range(B):  # row by row: sums do not hang on how windows fall into batches
        part = Rescale(scale.shift[k : k + 1], scale.size[k : k + 1], scale.naive[k : k + 1])
        sums.add_errors(forecast[:, k : k + 1], truth[:, k : k + 1], seen[:, k : k + 1], part)
    return sums.means()


def test_metrics_agree_with_other_libraries():
    random = np.random.default_rng(0)
    forecast, truth, scale = random.normal(size=(H, B, D)), random.normal(size=(H, B, D)), rescale()
    seen = random.random((H, B, D)) < 0.7
    found = measured(forecast, truth, seen, scale)
    y, f = scale.original(truth)[seen], scale.original(forecast)[seen]
    expected = {
        "standardised_mse": sklearn.mean_squared_error(truth[seen], forecast[seen]),
        "standardised_mae": sklearn.mean_absolute_error(truth[seen], forecast[seen]),
        "mae": sklearn.mean_absolute_error(y, f),
        "rmse": sklearn.root_mean_squared_error(y, f),
        "smape": 100 * torchmetrics.symmetric_mean_absolute_percentage_error(torch.tensor(f), torch.tensor(y)).item(),
        "mase": np.mean(np.abs(y - f) / np.broadcast_to(scale.naive, seen.shape)[seen]),
    }
    assert found == pytest.approx(expected, rel=1e-9)
    assert measured(forecast, truth, np.ones_like(seen), scale) != pytest.approx(expected, rel=1e-3), "missing counts"


def test_metrics_by_hand():
    """Of 10, 20, 0 forecast as 12, 16, 0, with a naive error of 2."""
    one = Rescale(np.zeros((1, 1)), np.full((1, 1), 2.0), np.full((1, 1), 2.0))
    truth, forecast = np.array([5.0, 10.0, 0.0]).reshape(3, 1, 1), np.array([6.0, 8.0, 0.0]).reshape(3, 1, 1)
    sums = Sums()
    sums.add_errors(forecast, truth, np.ones((3, 1, 1), bool), one)
    found = sums.means()
    assert found["mae"] == pytest.approx(2) and found["mase"] == pytest.approx(1)
    assert found["rmse"] == pytest.approx((20 / 3) ** 0.5) and found["standardised_mse"] == pytest.approx(5 / 3)
    assert found["smape"] == pytest.approx(200 * (2 / 22 + 4 / 36) / 3)
    unknown = Rescale(one.shift, one.size, np.full((1, 1), np.nan))
    sums = Sums()
    sums.add_errors(forecast, truth, np.ones((3, 1, 1), bool), unknown)
    assert "mase" not in sums.means(), "a constant series has no MASE"


def test_the_naive_error_of_mase():
    values = np.array([1.0, 5, 2, 7, 4, 4])
    assert naive_error(values, 2) == pytest.approx((1 + 2 + 2 + 3) / 4)
    assert naive_error(values, 1) == pytest.approx((4 + 3 + 5 + 3 + 0) / 5)
    assert naive_error(values, 9) == naive_error(values, 1), "no longer than a season: neighbours"
    assert naive_error(np.array([1.0, np.nan, 3, 4]), 1) == pytest.approx(1)
    assert np.isnan(naive_error(np.ones(5), 1))


def test_baselines_by_hand():
    plain = {"shift": torch.zeros(1, 1), "size": torch.ones(1, 1), "naive_error": torch.full((1, 1), 2.0)}
    batch = {"future": torch.tensor([3.0, 5.0]).reshape(2, 1, 1), "future_seen": torch.ones(2, 1, 1)} | plain
    batch |= {"naive": torch.tensor([4.0, 4.0]).reshape(2, 1, 1), "seasonal": torch.tensor([3.0, 1.0]).reshape(2, 1, 1)}
    found = of_baselines([batch])
    assert found["mae"] == 2 and found["naive_mae"] == 1 and found["mase"] == 1 and found["naive_rmse"] == 1
    assert found["crps"] == found["mae"]
