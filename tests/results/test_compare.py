"""Comparisons of fits: R's likelihood-ratio tests, and what must not be compared."""

import numpy as np
import pytest

import multilevel as ml
from multilevel.errors import DataError, DataTypeError, ModelError
from reference_cases import load_case

INTERCEPTS = "Reaction ~ Days + (1 | Subject)"
SLOPES = "Reaction ~ Days + (1 + Days | Subject)"


@pytest.fixture(scope="module")
def intercepts(sleepstudy):
    return ml.lmm(INTERCEPTS, sleepstudy)


@pytest.fixture(scope="module")
def slopes(sleepstudy):
    return ml.lmm(SLOPES, sleepstudy)


def test_the_likelihood_ratio_test_of_the_course(intercepts, slopes):
    expected = load_case("lmm_sleepstudy_m2_reml")["lrt"]["m1"]
    table = ml.compare(intercepts, slopes).frame
    assert list(table["formula"]) == [INTERCEPTS, SLOPES]
    for column, name in [("npar", "n_par"), ("aic", "AIC"), ("bic", "BIC"), ("loglik", "loglik")]:
        np.testing.assert_allclose(table[column], expected[name], atol=1e-6)
    assert np.isnan(table["chisq"][0])
    assert table["chisq"][1] == pytest.approx(expected["chisq"], abs=1e-6)
    assert table["df"][1] == 2
    assert table["p_value"][1] == pytest.approx(expected["p"], rel=1e-5)
    assert table["p_boundary"][1] == pytest.approx(3.96e-10, rel=1e-3)


def test_the_order_and_the_form_of_the_arguments_do_not_matter(intercepts, slopes):
    given = ml.compare(slopes, intercepts, names=["slopes", "intercepts"])
    assert given.models == ("intercepts", "slopes")
    listed = ml.compare([intercepts, slopes])
    np.testing.assert_allclose(given["chisq"], listed["chisq"])


def test_a_maximum_likelihood_fit_is_not_refitted(sleepstudy, intercepts):
    by_ml = ml.lmm(SLOPES, sleepstudy, reml=False)
    comparison = ml.compare(intercepts, by_ml)
    assert any("Refitted by maximum likelihood: 1 (" in note for note in comparison.notes)
    assert comparison["loglik"][1] == by_ml.loglik
    assert intercepts.reml


def test_least_squares_compares_with_a_mixed_model(sleepstudy, intercepts):
    naive = ml.ols("Reaction ~ Days", sleepstudy)
    comparison = ml.compare(naive, intercepts)
    assert list(comparison["npar"]) == [3, 4]
    # R: anova(lmer(Reaction ~ Days + (1 | Subject)), lm(Reaction ~ Days)): logLik -950.15, -897.04
    np.testing.assert_allclose(comparison["loglik"], [-950.1465, -897.0393], atol=1e-4)
    assert comparison["p_boundary"][1] == pytest.approx(comparison["p_value"][1] / 2)


def test_the_printed_comparison(intercepts, slopes):
    text = str(ml.compare(intercepts, slopes))
    assert "Model 1: " + INTERCEPTS in text
    assert "42.139   2  7.07e-10" in text
    assert "p (boundary)" in text
    assert "nan" not in text
    assert "<table" in ml.compare(intercepts, slopes)._repr_html_()


def test_fits_to_other_rows_are_refused(sleepstudy, slopes):
    fewer = ml.lmm(INTERCEPTS, sleepstudy.iloc[:170])
    with pytest.raises(ModelError, match="180 rows and fit 2 uses 170"):
        ml.compare(slopes, fewer)
    gaps = sleepstudy.assign(Days=sleepstudy["Days"].astype(float).where(sleepstudy.index != 3))
    with pytest.raises(ModelError, match="complete for both"):
        ml.compare(slopes, ml.lmm(INTERCEPTS, gaps))


def test_fits_to_other_responses_are_refused(sleepstudy, slopes):
    with pytest.raises(ModelError, match=r"'log\(Reaction\)'"):
        ml.compare(slopes, ml.lmm("log(Reaction) ~ Days + (1 | Subject)", sleepstudy))


def test_fits_that_count_rows_differently_are_refused(sleepstudy, slopes):
    counted = ml.lmm(INTERCEPTS, sleepstudy, freq_weights=np.full(180, 2.0))
    with pytest.raises(ModelError, match="freq_weights"):
        ml.compare(slopes, counted)


