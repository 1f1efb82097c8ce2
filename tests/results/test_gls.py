"""Generalized least squares as a user meets it: algebra, other ways to the same numbers, and mistakes."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

import multilevel as ml
from multilevel.errors import (
    DataError,
    DataTypeError,
    FormulaError,
    ModelError,
    MultilevelWarning,
    NewLevelsError,
)
from multilevel.estimation.residual.problem import slopes, solve
from reference_cases import load_data

STRUCTURES = {
    "exchangeable": "exchangeable",
    "ar1": "ar1",
    "arma": ml.ARMA(1, 1),
    "toeplitz": "toeplitz",
    "unstructured": "unstructured",
    "stationary1": "stationary1",
    "nonstationary1": "nonstationary1",
    "by": ml.Residual("ar1", by="sex"),
    "un by": ml.Residual("unstructured", var="visit", by="sex"),
    "strata": ml.VarIdent("sex"),
    "power": ml.Residual("ar1", ml.VarPower("dose")),
    "exp by": ml.VarExp("dose", by="sex"),
    "constant": ml.Residual("exchangeable", ml.VarConstPower("dose")),
    "product": ml.Residual("ar1", ml.VarIdent("sex") * ml.VarPower("dose")),
    "fitted": ml.VarPower(),
    "fixed": ml.VarFixed("dose"),
}


def visits(n_groups: int = 40, seed: int = 1, complete: bool = False) -> pd.DataFrame:
    """Groups of up to five visits: serial correlation, variances by sex and dose."""
    rng = np.random.default_rng(seed)
    t = np.arange(5)
    e = np.linalg.cholesky(0.6 ** np.abs(t[:, None] - t)) @ rng.normal(size=(5, n_groups))
    data = pd.DataFrame(
        {
            "id": np.repeat([f"s{k}" for k in rng.permutation(n_groups)], 5),
            "visit": np.tile(t, n_groups),
            "sex": np.repeat(np.where(rng.random(n_groups) < 0.5, "f", "m"), 5),
            "dose": rng.uniform(1.0, 4.0, size=5 * n_groups),
            "x": rng.normal(size=5 * n_groups),
        }
    )
    sd = np.where(data.sex == "m", 1.5, 1.0) * data.dose**0.4
    data["y"] = 20.0 + 2.0 * data.x + 0.5 * data.visit + sd * e.T.ravel()
    return data if complete else data[rng.random(len(data)) < 0.85].reset_index(drop=True)


def fit(residual, data=None, formula="y ~ x + visit", **options):
    return ml.gls(
        formula,
        visits(n_groups=120) if data is None else data,
        residual=residual,
        groups="id",
        time="visit",
        **options,
    )


def dense_criterion(f) -> float:
    """The criterion from the whole covariance matrix, group by group put together."""
    data, n = f.call.data, f.nobs
    V = np.diag((f.sigma * f.record.relative_sd) ** 2)
    if f.ngroups:
        ids = data["id"].to_numpy()
        for label in np.unique(ids):
            rows = np.flatnonzero(ids == label)
            V[np.ix_(rows, rows)] = f.marginal_cov(label)
    X, r = f.design.X, f.design.y - f.design.X @ f.fixef
    W = np.linalg.inv(V)
    value = np.linalg.slogdet(V)[1] + r @ W @ r
    if not f.reml:
        return float(value + n * np.log(2 * np.pi))
    p = X.shape[1]
    return float(value + np.linalg.slogdet(X.T @ W @ X)[1] + (n - p) * np.log(2 * np.pi))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", STRUCTURES)
def test_against_the_whole_covariance_matrix(name, reml):
    f = fit(STRUCTURES[name], reml=reml)
    assert f.converged
    assert f.criterion == pytest.approx(dense_criterion(f), rel=1e-11)


@pytest.mark.parametrize("name", STRUCTURES)
def test_gradient_at_the_end_and_elsewhere(name):
    f = fit(STRUCTURES[name])
    problem = f.solution.problem
    # away from the optimum the gradient is that of the criterion; the flat optimum itself is certified
    phi = f.solution.point.phi + 0.02
    at = solve(problem, phi)
    if at is None or len(phi) == 0:
        return
    steps = 1e-5 * np.eye(len(phi))
    numeric = [(solve(problem, phi + s).criterion - solve(problem, phi - s).criterion) / 2e-5 for s in steps]
    np.testing.assert_allclose(slopes(problem, at).gradient, numeric, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ["ar1", "unstructured", "product", "un by", "exchangeable"])
def test_order_and_names_do_not_matter(name):
    data = visits(n_groups=120)
    rng = np.random.default_rng(5)
    shuffled = data.iloc[rng.permutation(len(data))].reset_index(drop=True)
    labels = dict(zip(data.id.unique(), rng.permutation(1000)[: data.id.nunique()], strict=True))
    f, g = fit(STRUCTURES[name], data), fit(STRUCTURES[name], shuffled.assign(id=shuffled.id.map(labels)))
    assert g.criterion == pytest.approx(f.criterion, abs=1e-8)
    # two ends of a search agree as far as the criterion is flat
    np.testing.assert_allclose(g.fixef, f.fixef, rtol=1e-5)
    np.testing.assert_allclose(g.varcorr()["estimate"], f.varcorr()["estimate"], rtol=1e-3)
    np.testing.assert_allclose(np.sort(g.fitted), np.sort(f.fitted), rtol=1e-5)


@pytest.mark.parametrize("name", ["ar1", "product", "constant"])
def test_units(name):
    data = visits()
    f = fit(STRUCTURES[name], data)
    g = fit(STRUCTURES[name], data.assign(y=1e4 * data.y + 1e6, x=data.x * 1e-3 + 50.0))
    np.testing.assert_allclose(g.fixef[1:], f.fixef[1:] * [1e7, 1e4], rtol=1e-5)
    np.testing.assert_allclose(g.sigma, 1e4 * f.sigma, rtol=1e-4)
    np.testing.assert_allclose(
        g.varcorr()["estimate"].iloc[1:], f.varcorr()["estimate"].iloc[1:], rtol=1e-3, atol=1e-6
    )


def test_precision_weights_are_a_fixed_variance():
    data = visits()
    f = fit(ml.Residual("ar1", ml.VarFixed("dose")), data)
    g = fit("ar1", data.assign(w=1.0 / data.dose), weights="w")
    assert f.criterion == pytest.approx(g.criterion, abs=1e-9)
    np.testing.assert_allclose(f.fixef, g.fixef, rtol=1e-9)


def test_without_structure_it_is_least_squares():
    data = visits()
    f, o = fit(None, data, reml=False), ml.ols("y ~ x + visit", data)
    assert f.loglik == pytest.approx(o.loglik, abs=1e-9)
    np.testing.assert_allclose(f.fixef, o.fixef, rtol=1e-12)
    np.testing.assert_allclose(fit(None, data).se, o.se, rtol=1e-10)
    assert f.varcorr()["term"].tolist() == ["sigma"]


def test_an_exchangeable_correlation_is_a_random_intercept():
    data = visits()
    f, m = fit("exchangeable", data), ml.lmm("y ~ x + visit + (1 | id)", data)
    assert f.criterion == pytest.approx(m.criterion, abs=1e-8)
    np.testing.assert_allclose(f.fixef, m.fixef, rtol=1e-6)
    # differences of exact gradients here, exact second derivatives there
    np.testing.assert_allclose(f.tidy(df="satterthwaite")["df"], m.tidy()["df"], rtol=1e-4)
    np.testing.assert_allclose(f.anova(df="satterthwaite")["df_den"], m.anova()["df_den"], rtol=1e-4)


def test_a_negative_correlation_that_random_effects_cannot_have():
    rng = np.random.default_rng(1)
    e = rng.normal(size=(50, 4))
    e -= 0.9 * e.mean(axis=1, keepdims=True)
    data = pd.DataFrame({"y": e.ravel(), "id": np.repeat(np.arange(50), 4)})
    f = ml.gls("y ~ 1", data, residual="exchangeable", groups="id")
    assert -1 / 3 < f.varcorr()["estimate"][1] < -0.2
    assert f.criterion < ml.lmm("y ~ 1 + (1 | id)", data).criterion - 5.0


def test_nested_structures_are_ordered_by_likelihood():
    data = visits(complete=True)
    names = ["independence", "ar1", "toeplitz", "unstructured"]
    comparison = ml.compare([fit(name, data) for name in names])
    assert (np.diff(comparison["loglik"]) > 0.0).all()
    np.testing.assert_array_equal(comparison["df"][1:], [1, 3, 6])
    assert np.isfinite(comparison["p_value"][1:]).all()


def test_comparisons_that_are_no_tests():
    data = visits()
    arma, un = fit(ml.ARMA(1, 1), data), fit(ml.VarIdent("visit"), data)
    assert np.isnan(ml.compare(arma, un)["p_value"]).all()
    mixed = ml.lmm("y ~ x + visit + (1 + x | id)", data)
    assert "not nested" in str(ml.compare(fit("ar1", data), mixed))
    with pytest.raises(ModelError, match="bootstrap"):
        ml.compare(arma, un, method="bootstrap")


def test_a_correlation_matrix_that_is_given():
    data = visits(complete=True)
    free = fit("exchangeable", data)
    alpha = float(free.varcorr()["estimate"][1])
    R = np.full((5, 5), alpha) + (1 - alpha) * np.eye(5)
    given = fit(ml.FixedCorrelation(R), data)
    assert given.criterion == pytest.approx(free.criterion, abs=1e-7)
    assert given.df_model == free.df_model - 1


def test_normalized_residuals_are_white():
    f = fit(STRUCTURES["product"])
    z = f.residuals("normalized")
    assert z @ z == pytest.approx(f.df_residual, rel=1e-10)
    r = f.residuals("response")
    np.testing.assert_allclose(f.residuals("pearson"), r / (f.sigma * f.record.relative_sd))
    np.testing.assert_allclose(r, f.design.y - f.fitted)


def test_one_series_needs_no_groups():
    rng = np.random.default_rng(3)
    e = np.zeros(200)
    for k in range(1, 200):
        e[k] = 0.7 * e[k - 1] + rng.normal()
    data = pd.DataFrame({"y": 1.0 + e, "t": np.arange(200.0), "one": 1})
    f = ml.gls("y ~ t", data, residual="ar1", time="t")
    g = ml.gls("y ~ t", data, residual="ar1", time="t", groups="one")
    assert f.criterion == pytest.approx(g.criterion, abs=1e-10)
    assert f.varcorr()["estimate"][1] == pytest.approx(0.7, abs=0.15)


def test_times_of_any_kind():
    data = visits()
    whole = fit("ar1", data)
    halves = ml.gls("y ~ x + visit", data.assign(t=data.visit / 2.0), residual="ar1", groups="id", time="t")
    assert halves.criterion == pytest.approx(whole.criterion, abs=1e-8)
    assert halves.varcorr()["estimate"][1] == pytest.approx(whole.varcorr()["estimate"][1] ** 2, rel=1e-4)
    named = ml.gls("y ~ x + visit", data, residual=ml.AR1(time="visit"), groups="id")
    assert named.criterion == whole.criterion


def test_by_is_a_fit_of_each_stratum_but_for_common_coefficients():
    data = visits()
    f = fit(ml.Residual("ar1", by="sex"), data, "y ~ 0 + sex + sex:x + sex:visit", reml=False)
    apart = sum(fit("ar1", data[data.sex == s], reml=False).loglik for s in ("f", "m"))
    assert f.loglik == pytest.approx(apart, abs=1e-7)


def test_the_face_of_a_fit():
    data = visits()
    f = fit(STRUCTURES["product"], pl.from_pandas(data))
    assert isinstance(f.tidy(conf_int=True), pl.DataFrame)
    assert f.glance()["corr"][0] == "ar1"
    assert f.augment().shape[0] == len(data)
    assert f.tidy("ran_pars", conf_int=True)["group"].to_list() == [
        "Residual",
        "Variance",
        "Variance",
        "Correlation",
    ]
    np.testing.assert_allclose(f.predict(), f.fitted)
    new = f.predict({"x": [0.0, 1.0], "visit": [1, 2]}, interval="confidence")
    assert (new["conf_low"] < new["fitted"]).all()
    again = pickle.loads(pickle.dumps(f))
    assert str(again) == str(f)
    assert again.varcorr().equals(f.varcorr())
    assert f.refit(f.design.y + 1.0).fixef[0] == pytest.approx(f.fixef[0] + 1.0, rel=1e-8)
    assert f.update(residual="ar1").residual.var is None
    assert f.ngroups == {"id": data.id.nunique()}
    for text in ("sd ~ |dose|^power", "by sex", "ar1 (rows a time d apart"):
        assert text in str(f)


@pytest.mark.parametrize("name", ["by", "un by", "product", "constant", "exp by", "fitted", "fixed", "ar1"])
def test_intervals_of_new_observations(name):
    """The rows used, given again as new data; the residual variance is added to that of the mean."""
    data = visits(n_groups=120)
    f = fit(STRUCTURES[name], data)
    inside, new = f.predict(interval="prediction"), f.predict(data, interval="prediction")
    np.testing.assert_allclose(new["conf_low"], inside["conf_low"], rtol=1e-6)
    mean = f.predict(interval="confidence")
    t = stats.t.ppf(0.975, f.df_residual)
    extra = ((inside["conf_high"] - inside["fitted"]) ** 2 - (mean["conf_high"] - mean["fitted"]) ** 2) / t**2
    np.testing.assert_allclose(extra, (f.sigma * f.record.relative_sd) ** 2, rtol=1e-8)


def test_intervals_for_strata_that_were_not_seen():
    f = fit(ml.VarIdent("sex"))
    new = {"x": [0.0], "visit": [1], "sex": ["other"]}
    assert np.isfinite(f.predict(new, interval="confidence")["conf_low"][0])
    with pytest.raises(NewLevelsError, match="has not seen sex 'other'"):
        f.predict(new, interval="prediction")


def test_means_and_hypotheses():
    f = fit("ar1", formula="y ~ x * sex + visit")
    assert f.emmeans("sex")["df"][0] == f.df_residual
    row = f.test("x = 2").iloc[0]
    assert row["estimate"] == pytest.approx(f.fixef[list(f.coef_names).index("x")])
    assert f.anova("marginal")["term"].tolist() == f.anova()["term"].tolist()


def test_a_constant_at_zero_is_said():
    data = load_data("Dialyzer")
    f = ml.gls("rate ~ (pressure + I(pressure**2)) * QB", data, residual=ml.VarConstPower("pressure"))
    table = f.varcorr().set_index("term")
    assert table.loc["constant", "estimate"] == 0.0
    assert np.isnan(table.loc["constant", "std_error"])
    assert np.isfinite(table.loc["power of pressure", "std_error"])
    assert "at the boundary" in str(f)
    assert f.criterion == pytest.approx(f.update(residual=ml.VarPower("pressure")).criterion, abs=1e-8)


def test_missing_groups_times_and_strata_are_dropped_and_counted():
    data = visits()
    data.loc[0, "id"], data.loc[5, "sex"] = None, None
    data.loc[9, "dose"] = np.nan
    f = fit(STRUCTURES["product"], data)
    assert f.dropped.n_missing == 3
    assert f.nobs == len(data) - 3


TEETH = "distance ~ age"
MISTAKES = [
    ({"formula": "y ~ x + (1 | id)"}, FormulaError, "Use ml.lmm"),
    ({"residual": "arx"}, DataError, "residual='arx' does not exist"),
    ({"residual": 3}, DataTypeError, "residual=3 is no correlation"),
    ({"residual": "cs", "groups": None}, ModelError, "name the column of groups"),
    ({"residual": "ar1", "groups": None}, ModelError, "'visit' repeats"),
    ({"residual": "cs", "groups": ["id", "sex"]}, ModelError, "names one column"),
    ({"residual": "un", "groups": "sex", "time": None}, ModelError, "too few"),
    ({"residual": "ar1", "time": "sex"}, DataError, "more than one row of id"),
    ({"residual": "cs", "reml": 1}, DataTypeError, "neither True nor False"),
    ({"residual": ml.VarPower("sex")}, DataTypeError, "holds labels"),
    ({"residual": ml.VarPower("visit")}, DataError, "use ml.VarConstPower"),
    ({"residual": ml.VarFixed("visit")}, DataError, "not positive"),
    ({"residual": ml.VarIdent("id")}, DataError, "has one row"),
    ({"residual": ml.VarExp("one")}, DataError, "does not vary"),
    ({"residual": ml.VarIdent("one")}, DataError, "one level"),
    ({"residual": ml.Residual("ar1", by="visit")}, DataError, "differs within id"),
    ({"residual": ml.ARMA(1, 1), "time": "dose"}, ModelError, "whole-numbered"),
    ({"residual": ml.FixedCorrelation(np.eye(3))}, DataError, "has 3 visits"),
    ({"residual": "cs", "groups": "row"}, ModelError, "one row"),
]


@pytest.mark.parametrize(("wrong", "error", "words"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_mistakes(wrong, error, words):
    data = visits()
    data = data.assign(one=1.0, row=np.arange(len(data)))
    lone = data.groupby("id").head(1).index[0]
    data.loc[data.id == data.id[lone], "visit"] = np.arange((data.id == data.id[lone]).sum())
    if "has one row" in words:
        data = pd.concat([data, data.iloc[[0]].assign(id="alone")])
    call = {"formula": "y ~ x", "groups": "id", "time": "visit", **wrong}
    with pytest.raises(error, match=words):
        ml.gls(data=data, **call)


def test_mistakes_of_a_fit():
    f = fit("cs")
    for call, words in (
        (lambda: f.anova(vcov="CR2"), "use ml.gee"),
        (lambda: f.test("x = 0", cluster="id"), "use ml.gee"),
        (lambda: f.summary(df="containment"), "does not exist"),
        (lambda: f.marginal_cov("nobody"), "no group of 'id'"),
        (lambda: f.residuals("studentized"), "does not exist"),
        (lambda: f.predict(interval="tolerance"), "does not exist"),
        (lambda: ml.gls("y ~ x", visits()).marginal_cov(), "are independent"),
        (lambda: ml.Residual(ml.NestedExchangeable("sex")), "one level of groups"),
        (lambda: ml.VarPower(3), "takes the name of a column"),
        (lambda: ml.Residual(var=3), "is no variance function"),
        (lambda: ml.ARMA(0, 0), "no correlation"),
        (lambda: ml.ARMA(-1, 0), "negative"),
    ):
        with pytest.raises((DataError, ModelError, DataTypeError), match=words):
            call()


def test_more_correlations_than_the_groups_can_tell():
    with pytest.raises(ModelError, match="grows without bound"):
        fit(STRUCTURES["un by"], visits(n_groups=40))


def test_rows_that_are_fitted_exactly():
    data = pd.DataFrame({"x": np.repeat([0.0, 1.0, 2.0, 3.0], 10)})
    data["y"] = 1.0 + data.x * (1.0 + np.random.default_rng(1).normal(size=40))
    with pytest.raises(ModelError, match="variance of some rows goes to zero"):
        ml.gls("y ~ x", data, residual=ml.VarConstPower("x"))


def test_gaps_without_times_are_warned_of():
    with pytest.warns(MultilevelWarning, match="Name the column of times"):
        ml.gls("y ~ x", visits(), residual="ar1", groups="id")


def test_simulated_responses_have_the_covariance():
    data = visits(n_groups=120)
    f = fit(STRUCTURES["product"], data)
    label = data.groupby("id").size().idxmax()
    rows = np.flatnonzero((data.id == label).to_numpy())
    Y = f.simulate(4000, seed=1)[rows]
    V = f.marginal_cov(label)  # in order of visits, as the data stand
    error = np.sqrt((np.outer(V.diagonal(), V.diagonal()) + V**2) / 4000)
    np.testing.assert_allclose(np.cov(Y), V, atol=5.0 * error.max())
    np.testing.assert_allclose(Y.mean(axis=1), f.fitted[rows], atol=5.0 * np.sqrt(V.max() / 4000))
    np.testing.assert_array_equal(f.simulate(2, seed=1), f.simulate(3, seed=1)[:, :2])
    again = f.refit(f.simulate(seed=3)[:, 0])
    assert again.residual == f.residual


def test_strata_and_degrees_of_freedom_of_the_call():
    data = visits(n_groups=120)
    f = fit("ar1", data, by="sex", df="satterthwaite")
    assert f.criterion == pytest.approx(fit(ml.Residual("ar1", by="sex"), data).criterion, abs=1e-9)
    assert f.tidy()["df"][0] < f.df_residual
    assert "Satterthwaite" in str(f)
    assert f.tidy(df="residual")["df"][0] == f.df_residual
    kr = fit("ar1", data, df="kenward-roger")
    assert (kr.tidy()["std_error"] >= kr.se - 1e-12).all()


def test_recovers_what_was_simulated():
    f = fit(STRUCTURES["product"], visits(n_groups=800, seed=7))
    table = f.varcorr().set_index("term")
    for term, true in (("sd ratio sex[m]", 1.5), ("power of dose", 0.4), ("alpha", 0.6)):
        row = table.loc[term]
        assert row["estimate"] == pytest.approx(true, abs=4.0 * row["std_error"]), term
