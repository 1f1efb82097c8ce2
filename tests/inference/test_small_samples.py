"""Satterthwaite and Kenward-Roger against the same formulas written out with n x n matrices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from dense_small_samples import (
    DenseModel,
    covariance_parameters,
    dense_model,
    kenward_roger_f,
    kenward_roger_of,
    residual_part,
    satterthwaite_df,
    term_part,
)
from multilevel._typing import Array
from multilevel.inference import between_factors, projections, small_samples
from multilevel.inference.kenward_roger import matched_moments
from multilevel.inference.satterthwaite import common_df
from multilevel.results.lmm import LMMFit

EXACT = 1e-6  # rounding of the dense formulas' inverses, and of differencing V
AT_OPTIMUM = (
    1e-5  # Hessians in other parameters differ by the gradient, which the search leaves at 1e-5 or so
)
DIFFERENCED = 1e-6  # central differences of exact traces, about 1e-8


def grouped(seed: int = 0, n: int = 60) -> pd.DataFrame:
    """Unbalanced data with two crossed factors, one nested in the first, and a weight."""
    rng = np.random.default_rng(seed)
    g = np.sort(np.concatenate([np.arange(8), rng.integers(0, 8, n - 8)]))
    h = np.concatenate([np.arange(5), rng.integers(0, 5, n - 5)])
    x, z = rng.normal(size=n), rng.normal(size=8)[g]
    y = (
        1.0
        + x
        + rng.normal(size=8)[g]
        + x * rng.normal(size=8)[g]
        + rng.normal(size=5)[h]
        + rng.normal(size=n)
    )
    week, spell = rng.integers(0, 3, n), rng.normal(size=(8, 3))
    y += spell[g, week]
    return pd.DataFrame(
        {
            "y": y,
            "x": x,
            "z": z,
            "g": g,
            "h": h,
            "k": [f"{a}{b}" for a, b in zip(g, week % 2, strict=True)],
            "w": rng.uniform(0.5, 2.0, n),
            "a": (week == 0) * 1.0,
            "b": (week == 1) * 1.0,
            "c": (week == 2) * 1.0,
        }
    )


LINEAR = {
    "intercepts": "y ~ x + z + (1 | g)",
    "slopes": "y ~ x + z + (1 + x | g)",
    "uncorrelated": "y ~ x + z + (1 + x || g)",
    "no intercept": "y ~ 0 + x + z + (0 + x | g)",
    "one variance": "y ~ x + diag(1 + x | g, hom = TRUE)",
    "two terms": "y ~ x + z + (1 | g) + (0 + x | g)",
    "crossed": "y ~ x + z + (1 | g) + (1 | h)",
    "crossed slopes": "y ~ x + z + (1 + x | g) + (1 | h)",
    "slopes in the smaller": "y ~ x + (1 | g) + (0 + x | h)",
    "nested": "y ~ x + z + (1 | g / k)",
    "nested slopes": "y ~ x + (1 + x | g) + (1 | k)",
}
CONTRASTS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.5, -2.0]])


def contrasts(fit: LMMFit) -> Array:
    return CONTRASTS[:, : len(fit.fixef)]


def dense(fit: LMMFit) -> DenseModel:
    covariance_of, at = covariance_parameters(fit.design, fit.record)
    return dense_model(fit.design, covariance_of, at, reml=fit.reml)


@pytest.mark.parametrize("weights", [None, "w"], ids=["", "weighted"])
@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
@pytest.mark.parametrize("formula", LINEAR.values(), ids=LINEAR)
def test_satterthwaite_is_the_dense_formula(formula: str, reml: bool, weights: str | None) -> None:
    fit = ml.lmm(formula, grouped(), reml=reml, weights=weights)
    assert not fit.singular
    L = contrasts(fit)
    np.testing.assert_allclose(fit._inference().df(L), satterthwaite_df(dense(fit), L), rtol=AT_OPTIMUM)


@pytest.mark.parametrize("weights", [None, "w"], ids=["", "weighted"])
@pytest.mark.parametrize("formula", LINEAR.values(), ids=LINEAR)
def test_kenward_roger_is_the_dense_formula(formula: str, weights: str | None) -> None:
    fit = ml.lmm(formula, grouped(), weights=weights)
    check_kenward_roger(fit, dense(fit), EXACT)


def check_kenward_roger(fit: LMMFit, model: DenseModel, tolerance: float) -> None:
    found, expected = fit._inference("kenward-roger"), kenward_roger_of(model)
    se = np.sqrt(expected.adjusted.diagonal())
    error = (fit.vcov(kind="kenward-roger") - expected.adjusted) / np.outer(se, se)
    np.testing.assert_allclose(error, 0.0, atol=tolerance)
    p = len(fit.fixef)
    for L in [np.eye(p)[-1:], np.ones((1, p)), np.eye(p), np.tri(p)[: max(p - 1, 1)]]:
        test = found.f_test(L)
        statistic, df = kenward_roger_f(expected, fit.fixef, L)
        assert test.statistic == pytest.approx(statistic, rel=10.0 * tolerance)
        assert test.df_den == pytest.approx(df, rel=10.0 * tolerance)
        if len(L) == 1:
            assert found.df(L)[0] == pytest.approx(df, rel=tolerance)


# ---- large models: what small ones have exactly is differenced ----


@pytest.mark.parametrize("largest_tail", [5000, 0], ids=["remainder known", "all differenced"])
@pytest.mark.parametrize("formula", ["crossed slopes", "nested slopes", "slopes in the smaller"])
@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
def test_differences_of_traces(
    formula: str, reml: bool, largest_tail: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = ml.lmm(LINEAR[formula], grouped(), reml=reml)
    L = contrasts(fit)
    exact = fit._inference().df(L)
    adjusted = fit.vcov(kind="kenward-roger") if reml else None
    for module, name, value in [
        (between_factors, "FEW", 0),
        (small_samples, "FEW", 0),
        (projections, "LARGEST_TAIL", largest_tail),
    ]:
        monkeypatch.setattr(module, name, value)
    other = ml.lmm(LINEAR[formula], grouped(), reml=reml)
    np.testing.assert_allclose(other._inference().df(L), exact, rtol=DIFFERENCED)
    if reml:
        np.testing.assert_allclose(other.vcov(kind="kenward-roger"), adjusted, rtol=DIFFERENCED)


def test_a_variance_of_zero_in_a_large_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised to where it adds 1e-5 of a group's information, and the answers move by about as much."""
    for module in (between_factors, small_samples):
        monkeypatch.setattr(module, "FEW", 0)
    fit = nothing_between("empty")
    check_kenward_roger(fit, dense(fit), 2e-4)


