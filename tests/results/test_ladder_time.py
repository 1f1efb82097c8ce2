"""Shapes of time: a line, a parabola, categories."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import multilevel as ml

mpl.use("Agg")

SLEEP = ml.datasets.sleepstudy()
CHISQ = 1e-5  # absolute: the digits of R's that are written here


def replicated() -> pd.DataFrame:
    """Two replicates at five times in six groups, as made in R by expand.grid."""
    g, t, _ = np.meshgrid(np.arange(1, 7), np.arange(5), [1, 2], indexing="ij")
    g, t = g.ravel(), t.ravel().astype(float)
    y = 3 + 0.7 * t + 0.05 * t**2 + 0.4 * g + np.sin(np.arange(1, 61) * 1.7)
    return pd.DataFrame({"y": y, "t": t, "g": g})


def test_sleepstudy_is_what_anova_says_in_r() -> None:
    shape = ml.ladder("Reaction ~ Days", SLEEP, groups="Subject", time="Days").time_shape("intercept")
    frame = shape.frame.set_index("model")
    # R: lmer(Reaction ~ Days | Days + I(Days^2) | factor(Days), + (1 | Subject), REML = FALSE)
    assert frame["aic"].tolist() == pytest.approx([1802.078643005, 1802.943748433, 1814.334965970], rel=1e-10)
    assert frame["bic"].tolist() == pytest.approx([1814.850470409, 1818.908532687, 1852.650448181], rel=1e-10)
    tests = shape.tests
    assert tests["chisq"].tolist() == pytest.approx([1.13489, 3.74368, 2.60878], abs=CHISQ)
    assert tests["df"].tolist() == [1, 8, 7]
    assert tests["p_value"].tolist() == pytest.approx([0.28673, 0.87948, 0.91869], abs=CHISQ)


def test_the_wald_test_is_the_f_test_of_contrasts() -> None:
    shape = ml.ladder("Reaction ~ Days", SLEEP, groups="Subject", time="Days").time_shape("intercept")
    fit = shape.fits["categories"]
    days = np.arange(10.0)
    basis = np.linalg.qr(np.column_stack([np.ones(10), days, np.eye(10)]))[0][:, 2:]
    L = np.hstack([np.zeros((8, 1)), basis.T[:, 1:]])  # the first day is the reference
    V = L @ fit.vcov() @ L.T
    m = L @ fit.fixef
    statistic = m @ np.linalg.solve(V, m) / 8
    assert shape.tests["statistic"][1] == pytest.approx(statistic, rel=1e-8)
    assert shape.tests["df_num"].tolist() == [1, 8, 7]


def test_far_from_zero_the_test_is_the_same() -> None:
    far = SLEEP.assign(Days=SLEEP["Days"] + 2000)
    near, other = (
        ml.ladder("Reaction ~ Days", data, groups="Subject", time="Days").time_shape()
        for data in (SLEEP, far)
    )
    np.testing.assert_allclose(near.tests["statistic"], other.tests["statistic"], rtol=1e-6)
    np.testing.assert_allclose(near.frame["loglik"], other.frame["loglik"], rtol=1e-9)


def test_time_is_added_to_a_formula_without_it() -> None:
    shape = ml.ladder("Reaction ~ 1", SLEEP, groups="Subject", time="Days").time_shape()
    assert shape.fits["linear"].formula == "Reaction ~ Days + (1 + Days | Subject)"
    assert shape.step == "slope Days"


def test_what_depends_on_time_alone_is_replaced_and_the_rest_stays() -> None:
    orthodont = ml.datasets.orthodont()
    steps = ml.ladder("distance ~ age * Sex + I(age^2)", orthodont, groups="Subject", time="age")
    formulas = [fit.formula.split(" + (")[0] for fit in steps.time_shape("intercept").fits.values()]
    assert formulas == [
        "distance ~ age + Sex + age:Sex",
        "distance ~ age + I(age^2) + Sex + age:Sex",
        "distance ~ factor(age) + Sex + age:Sex",
    ]


@pytest.mark.parametrize(("times", "shapes"), [(2, ["linear"]), (3, ["linear", "categories"])])
def test_few_times_allow_few_shapes(times: int, shapes: list[str]) -> None:
    data = SLEEP[SLEEP["Days"] < times]
    shape = ml.ladder("Reaction ~ Days", data, groups="Subject", time="Days").time_shape("intercept")
    assert list(shape.fits) == shapes
    assert ("nothing is to test" in str(shape)) == (times == 2)


def test_many_times_are_no_categories() -> None:
    data = SLEEP.assign(t=SLEEP["Days"] + np.arange(180) / 1000)
    shape = ml.ladder("Reaction ~ t", data, groups="Subject", time="t").time_shape()
    assert list(shape.fits) == ["linear", "quadratic"]
    assert "too many for categories" in " ".join(str(shape).split())


def test_pure_error_is_that_of_anova_in_r() -> None:
    steps = ml.ladder("y ~ t", replicated(), groups="g", time="t")
    # R: anova(lm(y ~ t + factor(g)), lm(y ~ factor(g):factor(t))) and with factor(g)/t
    own_intercepts, own_lines = (steps.time_shape(step).pure for step in ("intercept", "slope t"))
    assert own_intercepts is not None
    assert own_lines is not None
    assert own_intercepts.lack == pytest.approx(11.88969624691, rel=1e-10)
    assert (own_intercepts.df_lack, own_intercepts.df_pure) == (23, 30)
    assert own_intercepts.pure == pytest.approx(19.12914755730, rel=1e-10)
    assert own_lines.lack == pytest.approx(11.23175939806, rel=1e-10)
    assert own_lines.df_lack == 18
    assert own_lines.test.statistic == pytest.approx(0.97859, abs=1e-5)
    assert own_lines.test.p_value == pytest.approx(0.50614, abs=1e-5)
    assert "groups' own lines" in str(steps.time_shape("slope t")).replace("\n ", "")


def test_counts_are_replicates_of_pure_error() -> None:
    data = replicated().assign(f=1 + np.arange(60) % 2)
    weighted = ml.ladder("y ~ t", data, groups="g", time="t", freq_weights="f").time_shape().pure
    repeated = (
        ml.ladder("y ~ t", data.loc[data.index.repeat(data["f"])], groups="g", time="t").time_shape().pure
    )
    assert weighted is not None
    assert repeated is not None
    assert weighted.test.statistic == pytest.approx(repeated.test.statistic, rel=1e-10)
    assert weighted.df_pure == repeated.df_pure == 60


def test_without_replicates_there_is_no_pure_error() -> None:
    shape = ml.ladder("Reaction ~ Days", SLEEP, groups="Subject", time="Days").time_shape()
    assert shape.pure is None
    assert "Pure error" not in str(shape)


def test_a_curve_is_found() -> None:
    curved = SLEEP.assign(Reaction=SLEEP["Reaction"] + 3.0 * (SLEEP["Days"] - 4.5) ** 2)
    shape = ml.ladder("Reaction ~ Days", curved, groups="Subject", time="Days").time_shape()
    text = " ".join(str(shape).split())
    assert "The means depart from a line by more than chance would have it" in text
    assert "AIC and BIC both prefer 'quadratic'." in text


def test_means_are_drawn() -> None:
    shape = ml.ladder("Reaction ~ Days", SLEEP, groups="Subject", time="Days").time_shape()
    axes = shape.plot()
    observed, *models = axes.lines
    np.testing.assert_allclose(observed.get_ydata(), SLEEP.groupby("Days")["Reaction"].mean())
    assert [line.get_label() for line in models] == ["linear", "quadratic", "categories"]
    np.testing.assert_allclose(models[2].get_ydata(), observed.get_ydata(), rtol=1e-8)  # balanced
    plt.close("all")
