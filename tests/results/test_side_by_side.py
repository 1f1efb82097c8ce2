"""Fits side by side: the course's numbers, the words for each kind of predictor, and what is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from multilevel.errors import DataError, DataTypeError, ModelError

pytestmark = pytest.mark.filterwarnings("ignore::multilevel.errors.MultilevelWarning")


@pytest.fixture(scope="module")
def pupils():
    return ml.datasets.course_demo_10x30()


@pytest.fixture(scope="module")
def naive(pupils):
    return ml.ols("y ~ treatment", pupils)


@pytest.fixture(scope="module")
def mixed(pupils):
    return ml.lmm("y ~ treatment + (1 | school)", pupils)


def test_the_course_side_by_side(naive, mixed):
    both = ml.sidebyside(naive, mixed)
    table = both.frame.set_index(["model", "term"])
    course = {
        ("ols", "treatment"): (-0.296177845668396, 0.105456915860023, 1.0, 0.00530570941496704),
        ("lmm", "treatment"): (-0.296177845668893, 0.295106163568905, 2.79835761516685, 0.344943390494618),
    }
    for key, expected in course.items():
        found = table.loc[key, ["estimate", "std_error", "se_ratio", "p_value"]].astype(float)
        np.testing.assert_allclose(found, expected, rtol=1e-6)  # lme4 stops at about 1e-6 in theta
    assert set(table["estimand"]) == {"both"}
    # in balanced data a mixed model's ratio is the one due, exactly
    due = both.standard_errors.set_index("term")["se_ratio"]["treatment"]
    assert due == pytest.approx(mixed.se[1] / naive.se[1], rel=1e-6)
    text = " ".join(str(both).split())
    assert "treatment is constant within school" in text
    assert "its standard error is too small" in text
    assert "2.80 times that of ols" in text
    assert "The estimates agree" in text


def test_a_predictor_within_groups_has_too_large_a_naive_error(sleepstudy):
    naive = ml.ols("Reaction ~ Days", sleepstudy)
    intercepts = ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy)
    slopes = ml.lmm("Reaction ~ Days + (Days | Subject)", sleepstudy)
    text = " ".join(str(ml.sidebyside(naive, intercepts, slopes)).split())
    assert "its standard error is too large" in text
    assert "lmm 1 0.65; lmm 2 1.25" in text
    assert "lmm 2 lets the slope of Days differ between groups of Subject" in text


def test_a_sandwich_that_shows_more_than_a_common_correlation(sleepstudy):
    naive = ml.ols("Reaction ~ Days", sleepstudy)
    robust = ml.ols("Reaction ~ Days", sleepstudy, vcov="CR2", cluster="Subject")
    both = ml.sidebyside(naive, robust, names=["naive", "robust"])
    assert "try random slopes" in " ".join(str(both).split())
    assert list(both["model"]) == ["naive", "naive", "robust", "robust"]


def test_slopes_that_differ_within_and_between_groups_are_pointed_out():
    data = ml.datasets.income_blood_pressure()
    fits = [
        ml.ols("blood_pressure ~ income", data),
        ml.lmm("blood_pressure ~ income + (1 | neighbourhood)", data),
    ]
    assert "ml.decompose_effect" in str(ml.sidebyside(fits))


def test_independent_rows_leave_little_to_explain():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"g": np.repeat(range(40), 10), "x": rng.normal(size=400), "y": rng.normal(size=400)})
    both = ml.sidebyside(ml.ols("y ~ x", data), ml.lmm("y ~ x + (1 | g)", data))
    assert "matters little" in " ".join(str(both).split())


def test_several_groupings_are_each_looked_at(sleepstudy):
    data = ml.datasets.penicillin()
    fits = ml.ols("diameter ~ 1", data), ml.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    assert list(ml.sidebyside(*fits).standard_errors["groups"]) == ["plate", "sample"]


def test_terms_that_one_fit_lacks_are_left_empty(sleepstudy):
    both = ml.sidebyside(
        ml.ols("Reaction ~ 1", sleepstudy), ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy)
    )
    line = next(row for row in both.page().blocks[0].rows if row[0] == "Days")
    assert line[2] == "-"
    assert "nan" not in str(both).lower()


def test_what_is_not_explained_is_said(naive, mixed, pupils):
    assert "put a fit that takes rows for independent first" in " ".join(
        str(ml.sidebyside(mixed, naive)).split()
    )
    assert "No fit here knows of groups" in str(ml.sidebyside(naive, ml.ols("y ~ 1", pupils)))


def test_missing_rows_bring_up_what_each_fit_assumes(pupils):
    data = pupils.copy()
    data.loc[:20, "y"] = np.nan
    fits = ml.ols("y ~ treatment", data), ml.lmm("y ~ treatment + (1 | school)", data)
    text = " ".join(str(ml.sidebyside(*fits)).split())
    assert "21 rows were left out" in text
    assert "(MAR)" in text
    assert "different rows" in " ".join(str(ml.sidebyside(ml.ols("y ~ treatment", pupils), fits[1])).split())


def test_the_kind_of_frame_and_the_order_of_rows(naive, pupils):
    shuffled = pl.from_pandas(pupils.sample(frac=1.0, random_state=5))
    fits = ml.ols("y ~ treatment", shuffled), ml.lmm("y ~ treatment + (1 | school)", shuffled)
    both = ml.sidebyside(list(fits))
    assert isinstance(both.frame, pl.DataFrame)
    assert isinstance(both.tidy(), pl.DataFrame)
    np.testing.assert_allclose(both["std_error"][:2], naive.se, rtol=1e-9)


def test_misuse(naive, mixed, pupils):
    with pytest.raises(DataError, match="at least two"):
        ml.sidebyside(naive)
    with pytest.raises(DataTypeError, match=r"sidebyside\(\) takes fits"):
        ml.sidebyside(naive, 3)
    with pytest.raises(DataError, match="3 names for 2 fits"):
        ml.sidebyside(naive, mixed, names=["a", "b", "c"])
    with pytest.raises(DataError, match="repeats a name"):
        ml.sidebyside(naive, mixed, names=["a", "a"])
    with pytest.raises(ModelError, match="fits of one response"):
        ml.sidebyside(naive, ml.ols("treatment ~ 1", pupils))


# ---- fits with a link ----


@pytest.fixture(scope="module")
def visits():
    rng = np.random.default_rng(19)
    g, t = np.repeat(range(300), 8), np.tile(np.arange(8) / 4.0 - 0.875, 300)
    arm, own = (g % 2).astype(float), rng.normal(size=300)[g]
    chance = 1.0 / (1.0 + np.exp(0.5 - 0.8 * arm - t - 2.0 * own))
    data = pd.DataFrame({"g": g, "t": t, "arm": arm, "ill": (rng.random(2400) < chance).astype(int)})
    return data.assign(falls=rng.poisson(np.exp(0.2 + 0.3 * arm + 0.5 * t + 0.7 * own)))


def test_averaging_flattens_the_logistic_curve(visits):
    naive = ml.glm("ill ~ arm + t", visits, family="binomial")
    robust = ml.glm("ill ~ arm + t", visits, family="binomial", cluster="g")
    mixed = ml.glmm("ill ~ arm + t + (1 | g)", visits, family="binomial", nagq=15)
    both = ml.sidebyside(naive, robust, mixed, names=["naive", "robust", "glmm"])
    assert (naive.estimand, mixed.estimand) == ("population-averaged", "subject-specific")
    assert set(both["estimand"][-3:]) == {"subject-specific"}
    variance = float(mixed.record.terms[0].covariance[0, 0])
    factor = 1.0 / np.sqrt(1.0 + (16.0 * np.sqrt(3.0) / (15.0 * np.pi)) ** 2 * variance)
    # the closed form errs by up to 7%, and the two fits weigh groups differently
    np.testing.assert_allclose(naive.fixef / mixed.fixef, factor, rtol=0.12)
    text = " ".join(str(both).split())
    assert f"= {factor:.2f} times as large" in text
    assert "arm is constant within g" in text
    assert "t varies within g" in text
    # the ratio of the sandwich is the one due: arm varies between groups alone, t within them
    due = both.standard_errors["se_ratio"]
    np.testing.assert_allclose(due[1:], (robust.se / naive.se)[1:], rtol=0.15)
    assert "glmm 2." not in text  # its standard errors are on another scale


def test_rates_keep_their_slopes_and_overdispersion_is_said(visits):
    naive = ml.glm("falls ~ arm + t", visits, family="poisson")
    mixed = ml.glmm("falls ~ arm + t + (1 | g)", visits, family="poisson")
    both = ml.sidebyside(naive, mixed)
    text = " ".join(str(both).split())
    assert "With the log link slopes mean the same" in text
    assert "rows vary" in text
    np.testing.assert_allclose(both.standard_errors["se_ratio"][2], mixed.se[2] / naive.se[2], rtol=0.15)


def test_fits_on_different_scales(visits):
    logit = ml.glm("ill ~ arm + t", visits, family="binomial")
    linear = ml.ols("ill ~ arm + t", visits, cluster="g")
    both = ml.sidebyside(logit, linear)
    assert np.isnan(both["se_ratio"][3:]).all()
    assert "different scales" in str(both)


def test_overdispersed_rows_do_not_turn_what_is_said_of_groups_round():
    """V4 varies within subjects alone: what is between them cancels, however much rows vary."""
    epil = ml.datasets.epil()
    naive = ml.glm("y ~ trt + V4", epil, family="poisson")
    groups = ml.gee("y ~ trt + V4", epil, groups="subject", family="poisson", corr="exchangeable")
    both = ml.sidebyside(naive, groups)
    sentence = next(s for s in both.sentences if s.startswith("V4"))
    assert sentence.startswith("V4 varies within subject (ICC_x -0.33), so that each subject is compared")
    assert "repeat each other" not in sentence
    effect = both.standard_errors
    deff, due = float(effect["deff"].iloc[-1]), float(effect["se_ratio"].iloc[-1])
    pearson = naive.residuals("pearson")
    rows = pearson @ pearson / naive.df_residual
    assert deff < 1.0 < due  # groups make it smaller, overdispersion larger
    assert f"alone makes the standard error {np.sqrt(deff):.2f} times that of glm" in sentence
    assert f"the standard error due is {due:.2f} times" in sentence
    assert due == pytest.approx(np.sqrt(deff * rows), rel=0.05)  # but for what alike errors take off it


def test_what_varies_within_groups_is_not_said_to_vary_between_them():
    owls = ml.datasets.owls()
    naive = ml.glm("SiblingNegotiation ~ FoodTreatment", owls, family="poisson")
    groups = ml.gee("SiblingNegotiation ~ FoodTreatment", owls, groups="Nest", family="poisson")
    sentence = ml.sidebyside(naive, groups).sentences[0]
    assert "varies within groups of Nest, and somewhat between them (ICC_x 0.07)" in sentence
    assert "more between" not in sentence