def test_what_is_no_fit_is_refused(slopes):
    with pytest.raises(DataTypeError, match="takes fits"):
        ml.compare(slopes, "m2")
    with pytest.raises(DataError, match="at least two"):
        ml.compare(slopes)
    with pytest.raises(DataError, match="names"):
        ml.compare(slopes, slopes, names=["one"])


@pytest.mark.parametrize(
    ("small", "large", "nested"),
    [
        ("Days", "Days + I(Days**2)", True),
        ("Days", "I(Days**2) + I(Days**3)", False),
        ("I(2 * Days + 1)", "Days + I(Days**2)", True),
        ("1 + (1 | Subject)", "Days + (Days | Subject)", True),
        ("Days + (1 | Subject)", "1 + (Days | Subject)", False),
        ("Days + (Days || Subject)", "Days + (Days | Subject)", True),
        ("Days + (1 | Subject)", "Days + (0 + Days | Subject) + (1 | Block)", False),
        ("1 + (1 | Subject)", "1 + cs(1 + Days | Subject)", True),
        ("1 + cs(1 + Days | Subject, hom=True)", "1 + (1 + Days | Subject)", True),
        ("1 + diag(1 + Days | Subject)", "Days + cs(1 + Days | Subject, hom=True)", False),
        ("1 + (I(Days - 3) | Subject)", "Days + (Days | Subject)", True),
        ("1 + (1 | Subject) + (1 | Subject:cond)", "1 + (0 + cond | Subject)", True),
        ("1 + (1 | Subject) + (1 | cond:Subject)", "1 + (cond | Subject)", True),
        ("1 + (1 | Subject) + (1 | Subject:Block)", "1 + (cond | Subject)", False),
        ("1 + offset(Days) + (1 | Subject)", "Days + (1 | Subject)", True),
        ("1 + offset(Days**2) + (1 | Subject)", "Days + (1 | Subject)", False),
    ],
)
def test_only_nested_models_are_tested(sleepstudy, small, large, nested):
    data = sleepstudy.assign(Block=np.arange(len(sleepstudy)) % 6)
    fits = [(ml.lmm if "|" in right else ml.ols)(f"Reaction ~ {right}", data) for right in (small, large)]
    comparison = ml.compare(fits)
    assert comparison.formulas == tuple(f"Reaction ~ {right}" for right in (small, large))
    assert np.isfinite(comparison["p_value"][1]) == nested
    assert any("not nested; compare AIC or BIC" in note for note in comparison.notes) != nested


def test_a_model_that_must_have_residuals_is_not_nested_in_one_without(sleepstudy):
    data = sleepstudy.assign(visit=sleepstudy["Days"].astype(int).astype(str))
    with_residual = ml.lmm("Reaction ~ Days + (1 | Subject)", data, reml=False)
    without = ml.lmm("Reaction ~ Days + ar1(0 + visit | Subject)", data, reml=False, residual="none")
    assert np.isnan(ml.compare(with_residual, without)["p_value"][1])


def test_fits_with_other_precision_weights_are_not_nested(sleepstudy, slopes):
    weighted = ml.lmm(INTERCEPTS, sleepstudy, weights=np.linspace(1, 2, 180))
    comparison = ml.compare(weighted, slopes)
    assert np.isnan(comparison["p_value"][1])
    assert "not nested (their weights differ)" in comparison.notes[-1]


def test_the_note_on_refits_knows_whether_the_fixed_parts_agree(sleepstudy, intercepts, slopes):
    assert "the fixed parts agree" in ml.compare(intercepts, slopes).notes[0]
    empty = ml.lmm("Reaction ~ 1 + (1 | Subject)", sleepstudy)
    assert "only between models with the same fixed part" in ml.compare(empty, slopes).notes[0]


def test_fits_of_one_formula_are_told_apart():
    epil = ml.datasets.epil()
    counts = ml.glmm("y ~ trt + (1 | subject)", epil, family="poisson")
    told = ml.compare(counts, counts.update(zi="~ 1"), counts.update(family="negative_binomial"))["formula"]
    assert set(told) == {
        "y ~ trt + (1 | subject), family='poisson'",
        "y ~ trt + (1 | subject), family='poisson', zi='~ 1'",
        "y ~ trt + (1 | subject), family='negative_binomial'",
    }
    nodes = ml.compare(counts, counts.update(nagq=5))["formula"]
    assert set(nodes) == {"y ~ trt + (1 | subject), nagq=1", "y ~ trt + (1 | subject), nagq=5"}
    smaller = ml.glmm("y ~ 1 + (1 | subject)", epil, family="poisson")
    assert list(ml.compare(smaller, counts)["formula"]) == [smaller.formula, counts.formula]
