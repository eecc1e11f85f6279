"""The Frechet distance against closed forms, scipy's matrix square root and clean-fid."""

import numpy as np
import pytest
import scipy.linalg

from core.metrics.frechet import Gaussian, frechet_distance


def _random(seed: int, dimensions: int, samples: int = 500) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((dimensions, dimensions)) / np.sqrt(dimensions)
    return rng.standard_normal((samples, dimensions)) @ mixing + rng.standard_normal(dimensions)


@pytest.mark.parametrize("dimensions", [2, 16, 64])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_equals_clean_fid_and_scipy(dimensions: int) -> None:
    from cleanfid.fid import frechet_distance as clean_fid

    x, y = _random(0, dimensions), _random(1, dimensions)
    a, b = Gaussian.fit(x), Gaussian.fit(y)
    mine = frechet_distance(a, b)
    assert mine == pytest.approx(clean_fid(a.mean, a.covariance, b.mean, b.covariance), rel=1e-6)
    root = np.trace(scipy.linalg.sqrtm(a.covariance @ b.covariance)).real
    by_scipy = ((a.mean - b.mean) ** 2).sum() + np.trace(a.covariance) + np.trace(b.covariance) - 2 * root
    assert mine == pytest.approx(by_scipy, rel=1e-6)


def test_fit_is_the_unbiased_mean_and_covariance() -> None:
    x = _random(0, 5).astype(np.float32)
    fitted = Gaussian.fit(x)
    np.testing.assert_allclose(fitted.mean, x.astype(np.float64).mean(0))
    np.testing.assert_allclose(fitted.covariance, np.cov(x.astype(np.float64), rowvar=False))
    assert fitted.covariance.dtype == np.float64


def test_closed_forms() -> None:
    standard = Gaussian(np.zeros(3), np.eye(3))
    moved = Gaussian(np.array([1.0, 2.0, 2.0]), 4 * np.eye(3))
    assert frechet_distance(standard, moved) == pytest.approx(9 + 3 * (2 - 1) ** 2)
    assert frechet_distance(moved, standard) == pytest.approx(12)
    assert frechet_distance(moved, moved) == pytest.approx(0, abs=1e-12)


def _by_singular_values(x: np.ndarray, y: np.ndarray) -> float:
    """Tr (S_x S_y)^(1/2) as the nuclear norm of the centred samples' product: no covariance, no precision lost."""
    a, b = ((z - z.mean(0)) / np.sqrt(len(z) - 1) for z in (x, y))
    overlap = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * overlap)


@pytest.mark.parametrize(
    ("dimensions", "samples", "decades"),
    [(64, 40, 0), (64, 500, 3), (64, 500, 8), (128, 100, 3)],
    ids=["fewer samples than dimensions", "condition 1e6", "condition 1e16", "both"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_equals_clean_fid_where_covariances_are_nearly_singular(dimensions: int, samples: int, decades: int) -> None:
    from cleanfid.fid import frechet_distance as clean_fid

    scales = np.logspace(0, -decades, dimensions)
    x, y = 1.3 * _random(0, dimensions, samples) * scales, _random(1, dimensions, 2 * samples) * scales
    a, b = Gaussian.fit(x), Gaussian.fit(y)
    mine = frechet_distance(a, b)
    assert mine == pytest.approx(_by_singular_values(x, y), rel=1e-6)
    assert mine == pytest.approx(float(clean_fid(a.mean, a.covariance, b.mean, b.covariance)), rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(mine, rel=1e-6)


def test_the_root_is_a_factor_of_the_covariance_and_is_computed_once() -> None:
    fitted = Gaussian.fit(_random(0, 64, 20))
    assert fitted.root.shape == (64, 19)
    np.testing.assert_allclose(fitted.root @ fitted.root.T, fitted.covariance, atol=1e-12)
    assert fitted.root is fitted.root


def test_fewer_samples_than_dimensions() -> None:
    x, y = _random(0, 64, 20), _random(1, 64, 30)
    assert frechet_distance(Gaussian.fit(x), Gaussian.fit(y)) == pytest.approx(_by_singular_values(x, y), rel=1e-6)
    constant = Gaussian.fit(np.ones((4, 64)))
    assert frechet_distance(constant, constant) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    x = _random(0, 4)
    x[3, 2] = bad
    with pytest.raises(ValueError, match="1 of 2000 features are not finite"):
        Gaussian.fit(x)
    fine = Gaussian.fit(_random(0, 4))
    with pytest.raises(ValueError, match="finite"):
        frechet_distance(fine, Gaussian(np.full(4, bad), fine.covariance))


def test_shapes_that_do_not_compare_are_refused() -> None:
    with pytest.raises(ValueError, match="do not compare"):
        frechet_distance(Gaussian.fit(_random(0, 4)), Gaussian.fit(_random(0, 5)))
    for features in (np.zeros((1, 4)), np.zeros(4), np.empty((0, 4))):
        with pytest.raises(ValueError, match="at least two samples"):
            Gaussian.fit(features)
