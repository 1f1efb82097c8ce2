"""The fit that a user holds: its numbers against R's, and what it does when asked to do it again."""

import pickle

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import DataError, FormulaError, ModelError, MultilevelWarning
from multilevel.estimation import lmm as estimation
from reference_cases import load_case


@pytest.fixture(scope="module")
def slopes(sleepstudy):
    return ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleepstudy)


@pytest.fixture(scope="module")
def answer():
    return load_case("lmm_sleepstudy_m2_reml")


def test_properties_are_those_of_lme4(slopes, answer):
    np.testing.assert_allclose(slopes.fixef, answer["fixed"]["estimate"], rtol=1e-6)
    np.testing.assert_allclose(slopes.se, answer["fixed"]["se"], rtol=1e-6)
    np.testing.assert_allclose(slopes.vcov(), answer["fixed"]["vcov"], rtol=1e-5)  # theta's error enters
    np.testing.assert_allclose(slopes.theta, answer["theta"]["values"], rtol=1e-5)
    criteria = answer["criteria"]
    assert slopes.sigma == pytest.approx(answer["sigma"], rel=1e-6)
    assert slopes.criterion == pytest.approx(criteria["reml_criterion"], abs=1e-7)
    assert slopes.aic == pytest.approx(criteria["AIC"], abs=1e-6)
    assert slopes.bic == pytest.approx(criteria["BIC"], abs=1e-6)
    assert (slopes.nobs, slopes.df_model, slopes.df_residual) == (180, 6, 174)
    assert slopes.coef_names == ("Intercept", "Days")
    assert slopes.ngroups == {"Subject": 18}
    assert slopes.converged
    assert not slopes.singular
    assert (slopes.family, slopes.reml) == ("gaussian", True)
    assert slopes.formula == "Reaction ~ Days + (1 + Days | Subject)"


def test_fitted_values_and_residuals(slopes, answer):
    np.testing.assert_allclose(slopes.fitted[:50], answer["fitted"]["head"][:50], rtol=1e-6)
    np.testing.assert_allclose(slopes.residuals()[:50], answer["residuals"]["head"][:50], rtol=1e-4)
    scaled = answer["residuals_pearson"]["head"][:50]
    np.testing.assert_allclose(slopes.residuals("scaled")[:50], scaled, rtol=1e-4)


def test_residuals_of_a_weighted_fit_carry_the_root_of_the_weight(sleepstudy):
    w = np.linspace(0.5, 2.0, len(sleepstudy))
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy, weights=w)
    np.testing.assert_allclose(fit.residuals("pearson"), np.sqrt(w) * fit.residuals(), rtol=1e-12)
    np.testing.assert_allclose(fit.residuals("scaled") * fit.sigma, fit.residuals("pearson"), rtol=1e-12)
    fixed = sleepstudy["Reaction"].to_numpy() - fit.record.fitted_fixed
    np.testing.assert_allclose(fit.residuals("fixed"), fixed, rtol=1e-12)


def test_other_residuals_are_refused(slopes):
    with pytest.raises(DataError, match="choose 'response'"):
        slopes.residuals("deviant")


def test_wald_intervals_are_those_of_lme4(slopes, answer):
    table = slopes.confint(df="z")
    np.testing.assert_allclose(table["conf_low"], answer["ci_wald"]["2.5 %"], rtol=1e-6)
    np.testing.assert_allclose(table["conf_high"], answer["ci_wald"]["97.5 %"], rtol=1e-6)


def test_a_fit_survives_pickling(slopes):
    again = pickle.loads(pickle.dumps(slopes))
    np.testing.assert_array_equal(again.fixef, slopes.fixef)
    assert str(again) == str(slopes)
    new = pd.DataFrame({"Days": [3.0], "Subject": ["308"]})
    np.testing.assert_array_equal(again.predict(new), slopes.predict(new))
    assert again.update(". ~ . - Days").coef_names == ("Intercept",)


def test_refit_to_the_same_response_changes_nothing(slopes, sleepstudy):
    again = slopes.refit(sleepstudy["Reaction"])
    assert again.criterion == pytest.approx(slopes.criterion, abs=1e-9)


