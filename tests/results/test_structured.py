"""Mixed models with a structure of the residuals: algebra, other ways to the same numbers, and mistakes."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.estimation.residual.mixed import slopes, solve
from reference_cases import load_data

STRUCTURES = {
    "ar1": ml.Residual("ar1", time="visit"),
    "arma": ml.ARMA(1, 1, time="visit"),
    "strata": ml.VarIdent("sex"),
    "power": ml.Residual("ar1", ml.VarPower("dose"), time="visit"),
    "constant": ml.VarConstPower("dose"),
    "by": ml.Residual("ar1", by="sex", time="visit"),
    "exp": ml.VarExp("dose") * ml.VarIdent("sex"),
}
BARS = {
    "intercepts": "(1 | id)",
    "slopes": "(1 + visit | id)",
    "nested": "(1 | site / id)",
}


def visits(n_groups: int = 60, seed: int = 1) -> pd.DataFrame:
    """Groups of up to six visits in sites: random effects, serial correlation, unequal variances."""
    rng = np.random.default_rng(seed)
    t = np.arange(6)
    e = np.linalg.cholesky(0.5 ** np.abs(t[:, None] - t)) @ rng.normal(size=(6, n_groups))
    group = np.repeat(np.arange(n_groups), 6)
    data = pd.DataFrame(
        {
            "id": [f"s{k}" for k in group],
            "site": [f"c{k % 8}" for k in group],
            "visit": np.tile(t, n_groups),
            "sex": np.repeat(np.where(rng.random(n_groups) < 0.5, "f", "m"), 6),
            "dose": rng.uniform(1.0, 4.0, size=6 * n_groups),
            "x": rng.normal(size=6 * n_groups),
        }
    )
    sd = np.where(data.sex == "m", 1.4, 1.0) * data.dose**0.5
    b, s, c = rng.normal(size=n_groups), 0.3 * rng.normal(size=n_groups), rng.normal(size=8)
    data["y"] = 10.0 + data.x + (1.5 * b)[group] + s[group] * data.visit + c[group % 8] + sd * e.T.ravel()
    return data[rng.random(len(data)) < 0.85].reset_index(drop=True)


def fit(residual, bars="(1 | id)", data=None, **options):
    used = visits() if data is None else data
    return ml.lmm(f"y ~ x + visit + {bars}", used, residual=residual, **options)


def dense_criterion(f) -> float:
    """The criterion from the whole covariance matrix of the responses."""
    data, n = f.call.data, f.nobs
    outer = "site" if "site" in f.ngroups else "id"
    V = np.zeros((n, n))
    for label in data[outer].unique():
        rows = np.flatnonzero((data[outer] == label).to_numpy())
        V[np.ix_(rows, rows)] = f.marginal_cov(label, factor=outer)
    X, r = f.design.X, f.design.y - f.design.X @ f.fixef
    W = np.linalg.inv(V)
    value = np.linalg.slogdet(V)[1] + r @ W @ r
    if not f.reml:
        return float(value + n * np.log(2 * np.pi))
    p = X.shape[1]
    return float(value + np.linalg.slogdet(X.T @ W @ X)[1] + (n - p) * np.log(2 * np.pi))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("bars", BARS)
@pytest.mark.parametrize("name", ["ar1", "power", "by"])
def test_against_the_whole_covariance_matrix(name, bars, reml):
    f = fit(STRUCTURES[name], BARS[bars], reml=reml)
    assert f.converged
    assert f.criterion == pytest.approx(dense_criterion(f), rel=1e-10)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("bars", BARS)
@pytest.mark.parametrize("name", STRUCTURES)
def test_gradient(name, bars, reml):
    f = fit(STRUCTURES[name], BARS[bars], reml=reml)
    problem, phi = f.solution.problem, f.solution.point.phi + 0.05
    at = solve(problem, phi)
    steps = 1e-4 * np.eye(len(phi))
    numeric = [(solve(problem, phi + s).criterion - solve(problem, phi - s).criterion) / 2e-4 for s in steps]
    # the criterion is minimised over theta to 1e-10, which a difference over 2e-4 shows
    np.testing.assert_allclose(slopes(problem, at).gradient, numeric, rtol=1e-4, atol=1e-3)


def test_order_and_names_do_not_matter():
    data = visits()
    rng = np.random.default_rng(5)
    shuffled = data.iloc[rng.permutation(len(data))].reset_index(drop=True)
    f = fit(STRUCTURES["power"], "(1 + visit | id)", data)
    g = fit(STRUCTURES["power"], "(1 + visit | id)", shuffled.assign(id=shuffled.id + "x"))
    assert g.criterion == pytest.approx(f.criterion, abs=1e-7)
    np.testing.assert_allclose(g.fixef, f.fixef, rtol=1e-5)
    np.testing.assert_allclose(np.sort(g.fitted), np.sort(f.fitted), rtol=1e-4)
    np.testing.assert_allclose(
        g.residual_parameters()["estimate"], f.residual_parameters()["estimate"], rtol=1e-3
    )


def test_units():
    data = visits()
    f = fit(STRUCTURES["power"], "(1 + visit | id)", data)
    other = data.assign(y=1e3 * data.y - 1e6, dose=100.0 * data.dose)
    g = fit(STRUCTURES["power"], "(1 + visit | id)", other)
    assert f.converged and g.converged  # noqa: PT018
    np.testing.assert_allclose(g.fixef[1:], 1e3 * f.fixef[1:], rtol=1e-5)
    power = f.residual_parameters()["estimate"][1]
    np.testing.assert_allclose(g.sigma, 1e3 * f.sigma / 100.0**power, rtol=1e-3)
    np.testing.assert_allclose(g.varcorr()["sd"][:2], 1e3 * f.varcorr()["sd"][:2], rtol=1e-3)


def test_a_fixed_variance_is_a_weight():
    data = visits()
    f = fit(ml.VarFixed("dose"), data=data)
    g = fit(None, data=data.assign(w=1.0 / data.dose), weights="w")
    assert f.criterion == pytest.approx(g.criterion, abs=1e-8)
    np.testing.assert_allclose(f.fixef, g.fixef, rtol=1e-6)
    np.testing.assert_allclose(f.se, g.se, rtol=1e-6)
    np.testing.assert_allclose(f.tidy()["df"], g.tidy()["df"], rtol=1e-4)  # differences against exact
    both = fit(ml.VarIdent("sex"), data=data.assign(w=1.0 / data.dose), weights="w")
    product = fit(ml.VarIdent("sex") * ml.VarFixed("dose"), data=data)
    assert both.criterion == pytest.approx(product.criterion, abs=1e-7)


def test_serial_correlation_as_a_random_effect_without_residual(sleepstudy):
    """The same model by another estimator."""
    data = sleepstudy.assign(day=sleepstudy.Days.astype("category"))
    f = ml.lmm("Reaction ~ Days + (1 | Subject)", data, residual=ml.Residual("ar1", time="Days"))
    g = ml.lmm("Reaction ~ Days + (1 | Subject) + ar1(0 + day | Subject)", data, residual="none")
    assert f.criterion == pytest.approx(g.criterion, abs=1e-6)
    np.testing.assert_allclose(f.fixef, g.fixef, rtol=1e-6)
    np.testing.assert_allclose(f.tidy()["df"], g.tidy()["df"], rtol=1e-3)


def test_standard_errors_agree_with_the_profile():
    """The inverse Hessian over all parameters, against the curvature of the minimum over theta."""
    f = fit(STRUCTURES["ar1"])
    problem, at, h = f.solution.problem, f.solution.point, 1e-3
    ends = [slopes(problem, solve(problem, at.phi + s, begin=at.theta)).gradient[0] for s in (h, -h)]
    of_eta = np.sqrt(2.0 / ((ends[0] - ends[1]) / (2.0 * h)))
    row = f.residual_parameters().iloc[1]
    assert row["std_error"] == pytest.approx(of_eta * (1.0 - row["estimate"] ** 2) / 2.0, rel=1e-3)


def test_sigma_has_the_interval_of_its_own_parametrisation():
    """Which stratum comes first does not change what is known of their ratio, nor the error of a sigma."""
    data = visits()
    f = fit(ml.VarIdent("sex"), data=data)
    g = fit(ml.VarIdent("sex"), data=data.assign(sex=data.sex.map({"f": "z", "m": "a"})))
    a, b = f.residual_parameters(), g.residual_parameters()
    assert a["estimate"][0] * a["estimate"][1] == pytest.approx(b["estimate"][0], rel=1e-4)
    ratio_error = a["std_error"][1] / a["estimate"][1]
    assert b["std_error"][1] / b["estimate"][1] == pytest.approx(ratio_error, rel=1e-3)


def test_singular_random_effects_beside_a_structure():
    rng = np.random.default_rng(2)
    data = visits().assign(y=lambda d: rng.normal(size=len(d)))
    f = fit(ml.VarIdent("sex"), data=data)
    assert f.singular
    assert f.converged
    assert f.criterion == pytest.approx(
        ml.gls("y ~ x + visit", data, residual=ml.VarIdent("sex")).criterion, abs=1e-6
    )
    assert np.isfinite(f.tidy()["df"]).all()


def test_groups_of_residuals():
    data = visits()
    inner = fit(STRUCTURES["ar1"], "(1 | site / id)", data)
    named = fit(ml.Residual("ar1", groups="id", time="visit"), "(1 | site / id)", data)
    assert inner.criterion == pytest.approx(named.criterion, abs=1e-8)
    # groups finer than any random effect
    finer = fit(ml.Residual("ar1", groups="id", time="visit"), "(1 | site)", data)
    assert finer.criterion == pytest.approx(dense_criterion(finer), rel=1e-10)


def test_the_face_of_a_fit():
    data = visits()
    f = fit(STRUCTURES["power"], "(1 + visit | id)", pl.from_pandas(data))
    for frame in (
        f.tidy(),
        f.varcorr(),
        f.ranef(),
        f.coef(),
        f.residual_parameters(),
        f.augment(),
        f.glance(),
    ):
        assert isinstance(frame, pl.DataFrame)
    np.testing.assert_allclose(f.predict(), f.fitted, rtol=1e-10)
    np.testing.assert_allclose(f.predict(re="none"), f.record.mixed.fitted_fixed, rtol=1e-10)
    z = f.residuals("normalized")
    assert np.corrcoef(z[:-1], z[1:])[0, 1] < 0.2
    assert f.residuals("fixed") == pytest.approx(f.design.y - f.record.mixed.fitted_fixed)
    assert f.refit(f.design.y + 1.0).fixef[0] == pytest.approx(f.fixef[0] + 1.0, rel=1e-6)
    assert f.tidy(df="containment")["df"][1] > f.tidy()["df"][0]
    assert f.emmeans("visit", at={"visit": [0, 5]})["estimate"].shape == (2,)
    assert f.anova("sequential")["term"].to_list() == ["x", "visit"]
    for text in ("power of dose", "alpha", "within id", "sd ~ |dose|^power"):
        assert text in str(f)


def test_fits_travel():
    f = fit(STRUCTURES["power"], "(1 + visit | id)")
    again = pickle.loads(pickle.dumps(f))
    np.testing.assert_array_equal(again.fixef, f.fixef)
    np.testing.assert_allclose(again.residual_parameters()["std_error"], f.residual_parameters()["std_error"])
    np.testing.assert_allclose(again.tidy()["df"], f.tidy()["df"], rtol=1e-10)
    assert str(again) == str(f)


def test_simulated_responses_have_the_covariance():
    data = visits()
    f = fit(STRUCTURES["power"], "(1 + visit | id)", data)
    label = data.groupby("id").size().idxmax()
    rows = np.flatnonzero((data.id == label).to_numpy())
    Y, V = f.simulate(4000, seed=1)[rows], f.marginal_cov(label)
    error = np.sqrt((np.outer(V.diagonal(), V.diagonal()) + V**2) / 4000)
    np.testing.assert_allclose(np.cov(Y), V, atol=5.0 * error.max())
    kept = f.simulate(4000, seed=1, re="keep")[rows]
    within = (f.sigma * f.record.relative_sd[rows]) ** 2
    np.testing.assert_allclose(kept.var(axis=1), within, rtol=0.12)  # 5 standard errors
    np.testing.assert_allclose(kept.mean(axis=1), f.fitted[rows], atol=5.0 * np.sqrt(within.max() / 4000))
    np.testing.assert_array_equal(f.simulate(2, seed=1), f.simulate(3, seed=1)[:, :2])


def test_what_rests_on_independent_residuals_is_not_there():
    f = fit(STRUCTURES["ar1"])
    with pytest.raises(AttributeError, match=r"r2\(\) rests on independent residuals"):
        f.r2()
    with pytest.raises(AttributeError, match="no attribute 'r3'"):
        f.r3()


def test_comparisons():
    data = visits()
    plain, ar1, both = (fit(r, data=data) for r in (None, STRUCTURES["ar1"], STRUCTURES["power"]))
    table = ml.compare(plain, ar1, both)
    assert (np.diff(table["loglik"]) > 0.0).all()
    np.testing.assert_array_equal(table["df"][1:], [1, 1])
    assert np.isfinite(table["p_value"][1:]).all()
    slopes_too = fit(STRUCTURES["ar1"], "(1 + visit | id)", data)
    assert ml.compare(ar1, slopes_too)["df"][1] == 2
    assert "too large" in " ".join(ml.compare(ar1, slopes_too).notes)
    assert np.isnan(ml.compare(fit(ml.VarIdent("sex"), data=data), slopes_too)["p_value"][1])


MISTAKES = [
    ({"residual": "arx"}, DataError, "residual='arx' does not exist"),
    ({"residual": 3}, DataTypeError, "no correlation structure"),
    ({"residual": ml.Residual("ar1", groups="site")}, ModelError, "belong to several levels of 'id'"),
    ({"residual": ml.Residual("ar1", time="visit"), "bars": "(1 | id) + (1 | visit)"}, ModelError, "cross"),
    ({"residual": ml.VarIdent("sex"), "freq_weights": "one"}, ModelError, "repeat the rows"),
    ({"residual": ml.VarPower("sex")}, DataTypeError, "holds labels"),
    ({"residual": "exchangeable"}, ModelError, "are the same covariance"),
]


@pytest.mark.parametrize(("wrong", "error", "words"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_mistakes(wrong, error, words):
    options = {"bars": "(1 | id)", **wrong}
    with pytest.raises(error, match=words):
        fit(data=visits().assign(one=1), **options)


def test_mistakes_of_a_fit():
    f = fit(STRUCTURES["ar1"])
    for call, words in (
        (lambda: f.anova(vcov="CR2"), "the model's own variance only"),
        (lambda: f.summary(df="kenward-roger"), "does not exist"),
        (lambda: f.residuals("studentized"), "does not exist"),
        (lambda: f.marginal_cov("nobody"), "nobody"),
        (lambda: ml.compare(f, fit(None), method="bootstrap"), "bootstrap"),
    ):
        with pytest.raises((DataError, ModelError), match=words):
            call()


def test_a_variance_that_depends_on_the_mean_is_a_fixed_point():
    data = load_data("BodyWeight")
    f = ml.lmm("weight ~ Time * Diet + (1 + Time | Rat)", data, residual=ml.VarPower())
    named = ml.lmm(
        "weight ~ Time * Diet + (1 + Time | Rat)", data.assign(m=f.fitted), residual=ml.VarPower("m")
    )
    np.testing.assert_allclose(named.fitted, f.fitted, rtol=1e-6)
    assert named.criterion == pytest.approx(f.criterion, abs=1e-6)
