"""`ml.type1`: honest tests keep their size, naive ones do not, and mistakes are named."""

import numpy as np
import pytest

import multilevel as ml
from multilevel.errors import DataError, DataTypeError

FORMULA = "y ~ treated + (1 | school)"
SCHOOLS = ml.Plan(school=10, pupil=30).assign("treated", at="school")


@pytest.fixture(scope="module")
def schools():
    """The course's demonstration: ten schools of thirty, intraclass correlation 0.25, no effect."""
    return ml.type1(FORMULA, SCHOOLS, test="treated", icc=0.25, n=1000, seed=2026)


def rate(found, words):
    (place,) = [k for k, label in enumerate(found.labels) if words in label]
    return found["rate"][place]


def test_pupils_counted_one_by_one_reject_half_the_time(schools):
    # the course has 0.500 and 0.045 of 1,000 data sets; four standard errors of their difference
    assert rate(schools, "independent") == pytest.approx(0.500, abs=4 * np.sqrt(2 * 0.25 / 1000))
    assert rate(schools, "Satterthwaite") == pytest.approx(0.045, abs=4 * np.sqrt(2 * 0.05 * 0.95 / 1000))


@pytest.mark.parametrize("words", ["CR2", "means", "Satterthwaite", "Kenward"])
def test_exact_ways_keep_their_size(schools, words):
    assert rate(schools, words) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 1000))


def test_the_normal_distribution_is_too_short_for_ten_schools(schools):
    # with a t statistic on 8 degrees of freedom, P(|t| > 1.96) = 0.086, less what singular fits save
    assert 0.055 < rate(schools, "normal") < 0.12


def test_coverage_is_what_is_not_rejected(schools):
    np.testing.assert_allclose(schools["coverage"], 1.0 - schools["rate"], atol=1e-12)


def test_the_page_names_the_worst(schools):
    page = str(schools)
    assert "finds an effect that is not there in 5" in page
    assert "too often" in page
    assert "agrees with 5%" in page


def test_slopes_that_are_left_out_are_seen():
    plan = ml.Plan(person=18).visits("day", 10)
    said = {"sd": {"person": [24.7, 5.9]}, "sigma": 25.6}
    found = ml.type1("y ~ day + (1 + day | person)", plan, test="day", n=300, seed=1, **said)
    assert rate(found, "left out") > 0.2
    assert rate(found, "Kenward") == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 300))
    assert not any("means" in label for label in found.labels)  # days do not vary between persons


def test_a_fit_is_tested_with_no_effect():
    fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", ml.datasets.sleepstudy())
    found = ml.type1(fit, test="Days", n=300, seed=1, analyses=["satterthwaite"])
    assert found["rate"][0] == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 300))


def test_analyses_have_the_labels_that_they_are_given():
    ways = {"naive": "ols", "honest": ("y ~ treated + (1 | school)", "kenward-roger"), "plain": "y ~ treated"}
    found = ml.type1(FORMULA, SCHOOLS, test="treated", icc=0.25, n=50, seed=1, analyses=ways)
    assert found.labels == ("naive", "honest", "plain")
    assert found["rate"][0] == found["rate"][2]
    assert found.replicates.groupby("analysis").size().tolist() == [50, 50, 50]


def test_binary_responses_are_analysed_in_four_ways():
    found = ml.type1(FORMULA, SCHOOLS, test="treated", icc=0.2, family="binomial", n=30, seed=1)
    assert len(found.labels) == 4
    assert found["rate"][0] > 0.15


def test_what_makes_no_data_can_be_tested():
    plan = SCHOOLS.draw("z", (0, 1), at="pupil")
    ways = {"with z": ("y ~ treated + z + (1 | school)", "satterthwaite"), "z alone": "y ~ z"}
    found = ml.type1(FORMULA, plan, test="z", icc=0.1, n=40, seed=1, analyses=ways)
    assert (found["rate"] < 0.25).all()


def test_a_variance_of_zero_is_seldom_found():
    plan = ml.Plan(school=20, pupil=5)
    found = ml.type1("y ~ 1 + (1 | school)", plan, test="(1 | school)", sd={"school": 0}, n=300, seed=1)
    assert found["rate"][0] < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 300)  # the mixture is known to be conservative
    with pytest.raises(DataError, match="hypothesis that is true"):
        ml.type1("y ~ 1 + (1 | school)", plan, test="(1 | school)", icc=0.2, n=5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fixef": {"treated": 0.5}}, "a hypothesis that is true"),
        ({"analyses": "ols"}, "list of methods"),
        ({"analyses": ["wald"]}, "method='wald'"),
        ({"analyses": []}, "list of methods"),
        ({"n": None}, "whole number"),
    ],
)
def test_a_mistake_is_named(options, said):
    with pytest.raises((DataError, DataTypeError), match=said):
        ml.type1(FORMULA, SCHOOLS, **{"test": "treated", "icc": 0.1, "n": 5, **options})