# ---- structures, whose covariances are not linear in their parameters ----


def correlation(structure: str, q: int, rho: float) -> Array:
    lag = np.abs(np.subtract.outer(np.arange(q), np.arange(q)))
    return np.asarray(rho**lag if structure == "ar1" else np.where(lag == 0, 1.0, rho))


def structured(fit: LMMFit) -> DenseModel:
    """V in variances and the correlation, of a single term with a structure."""
    term = fit.record.terms[0]
    q, n_sd = len(term.names), 1 if term.hom else len(term.names)

    def covariance_of(parameters: Array) -> Array:
        sd = np.sqrt(parameters[:n_sd]) * np.ones(q)
        Sigma = sd[:, None] * correlation(term.structure, q, parameters[n_sd]) * sd
        return residual_part(fit.design, fit.record, parameters) + term_part(fit.design, 0, Sigma)

    at = [*term.sd[:n_sd] ** 2, term.correlation[1, 0], *([fit.sigma**2] if fit.sigma else [])]
    return dense_model(fit.design, covariance_of, np.array(at), reml=fit.reml, linear=False)


STRUCTURES = {
    "ar1": "ar1(0 + a + b + c | g)",
    "ar1, unequal": "ar1(0 + a + b + c | g, hom = FALSE)",
    "cs": "cs(0 + a + b + c | g)",
}


