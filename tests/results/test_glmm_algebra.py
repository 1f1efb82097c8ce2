"""What must not matter to a generalized mixed model does not, and what it must equal it equals."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from glmm_data import MODELS, grouped
from multilevel.results.glmm import GLMMFit

SEARCH = 1e-5  # of a standard error: two searches each end within 3e-6 of the optimum


def fit_of(name: str, data: Any, right: str = "x + (1 | g)", **options: Any) -> GLMMFit:
    left, family = MODELS[name]
    chosen = ml.families.Binomial("probit") if family == "probit" else family
    link = "log" if name in ("amount", "inverse_gaussian") else None
    return ml.glmm(f"{left} ~ {right}", data, family=chosen, link=link, **options)


@cache
def plain(name: str) -> GLMMFit:
    return fit_of(name, grouped())


def assert_same(fit: GLMMFit, other: GLMMFit, scale: Any = 1.0) -> None:
    assert fit.loglik == pytest.approx(other.loglik, abs=1e-8)
    np.testing.assert_allclose((fit.fixef * scale - other.fixef) / other.se, 0.0, atol=SEARCH)
    np.testing.assert_allclose(fit.se * scale, other.se, rtol=1e-4)
    np.testing.assert_allclose(fit.theta, other.theta, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
class TestWhatDoesNotMatter:
    def test_the_order_of_rows(self, name: str) -> None:
        shuffled = grouped().sample(frac=1.0, random_state=3)
        assert_same(fit_of(name, shuffled), plain(name))

    def test_the_names_of_groups(self, name: str) -> None:
        data = grouped()
        data["g"] = [f"z{99 - g}" for g in data["g"]]
        assert_same(fit_of(name, data), plain(name))

    def test_units_of_a_predictor(self, name: str) -> None:
        data = grouped()
        data["x"] = 1e6 * data["x"] + 3e7
        fit = fit_of(name, data)
        assert fit.loglik == pytest.approx(plain(name).loglik, abs=1e-7)
        at = fit.coef_names.index("x")
        assert 1e6 * fit.fixef[at] == pytest.approx(plain(name).fixef[at], rel=1e-5)
        assert 1e6 * fit.se[at] == pytest.approx(plain(name).se[at], rel=1e-4)

    def test_counted_rows_are_repeated_rows(self, name: str) -> None:
        data = grouped()
        data["times"] = np.arange(len(data)) % 3
        repeated = data.loc[data.index.repeat(data["times"])]
        counted = fit_of(name, data, freq_weights="times")
        assert_same(counted, fit_of(name, repeated))
        assert counted.nobs == data["times"].sum()


@pytest.mark.parametrize("name", ["amount", "line", "student"])
def test_units_of_the_response(name: str) -> None:
    data = grouped()
    column = MODELS[name][0]
    data[column] *= 1e5
    fit, before = fit_of(name, data), plain(name)
    assert fit.loglik == pytest.approx(before.loglik - len(data) * np.log(1e5), abs=1e-6)
    if name == "amount":  # a log link: the intercept moves
        np.testing.assert_allclose(fit.fixef - before.fixef, [np.log(1e5), 0.0], atol=1e-5)
        np.testing.assert_allclose(fit.theta, before.theta, rtol=1e-4)
    else:
        np.testing.assert_allclose(fit.fixef, 1e5 * before.fixef, rtol=1e-5)
        np.testing.assert_allclose(fit.theta, 1e5 * before.theta, rtol=1e-4)


def test_a_gaussian_model_is_the_linear_one() -> None:
    data = grouped()
    data["w"] = 1.0 + np.arange(len(data)) % 4
    for right in ("x + (1 | g)", "x + (1 + x | g)", "x + (1 + x || g)"):
        ours = ml.glmm(f"line ~ {right}", data, family="gaussian", weights="w")
        linear = ml.lmm(f"line ~ {right}", data, reml=False, weights="w")
        assert ours.loglik == pytest.approx(linear.loglik, abs=1e-7)
        np.testing.assert_allclose(ours.fixef, linear.fixef, rtol=1e-6)
        assert ours.sigma == pytest.approx(linear.sigma, rel=1e-5)
        np.testing.assert_allclose(ours.theta, linear.theta * linear.sigma, rtol=2e-4, atol=1e-3)
        np.testing.assert_allclose(ours.residuals("pearson"), linear.residuals("scaled"), atol=1e-3)


def test_trials_are_repeated_single_trials() -> None:
    data = grouped()
    long = data.loc[data.index.repeat(data["size"])].copy()
    nth = long.groupby(level=0).cumcount()
    long["one"] = (nth < long["hits"]).astype(int)
    single = ml.glmm("one ~ x + (1 | g)", long, family="binomial")
    together = plain("trials")
    np.testing.assert_allclose(single.fixef, together.fixef, atol=1e-5)
    np.testing.assert_allclose(single.theta, together.theta, atol=1e-5)
    assert single.loglik < together.loglik  # by the orders in which successes may come


@pytest.mark.parametrize("left", ["cbind(hits, size - hits)", "hits / size"])
def test_spellings_of_trials(left: str) -> None:
    assert_same(ml.glmm(f"{left} ~ x + (1 | g)", grouped(), family="binomial"), plain("trials"))


def test_shares_with_their_trials_as_weights() -> None:
    data = grouped()
    data["rate"] = data["hits"] / data["size"]
    assert_same(ml.glmm("rate ~ x + (1 | g)", data, family="binomial", weights="size"), plain("trials"))


def test_categories_from_the_other_end() -> None:
    data = grouped()
    data["grade"] = data["grade"].cat.reorder_categories(["all", "much", "some", "low"], ordered=True)
    fit, before = fit_of("grade", data), plain("grade")
    assert fit.loglik == pytest.approx(before.loglik, abs=1e-8)
    np.testing.assert_allclose(fit.fixef, -before.fixef, atol=1e-5)
    np.testing.assert_allclose(fit.thresholds, -before.thresholds[::-1], atol=1e-5)


def test_two_categories_are_a_binary_response() -> None:
    data = grouped()
    data["high"] = data["grade"].isin(["much", "all"]).astype(int)
    binary = ml.glmm("high ~ x + (1 | g)", data, family="binomial")
    ordinal = ml.glmm("high ~ x + (1 | g)", data, family="ordinal")
    assert ordinal.loglik == pytest.approx(binary.loglik, abs=1e-8)
    np.testing.assert_allclose(ordinal.fixef[0], binary.fixef[1], atol=1e-5)
    np.testing.assert_allclose(ordinal.thresholds[0], -binary.fixef[0], atol=1e-5)


def test_an_ordinal_model_has_no_intercept_however_it_is_written() -> None:
    fits = [fit_of("grade", grouped(), f"{one} a + (1 | g)") for one in ("1 +", "0 +", "")]
    assert len({fit.coef_names for fit in fits}) == 1
    assert fits[0].coef_names == ("a[T.q]", "a[T.r]")
    assert fits[0].loglik == pytest.approx(fits[1].loglik, abs=1e-9)


def test_an_exposure_moves_the_intercept() -> None:
    data = grouped()
    data["log_time"] = np.log(7.0)
    formula = ml.glmm("count ~ x + offset(log_time) + (1 | g)", data, family="poisson")
    argument = ml.glmm("count ~ x + (1 | g)", data, family="poisson", offset="log_time")
    np.testing.assert_allclose(formula.fixef, argument.fixef, atol=1e-8)
    np.testing.assert_allclose(formula.fixef, plain("count").fixef - [np.log(7.0), 0.0], atol=1e-5)


def test_a_large_size_is_a_poisson_model() -> None:
    poisson, wide = plain("count"), fit_of("wide", grouped().assign(wide=grouped()["count"]))
    assert wide.loglik >= poisson.loglik - 1e-4  # the limit of an infinite size


def test_zeros_have_predictors_and_random_effects_of_their_own() -> None:
    data = grouped()
    fit = ml.glmm("empty ~ x + (1 | g)", data, family="poisson", zi="~ a + (1 | g)")
    part = fit.record.part("zi")
    assert part is not None
    assert part.names == ("Intercept", "a[T.q]", "a[T.r]")
    assert [term.label for term in fit.record.zi_terms] == ["1 | g"]
    table = fit.tidy()
    assert list(table["component"]) == ["cond"] * 2 + ["zi"] * 3
    assert set(fit.ranef()["component"]) == {"cond", "zi"}
    renamed = ml.glmm("empty ~ x + (1 | g)", data.assign(h=data["g"]), family="poisson", zi="~ a + (1 | h)")
    assert renamed.loglik == pytest.approx(fit.loglik, abs=1e-8)


def test_a_hurdle_is_two_models() -> None:
    data = grouped()
    hurdle = ml.glmm("empty ~ x + (1 | g)", data, family="truncated_poisson", zi="~ x")
    above = ml.glmm("empty ~ x + (1 | g)", data[data["empty"] > 0], family="truncated_poisson")
    np.testing.assert_allclose(hurdle.fixef, above.fixef, atol=1e-5)
    zeros = data.assign(none=(data["empty"] == 0).astype(int), everyone=np.arange(len(data)) % 2)
    logistic = ml.glmm("none ~ x + (1 | everyone)", zeros, family="binomial", prior={"covariance": 0.0})
    part = hurdle.record.part("zi")
    assert part is not None
    if logistic.singular:
        np.testing.assert_allclose(part.estimate, logistic.fixef, atol=1e-4)


def test_missing_values_of_every_side_count() -> None:
    data = grouped()
    data["z"] = np.where(data.index < 5, np.nan, data["x"])
    data["d"] = np.where(data.index > 230, np.nan, data["x"])
    fit = ml.glmm("empty ~ x + (1 | g)", data, family="nbinom2", zi="~ z", dispersion="~ d")
    assert fit.nobs == 240 - 5 - 9
    assert fit.dropped.missing_by_column == {"z": 5, "d": 9}
    complete = ml.glmm("empty ~ x + (1 | g)", data.dropna(), family="nbinom2", zi="~ z", dispersion="~ d")
    assert fit.loglik == pytest.approx(complete.loglik, abs=1e-9)


@pytest.mark.parametrize("name", ["binary", "count", "grade", "amount"])
def test_refitting_the_same_response_changes_nothing(name: str) -> None:
    fit = plain(name)
    again = fit.refit(fit.design.y)
    assert again.loglik == pytest.approx(fit.loglik, abs=1e-9)
    np.testing.assert_allclose((again.fixef - fit.fixef) / fit.se, 0.0, atol=SEARCH)


@pytest.mark.parametrize("name", ["binary", "trials", "count", "amount", "grade"])
def test_many_refits_are_single_refits(name: str) -> None:
    fit = plain(name)
    Y = fit.simulate(3, seed=2)
    many = fit.refit_many(Y)
    for k in range(3):
        one = fit.refit(Y[:, k])
        assert many.loglik[k] == pytest.approx(one.loglik, abs=1e-6)
        p = len(fit.fixef)
        np.testing.assert_allclose((many.coefficients[k, :p] - one.fixef) / one.se, 0.0, atol=1e-4)


def test_two_frames_one_answer() -> None:
    import polars  # noqa: PLC0415

    assert_same(fit_of("trials", polars.from_pandas(grouped())), plain("trials"))


def test_a_prior_fades_as_it_widens() -> None:
    wide = fit_of("binary", grouped(), prior={"coef": 1e4})
    assert_same(wide, plain("binary"))
    narrow = fit_of("binary", grouped(), prior={"coef": 1e-3})
    assert abs(narrow.fixef[1]) < 0.02
    assert narrow.loglik < plain("binary").loglik


def test_pandas_data_are_left_alone() -> None:
    data = grouped()
    before = data.copy()
    fit_of("trials", data).augment()
    pd.testing.assert_frame_equal(data, before)
