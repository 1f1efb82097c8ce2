"""Likelihood ratios of generalized mixed models on simulated data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, kstest

import multilevel as ml
from glmm_data import grouped
from multilevel.errors import DataError, DataTypeError, ModelError, MultilevelWarning
from multilevel.estimation.glmm_refits import GLMMFits
from multilevel.inference import glmm_bootstrap_lrt
from multilevel.inference.glmm_bootstrap_lrt import better_of, gains_on_draws, glmm_null_gains, refitted
from multilevel.inference.glmm_fixed_model import FixedModel, fixed_model
from multilevel.simulation.glmm import draw_glmm
from multilevel.simulation.streams import random_streams


def fitted(formula: str, family: str, **options: Any) -> Any:
    return ml.glmm(formula, grouped(), family=family, **options)


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    return fitted("hits / size ~ x + (1 | g)", "binomial"), fitted(
        "hits / size ~ x + a + (1 | g)", "binomial"
    )


@pytest.mark.parametrize(
    ("small", "large", "family", "options"),
    [
        ("hits / size ~ x + (1 | g)", "hits / size ~ x + a + (1 | g)", "binomial", {}),
        ("hits / size ~ x + (1 | g)", "hits / size ~ x + (1 + x | g)", "binomial", {}),
        ("hits / size ~ x + (1 | g)", "hits / size ~ x + a + (1 | g)", "binomial", {"nagq": 5}),
        ("grade ~ 1 + (1 | g)", "grade ~ x + (1 | g)", "ordinal", {}),
        ("amount ~ 1 + (1 | g)", "amount ~ a + (1 | g)", "gamma", {"link": "log"}),
    ],
)
def test_gains_are_those_of_single_fits(small: str, large: str, family: str, options: dict[str, Any]) -> None:
    one, other = (fitted(formula, family, **options) for formula in (small, large))
    draws = glmm_null_gains(one.candidate, other.candidate, 3, 5, False)
    seed = np.random.SeedSequence(5)
    Y = draw_glmm(one.model, one.record, random_streams(3, seed), keep=False)
    gains = [2.0 * (other.refit(y).loglik - one.refit(y).loglik) for y in Y.T]
    assert draws.failed == 0
    np.testing.assert_allclose(draws.statistics, np.maximum(gains, 0.0), atol=1e-6)


def test_a_family_that_is_the_others_limit() -> None:
    poisson, wider = (fitted("wide ~ x + (1 | g)", family) for family in ("poisson", "negative_binomial"))
    draws = glmm_null_gains(poisson.candidate, wider.candidate, 200, 1, False)
    assert draws.failed == 0
    # half of the samples vary less than Poisson's counts, and have a size of infinity
    assert 0.4 < (draws.statistics < 1e-4).mean() < 0.65
    table = ml.compare(poisson, wider, method="bootstrap", n=99, seed=1)
    assert table["p_bootstrap"][1] == pytest.approx(0.01)
    assert "no simulated statistic was as large" in str(table)


def test_an_excess_of_zeros_that_is_not_there_is_never_a_loss() -> None:
    without, with_zeros = (
        fitted("count ~ x + (1 | g)", "poisson"),
        fitted("count ~ x + (1 | g)", "poisson", zi="~ 1"),
    )
    draws = glmm_null_gains(without.candidate, with_zeros.candidate, 60, 2, False)
    assert draws.failed == 0
    assert (draws.statistics >= 0.0).all()


def test_seeds(pair: tuple[Any, Any]) -> None:
    few, many = (glmm_null_gains(*(fit.candidate for fit in pair), n, 7, False).statistics for n in (5, 120))
    np.testing.assert_allclose(few, many[:5], atol=1e-7)
    first, again, other = (
        ml.compare(*pair, method="bootstrap", n=50, seed=s)["p_bootstrap"][1] for s in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_chain_of_models(pair: tuple[Any, Any]) -> None:
    slopes = fitted("hits / size ~ x + a + (1 + x | g)", "binomial")
    table = ml.compare(slopes, *pair, names=["slopes", "x", "x + a"], method="bootstrap", n=200, seed=3)
    assert table.models == ("x", "x + a", "slopes")
    assert np.isnan(table["p_bootstrap"][0])
    # a test of coefficients with 24 groups: the chi-square is near
    assert table["p_bootstrap"][1] == pytest.approx(table["p_value"][1], abs=0.12)
    assert table["p_bootstrap"][2] < table["p_value"][2]
    assert (table["p_error"][1:] < 0.04).all()
    assert "by 200 data sets drawn from the smaller model" in str(table)
    assert "p (bootstrap)" in str(table)


def test_pairs_that_are_not_nested_have_no_test(pair: tuple[Any, Any]) -> None:
    other = fitted("hits / size ~ a + (1 | g)", "binomial")
    table = ml.compare(pair[0], other, method="bootstrap", n=20, seed=1)
    assert np.isnan(table["p_bootstrap"]).all()
    assert "they are not nested" in str(table)


def test_refits_that_fail_are_counted_and_said(
    pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = glmm_bootstrap_lrt.fits_of

    def failing(each: Any, Y: Any) -> GLMMFits:
        found = real(each, Y)
        if each.candidate.record.n_parameters == 3:  # the smaller model, in two of each block
            found.converged[:2] = False
        return found

    monkeypatch.setattr(glmm_bootstrap_lrt, "fits_of", failing)
    table = ml.compare(*pair, method="bootstrap", n=50, seed=1)
    assert table.bootstrap is not None
    assert table.bootstrap[1] is not None
    assert (table.bootstrap[1].n, table.bootstrap[1].failed) == (48, 2)
    assert "2 of the simulated data sets are left out: a fit to them did not converge." in str(table)


def test_of_two_searches_the_better_one_is_kept() -> None:
    def fits(loglik: list[float], converged: list[bool]) -> GLMMFits:
        n = len(loglik)
        return GLMMFits(
            np.array(loglik)[:, None],
            np.zeros((n, 1)),
            np.array(loglik),
            np.array(converged),
            np.zeros(n, bool),
        )

    found = fits([-5.0, -9.0, np.nan, -3.0], [True, True, False, True])
    again = fits([-7.0, -4.0, -2.0], [True, True, True])
    kept = better_of(found, again, np.array([True, True, True, False]))
    np.testing.assert_array_equal(kept.loglik, [-5.0, -4.0, -2.0, -3.0])
    np.testing.assert_array_equal(kept.psi[:, 0], kept.loglik)
    assert kept.converged.all()


# ---- random effects taken out ----


@pytest.mark.parametrize(
    ("response", "family", "options"),
    [("hits / size", "binomial", {}), ("wide", "negative_binomial", {}), ("grade", "ordinal", {}),
     ("amount", "gamma", {"link": "log"}), ("line", "gaussian", {})],
)  # fmt: skip
def test_gains_over_a_model_without_random_effects(
    response: str, family: str, options: dict[str, Any]
) -> None:
    data = grouped()
    mixed = ml.glmm(f"{response} ~ x + (1 | g)", data, family=family, **options)
    plain = ml.glm(f"{response} ~ x", data, family=family, **options)
    small = fixed_model(plain.model, plain.record.family)
    assert small.loglik == pytest.approx(plain.loglik, abs=1e-8)
    np.testing.assert_allclose(small.eta, plain.record.eta, atol=1e-4)
    draws = gains_on_draws(small, refitted(mixed.candidate), 3, 5, False)
    Y = small.draw(random_streams(3, np.random.SeedSequence(5)))
    np.testing.assert_allclose(Y, plain.simulate(3, seed=5), atol=1e-4)  # whose fit goes one step further
    gains = [2.0 * (mixed.refit(y).loglik - plain.refit(y).loglik) for y in Y.T]
    np.testing.assert_allclose(draws.statistics, np.maximum(gains, 0.0), atol=1e-6)


def test_ranova_by_bootstrap() -> None:
    data = grouped()
    data["h"] = data["g"] // 3
    fit = ml.glmm("count ~ x + (1 | h / g)", data, family="poisson")
    table = fit.ranova(method="bootstrap", n=200, seed=1)
    assert table.columns.tolist()[-3:] == ["p_boundary", "p_bootstrap", "p_error"]
    assert table["term"].tolist() == ["<none>", "(1 | h)", "(1 | h:g)"]
    # eight groups: the mixture of chi-squares is near, and the chi-square twice too large
    assert table["p_bootstrap"][1] == pytest.approx(table["p_boundary"][1], abs=0.12)
    assert table["p_bootstrap"][2] == pytest.approx(1 / 201)
    again = fit.ranova(method="bootstrap", n=200, seed=1)
    pd.testing.assert_frame_equal(table, again)
    pd.testing.assert_frame_equal(table[fit.ranova().columns], fit.ranova())


def test_a_variance_of_nothing_is_zero_in_half_of_the_samples() -> None:
    mixed = ml.glmm("count ~ x + (1 | g)", grouped(), family="poisson")
    small = fixed_model(ml.glm("count ~ x", grouped(), family="poisson").model, mixed.record.family)
    draws = gains_on_draws(small, refitted(mixed.candidate), 300, 2, False)
    assert draws.failed == 0
    assert 0.45 < (draws.statistics < 1e-6).mean() < 0.75  # half in large samples, more in small ones


def test_ranova_says_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = ml.glmm("count ~ x + (1 | g)", grouped(), family="poisson")
    monkeypatch.setattr(FixedModel, "loglik_of", lambda self, y: np.nan if y[0] == 0.0 else self.loglik)
    with pytest.warns(MultilevelWarning, match="of the simulated data sets are left out"):
        fit.ranova(method="bootstrap", n=20, seed=1)
    with pytest.raises(DataError, match="method='exact' does not exist; choose 'chi-square' or 'bootstrap'"):
        fit.ranova(method="exact")  # type: ignore[arg-type]


def test_misuse(pair: tuple[Any, Any]) -> None:
    with pytest.raises(DataTypeError, match=r"n=2\.5 is no whole number"):
        ml.compare(*pair, method="bootstrap", n=2.5)  # type: ignore[arg-type]
    data = grouped().assign(times=2)
    counted = [
        ml.glmm(f"count ~ {x} + (1 | g)", data, family="poisson", freq_weights="times") for x in ("1", "x")
    ]
    with pytest.raises(ModelError, match="rows with freq_weights stand for several observations"):
        ml.compare(*counted, method="bootstrap", n=9)


@pytest.mark.study
def test_p_values_are_uniform_where_the_smaller_model_is_true() -> None:
    """Eight groups: the chi-square of a coefficient that varies between groups rejects too often."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(8), 10)
    boot, naive = [], []
    for seed in range(200):
        eta = 0.3 + 1.0 * rng.normal(size=8)[g]
        data = pd.DataFrame({"y": rng.poisson(np.exp(eta)), "w": (g % 2) * 1.0, "g": g})
        fits = [ml.glmm(f"y ~ {x} + (1 | g)", data, family="poisson") for x in ("1", "w")]
        table = ml.compare(*fits, method="bootstrap", n=199, seed=seed)
        boot.append(table["p_bootstrap"][1])
        naive.append(chi2.sf(table["chisq"][1], 1))
    print((np.array(boot) < 0.05).mean(), (np.array(naive) < 0.05).mean())
    assert kstest(boot, "uniform").pvalue > 0.01
    assert (np.array(boot) < 0.05).mean() < 0.09
