"""Summaries, tables and limits with degrees of freedom: what the user of a fit sees."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import multilevel as ml
from multilevel.errors import MemoryNeedError, ModelError
from multilevel.inference import small_samples
from multilevel.results.lmm import LMMFit

SLOPES = "Reaction ~ Days + (1 + Days | Subject)"


@pytest.fixture
def slopes() -> LMMFit:
    return ml.lmm(SLOPES, ml.datasets.sleepstudy())


def test_the_course(slopes: LMMFit) -> None:
    """Kept to two decimals: 237.01 to 265.80 and 7.21 to 13.73; t on 17 degrees of freedom."""
    table = slopes.confint()
    np.testing.assert_allclose(table["conf_low"], [237.01, 7.21], atol=0.005)
    np.testing.assert_allclose(table["conf_high"], [265.80, 13.73], atol=0.005)
    tidy = slopes.tidy()
    np.testing.assert_allclose(tidy["df"], 17.0, rtol=1e-6)
    np.testing.assert_allclose(tidy["statistic"], [36.838, 6.771], atol=5e-4)
    assert tidy["p_value"][1] == pytest.approx(3.26e-6, rel=2e-3)
    intercepts = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy())
    np.testing.assert_allclose(intercepts.tidy()["df"], [22.81, 161.0], atol=0.005)


@pytest.mark.parametrize(
    ("df", "heading"),
    [
        (None, "Fixed effects (degrees of freedom: Satterthwaite)"),
        ("kenward-roger", "Fixed effects (standard errors and degrees of freedom: Kenward-Roger)"),
        ("between-within", "Fixed effects (degrees of freedom: between-within)"),
        ("z", "Fixed effects\n"),
    ],
)
def test_the_summary_names_the_method(slopes: LMMFit, df: str | None, heading: str) -> None:
    text = str(slopes.summary(df=df))
    assert heading in text
    assert ("z value" in text) == (df == "z")


def test_adjusted_standard_errors_are_shown_with_their_correlations() -> None:
    few = ml.lmm(SLOPES, ml.datasets.sleepstudy().iloc[:44])
    adjusted = few.vcov(kind="kenward-roger")
    np.testing.assert_allclose(few.tidy(df="kenward-roger")["std_error"], np.sqrt(adjusted.diagonal()))
    np.testing.assert_allclose(few.se, np.sqrt(few.vcov().diagonal()))
    correlation = adjusted[1, 0] / np.sqrt(adjusted[0, 0] * adjusted[1, 1])
    assert f"{correlation:.3f}" in str(few.summary(df="kenward-roger").blocks[-1])


def test_profiles_have_no_degrees_of_freedom(slopes: LMMFit) -> None:
    with pytest.raises(ModelError, match=r'df= belongs to confint\("wald"\)'):
        slopes.confint("profile", df="satterthwaite")


def test_a_model_without_coefficients() -> None:
    fit = ml.lmm("Reaction ~ 0 + (1 | Subject)", ml.datasets.sleepstudy())
    for df in (None, "kenward-roger", "containment"):
        assert len(fit.tidy(df=df)) == 0
    assert "Random effects" in str(fit.summary())


def test_robust_variances_keep_their_own(slopes: LMMFit) -> None:
    assert slopes._inference(vcov="CR2").method == "CR2, Satterthwaite"
    assert slopes._inference(vcov="model") is slopes._inference()


def test_a_singular_fit_says_what_was_done() -> None:
    fit = ml.lmm("Yield ~ 1 + (1 | Batch)", ml.datasets.dyestuff2())
    said = "variances (and dimensions) estimated as zero are taken as known"
    assert any(said in note for note in fit.summary().notes)
    assert not any(said in note for note in fit.summary(df="kenward-roger").notes)


def test_many_crossed_levels_are_tested_by_the_normal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_samples, "MANY_CROSSED", 5)
    fit = ml.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", ml.datasets.penicillin())
    text = str(fit)
    assert "z value" in text
    assert 'summary(df="satterthwaite") finds them' in text.replace("\n  ", " ")
    assert fit.tidy(df="satterthwaite")["df"][0] == pytest.approx(5.49, abs=0.01)
    assert "z value" not in str(fit.summary(df="satterthwaite"))


def test_kenward_roger_of_a_maximum_likelihood_fit_is_refused(slopes: LMMFit) -> None:
    fit = slopes.update(reml=False)
    for ask in (lambda: fit.summary(df="kenward-roger"), lambda: fit.vcov(kind="kenward-roger")):
        with pytest.raises(ModelError, match=r"made for REML estimates.*fit.update\(reml=True\)"):
            ask()


def test_kenward_roger_that_is_too_large_is_refused(slopes: LMMFit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_samples, "MOST_OPERATIONS", 100.0)
    with pytest.raises(MemoryNeedError, match=r"GB and .* operations for 36 random effects"):
        slopes.summary(df="kenward-roger")


def test_refits_leave_the_answers_alone() -> None:
    """The cross-products are shared with refits, whose response must not be taken for the fit's."""
    data = ml.datasets.sleepstudy()
    untouched, refitted = ml.lmm(SLOPES, data), ml.lmm(SLOPES, data)
    other = refitted.refit(refitted.simulate(1, seed=1)[:, 0])
    refitted.refit_many(refitted.simulate(3, seed=2))
    np.testing.assert_array_equal(refitted.tidy()["df"], untouched.tidy()["df"])
    again = ml.lmm(SLOPES, data.assign(Reaction=other.design.y))
    np.testing.assert_allclose(other.tidy()["df"], again.tidy()["df"], rtol=1e-6)


def test_answers_are_found_once_and_not_pickled(slopes: LMMFit) -> None:
    assert slopes._inference() is slopes._inference()
    copy = pickle.loads(pickle.dumps(slopes))
    assert copy._inferences is None
    np.testing.assert_array_equal(copy.tidy()["df"], slopes.tidy()["df"])


def test_dropped_columns_and_missing_rows() -> None:
    data = ml.datasets.sleepstudy()
    data["Twice"] = 2.0 * data["Days"]
    data.loc[::7, "Days"] = np.nan
    fit = ml.lmm("Reaction ~ Days + Twice + (1 | Subject)", data)
    assert fit.dropped.columns == ("Twice",)
    for df in ("satterthwaite", "kenward-roger", "containment", "between-within"):
        assert len(fit.tidy(df=df)) == 2


def test_far_from_zero() -> None:
    """A year, and days since a far date: the covariance of beta-hat keeps its digits."""
    data = ml.datasets.sleepstudy()
    near = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", data)
    far = ml.lmm("Reaction ~ Later + (1 + Days | Subject)", data.assign(Later=data["Days"] + 1e8))
    L, L_far = np.array([[1.0, 4.5]]), np.array([[1.0, 1e8 + 4.5]])
    for df in ("satterthwaite", "kenward-roger", "z"):
        a, b = near._inference(df), far._inference(df)
        np.testing.assert_allclose(b.covariance(L_far), a.covariance(L), rtol=1e-6)
        np.testing.assert_allclose(b.df(L_far), a.df(L), rtol=1e-6)
