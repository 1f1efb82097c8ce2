"""The same model on other responses: refit, refit_many, and what threads may not change."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import multilevel as ml
from multilevel.errors import DataError, ModelError
from multilevel.kernels.threads import use_threads


def crossed_data(seed: int, n: int = 4000):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 120, n), rng.integers(0, 90, n)
    x = rng.normal(size=n)
    y = 1.0 + x + rng.normal(size=120)[a] + 0.5 * rng.normal(size=90)[b] * x + rng.normal(size=n)
    return {"y": y, "x": x, "a": a, "b": b}


FITS = {
    "slopes": lambda: ml.lmm("Reaction ~ Days + (1 + Days | Subject)", ml.datasets.sleepstudy()),
    "weights, offset": lambda: ml.lmm(
        "Reaction ~ Days + (Days || Subject)",
        ml.datasets.sleepstudy(),
        weights=np.linspace(0.5, 2.0, 180),
        offset=np.linspace(0.0, 9.0, 180),
    ),
    "crossed, ML": lambda: ml.lmm("y ~ x + (1 | a) + (0 + x | b)", crossed_data(1, 600), reml=False),
    "no intercept": lambda: ml.lmm("Reaction ~ 0 + Days + (1 | Subject)", ml.datasets.sleepstudy()),
    "singular": lambda: ml.lmm("Yield ~ 1 + (1 | Batch)", ml.datasets.dyestuff2()),
}


@pytest.fixture(params=FITS)
def fit(request):
    return FITS[request.param]()


def test_many_refits_are_the_fits_of_each(fit):
    Y = fit.simulate(12, seed=3)
    many = fit.refit_many(Y)
    for i in range(12):
        one = fit.refit(Y[:, i])
        assert many.criterion[i] == pytest.approx(one.criterion, rel=1e-9, abs=1e-8)
        np.testing.assert_allclose(many.beta[i], one.fixef, rtol=1e-6, atol=1e-8)
        assert many.sigma[i] == pytest.approx(one.sigma, rel=1e-6)
        assert many.singular[i] == one.singular
        assert many.converged[i] == one.converged == True  # noqa: E712


def test_refit_equals_a_fresh_fit():
    data = ml.datasets.sleepstudy()
    fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", data)
    y = 1e6 + 3.0 * data["Reaction"].to_numpy()[::-1]
    fresh = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", data.assign(Reaction=y))
    again = fit.refit(y)
    assert again.criterion == pytest.approx(fresh.criterion, abs=1e-8)
    np.testing.assert_allclose(again.fixef, fresh.fixef, rtol=1e-8)
    np.testing.assert_allclose(
        again.record.modes[0].values, fresh.record.modes[0].values, rtol=1e-4, atol=1e-5
    )


def test_refits_leave_the_fit_alone():
    fit = FITS["slopes"]()
    before = fit.fitted.copy()
    fit.refit_many(fit.simulate(3, seed=0))
    np.testing.assert_array_equal(fit.fitted, before)
    assert fit.refit(fit.design.y).criterion == pytest.approx(fit.criterion, abs=1e-9)
    assert pickle.loads(pickle.dumps(fit)).refit(fit.design.y).criterion == pytest.approx(
        fit.criterion, abs=1e-9
    )


def test_responses_over_all_rows_of_the_data():
    data = ml.datasets.sleepstudy()
    data.loc[[3, 77], "Days"] = np.nan
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", data)
    whole = fit.refit_many(np.column_stack([data["Reaction"], data["Reaction"]]))
    np.testing.assert_allclose(whole.criterion, fit.criterion, atol=1e-8)


@pytest.mark.parametrize("wrong", [np.zeros(180), np.zeros((7, 2)), np.full((180, 2), np.nan)])
def test_responses_that_do_not_fit(wrong):
    with pytest.raises(DataError):
        FITS["slopes"]().refit_many(wrong)


def test_no_residual_no_many_refits():
    data = ml.datasets.sleepstudy()
    fit = ml.lmm("Reaction ~ Days + ar1(0 + factor(Days) | Subject)", data, residual="none", reml=False)
    with pytest.raises(ModelError, match="residual"):
        fit.refit_many(np.zeros((180, 2)))


MODELS = ["y ~ x + (1 + x | a)", "y ~ x + (1 | a) + (1 + x | b)", "y ~ x + (1 | a / b)"]


@pytest.mark.parametrize("formula", MODELS)
def test_the_same_bits_on_any_number_of_threads(formula):
    data = crossed_data(5, 40_000)
    default = use_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            use_threads(threads)
            found.append(ml.lmm(formula, data))
    finally:
        use_threads(default)
    for other in found[1:]:
        assert other.criterion == found[0].criterion
        np.testing.assert_array_equal(other.fixef, found[0].fixef)
        np.testing.assert_array_equal(other.theta, found[0].theta)
        np.testing.assert_array_equal(other.fitted, found[0].fitted)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("columns", ["x", "x + z", "x + z + v"])
@pytest.mark.parametrize("balanced", [True, False])
def test_singular_fits_are_certified(columns, balanced, reml):
    """No slope varies, so about half of the fits end on the boundary: each must say so, and none may warn."""
    rng = np.random.default_rng(11)
    singular = 0
    for _ in range(8):
        g = np.repeat(np.arange(20), 10) if balanced else rng.integers(0, 20, 200)
        data = {name: rng.normal(size=200) for name in "xzv"} | {"g": g}
        data["y"] = rng.normal(size=200) + rng.normal(size=20)[g]
        fit = ml.lmm(f"y ~ {columns} + (1 + {columns} | g)", data, reml=reml)
        assert fit.converged
        assert fit.optimum.certificate.null_eigenvalue >= 0.0 or not fit.singular
        singular += fit.singular
    assert singular > 0


def test_refits_after_a_refit_are_on_their_own_scale():
    """A refit leaves its response in the core, with a scale that is not the fit's."""
    fit = FITS["slopes"]()
    Y = fit.simulate(5, seed=1)
    before = fit.refit_many(Y)
    fit.refit(100.0 * fit.design.y + 7.0)
    np.testing.assert_allclose(fit.refit_many(Y).sigma, before.sigma, rtol=1e-12)