@pytest.mark.parametrize("term", STRUCTURES.values(), ids=STRUCTURES)
def test_structures_agree_with_the_dense_formulas(term: str) -> None:
    fit = ml.lmm(f"y ~ x + {term}", grouped(1, 90))
    assert not fit.singular
    model = structured(fit)
    np.testing.assert_allclose(
        fit._inference().df(contrasts(fit)), satterthwaite_df(model, contrasts(fit)), rtol=1e-5
    )
    check_kenward_roger(fit, model, 1e-5)  # the dense second derivatives are numerical


def test_a_structure_that_is_linear_needs_no_second_derivatives() -> None:
    """A variance and a covariance span all of hom. compound symmetry, as two columns do any structure."""
    data = grouped(1, 90)
    symmetric = ml.lmm("y ~ x + cs(0 + a + b + c | g, hom = TRUE)", data)
    # the same covariances from an intercept and independent columns (the correlation is positive here)
    split = ml.lmm("y ~ x + (1 | g) + diag(0 + a + b + c | g, hom = TRUE)", data)
    assert symmetric.criterion == pytest.approx(split.criterion, abs=1e-8)
    for df in ("satterthwaite", "kenward-roger"):
        np.testing.assert_allclose(
            symmetric._inference(df).df(np.eye(2)), split._inference(df).df(np.eye(2)), rtol=EXACT
        )
    np.testing.assert_allclose(
        symmetric.vcov(kind="kenward-roger"), split.vcov(kind="kenward-roger"), rtol=EXACT
    )
    pair = [ml.lmm(f"y ~ x + {term}", data) for term in ("(1 + x | g)", "cs(1 + x | g)")]
    np.testing.assert_allclose(
        pair[0].vcov(kind="kenward-roger"), pair[1].vcov(kind="kenward-roger"), rtol=EXACT
    )


# ---- no residual ----


def visits(seed: int = 1) -> pd.DataFrame:
    """Three visits of twelve persons, some missed, in two arms."""
    rng = np.random.default_rng(seed)
    person, visit = np.repeat(np.arange(12), 3), np.tile(np.arange(3), 12)
    y = visit + rng.normal(size=12)[person] + rng.normal(size=36)
    data = pd.DataFrame({"y": y, "person": person, "arm": person % 2 * 1.0, "visit": visit})
    for v in range(3):
        data[f"v{v}"] = (visit == v) * 1.0
    return data[rng.uniform(size=36) > 0.15]


@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
def test_without_a_residual_unstructured(reml: bool) -> None:
    fit = ml.lmm("y ~ visit + arm + (0 + v0 + v1 + v2 | person)", visits(), residual="none", reml=reml)
    model = dense(fit)
    np.testing.assert_allclose(
        fit._inference().df(CONTRASTS), satterthwaite_df(model, CONTRASTS), rtol=AT_OPTIMUM
    )
    if reml:
        check_kenward_roger(fit, model, 1e-5)


def test_without_a_residual_autoregressive() -> None:
    fit = ml.lmm("y ~ visit + arm + ar1(0 + v0 + v1 + v2 | person)", visits(), residual="none")
    model = structured(fit)
    np.testing.assert_allclose(fit._inference().df(CONTRASTS), satterthwaite_df(model, CONTRASTS), rtol=1e-5)
    check_kenward_roger(fit, model, 1e-5)


# ---- at the boundary ----


