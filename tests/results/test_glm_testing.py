"""`ml.glm(...).anova()`: analyses of deviance as R's `anova` and `car::Anova` have them, and Wald's tests."""

from __future__ import annotations

import numpy as np
import pytest

import multilevel as ml
from multilevel.errors import DataError, ModelError

R_DIGITS = 1e-5  # R printed the chi-squares to five decimals or more, F to five


def ohio():
    return ml.glm("resp ~ factor(age) * smoke", ml.datasets.ohio(), family="binomial")


def gamma():
    formula = "I(y + 1) ~ trt * factor(period) + age"
    return ml.glm(formula, ml.datasets.epil(), family="gamma", link="log")


@pytest.mark.parametrize(
    ("kind", "statistic", "p_value"),
    [
        (1, [7.1715323, 4.7983049, 1.3139484], [0.066627, 0.028488, 0.725824]),  # anova(fit, test = "Chisq")
        (2, [7.1872021, 4.7983049, 1.3139484], [0.066164, 0.028488, 0.725824]),  # Anova(fit)
        (3, [5.0326700, 4.7163612, 1.3139484], [0.169420, 0.029877, 0.725824]),  # Anova(type = 3), contr.sum
    ],
)
def test_chi_squares_against_r(kind, statistic, p_value):
    table = ohio().anova(kind)
    assert list(table) == ["term", "statistic", "df", "p_value"]
    assert table["term"].tolist() == ["factor(age)", "smoke", "factor(age):smoke"]
    assert table["df"].tolist() == [3, 1, 3]
    np.testing.assert_allclose(table["statistic"], statistic, rtol=1e-7)
    np.testing.assert_allclose(table["p_value"], p_value, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "statistic"),
    [
        (1, [0.15152, 0.19576, 1.01242, 0.03920]),  # anova(fit, test = "F")
        (2, [0.49957, 0.21452, 1.01406, 0.03920]),  # Anova(fit, test = "F")
        (3, [0.49989, 0.21139, 1.01406, 0.03920]),
    ],
)
def test_f_tests_against_r(kind, statistic):
    table = gamma().anova(kind)
    assert list(table) == ["term", "df_num", "df_den", "statistic", "p_value"]
    assert table["df_num"].tolist() == [1, 3, 1, 3]
    assert (table["df_den"] == 227.0).all()
    np.testing.assert_allclose(table["statistic"], statistic, atol=R_DIGITS)


def test_type_two_is_the_default_as_for_mixed_models():
    np.testing.assert_array_equal(ohio().anova()["statistic"], ohio().anova(2)["statistic"])


def test_normal_responses_have_the_f_tests_of_least_squares():
    formula, data = "y ~ trt * factor(period) + age", ml.datasets.epil()
    for kind in (1, 3):
        one = ml.glm(formula, data, family="gaussian").anova(kind)
        other = ml.ols(formula, data).anova(kind)
        for column in ("df_num", "df_den", "statistic", "p_value"):
            np.testing.assert_allclose(one[column], other[column], rtol=1e-8)


def test_no_type_depends_on_the_coding_of_factors():
    formula = "resp ~ C(factor(age), contr.sum) * smoke"
    sums = ml.glm(formula, ml.datasets.ohio(), family="binomial")
    for kind in (1, 2, 3):
        np.testing.assert_allclose(sums.anova(kind)["statistic"], ohio().anova(kind)["statistic"], rtol=1e-7)


def test_dispersions_that_are_estimated_are_estimated_again():
    epil = ml.datasets.epil()
    fit = ml.glm("y ~ trt + age", epil, family="negative_binomial")
    for term, other in (("trt", "age"), ("age", "trt")):
        smaller = ml.glm(f"y ~ {other}", epil, family="negative_binomial")
        table = fit.anova().set_index("term")
        assert table.loc[term, "statistic"] == pytest.approx(2.0 * (fit.loglik - smaller.loglik), rel=1e-6)


def test_ordered_categories():
    """Halves in the place of sum contrasts: leaving one out is what type 3 says."""
    wine = ml.datasets.wine().assign(
        t=lambda d: np.where(d["temp"] == "warm", 0.5, -0.5),
        c=lambda d: np.where(d["contact"] == "yes", 0.5, -0.5),
    )
    fit = ml.glm("rating ~ temp * contact", wine, family="ordinal")
    smaller = [
        ml.glm(f"rating ~ {right}", wine, family="ordinal") for right in ("c + t:c", "t + t:c", "t + c")
    ]
    expected = [2.0 * (fit.loglik - each.loglik) for each in smaller]
    np.testing.assert_allclose(fit.anova(3)["statistic"], expected, rtol=1e-6)
    assert np.isfinite(fit.anova(3, test="wald")["statistic"]).all()


def test_the_only_predictor_without_an_intercept():
    epil = ml.datasets.epil()
    fit = ml.glm("y ~ 0 + age", epil, family="poisson")
    y, mu = epil["y"].to_numpy(), fit.fitted
    expected = 2.0 * ((y * np.log(mu) - mu).sum() + len(y))  # against means of one
    assert fit.anova()["statistic"].iloc[0] == pytest.approx(expected, rel=1e-8)


def test_variances_that_are_robust_have_tests_by_wald():
    epil = ml.datasets.epil()
    fit = ml.glm("y ~ trt + age", epil, family="poisson", cluster="subject")
    table = fit.anova()
    assert (table["df_den"] == 58.0).all()
    np.testing.assert_allclose(table["statistic"], (fit.fixef[1:] / fit.se[1:]) ** 2, rtol=1e-9)
    normal = fit.anova(vcov="HC0")
    assert list(normal) == ["term", "statistic", "df", "p_value"]
    with pytest.raises(ModelError, match="this fit's variance is robust"):
        fit.anova(test="lr")
    with pytest.raises(DataError, match="are for Wald tests"):
        fit.update(cluster=None).anova(test="lr", vcov="HC0")


def test_a_prior_leaves_tests_by_wald():
    fit = ml.glm("y ~ trt + age", ml.datasets.epil(), family="poisson", prior="weak")
    np.testing.assert_allclose(fit.anova()["statistic"], (fit.fixef[1:] / fit.se[1:]) ** 2, rtol=1e-8)
    with pytest.raises(ModelError, match="there is no maximum"):
        fit.anova(test="lr")


def test_nothing_to_test():
    with pytest.raises(ModelError, match="no terms beside the intercept"):
        ml.glm("y ~ 1", ml.datasets.epil(), family="poisson").anova()
    with pytest.raises(ModelError, match="no terms, not even an intercept"):
        ml.glm("y ~ 0", ml.datasets.epil(), family="poisson")
    with pytest.raises(ModelError, match="strata=True is for balanced linear models"):
        ohio().anova(strata=True)
