"""Leverage, Cook's distance by row and residuals of every kind: against lme4, and against dense algebra."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import DataError, ModelError
from reference_cases import case_data, case_names, load_case

HAT_CASES = [name for name in case_names("lmm_") if load_case(name).get("hatvalues")]


@cache
def fit_case(name):
    case = load_case(name)
    spec = case["spec"]
    contrasts = {k: v.removeprefix("contr.") for k, v in (spec["contrasts"] or {}).items()} or None
    return ml.lmm(
        spec["formula"],
        case_data(case),
        reml=spec["method"] == "REML",
        weights=spec["weights"],
        offset=spec["offset"],
        contrasts=contrasts,
    )


def check_vector(ours, theirs, tolerance):
    size = np.abs(theirs["head"]).max()
    assert len(ours) == theirs["n"]
    np.testing.assert_allclose(
        ours[: len(theirs["head"])] / size, np.array(theirs["head"]) / size, atol=tolerance
    )
    assert (ours**2).sum() == pytest.approx(theirs["sum_sq"], rel=4 * tolerance)


@pytest.mark.parametrize("name", HAT_CASES)
def test_leverage_and_cooks_distance_are_those_of_lme4(name):
    case, fit = load_case(name), fit_case(name)
    influence = fit.influence()
    tolerance = 1e-5  # both depend on theta in first order, which R has to about 1e-6
    check_vector(influence["leverage"], case["hatvalues"], tolerance)
    check_vector(influence["cooks_distance"], case["cooks_distance_obs"], tolerance)
    assert influence["leverage"].sum() == pytest.approx(case["hatvalues"]["sum"], rel=tolerance)
    augmented = fit.augment()
    used = fit.design.rows
    np.testing.assert_array_equal(augmented["leverage"].to_numpy()[used], influence["leverage"])
    np.testing.assert_array_equal(augmented["cooks_distance"].to_numpy()[used], influence["cooks_distance"])


@pytest.mark.parametrize("name", case_names("lmm_"))
def test_pearson_residuals_are_those_of_r(name):
    case, fit = load_case(name), fit_case(name)
    theirs = case["residuals_pearson"]
    ours = fit.residuals("scaled")
    tolerance = 1e-3 if case["is_singular"] else 1e-5  # fitted values follow theta to first order
    np.testing.assert_allclose(ours[: len(theirs["head"])], theirs["head"], atol=tolerance)
    assert (ours**2).sum() == pytest.approx(theirs["sum_sq"], rel=1e-5)


# ---- dense algebra ----

FITS = {
    "slopes": ("Reaction ~ Days + (1 + Days | Subject)", "sleepstudy", {}),
    "weighted": ("Reaction ~ Days + (1 + Days | Subject)", "sleepstudy", {"weights": "w"}),
    "nested": ("strength ~ 1 + (1 | batch / cask)", "pastes", {}),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin", {}),
    "within blocks": ("Y ~ V * N + (1 | B / V)", "oats", {}),
    "two terms": ("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", "sleepstudy", {"reml": False}),
}
each_fit = pytest.mark.parametrize("name", FITS)


@cache
def some_fit(name):
    formula, data, options = FITS[name]
    frame = getattr(ml.datasets, data)()
    frame = frame.assign(w=np.random.default_rng(1).uniform(0.5, 2.0, len(frame)))
    return ml.lmm(formula, frame, **options)


def dense(fit):
    """V, P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1 and R, over sigma^2."""
    m = fit.matrices()
    half = (m.Z @ m.Lambda).toarray()
    R = np.diag(m.residual_variance) / fit.sigma**2
    V = half @ half.T + R
    W = np.linalg.inv(V)
    return V, W - W @ m.X @ np.linalg.solve(m.X.T @ W @ m.X, m.X.T @ W), R


@each_fit
def test_leverage_is_the_diagonal_of_the_hat_matrix(name):
    fit = some_fit(name)
    _, P, R = dense(fit)
    H = np.eye(len(R)) - R @ P  # y-hat = y - R P y
    np.testing.assert_allclose(H @ fit.design.y, fit.fitted, rtol=1e-9)
    np.testing.assert_allclose(fit.influence()["leverage"], np.diag(H), rtol=1e-8)


@each_fit
def test_residuals_over_their_own_standard_errors(name):
    fit = some_fit(name)
    V, P, R = dense(fit)
    conditional = fit.sigma * np.sqrt(np.diag(R @ P @ R))
    np.testing.assert_allclose(fit.residuals("studentized"), fit.residuals() / conditional, rtol=1e-7)
    marginal = fit.sigma * np.sqrt(np.diag(V @ P @ V))
    np.testing.assert_allclose(fit.residuals("standardized"), fit.residuals("fixed") / marginal, rtol=1e-8)


@each_fit
def test_whitened_residuals_are_uncorrelated(name):
    fit = some_fit(name)
    V, _, _ = dense(fit)
    groupings = sorted(fit.design.groupings, key=lambda g: -g.n_levels)
    crossed = name == "crossed"  # nested factors are whitened one innermost group after another
    order = np.arange(len(V)) if crossed else np.lexsort([g.codes for g in groupings])
    expected = np.empty(len(V))
    L = np.linalg.cholesky(V[np.ix_(order, order)])
    expected[order] = np.linalg.solve(L, fit.residuals("fixed")[order]) / fit.sigma
    np.testing.assert_allclose(fit.residuals("whitened"), expected, atol=1e-9)


def test_counts_are_repeated_rows():
    data = ml.datasets.sleepstudy().assign(n=1 + np.arange(180) % 3)
    formula = "Reaction ~ Days + (1 + Days | Subject)"
    counted = ml.lmm(formula, data, freq_weights="n")
    rows = np.repeat(np.arange(180), data["n"])
    repeated = ml.lmm(formula, data.iloc[rows].reset_index(drop=True))
    for column in (
        "leverage",
        "cooks_distance",
        "cooks_distance_fixed",
        "covratio",
        "dfbetas__Days",
        "sigma",
    ):
        ours, expected = counted.influence()[column], repeated.influence()[column]
        np.testing.assert_allclose(ours[rows], expected, rtol=1e-6)
    np.testing.assert_allclose(
        counted.residuals("studentized")[rows], repeated.residuals("studentized"), atol=1e-7
    )
    with pytest.raises(ModelError, match="repeat the rows"):
        counted.residuals("whitened")


def test_a_column_far_from_zero_changes_nothing():
    data = ml.datasets.sleepstudy()
    near = ml.lmm("Reaction ~ Days + (1 | Subject)", data)
    far = ml.lmm("Reaction ~ Days + (1 | Subject)", data.assign(Days=data["Days"] + 1e8))
    for kind in ("studentized", "standardized", "whitened"):
        np.testing.assert_allclose(far.residuals(kind), near.residuals(kind), atol=1e-6)
    for column in ("leverage", "cooks_distance_fixed", "covratio", "dfbetas__Days"):
        np.testing.assert_allclose(far.influence()[column], near.influence()[column], rtol=1e-6, atol=1e-9)


def test_large_crossed_factors_are_not_whitened():
    rng = np.random.default_rng(0)
    n = 3200
    data = pd.DataFrame({"y": rng.normal(size=n), "a": rng.integers(0, 40, n), "b": rng.integers(0, 30, n)})
    fit = ml.lmm("y ~ 1 + (1 | a) + (1 | b)", data)
    with pytest.raises(ModelError, match='Use residuals\\("studentized"\\)'):
        fit.residuals("whitened")


def test_without_a_residual_there_is_no_leverage():
    data = ml.datasets.orthodont()
    fit = ml.lmm("distance ~ age + us(0 + factor(age) | Subject)", data, residual="none")
    with pytest.raises(ModelError, match='residual="none"'):
        fit.residuals("studentized")
    with pytest.raises(ModelError, match="needs a residual"):
        fit.influence()
    whitened = fit.residuals("whitened")
    V = fit.marginal_cov(fit.design.groupings[0].levels[0])
    rows = fit.design.groupings[0].codes == 0
    expected = np.linalg.solve(np.linalg.cholesky(V), fit.residuals("fixed")[rows])
    np.testing.assert_allclose(whitened[rows], expected, rtol=1e-8)
    assert "leverage" not in fit.augment().columns


def test_unknown_kinds_are_refused():
    with pytest.raises(DataError, match="choose 'response'"):
        some_fit("slopes").residuals("deviance")
