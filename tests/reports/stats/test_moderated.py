"""Squeezed variances: the model's own draws give its prior back, and the edges are what they must be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import polygamma
from scipy.stats import f as fisher

from reports.stats.moderated import fit, inverse_trigamma, squeeze


def test_the_inverse_of_trigamma() -> None:
    x = np.logspace(-3, 4, 50)
    assert inverse_trigamma(polygamma(1, x)) == pytest.approx(x, rel=1e-8)


@pytest.mark.parametrize("df", [1.0, 2.0, 9.0])
@pytest.mark.parametrize(("d0", "s0"), [(4.0, 0.2), (20.0, 0.05)])
def test_draws_of_the_model_give_its_prior(d0: float, s0: float, df: float) -> None:
    rng = np.random.default_rng(0)
    size = 200_000
    truth = s0**2 * d0 / rng.chisquare(d0, size=size)
    prior = fit(truth * rng.chisquare(df, size=size) / df, df)
    assert float(prior.variance) == pytest.approx(s0**2, rel=0.03)
    assert float(prior.df) == pytest.approx(d0, rel=0.25)


def test_a_squeezed_t_has_the_distribution_that_it_says() -> None:
    # Under the model s^2 / s0^2 is F(d, d0), and so is the posterior's mean variance a chi^2 with d0 + d.
    rng = np.random.default_rng(1)
    d0, df, size = 6.0, 2.0, 100_000
    truth = d0 / rng.chisquare(d0, size=size)
    s2 = truth * rng.chisquare(df, size=size) / df
    own = squeeze(s2, df, fit(s2, df))
    square = truth * rng.chisquare(1, size=size) / own.variance
    assert float((fisher.sf(square, 1, own.df) < 0.05).mean()) == pytest.approx(0.05, abs=0.005)


def test_the_prior_of_three_worked_by_hand() -> None:
    # log s^2 are 0, 1, 2 plus the same constant: their variance is 1, below trigamma(1) = 1.645, so d0 is infinite.
    prior = fit(np.exp([0.0, 1.0, 2.0]), 2.0)
    assert np.isinf(prior.df)
    assert float(prior.variance) == pytest.approx(np.exp(1 + np.euler_gamma))
    # With 10 degrees of freedom each, sampling explains trigamma(5) = 0.2213 of it.
    prior = fit(np.exp([0.0, 1.0, 2.0]), 10.0)
    assert float(prior.df) == pytest.approx(2 * float(inverse_trigamma(1 - polygamma(1, 5.0))))


def test_what_is_squeezed_lies_between_its_own_and_the_priors() -> None:
    s2 = np.array([0.01, 0.04, 0.09, 0.02])
    prior = fit(s2, 4.0)
    own = squeeze(s2, 4.0, prior, np.full(4, 2.0))
    assert own.variance == pytest.approx((2 * float(prior.variance) + 4 * s2) / 6)
    assert own.df == pytest.approx(np.full(4, 6.0))


def test_nothing_is_borrowed_of_two_nor_of_what_is_left_out() -> None:
    pair = squeeze([0.01, 0.09], 2.0, fit([0.01, 0.09], 2.0))
    assert pair.variance == pytest.approx([0.01, 0.09])
    assert pair.df == pytest.approx([2.0, 2.0])
    four = np.array([0.02, 0.03, 0.025, 5.0])
    used = np.array([True, True, True, False])
    assert fit(four, 2.0, used) == fit(four[:3], 2.0)


def test_values_without_spread_and_single_seeds_lend_nothing() -> None:
    prior = fit([0.0, 0.02, 0.03, 0.04], [2.0, 2.0, 2.0, 2.0])
    assert prior == fit([0.02, 0.03, 0.04], 2.0)
    assert fit([0.5, 0.02, 0.03, 0.04], [0.0, 2.0, 2.0, 2.0]) == prior


def test_no_more_is_known_than_by_all_together() -> None:
    s2 = np.full(3, 0.04)
    own = squeeze(s2, 2.0, fit(s2, 2.0))
    assert own.df == pytest.approx(np.full(3, 6.0))


def test_designs_are_fitted_each_by_itself() -> None:
    two = np.array([[0.01, 0.05, 0.2, 0.02], [1.0, 1.1, 0.9, 1.0]])
    both = fit(two, 5.0)
    for k in range(2):
        one = fit(two[k], 5.0)
        assert (both.variance[k], both.df[k]) == (pytest.approx(float(one.variance)), pytest.approx(float(one.df)))
