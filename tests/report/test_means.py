"""What pages of marginal means and contrasts say."""

from __future__ import annotations

import pytest

import multilevel as ml

FIT = ml.lmm("Y ~ V * N + (1 | B / V)", ml.datasets.oats())
ADDITIVE = ml.ols("Y ~ V + N", ml.datasets.oats())


def test_a_page_of_means() -> None:
    page = str(ADDITIVE.emmeans("N"))
    assert page.startswith("Marginal means of Y\nAveraged over: V (all levels count alike)\n")
    assert "95% limits" in page
    assert "  0.6cwt    123.39        5.04  113.33  133.45  66.0" in page
    assert "interaction" not in page
    assert "99% limits" in str(ADDITIVE.emmeans("N", level=0.99))


def test_groups_have_tables_of_their_own() -> None:
    page = str(FIT.emmeans("N | V"))
    assert page.count("V = ") == 3
    assert page.count("0.6cwt") == 3


def test_what_interacts_is_said() -> None:
    assert "N may act differently at other values of V" in " ".join(str(FIT.emmeans("N")).split())


@pytest.mark.parametrize(
    ("adjust", "words"),
    [
        ("tukey", "P-values and limits are adjusted by Tukey's method for a family of 4 means."),
        ("bonferroni", "P-values and limits are adjusted by Bonferroni's method for 6 contrasts."),
        ("holm", "adjusted by Holm's method for 6 contrasts; limits by Bonferroni's method"),
        ("none", "P-values and limits are not adjusted for looking at 6 contrasts."),
    ],
)
def test_adjustments_are_said(adjust: str, words: str) -> None:
    assert words in " ".join(str(ADDITIVE.contrasts("N", adjust=adjust)).split())


def test_adjustment_in_groups_and_of_one_contrast() -> None:
    assert "for a family of 4 means in each group" in " ".join(str(FIT.contrasts("N | V")).split())
    one = ADDITIVE.contrasts("N", {"trend": [-3, -1, 1, 3]})
    assert "adjusted" not in str(one)


def test_the_statistic_is_called_t_or_z() -> None:
    assert "      t  " in str(ADDITIVE.contrasts("N"))
    assert "      z  " in str(ADDITIVE.contrasts("N", df="z"))


def test_a_notebook_shows_tables() -> None:
    html = FIT.contrasts("N | V")._repr_html_()
    assert html.count("<table>") == 3
    assert "<caption>V = Victory</caption>" in html


def test_slopes_name_the_covariates_value_only_where_it_matters() -> None:
    straight = ml.ols("distance ~ age * Sex", ml.datasets.orthodont())
    curved = ml.ols("distance ~ poly(age, 2) * Sex", ml.datasets.orthodont())
    assert str(straight.emtrends("Sex", "age")).startswith("Slopes of distance along age\nUncertainty")
    assert "Held at: age = 11" in str(curved.emtrends("Sex", "age"))
    for fit in (straight, curved):
        assert "may act differently" not in str(fit.emtrends("Sex", "age"))


def test_numbers_of_any_size_are_readable() -> None:
    data = ml.datasets.oats()
    for scale in (1e-9, 1e12):
        page = str(ml.ols("Y ~ N", data.assign(Y=scale * data["Y"])).emmeans("N"))
        assert max(map(len, page.splitlines())) < 88
