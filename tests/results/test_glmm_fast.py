"""nagq=0: fixed effects found with the random effects. What it is near to, and all that a fit can do."""

from __future__ import annotations

import pickle
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from glmm_cases import CLMM, GLMER, GLMMTMB, fit_case
from glmm_data import MODELS, grouped
from multilevel.errors import ModelError
from multilevel.results.glmm import GLMMFit
from reference_cases import load_case

LAPLACE = [n for n in (*GLMER, *GLMMTMB, *CLMM) if load_case(n)["spec"].get("nAGQ", 1) == 1]


@cache
def fitted(name: str, nagq: int = 0) -> GLMMFit:
    response, family = MODELS[name]
    link = "probit" if family == "probit" else None
    return ml.glmm(
        f"{response} ~ x + a + (1 | g)",
        grouped(),
        family="binomial" if link else family,
        link=link,
        nagq=nagq,
    )


# ---- what it is ----


@pytest.mark.parametrize("name", MODELS)
def test_it_is_certified_and_below_the_maximum(name: str) -> None:
    fit, best = fitted(name), fitted(name, 1)
    assert fit.converged
    # the same likelihood, at estimates that do not maximise it
    assert best.loglik - 0.5 < fit.loglik <= best.loglik + 1e-7
    np.testing.assert_allclose((fit.fixef - best.fixef) / best.se, 0.0, atol=0.8)
    assert fit.df_model == best.df_model


@pytest.mark.parametrize("name", LAPLACE)
def test_real_data_have_no_higher_likelihood(name: str) -> None:
    best = fit_case(name)
    fit = best.update(nagq=0)
    assert fit.converged
    assert fit.loglik <= best.loglik + 1e-6


def test_of_a_linear_model_it_is_maximum_likelihood() -> None:
    fit = fitted("line")
    linear = ml.lmm("line ~ x + a + (1 | g)", grouped(), reml=False)
    assert fit.loglik == pytest.approx(linear.loglik, abs=1e-7)
    np.testing.assert_allclose(fit.fixef, linear.fixef, rtol=1e-6)
    np.testing.assert_allclose(
        fit.se, linear.se, rtol=1e-4
    )  # ours count the residual variance, which lmm holds


def test_two_categories_are_a_binomial() -> None:
    data = grouped()
    data["two"] = pd.Categorical(np.where(data["binary"] == 1, "yes", "no"), ["no", "yes"], ordered=True)
    ordered = ml.glmm("two ~ x + (1 | g)", data, family="ordinal", nagq=0)
    binomial = ml.glmm("binary ~ x + (1 | g)", data, family="binomial", nagq=0)
    assert ordered.loglik == pytest.approx(binomial.loglik, abs=1e-8)
    np.testing.assert_allclose(ordered.fixef, binomial.fixef[1:], rtol=1e-6)
    np.testing.assert_allclose(ordered.thresholds, -binomial.fixef[:1], rtol=1e-6)
    np.testing.assert_allclose(ordered.se, binomial.se[1:], rtol=1e-6)


def test_repeated_rows_are_frequency_weights() -> None:
    data = grouped()
    counts = np.random.default_rng(1).integers(1, 4, len(data))
    weighted = ml.glmm("count ~ x + (1 | g)", data, family="poisson", nagq=0, freq_weights=counts)
    repeated = ml.glmm("count ~ x + (1 | g)", data.loc[data.index.repeat(counts)], family="poisson", nagq=0)
    assert weighted.loglik == pytest.approx(repeated.loglik, abs=1e-8)
    np.testing.assert_allclose(weighted.fixef, repeated.fixef, rtol=1e-7)
    np.testing.assert_allclose(weighted.vcov(full=True), repeated.vcov(full=True), rtol=1e-5)


def test_order_labels_and_units_do_not_matter() -> None:
    data, fit = grouped(), fitted("count")
    other = data.sample(frac=1.0, random_state=1)
    other["g"] = "g" + ((other["g"] * 7) % 24).astype(str)
    other["x"] = 1000.0 * other["x"] + 5e5
    moved = ml.glmm("count ~ x + a + (1 | g)", other, family="poisson", nagq=0)
    assert moved.loglik == pytest.approx(fit.loglik, abs=1e-7)
    np.testing.assert_allclose(1000.0 * moved.fixef[1], fit.fixef[1], rtol=1e-6)
    np.testing.assert_allclose(1000.0 * moved.se[1], fit.se[1], rtol=1e-6)