def perfectly_correlated() -> pd.DataFrame:
    """Intercepts and slopes of seven groups are one."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(7), 6)
    x, b = rng.normal(size=42), rng.normal(size=7)
    return pd.DataFrame(
        {"y": b[g] * (1.0 + 0.8 * x) + rng.normal(size=42), "x": x, "g": g, "h": np.arange(42) % 5}
    )


def of_rank_one(fit: LMMFit) -> DenseModel:
    """V in the one column that the root of the first Sigma has, and in the variances of the other terms."""
    values, vectors = np.linalg.eigh(fit.record.terms[0].covariance)
    column = vectors[:, -1] * np.sqrt(values[-1])
    others = [term.covariance[0, 0] for term in fit.record.terms[1:]]

    def covariance_of(parameters: Array) -> Array:
        V = residual_part(fit.design, fit.record, parameters)
        V = V + term_part(fit.design, 0, np.outer(parameters[:2], parameters[:2]))
        for k in range(len(others)):
            V = V + term_part(fit.design, k + 1, parameters[None, 2 + k : 3 + k])
        return V

    at = np.array([*column, *others, fit.sigma**2])
    return dense_model(fit.design, covariance_of, at, reml=fit.reml, linear=False)


@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
@pytest.mark.parametrize("more", ["", " + (1 | h)"], ids=["one factor", "crossed"])
def test_a_singular_covariance_moves_among_those_of_its_rank(more: str, reml: bool) -> None:
    data = perfectly_correlated()
    data["y"] += 1.5 * np.array([-1.0, 0.3, 0.9, 0.5, -0.7])[data["h"]] if more else 0.0
    fit = ml.lmm(f"y ~ x + (1 + x | g){more}", data, reml=reml)
    assert fit.optimum.rank[0] == 1
    L = contrasts(fit)
    np.testing.assert_allclose(fit._inference().df(L), satterthwaite_df(of_rank_one(fit), L), rtol=AT_OPTIMUM)
    if reml:  # defined by the whole of Sigma, singular or not
        check_kenward_roger(fit, dense(fit), 1e-5)


def test_a_variance_of_zero_is_known_to_be_zero() -> None:
    fit = ml.lmm("Yield ~ 1 + (1 | Batch)", ml.datasets.dyestuff2())
    assert fit.singular
    assert fit._inference().df(np.eye(1))[0] == pytest.approx(29.0, rel=1e-6)
    check_kenward_roger(fit, dense(fit), 1e-6)


def nothing_between(name: str) -> LMMFit:
    """A crossed factor whose levels do not differ."""
    data = grouped()
    data[name] = np.arange(len(data)) % 12
    data["y"] -= data.groupby(name)["y"].transform("mean")
    fit = ml.lmm(f"y ~ x + (1 | g) + (1 | {name})", data)
    assert fit.optimum.rank == (1, 0)
    return fit


def test_a_crossed_variance_of_zero() -> None:
    fit = nothing_between("empty")
    alone = fit.update("y ~ x + (1 | g)")
    np.testing.assert_allclose(fit._inference().df(np.eye(2)), alone._inference().df(np.eye(2)), rtol=EXACT)
    check_kenward_roger(fit, dense(fit), EXACT)


# ---- what both promise ----


METHODS = ("satterthwaite", "kenward-roger", "z", "residual", "between-within", "containment")


@pytest.mark.parametrize("df", METHODS)
def test_many_rows_are_answered_like_each(df: str) -> None:
    found = ml.lmm("y ~ x + z + (1 + x | g)", grouped())._inference(df)
    L = np.random.default_rng(0).normal(size=(300, 3))
    some = [0, 17, 299]
    np.testing.assert_allclose(found.df(L)[some], [found.df(L[i : i + 1])[0] for i in some])
    assert found.covariance(L).shape == (300, 300)
    assert found.df(L[:0]).shape == (0,)


@pytest.mark.parametrize("df", METHODS)
def test_the_f_test_of_one_row_is_the_square_of_t(df: str) -> None:
    found = ml.lmm("y ~ x + z + (1 + x | g)", grouped())._inference(df)
    for L in np.eye(3)[:, None]:
        test = found.f_test(L, at=np.array([0.3]))
        t = (L @ found.beta - 0.3)[0] / np.sqrt(found.covariance(L)[0, 0])
        assert test.statistic == pytest.approx(t**2)
        assert test.df_num == 1.0
        assert test.df_den == pytest.approx(found.df(L)[0])


@pytest.mark.parametrize("df", METHODS)
def test_rows_that_repeat_others_are_not_counted(df: str) -> None:
    found = ml.lmm("y ~ x + z + (1 + x | g)", grouped())._inference(df)
    L = np.eye(3)[1:]
    once, again = found.f_test(L), found.f_test(np.vstack([L, L[:1] + 2.0 * L[1:]]))
    assert again.df_num == once.df_num == 2.0
    assert again.statistic == pytest.approx(once.statistic)
    if df != "satterthwaite":  # whose degrees of freedom depend on how a hypothesis is written
        assert again.df_den == pytest.approx(once.df_den)


@pytest.mark.parametrize("df", METHODS)
def test_rows_of_any_size_are_tested(df: str) -> None:
    """A row says the same in any unit; rows of zeros say nothing."""
    found = ml.lmm("y ~ x + z + (1 + x | g)", grouped())._inference(df)
    L = np.eye(3)[1:]
    plain, scaled = found.f_test(L), found.f_test(np.array([[1e-7], [1e6]]) * L)
    assert scaled.df_num == 2.0
    assert scaled.statistic == pytest.approx(plain.statistic, rel=1e-9)
    nothing = found.f_test(np.zeros((1, 3)))
    assert nothing.df_num == 0.0
    assert np.isnan(nothing.p_value)


def test_too_little_for_moments() -> None:
    """With A2 >= q the statistic has no mean, and no F distribution can match it."""
    assert np.isnan(matched_moments(3, 4.0, 3.5)).all()


def test_common_degrees_of_freedom() -> None:
    """Values of lmerTest 3.1 for two, two and three t statistics."""
    assert common_df(np.array([5.0, 10.0])) == pytest.approx(6.363636, rel=1e-6)
    assert common_df(np.array([1.5, 10.0])) == 2.0
    assert common_df(np.array([7.0, 7.0, 7.0])) == 7.0


@pytest.mark.parametrize("df", ["satterthwaite", "kenward-roger"])
@pytest.mark.parametrize("formula", ["y ~ x + z + (1 + x | g)", "y ~ x + z + (1 | g) + (1 | h)"])
def test_units_origins_and_order_do_not_matter(formula: str, df: str) -> None:
    data = grouped()
    L = np.eye(3)[1:]
    plain = ml.lmm(formula, data)._inference(df)
    changed: list[Callable[[pd.DataFrame], pd.DataFrame]] = [
        lambda d: d.sample(frac=1.0, random_state=1),
        lambda d: d.assign(y=1e6 * d["y"] + 1e9),
        lambda d: d.assign(x=d["x"] + 1e4),
        lambda d: d.assign(g=[f"level {(5 * g) % 8}" for g in d["g"]]),
    ]
    for change in changed:
        other = ml.lmm(formula, change(data))._inference(df)
        np.testing.assert_allclose(other.df(L), plain.df(L), rtol=1e-5)
        ours, theirs = other.f_test(L), plain.f_test(L)
        assert ours.p_value == pytest.approx(theirs.p_value, rel=1e-4)


@pytest.mark.parametrize("df", METHODS)
def test_counts_are_rows_repeated(df: str) -> None:
    data = grouped()
    data["n"] = 1 + np.arange(len(data)) % 3
    counted = ml.lmm("y ~ x + z + (1 + x | g)", data, freq_weights="n")._inference(df)
    repeated = ml.lmm("y ~ x + z + (1 + x | g)", data.loc[data.index.repeat(data["n"])])._inference(df)
    L = np.vstack([np.eye(3), np.ones((1, 3))])
    np.testing.assert_allclose(counted.df(L), repeated.df(L), rtol=1e-6)
    np.testing.assert_allclose(counted.covariance(L), repeated.covariance(L), rtol=1e-6)


def test_balanced_designs_have_whole_degrees_of_freedom() -> None:
    """Ten schools, five of them treated: eight, whichever way they are found."""
    fit = ml.lmm("y ~ treatment + (1 | school)", ml.datasets.course_demo_10x30())
    for df in ("satterthwaite", "kenward-roger", "between-within"):
        np.testing.assert_allclose(fit._inference(df).df(np.eye(2)), 8.0, rtol=1e-6)
    assert fit.tidy()["p_value"][1] == pytest.approx(0.345, abs=5e-4)
