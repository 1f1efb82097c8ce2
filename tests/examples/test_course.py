"""The course prints its lesson, and the lesson's numbers are the course's own."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import multilevel as ml

Course = dict[str, Any]


@pytest.fixture(scope="module")
def course() -> Course:
    return runpy.run_path(str(Path(__file__).parents[2] / "examples" / "course.py"))


@pytest.fixture(scope="module")
def sleep(course: Course) -> Any:
    return course["fit_sleep_models"](ml.datasets.sleepstudy())


@pytest.fixture(scope="module")
def schools() -> Any:
    return ml.datasets.course_prevention()


@pytest.fixture(scope="module")
def communities(course: Course, schools: Any) -> Any:
    return course["fit_communities"](schools)


@pytest.fixture(scope="module")
def asked(course: Course) -> Any:
    return course["ask_how_clustered"]()


def printed(digits: int) -> float:
    """Half a unit of the last digit that the course prints."""
    return 0.5 * 10.0**-digits


@pytest.mark.parametrize(
    ("model", "criterion"), [("empty", 1904.3), ("intercept", 1786.5), ("slope", 1743.6)]
)
def test_reml_criteria(sleep: Any, model: str, criterion: float) -> None:
    assert getattr(sleep, model).criterion == pytest.approx(criterion, abs=printed(1))


@pytest.mark.parametrize(
    ("model", "variances", "tolerance"),
    [
        ("empty", [1278, 1959], printed(0)),
        ("intercept", [1378.2, 960.5], printed(1)),
        # The course prints 612.10, where lme4's default stopping rule leaves it; the optimum is 612.09.
        ("slope", [612.10, 35.07, 654.94], 0.011),
    ],
)
def test_variances(course: Course, sleep: Any, model: str, variances: list[float], tolerance: float) -> None:
    found = list(course["variances"](getattr(sleep, model)).values())
    assert found == pytest.approx(variances, abs=tolerance)


def test_icc_of_the_empty_model(course: Course, sleep: Any) -> None:
    assert course["share_between"](sleep.empty) == pytest.approx(0.395, abs=printed(3))


def test_correlation_of_intercepts_and_slopes(sleep: Any) -> None:
    assert sleep.slope.record.terms[0].correlation[1, 0] == pytest.approx(0.07, abs=printed(2))


def test_comparison_of_intercept_and_slope(sleep: Any) -> None:
    table = ml.compare(sleep.intercept, sleep.slope)
    assert list(table["aic"]) == pytest.approx([1802.1, 1763.9], abs=printed(1))
    assert table["chisq"][1] == pytest.approx(42.139, abs=printed(3))
    assert table["df"][1] == 2
    assert table["p_value"][1] == pytest.approx(7.07e-10, abs=printed(12))


def test_days_as_categories(sleep: Any) -> None:
    means = [256.65, 7.84, 8.71, 26.34, 32.00, 51.87, 55.53, 62.10, 79.98, 94.20]
    assert sleep.by_day.fixef == pytest.approx(means, abs=printed(2))


def test_communities_by_hand(course: Course, schools: Any) -> None:
    hand = course["by_hand"](schools)
    assert [hand.between, hand.within] == pytest.approx([93.37, 11.33], abs=printed(2))
    assert hand.naive_within == pytest.approx(8.95, abs=printed(2))


def test_communities_by_reml(course: Course, communities: Any) -> None:
    assert communities.criterion == pytest.approx(117.1, abs=printed(1))
    assert list(course["variances"](communities).values()) == pytest.approx([93.37, 11.33], abs=printed(2))
    assert course["share_between"](communities) == pytest.approx(0.892, abs=printed(3))


def test_communities_are_shrunk(communities: Any) -> None:
    effects = communities.ranef()
    assert list(effects["estimate"]) == pytest.approx([-0.19, -11.84, 12.42, -6.02, 5.63], abs=printed(2))
    assert list(effects["raw_deviation"]) == pytest.approx([-0.2, -12.2, 12.8, -6.2, 5.8])
    assert np.allclose(effects["raw_deviation"] * effects["reliability"], effects["estimate"])


def test_halves_of_independent_scores(asked: Any) -> None:
    assert asked.halves == pytest.approx(0.2385, abs=printed(4))


def test_shares_of_variance(course: Course, asked: Any) -> None:
    assert course["icc"](28, 52) == pytest.approx(0.35)
    assert course["icc"](25, 9) == pytest.approx(0.735, abs=printed(3))
    between, within = asked.pupils["var_between"][1], asked.pupils["var_within"][1]
    assert [between, within] == pytest.approx([24.5675, 8.5953], abs=printed(4))


def test_analysis_of_variance_of_the_communities(asked: Any) -> None:
    means, anova = asked.communities.group_means["mean"], asked.communities.anova
    assert list(means) == pytest.approx([43, 31, 56, 37, 49])
    assert asked.communities.sample.moments.grand_mean == pytest.approx(43.2)
    assert anova["statistic"][0] == pytest.approx(33.953, abs=printed(3))
    assert anova["p_value"][0] == pytest.approx(2.355e-07, abs=printed(10))
    assert anova["r_squared"][0] == pytest.approx(0.901, abs=printed(3))
    assert list(asked.communities["icc"]) == pytest.approx([0.892, 0.892], abs=printed(3))


def test_variances_of_the_communities(asked: Any) -> None:
    hand = asked.communities.by_hand()
    assert list(hand["variance"]) == pytest.approx([96.20, 8.95, 93.37, 11.33], abs=printed(2))
    assert list(hand["share"][:2]) == pytest.approx([0.915, 0.085], abs=printed(3))
    reml = [asked.communities[name][1] for name in ("var_between", "var_within")]
    assert reml == pytest.approx([93.37, 11.33], abs=printed(2))


def test_design_effects(asked: Any) -> None:
    assert asked.planned["deff"][0] == 8.25
    assert asked.planned["n_effective"][0] == pytest.approx(36, abs=printed(0))
    assert asked.planned["se_ratio"][0] == pytest.approx(2.87, abs=printed(2))
    assert asked.trial["se_ratio"][1] > 2.0
    assert asked.sleep["se_ratio"][1] < 1.0


def test_side_by_side(course: Course) -> None:
    both = course["put_side_by_side"](ml.datasets.sleepstudy())
    table = both.treatment.frame.set_index(["model", "term"])
    naive, mixed = table.loc[("ols", "treatment")], table.loc[("lmm", "treatment")]
    assert [naive["estimate"], naive["std_error"]] == pytest.approx([-0.296, 0.105], abs=printed(3))
    assert [naive["statistic"], naive["p_value"]] == pytest.approx([-2.809, 0.005], abs=printed(3))
    assert [mixed["std_error"], mixed["df"]] == pytest.approx([0.295, 8.0], abs=printed(3))
    assert [mixed["statistic"], mixed["p_value"]] == pytest.approx([-1.004, 0.345], abs=printed(3))
    assert mixed["se_ratio"] == pytest.approx(2.798, abs=printed(3))
    days = both.days.frame.query("term == 'Days'")
    assert list(days["se_ratio"]) == pytest.approx([1.0, 0.65, 1.25], abs=printed(2))


def test_a_thousand_trials_without_effect(course: Course) -> None:
    found = course["repeat_without_effect"]()
    rates = dict(zip(found.labels, found["rate"], strict=True))
    # the course prints 0.500 and 0.045 of another thousand: four standard errors of a difference
    naive, mixed = "least squares, rows as if independent", "mixed model, Satterthwaite's t"
    assert rates[naive] == pytest.approx(0.500, abs=4.0 * np.sqrt(2 * 0.25 / 1000))
    assert rates[mixed] == pytest.approx(0.045, abs=4.0 * np.sqrt(2 * 0.05 * 0.95 / 1000))


def test_the_number_of_schools(course: Course) -> None:
    found = course["find_number_of_schools"]()
    assert found["formula"][-2] < 0.8 <= found["formula"][-1]


def test_the_lesson_is_printed(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    course["chapter_one"]()
    course["chapter_two"]()
    course["chapter_three"]()
    course["chapter_four"]()
    lesson = " ".join(capsys.readouterr().out.split())
    for figure in ["1904.3", "0.395", "1786.5", "612.09", "42.139", "94.20", "117.1", "0.892", "8.95"]:
        assert figure in lesson
    for figure in ["0.2385", "0.35", "0.735", "33.953", "96.20", "91.5%", "8.25", "are worth 36", "2.872"]:
        assert figure in lesson