def test_refit_follows_the_response(slopes, sleepstudy):
    y = 3.0 * sleepstudy["Reaction"].to_numpy() - 100.0
    again = slopes.refit(y)
    np.testing.assert_allclose(again.fixef, [3.0 * slopes.fixef[0] - 100.0, 3.0 * slopes.fixef[1]], rtol=1e-7)
    assert again.sigma == pytest.approx(3.0 * slopes.sigma, rel=1e-6)
    np.testing.assert_array_equal(slopes.design.y, sleepstudy["Reaction"])


def test_refit_takes_all_rows_or_those_used(sleepstudy):
    data = sleepstudy.assign(Days=sleepstudy["Days"].astype(float).where(sleepstudy.index != 3))
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", data)
    full = fit.refit(data["Reaction"])
    np.testing.assert_allclose(fit.refit(data["Reaction"].drop(3)).fixef, full.fixef, rtol=1e-12)


@pytest.mark.parametrize(("length", "value"), [(10, 1.0), (180, np.nan), (180, np.inf)])
def test_refit_refuses_a_response_that_does_not_fit(slopes, length, value):
    y = np.arange(length, dtype=float)
    y[3] = value
    with pytest.raises(DataError, match="rows"):
        slopes.refit(y)


def test_update_changes_formula_or_arguments(slopes, sleepstudy):
    intercept = slopes.update(". ~ . - (1 + Days | Subject) + (1 | Subject)", reml=False)
    direct = ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy, reml=False)
    assert intercept.criterion == pytest.approx(direct.criterion, abs=1e-9)
    assert not intercept.reml
    assert slopes.update(data=sleepstudy.iloc[:100]).nobs == 100
    assert slopes.update().criterion == slopes.criterion


def test_a_formula_without_bars_points_to_ols(sleepstudy):
    with pytest.raises(FormulaError, match=r"ml\.ols"):
        ml.lmm("Reaction ~ Days", sleepstudy)


def test_a_weighted_fit_counts_observations_not_rows(sleepstudy):
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy, freq_weights=np.full(180, 2.0))
    assert fit.nobs == 360
    assert "360 in 180 rows" in str(fit)
    with pytest.raises(ModelError, match="repeat the rows"):
        fit.simulate(1)


def test_marginal_covariance_of_one_group(slopes):
    V = slopes.marginal_cov(308)
    M = slopes.matrices()
    rows = np.flatnonzero(slopes.design.groupings[0].codes == 0)
    dense = (M.Z @ M.Sigma @ M.Z.T).toarray() + np.diag(M.residual_variance)
    np.testing.assert_allclose(V, dense[np.ix_(rows, rows)], rtol=1e-10)
    with pytest.raises(DataError, match="did you mean '308'"):
        slopes.marginal_cov("3080")
    with pytest.raises(DataError, match="it has Subject"):
        slopes.marginal_cov("308", factor="Days")


def test_maketables_finds_its_attributes(slopes):
    table = slopes.__maketables_coef_table__
    assert list(table.columns) == ["b", "se", "t", "p", "ci95l", "ci95u"]
    assert list(table.index) == ["Intercept", "Days"]
    np.testing.assert_allclose(table["b"], slopes.fixef)
    assert slopes.__maketables_stat__("N") == 180
    assert slopes.__maketables_stat__("aic") == slopes.aic
    assert slopes.__maketables_stat__("r2") is None
    assert slopes.__maketables_stat__("unheard of") is None
    assert slopes.__maketables_depvar__ == "Reaction"
    assert slopes.__maketables_vcov_info__["vcov_type"] == "model-based"
    assert slopes.__maketables_default_stat_keys__ == ["N", "aic", "bic"]


def test_records_have_short_names(slopes):
    assert repr(slopes.optimum).startswith("Optimum: an optimum, certified; the search converged after ")
    assert repr(slopes.matrices()) == (
        "ModelMatrices: X (180, 2), Z (180, 36), Lambda and Sigma (36, 36), "
        "residual_variance (180,), z_names (36,)"
    )


def test_a_failed_search_is_told_in_sentences(sleepstudy, monkeypatch):
    monkeypatch.setattr(estimation, "MAX_EVALUATIONS", 1)
    message = "^The search stopped after 1 evaluations without meeting the first-order conditions\\.$"
    with pytest.warns(MultilevelWarning, match=message):
        fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleepstudy)
    assert "NOT CONVERGED: the search stopped after 1 evaluations" in str(fit)
    assert "conditions. One more step" in " ".join(str(fit).split())
