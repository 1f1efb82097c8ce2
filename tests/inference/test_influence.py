"""Case deletion: against R, against fits without the rows, and against dense algebra."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import ColumnNotFoundError, DataError, DataTypeError
from reference_cases import align_names, case_data, case_names, load_case

GROUP_CASES = [name for name in case_names("lmm_") if load_case(name).get("influence_groups")]


@pytest.mark.parametrize("name", GROUP_CASES)
def test_deletion_of_groups_is_that_of_r(name):
    case = load_case(name)
    data, spec = case_data(case), case["spec"]
    fit = ml.lmm(spec["formula"], data, reml=spec["method"] == "REML", weights=spec["weights"])
    order = align_names(case["fixed"]["names"], fit.coef_names, data, spec["contrasts"])
    for group, theirs in case["influence_groups"].items():
        influence = fit.influence(group)
        rows = [
            [str(level) for level in influence["level"]].index(level) for level in theirs["deleted_level"]
        ]
        tolerance = 1e-4  # R's refits stop at about 1e-5 in theta
        np.testing.assert_allclose(influence.dfbetas[rows][:, order], theirs["dfbetas"], atol=tolerance)
        se = fit.se[order]
        np.testing.assert_allclose(
            influence.dfbeta[rows][:, order] / se, np.array(theirs["dfbeta"]) / se, atol=tolerance
        )
        deleted = (fit.fixef - influence.dfbeta)[rows][:, order]
        np.testing.assert_allclose(deleted / se, np.array(theirs["fixef_deleted"]) / se, atol=tolerance)
        np.testing.assert_allclose(
            influence["cooks_distance"][rows], theirs["cooks_distance"], rtol=tolerance
        )
        J, p = len(rows), len(fit.fixef)
        lme4 = influence["cooks_distance"][rows] * (J - p) / J
        np.testing.assert_allclose(lme4, theirs["cooks_distance_lme4"], rtol=tolerance)
        np.testing.assert_allclose(influence["sigma"][rows], theirs["sigma_deleted"], rtol=tolerance)


# ---- fits without the rows ----

CASES = {
    "slopes": ("Reaction ~ Days + (1 + Days | Subject)", "sleepstudy", "Subject", {}),
    "ml": ("Reaction ~ Days + (1 | Subject)", "sleepstudy", "Subject", {"reml": False}),
    "weighted": ("Reaction ~ Days + (1 | Subject)", "sleepstudy", "Subject", {"weights": "w"}),
    "nested": ("strength ~ 1 + (1 | batch / cask)", "pastes", "batch", {}),
    "inner": ("Y ~ N + (1 | B / V)", "oats", "B:V", {}),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin", "sample", {}),
    "singular": ("Yield ~ 1 + (1 | Batch)", "dyestuff2", "Batch", {}),
    "another column": ("Reaction ~ 1 + (1 | Subject)", "sleepstudy", "Days", {}),
}
each_case = pytest.mark.parametrize("name", CASES)


@cache
def fitted(name):
    formula, data, group, options = CASES[name]
    frame = getattr(ml.datasets, data)()
    frame = frame.assign(w=np.random.default_rng(1).uniform(0.5, 2.0, len(frame)))
    return ml.lmm(formula, frame, **options), frame, group, options


def rows_of(frame, group):
    label = frame[group.split(":")].astype(str).agg(":".join, axis=1)
    return label.to_numpy()


@each_case
def test_refits_are_fits_to_the_other_rows(name):
    fit, frame, group, options = fitted(name)
    table = fit.influence(group)
    labels = rows_of(frame, group)
    for k in (0, len(table) - 1):
        alone = ml.lmm(fit.formula, frame[labels != str(table["level"][k])], **options)
        np.testing.assert_allclose(table.dfbeta[k], fit.fixef - alone.fixef, atol=1e-6 * fit.se.max())
        np.testing.assert_allclose(table.dfbetas[k], (fit.fixef - alone.fixef) / alone.se, atol=1e-6)
        assert table["sigma"][k] == pytest.approx(alone.sigma, rel=1e-5)
        ratio = np.linalg.det(alone.vcov()) / np.linalg.det(fit.vcov())
        assert table["covratio"][k] == pytest.approx(ratio, rel=1e-4)
        sds = [sd for term in alone.record.terms for sd in term.sd]
        ours = [table[name][k] for name in table.columns() if name.startswith("sd__")]
        np.testing.assert_allclose(ours, sds, rtol=1e-4, atol=1e-4 * fit.sigma)


def dense_deletion(fit, keep):
    """Generalised least squares on the kept rows with the relative covariance of the whole fit."""
    m = fit.matrices()
    half = (m.Z @ m.Lambda).toarray()[keep]
    V = half @ half.T + np.diag(m.residual_variance[keep]) / fit.sigma**2
    W = np.linalg.inv(V)
    X, y = m.X[keep], fit.design.y[keep]
    beta = np.linalg.solve(X.T @ W @ X, X.T @ W @ y)
    r = y - X @ beta
    df = len(y) - (X.shape[1] if fit.reml else 0)
    sigma2 = float(r @ W @ r) / df
    return beta, sigma2 * np.linalg.inv(X.T @ W @ X), np.sqrt(sigma2)


@each_case
def test_with_theta_held_deletion_is_generalised_least_squares(name):
    fit, frame, group, _ = fitted(name)
    labels = rows_of(frame, group)
    by_group, by_row = fit.influence(group, refit=False), fit.influence()
    deletions = [(by_group, k, labels != str(by_group["level"][k])) for k in (0, 2)]
    deletions += [(by_row, k, np.arange(len(labels)) != k) for k in (0, 17)]
    for table, k, keep in deletions:
        beta, vcov, sigma = dense_deletion(fit, keep)
        shift = fit.fixef - beta
        np.testing.assert_allclose(table.dfbeta[k], shift, atol=1e-7 * fit.se.max())
        np.testing.assert_allclose(table.dfbetas[k], shift / np.sqrt(np.diag(vcov)), atol=1e-7)
        assert table["sigma"][k] == pytest.approx(sigma, rel=1e-8)
        ratio = np.linalg.det(vcov) / np.linalg.det(fit.vcov())
        assert table["covratio"][k] == pytest.approx(ratio, rel=1e-7)
        cook = shift @ np.linalg.solve(fit.vcov(), shift) / len(shift)
        column = "cooks_distance" if table is by_group else "cooks_distance_fixed"
        assert table[column][k] == pytest.approx(cook, rel=1e-6, abs=1e-12)


def test_rows_may_be_refitted_too():
    fit, frame, *_ = fitted("ml")
    table = fit.influence(refit=True)
    alone = ml.lmm(fit.formula, frame.drop(index=59), reml=False)
    np.testing.assert_allclose(table.dfbeta[59], fit.fixef - alone.fixef, atol=1e-6)
    assert table["sigma"][59] == pytest.approx(alone.sigma, rel=1e-6)
    assert {"leverage", "cooks_distance", "cooks_distance_fixed"} <= set(table.columns())


def test_labels_may_be_given_apart_from_the_data():
    fit, frame, *_ = fitted("slopes")
    half = np.where(frame["Subject"].astype(int) < 340, "early", "late")
    table = fit.influence(half)
    assert list(table["level"]) == ["early", "late"]
    alone = ml.lmm(fit.formula, frame[half == "late"])
    np.testing.assert_allclose(table.dfbeta[0], fit.fixef - alone.fixef, atol=1e-4)


# ---- algebra ----


def test_the_order_of_rows_does_not_matter():
    fit, frame, *_ = fitted("slopes")
    shuffled = frame.sample(frac=1.0, random_state=1).reset_index(drop=True)
    other = ml.lmm(fit.formula, shuffled)
    one, two = fit.influence("Subject"), other.influence("Subject")
    assert list(one["level"]) == list(two["level"])
    np.testing.assert_allclose(two["cooks_distance"], one["cooks_distance"], rtol=1e-6)
    place = pd.Series(np.arange(180), index=shuffled.set_index(["Subject", "Days"]).index)
    rows = place.loc[list(zip(frame["Subject"], frame["Days"], strict=True))].to_numpy()
    np.testing.assert_allclose(
        other.influence()["cooks_distance"][rows], fit.influence()["cooks_distance"], rtol=1e-5, atol=1e-9
    )


@pytest.mark.parametrize("refit", [True, False])
def test_counts_are_repeated_rows(refit):
    data = ml.datasets.sleepstudy().assign(n=1 + np.arange(180) % 3)
    counted = ml.lmm("Reaction ~ Days + (1 | Subject)", data, freq_weights="n")
    rows = np.repeat(np.arange(180), data["n"])
    repeated = ml.lmm("Reaction ~ Days + (1 | Subject)", data.iloc[rows].reset_index(drop=True))
    one, two = (fit.influence("Subject", refit=refit) for fit in (counted, repeated))
    assert list(one["n_obs"]) == list(two["n_obs"])
    for column in ("cooks_distance", "covratio", "dfbetas__Days", "sigma"):
        np.testing.assert_allclose(one[column], two[column], rtol=1e-5)
    if refit:  # one copy of a row goes, the others stay
        np.testing.assert_allclose(
            counted.influence(refit=True)["sigma"][rows][:20],
            repeated.influence(refit=True)["sigma"][:20],
            rtol=1e-6,
        )


def test_the_same_numbers_come_out_after_a_refit_to_other_data():
    fit, *_ = fitted("slopes")
    before = fit.influence("Subject")["cooks_distance"]
    fit.refit(fit.simulate(1, seed=1)[:, 0])
    np.testing.assert_array_equal(fit.influence("Subject")["cooks_distance"], before)


# ---- what cannot be answered ----


@pytest.mark.parametrize("refit", [True, False])
def test_a_group_that_a_coefficient_rests_on(refit):
    data = ml.datasets.sleepstudy()
    data = data.assign(only=(data["Subject"].astype(str) == "310").astype(float))
    fit = ml.lmm("Reaction ~ Days + only + (1 | Subject)", data)
    table = fit.influence("Subject", refit=refit)
    k = list(map(str, table["level"])).index("310")
    assert np.isnan(table["cooks_distance"][k])
    assert np.isnan(table.dfbetas[k]).all()
    assert "do not identify all coefficients" in table["note"][k]
    assert np.isfinite(np.delete(table["cooks_distance"], k)).all()
    assert "No answer for 310" in str(table)


def test_a_row_that_a_coefficient_rests_on():
    data = ml.datasets.sleepstudy()
    fit = ml.lmm("Reaction ~ only + (1 | Subject)", data.assign(only=(np.arange(180) == 5).astype(float)))
    for refit in (True, False):
        table = fit.influence(refit=refit)
        assert np.isnan(table["cooks_distance_fixed"][5])
        assert np.isfinite(np.delete(table["cooks_distance_fixed"], 5)).all()
        assert "coefficients" in table["note"][5]


def test_a_factor_must_keep_two_levels():
    data = ml.datasets.penicillin()
    two = data[data["sample"].isin(["A", "B"])].assign(sample=lambda d: d["sample"].astype(str))
    fit = ml.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", two)
    table = fit.influence("sample")
    assert np.isnan(table["sigma"]).all()
    assert table["note"] == ["the other rows have one level of sample"] * 2


def test_columns_that_are_not_there():
    fit, *_ = fitted("slopes")
    with pytest.raises(ColumnNotFoundError, match="Subjekt"):
        fit.influence("Subjekt")
    with pytest.raises(DataError, match="one level"):
        fit.influence(np.zeros(180))
    with pytest.raises(DataError, match="one label for each"):
        fit.influence(np.zeros(7))
    with pytest.raises(DataTypeError, match="refit="):
        fit.influence("Subject", refit=1)


# ---- least squares ----


@pytest.fixture(scope="module")
def regression():
    data = ml.datasets.sleepstudy().assign(w=1.0 + np.arange(180) % 4, n=1 + np.arange(180) % 2)
    return ml.ols("Reaction ~ Days + Days:Subject", data, weights="w", freq_weights="n"), data


def test_rows_of_a_regression(regression):
    fit, data = regression
    table = fit.influence()
    k = 7  # counted twice: one copy is left
    alone = ml.ols(
        fit.formula, data.assign(n=data["n"] - (np.arange(180) == k)), weights="w", freq_weights="n"
    )
    check_linear(table, fit, alone, k)


def test_clusters_of_a_regression(regression):
    fit, data = regression
    table = fit.influence("Days")
    k = 3
    alone = ml.ols(fit.formula, data[data["Days"] != 3], weights="w", freq_weights="n")
    check_linear(table, fit, alone, k)


def check_linear(table, fit, alone, k):
    shift = fit.fixef - alone.fixef
    np.testing.assert_allclose(table.dfbeta[k], shift, atol=1e-8 * np.abs(fit.fixef).max())
    whole = fit.vcov(kind="model")
    error = np.sqrt(np.diag(whole)) / fit.sigma * alone.sigma  # sigma alone is of the other rows
    np.testing.assert_allclose(table.dfbetas[k], shift / error, atol=1e-7)
    cook = shift @ np.linalg.solve(whole, shift) / len(shift)
    assert table["cooks_distance"][k] == pytest.approx(cook, rel=1e-6)
    logs = [np.linalg.slogdet(v)[1] for v in (alone.vcov(kind="model"), whole)]
    assert table["covratio"][k] == pytest.approx(np.exp(logs[0] - logs[1]), rel=1e-6)
    assert table["sigma"][k] == pytest.approx(alone.sigma, rel=1e-9)


def test_clusters_that_a_regression_rests_on(regression):
    fit, _ = regression
    table = fit.influence("Subject")
    assert all("do not identify" in note for note in table["note"])


def test_tables_are_of_the_users_kind_and_pages_read_well():
    data = ml.datasets.sleepstudy("polars")
    fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", data)
    table = fit.influence("Subject").frame
    assert type(table).__module__.startswith("polars")
    assert table.columns[:5] == ["group", "level", "n_obs", "cooks_distance", "covratio"]
    page = str(fit.influence("Subject"))
    assert page.startswith("Influence of each Subject, left out one at a time; refitted without it")
    assert "309" in page.splitlines()[4]  # the largest Cook's distance
    many = ml.lmm("Y ~ V * N + (1 | B)", ml.datasets.oats()).influence("B")
    assert "largest" in str(many)
    assert "<table" in many._repr_html_()
    assert "row" in fit.influence().frame.columns


def test_a_model_without_coefficients_has_variances_to_look_at():
    fit = ml.lmm("Reaction ~ 0 + (1 | Subject)", ml.datasets.sleepstudy())
    for table in (fit.influence("Subject"), fit.influence("Subject", refit=False), fit.influence()):
        assert np.isnan(table["cooks_distance"]).all()
        assert np.isfinite(table["sigma"]).all()
        assert "Cook's D" in str(table)
    assert "looks at the fit" in str(fit.check())