def test_many_fixed_effects() -> None:
    """Beyond a dozen, cross-products are formed at the modes only."""
    data = grouped()
    noise = np.random.default_rng(4).normal(size=(len(data), 14))
    for k in range(14):
        data[f"n{k}"] = noise[:, k]
    text = "count ~ x + " + " + ".join(f"n{k}" for k in range(14)) + " + (1 + x | g)"
    fit = ml.glmm(text, data, family="poisson", nagq=0)
    best = fit.update(nagq=1)
    assert fit.converged
    assert best.loglik - 1.0 < fit.loglik <= best.loglik
    again = fit.refit(data["count"])
    np.testing.assert_allclose(again.fixef, fit.fixef, atol=1e-6)


def test_without_fixed_effects_it_is_laplace() -> None:
    fit = ml.glmm("count ~ 0 + (1 | g)", grouped(), family="poisson", nagq=0)
    assert fit.loglik == pytest.approx(fit.update(nagq=1).loglik, abs=1e-9)
    assert len(fit.fixef) == 0


def test_separation_is_refused_and_a_prior_helps() -> None:
    data = grouped()
    data["top"] = np.where(data["binary"] == 1, 1.0, 0.0) * (data.index % 2)
    with pytest.raises(ml.errors.SeparationError, match="top"):
        ml.glmm("binary ~ x + top + (1 | g)", data, family="binomial", nagq=0)
    fit = ml.glmm("binary ~ x + top + (1 | g)", data, family="binomial", nagq=0, prior="weak")
    assert fit.converged
    assert np.isfinite(fit.se).all()


def test_a_variance_that_is_not_there() -> None:
    data = grouped()
    data["coin"] = np.random.default_rng(3).integers(0, 2, len(data))
    fit = ml.glmm("coin ~ x + (1 | g)", data, family="binomial", nagq=0)
    plain = ml.glm("coin ~ x", data, family="binomial")
    assert fit.singular
    assert fit.converged
    np.testing.assert_allclose(fit.fixef, plain.fixef, atol=1e-7)
    np.testing.assert_allclose(fit.se, plain.se, rtol=1e-6)


@pytest.mark.study
def test_estimates_lean_towards_zero() -> None:
    """Yes-or-no responses, five a group, groups two logits apart; the slope is one."""
    rng = np.random.default_rng(1)
    g, slopes = np.repeat(np.arange(300), 5), []
    for _ in range(100):
        x = rng.normal(size=len(g))
        eta = x + 2.0 * rng.normal(size=300)[g]
        data = pd.DataFrame(
            {"g": g, "x": x, "y": (rng.random(len(g)) < 1.0 / (1.0 + np.exp(-eta))).astype(int)}
        )
        slopes.append([ml.glmm("y ~ x + (1 | g)", data, family="binomial", nagq=k).fixef[1] for k in (0, 1)])
    fast, laplace = np.mean(slopes, axis=0)
    assert fast < 0.9 < laplace


# ---- standard errors ----


def test_standard_errors_count_a_dispersion_but_not_the_covariances() -> None:
    """Of one number the covariance with theta is nought; what a dispersion adds is known by refitting."""
    fit = fitted("wide")
    joint = fit.vcov(full=True)
    assert np.linalg.eigvalsh(joint).min() > -1e-12
    at = {name: k for k, name in enumerate(fit.vcov_names)}
    assert len(at) == len(joint)
    np.testing.assert_allclose(fit.se, fitted("wide", 1).se, rtol=0.05)


def test_the_dispersion_of_laplace_is_near() -> None:
    fast, best = fitted("amount"), fitted("amount", 1)
    assert fast.dispersion == pytest.approx(best.dispersion, rel=0.02)
    np.testing.assert_allclose(fast.record.parts[1].std_error, best.record.parts[1].std_error, rtol=0.02)


# ---- what a fit can do ----


def test_the_page_says_what_it_is() -> None:
    page = str(fitted("binary"))
    assert "maximum likelihood (fast Laplace approximation, nagq=0)" in page
    assert "most likely together with the random effects" in " ".join(page.split())
    assert "fit the final model with nagq=1" in " ".join(page.split())
    assert "nagq=0" in fitted("binary").optimum.message
    assert "together" not in str(fitted("binary", 1))


@pytest.mark.parametrize("name", ["binary", "count", "wide", "grade", "amount"])
def test_tables(name: str) -> None:
    fit = fitted(name)
    for table in (
        fit.tidy(),
        fit.tidy("ran_pars"),
        fit.tidy("ran_vals"),
        fit.ranef(),
        fit.varcorr(),
        fit.confint(),
    ):
        numbers = table.select_dtypes("number").drop(columns=["covariance", "correlation"], errors="ignore")
        assert np.isfinite(numbers.to_numpy()).all()
    assert "nan" not in str(fit).lower()
    assert fit.glance()["loglik"][0] == fit.loglik
    assert "~" in fit.equation()


def test_profiles_are_refused_with_a_way_out() -> None:
    fit = fitted("count")
    with pytest.raises(ModelError, match=r"update\(nagq=1\)"):
        fit.profile()
    with pytest.raises(ModelError, match="Wald or bootstrap limits"):
        fit.confint("profile")


def test_bootstrap() -> None:
    fit = fitted("count")
    boot = fit.bootstrap(60, seed=1)
    again = fit.bootstrap(60, seed=1)
    np.testing.assert_array_equal(boot.replicates, again.replicates)
    assert boot.se[1] == pytest.approx(fit.se[1], rel=0.4)
    limits = fit.confint("bootstrap", n=40, seed=2)
    assert (limits["conf_low"] < limits["conf_high"]).all()


@pytest.mark.parametrize("name", ["binary", "count", "wide", "grade"])
def test_predictions_with_limits(name: str) -> None:
    fit, best = fitted(name), fitted(name, 1)
    for re in ("all", "none"):
        ours, theirs = (each.predict(re=re, kind="link", interval="confidence") for each in (fit, best))
        assert (ours["conf_low"] < ours["fitted"]).all()
        width, other = (table["conf_high"] - table["conf_low"] for table in (ours, theirs))
        np.testing.assert_allclose(width / other, 1.0, atol=0.2)
    new = grouped().iloc[:3].assign(g=99)
    assert np.isfinite(fit.predict(new, new_levels="integrate", kind="link")).all()


def test_everything_else_answers() -> None:
    fit, best = fitted("binary"), fitted("binary", 1)
    for ask in (
        lambda f: f.r2()["estimate"],
        lambda f: f.icc()["icc"],
        lambda f: f.marginal().columns()["estimate"],
        lambda f: f.emmeans("a").columns()["estimate"],
        lambda f: f.ame()["estimate"],
        lambda f: f.anova()["statistic"],
    ):
        np.testing.assert_allclose(np.asarray(ask(fit)), np.asarray(ask(best)), rtol=0.3, atol=0.05)
    assert fit.simulate(3, seed=1).shape == (240, 3)
    assert len(fit.ranova()) == 2
    assert "nagq" not in str(fit.check())
    assert len(fit.residuals("pearson")) == 240


def test_refits() -> None:
    fit = fitted("count")
    Y = fit.simulate(3, seed=1)
    many = fit.refit_many(Y)
    for k in range(3):
        one = fit.refit(np.asarray(Y)[:, k])
        assert one.record.nodes == 0
        np.testing.assert_allclose(many.coefficients[k], one.fixef, atol=1e-6)
        assert many.loglik[k] == pytest.approx(one.loglik, abs=1e-7)
    assert fit.update(". ~ . - a").record.nodes == 0
    assert fit.update(nagq=1).loglik == pytest.approx(fitted("count", 1).loglik, abs=1e-8)


def test_it_pickles() -> None:
    fit = pickle.loads(pickle.dumps(fitted("wide")))
    np.testing.assert_array_equal(fit.fixef, fitted("wide").fixef)
    interval: Any = fit.predict(re="all", kind="link", interval="confidence")
    assert np.isfinite(interval["conf_low"]).all()


# ---- beside others ----


def test_no_likelihood_ratio_between_approximations() -> None:
    small = ml.glmm("binary ~ x + (1 | g)", grouped(), family="binomial", nagq=0)
    found = ml.compare(small, fitted("binary", 1))
    assert np.isnan(found["p_value"]).all()
    said = " ".join(str(found).split())
    assert "approximated differently (nagq=1 and nagq=0); fit both with one nagq" in said
    alike = ml.compare(small, fitted("binary"))
    assert np.isfinite(alike["p_value"][1])
    assert "Fitted with nagq=0: 1, 2" in str(alike)
    assert "nagq" not in str(ml.compare(small.update(nagq=1), fitted("binary", 1)))


def test_what_rests_on_the_maximum_is_refused() -> None:
    fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial", nagq=0)
    for ask in (lambda: fit.vcov(kind="CR1"), lambda: fit.influence("herd"), fit.influence):
        with pytest.raises(ModelError, match=r"fit\.update\(nagq=1\)"):
            ask()
    assert "influential groups" not in str(fit.check(seed=1))
