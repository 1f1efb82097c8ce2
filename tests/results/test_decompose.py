"""Effects within and between groups: R's numbers, their algebra, coverage, words, and misuse."""

from __future__ import annotations

import re
from typing import Any

import matplotlib as mpl
import narwhals as nw
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.clusters.effects import hausman
from multilevel.errors import ColumnNotFoundError, DataError, DataTypeError, FormulaError, ModelError

mpl.use("Agg")


def value(result: Any, term: str, effect: str, column: str = "estimate") -> float:
    """One number of the table."""
    rows = zip(result["term"], result["effect"], result[column], strict=True)
    return next(float(number) for name, which, number in rows if (name, which) == (term, effect))


def by(result: Any, estimator: str, term: str = "x", column: str = "estimate") -> float:
    """One number of the table of other estimators."""
    frame = result.estimators
    return float(frame.loc[(frame["estimator"] == estimator) & (frame["term"] == term), column].iloc[0])


def simulated(
    seed: int, sizes: Any, *, within: float = 1.0, between: float = 1.0, sd_group: float = 1.0
) -> pd.DataFrame:
    """Groups of given sizes with a covariate z of groups and one, w, of rows."""
    random = np.random.default_rng(seed)
    sizes = np.asarray(sizes)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    n = len(codes)
    centre, z = random.normal(size=len(sizes)), random.normal(size=len(sizes))
    x, w = centre[codes] + random.normal(size=n), random.normal(size=n) + 0.5 * z[codes]
    mean = pd.Series(x).groupby(codes).transform("mean").to_numpy()
    effect = within * (x - mean) + between * mean + 0.4 * z[codes] + 0.3 * w
    y = effect + sd_group * random.normal(size=len(sizes))[codes] + random.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "z": z[codes], "w": w, "g": [f"g{code}" for code in codes]})


def unbalanced(seed: int = 1, **effects: float) -> pd.DataFrame:
    return simulated(seed, np.random.default_rng(seed).integers(2, 15, 30), **effects)


def balanced(seed: int = 1, **effects: float) -> pd.DataFrame:
    return simulated(seed, [8] * 30, **effects)


# R -------------------------------------------------------------------------------------------------------

# lme4 1.1-31 and lmerTest 3.1-3 (bobyqa, rhoend 1e-10) on group means and deviations, and lm:
# estimate, SE and df of within, between, contextual; FE and its SE; RE and its SE; Hausman.
R = {
    "hsb82": (
        [2.19117196502, 0.108667288006, 7021.509167176],
        [5.86617380242, 0.361699333857, 153.366617646],
        [3.6750018374, 0.377670474879, 182.286359271],
        [2.19117196502, 0.108645670947, 2.39019580567, 0.105719082066, 63.138623481],
    ),
    "hsb82 and sector": (
        [2.19117196502, 0.108673017193, 7020.286589997],
        [5.33626079886, 0.368944538711, 151.069214977],
        [3.14508883384, 0.384616558809, 178.412030844],
        [2.19117196502, 0.108645670947, 2.37471131787, 0.105491071368, 49.8681158561],
    ),
    "exam": (
        [0.559477860568, 0.0125377573743, 3989.9173258567],
        [0.917134351382, 0.1113327049558, 61.3034696159],
        [0.357656490814, 0.112036451893, 62.8690353134],
        [0.559477860568, 0.0125336738794, 0.56330691415, 0.0124679612473, 8.92412431174],
    ),
}
MODELS = {
    "hsb82": ("hsb82", "mAch ~ ses", "ses"),
    "hsb82 and sector": ("hsb82", "mAch ~ ses + sector", "ses"),
    "exam": ("exam", "normexam ~ standLRT", "standLRT"),
}
# lme4 stops within about 1e-6 in theta; an estimate depends on it to first order between groups
ESTIMATE, SE, DF, DIFFERENCE = 1e-7, 1e-6, 1e-5, 1e-5


@pytest.mark.parametrize("case", R)
def test_numbers_are_those_of_r(case: str) -> None:
    name, formula, term = MODELS[case]
    result = ml.decompose_effect(formula, getattr(ml.datasets, name)(), groups="school")
    *slopes, (fixed, fixed_se, random, random_se, chisq) = R[case]
    for effect, (estimate, std_error, df) in zip(("within", "between", "contextual"), slopes, strict=True):
        assert_allclose(value(result, term, effect), estimate, rtol=ESTIMATE)
        assert_allclose(value(result, term, effect, "std_error"), std_error, rtol=SE)
        assert_allclose(value(result, term, effect, "df"), df, rtol=DF)
    assert_allclose(by(result, "fixed effects", term), fixed, rtol=1e-11)
    assert_allclose(by(result, "fixed effects", term, "std_error"), fixed_se, rtol=1e-11)
    assert_allclose(by(result, "random intercepts, one slope", term), random, rtol=ESTIMATE)
    assert_allclose(by(result, "random intercepts, one slope", term, "std_error"), random_se, rtol=SE)
    # a square of a small difference over a small difference of variances
    assert_allclose(result.tests["statistic"].iloc[-1], chisq, rtol=DIFFERENCE)


def test_regressions_of_means_are_those_of_r() -> None:
    result = ml.decompose_effect("mAch ~ ses", ml.datasets.hsb82(), groups="school")
    assert_allclose(by(result, "group means", "ses"), 5.90930001478, rtol=1e-11)
    assert_allclose(by(result, "group means", "ses", "std_error"), 0.371428484661, rtol=1e-10)
    assert_allclose(by(result, "group means, by size", "ses"), 5.71688089297, rtol=1e-11)
    assert_allclose(by(result, "group means, by size", "ses", "std_error"), 0.357094386215, rtol=1e-10)


def test_random_slopes_are_those_of_r() -> None:
    result = ml.decompose_effect("mAch ~ ses", ml.datasets.hsb82(), groups="school", slopes=True)
    assert result.fits.within_between.formula == "mAch ~ ses_within + ses_between + (1 + ses_within | school)"
    numbers = [value(result, "ses", effect) for effect in ("within", "between", "contextual")]
    errors = [value(result, "ses", effect, "std_error") for effect in ("within", "between", "contextual")]
    assert_allclose(numbers, [2.19128011224, 5.89635954420, 3.70507943196], rtol=1e-6)
    assert_allclose(errors, [0.128030693795, 0.360048364820, 0.381700793609], rtol=1e-6)
    # lmerTest takes the Hessian in five variance parameters by numerical derivatives
    assert_allclose(value(result, "ses", "contextual", "df"), 189.803155381, rtol=1e-4)


def test_the_classic_numbers_of_high_school_and_beyond() -> None:
    """Raudenbush and Bryk (2002), table 5.11: 2.19 within, 5.91 between by means, 3.68 their difference."""
    result = ml.decompose_effect("mAch ~ ses", ml.datasets.hsb82(), groups="school")
    assert round(value(result, "ses", "within"), 2) == 2.19
    assert round(by(result, "group means", "ses"), 2) == 5.91
    assert round(value(result, "ses", "contextual"), 2) == 3.68


# Algebra -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [balanced(), unbalanced()], ids=["balanced", "unbalanced"])
def test_the_total_slope_is_the_mix_of_the_others(data: pd.DataFrame) -> None:
    result = ml.decompose_effect("y ~ x", data, groups="g")
    share = result.reliability["share_between"][0]
    mix = (1.0 - share) * by(result, "fixed effects") + share * by(result, "group means, by size")
    assert_allclose(value(result, "x", "total"), mix, rtol=1e-12)


def test_with_several_predictors_it_is_a_mix_by_matrices() -> None:
    data = unbalanced()
    result = ml.decompose_effect("y ~ x + w", data, groups="g")
    columns = data[["x", "w"]]
    means = columns.groupby(data["g"]).transform("mean")
    within, between = columns - means, means - columns.mean()
    W, B = within.T.to_numpy() @ within.to_numpy(), between.T.to_numpy() @ between.to_numpy()
    b = {
        name: np.array([by(result, name, term) for term in ("x", "w")])
        for name in ("fixed effects", "group means, by size")
    }
    total = np.linalg.solve(W + B, W @ b["fixed effects"] + B @ b["group means, by size"])
    assert_allclose([value(result, term, "total") for term in ("x", "w")], total, rtol=1e-11)


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + w + z", "y ~ x * z", "y ~ poly(x, 2) + w"])
@pytest.mark.parametrize("data", [balanced(), unbalanced()], ids=["balanced", "unbalanced"])
def test_the_within_slopes_are_those_of_fixed_effects(formula: str, data: pd.DataFrame) -> None:
    result = ml.decompose_effect(formula, data, groups="g")
    for term in dict.fromkeys(result["term"]):
        if (term, "within") in result.numbers.slopes.labels:
            within, fixed = value(result, term, "within"), by(result, "fixed effects", term)
            assert_allclose(within, fixed, rtol=1e-8)  # at any variances, so up to rounding of the solution


def test_in_balanced_data_all_regressions_of_means_agree() -> None:
    result = ml.decompose_effect("y ~ x + z", balanced(), groups="g")
    for estimator in ("group means", "group means, by size"):
        assert_allclose(by(result, estimator), value(result, "x", "between"), rtol=1e-9)
        assert_allclose(
            by(result, estimator, column="std_error"), value(result, "x", "between", "std_error"), rtol=1e-6
        )


def test_the_contextual_effect_is_mundlak_s_coefficient_of_the_mean() -> None:
    data = unbalanced()
    result = ml.decompose_effect("y ~ x", data, groups="g")
    mundlak = ml.lmm("y ~ x + between(x, g) + (1 | g)", data).tidy().iloc[2]
    for column in ("estimate", "std_error", "df", "p_value"):
        assert_allclose(value(result, "x", "contextual", column), mundlak[column], rtol=1e-6)
    assert_allclose(result.tests["statistic"][0], mundlak["statistic"] ** 2, rtol=1e-6)


def test_the_model_is_that_of_the_functions_in_formulas() -> None:
    data = unbalanced()
    result = ml.decompose_effect("y ~ x", data, groups="g", slopes=True)
    fit = ml.lmm("y ~ within(x, g) + between(x, g) + (1 + within(x, g) | g)", data)
    assert_allclose(result.fits.within_between.fixef, fit.fixef, rtol=1e-10)
    assert_allclose(result.fits.within_between.criterion, fit.criterion, rtol=1e-12)


def test_with_one_pair_of_variances_hausman_s_test_is_mundlak_s() -> None:
    result = ml.decompose_effect("y ~ x", balanced(between=1.6), groups="g")
    within, between = (value(result, "x", effect) for effect in ("within", "between"))
    V_within, V_between = (value(result, "x", effect, "std_error") ** 2 for effect in ("within", "between"))
    V_random = 1.0 / (1.0 / V_within + 1.0 / V_between)  # generalised least squares with one slope
    random = V_random * (within / V_within + between / V_between)
    test = hausman(*(np.array(each) for each in ([within], [[V_within]], [random], [[V_random]])))
    assert_allclose(test.statistic, result.tests["statistic"][0], rtol=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_balanced_data_the_two_tests_nearly_agree(seed: int) -> None:
    """The model with one slope leaves the contextual effect in the variance between groups, up to F / J."""
    data = simulated(seed, [10] * 100, between=1.2)
    mundlak, chisq = ml.decompose_effect("y ~ x", data, groups="g").tests["statistic"]
    assert mundlak / (1.0 + mundlak / 98.0) * 0.97 < chisq < mundlak * 1.01


def test_neither_order_nor_names_of_groups_matter() -> None:
    data = unbalanced()
    other = data.sample(frac=1.0, random_state=0).assign(g=lambda d: d["g"].map(lambda g: f"{hash(g)}x"))
    one, two = (ml.decompose_effect("y ~ x + z", each, groups="g") for each in (data, other))
    for column in ("estimate", "std_error", "df", "conf_low"):
        assert_allclose(one[column], two[column], rtol=1e-7)
    assert_allclose(one.tests["p_value"], two.tests["p_value"], rtol=1e-6)
    assert_allclose(one.reliability["reliability"], two.reliability["reliability"], rtol=1e-10)


def test_what_is_added_to_whole_groups_leaves_the_slope_within() -> None:
    data = unbalanced()
    added = np.random.default_rng(5).normal(size=40)[data["g"].str[1:].astype(int)]
    one = ml.decompose_effect("y ~ x", data, groups="g")
    two = ml.decompose_effect("y ~ x", data.assign(x=data["x"] + added), groups="g")
    assert_allclose(value(two, "x", "within"), value(one, "x", "within"), rtol=1e-9)
    assert abs(value(two, "x", "between") - value(one, "x", "between")) > 0.1


def test_units_and_distance_from_zero() -> None:
    data = unbalanced(between=2.0)
    one = ml.decompose_effect("y ~ x", data, groups="g")
    far = ml.decompose_effect("y ~ x", data.assign(x=1e-3 * data["x"] + 1e4, y=data["y"] - 1e6), groups="g")
    assert_allclose(1e-3 * far["estimate"], one["estimate"], rtol=1e-6)
    assert_allclose(1e-3 * far["std_error"], one["std_error"], rtol=1e-6)
    assert_allclose(far.tests["statistic"], one.tests["statistic"], rtol=1e-5)


def test_frequency_weights_are_rows_repeated() -> None:
    data = unbalanced().assign(count=lambda d: np.random.default_rng(6).integers(0, 4, len(d)))
    repeated = data.loc[data.index.repeat(data["count"])]
    one = ml.decompose_effect("y ~ x + w + z", data, groups="g", freq_weights="count")
    two = ml.decompose_effect("y ~ x + w + z", repeated, groups="g")
    for column in ("estimate", "std_error", "df"):
        assert_allclose(one[column], two[column], rtol=1e-8)
    for name in ("tests", "estimators", "reliability"):
        ours, theirs = (getattr(each, name).select_dtypes("number") for each in (one, two))
        assert_allclose(ours, theirs, rtol=1e-7)


def test_robust_variances_take_both_models() -> None:
    data = unbalanced()
    usual, robust = (ml.decompose_effect("y ~ x", data, groups="g", vcov=vcov) for vcov in (None, "CR2"))
    assert_allclose(robust["estimate"], usual["estimate"], rtol=1e-12)
    assert value(robust, "x", "total", "std_error") == value(usual, "x", "total", "std_error")
    V = usual.fits.within_between.vcov(kind="CR2")
    assert_allclose(value(robust, "x", "within", "std_error") ** 2, V[1, 1], rtol=1e-9)
    assert_allclose(
        value(robust, "x", "contextual", "std_error") ** 2, V[1, 1] + V[2, 2] - 2 * V[1, 2], rtol=1e-9
    )
    naive = ml.decompose_effect("y ~ x", data, groups="g", vcov="model")
    assert_allclose(value(naive, "x", "total", "std_error"), ml.ols("y ~ x", data).se[1], rtol=1e-9)


def test_the_reliability_of_means_is_the_icc_of_them() -> None:
    data = unbalanced()
    result = ml.decompose_effect("y ~ x", data, groups="g")
    assert_allclose(result.reliability["reliability"][0], ml.icc(data, "x", "g")["icc_k"][0], rtol=1e-10)
    contextual, corrected = value(result, "x", "contextual"), result.reliability["contextual"][0]
    assert_allclose(corrected * result.reliability["reliability"][0], contextual, rtol=1e-12)


def test_limits_cover_the_contextual_effect() -> None:
    """Twelve groups: df matter. 200 samples: 0.95 by three standard errors is 0.90 to 0.996."""
    covered = 0
    for seed in range(200):
        data = simulated(1000 + seed, [3, 4, 5, 6] * 3, between=2.0)
        result = ml.decompose_effect("y ~ x + z", data, groups="g")
        covered += (
            value(result, "x", "contextual", "conf_low")
            <= 1.0
            <= value(result, "x", "contextual", "conf_high")
        )
    assert 180 <= covered <= 199


# What comes back -----------------------------------------------------------------------------------------


def test_predictors_that_vary_one_way_have_one_effect() -> None:
    data = unbalanced()
    data["v"] = data["w"] - data.groupby("g")["w"].transform("mean")
    result = ml.decompose_effect("y ~ x + z + v", data, groups="g")
    effects = {term: [e for t, e in result.numbers.slopes.labels if t == term] for term in ("x", "z", "v")}
    assert effects["x"] == ["total", "within", "between", "contextual"]
    assert effects["z"] == ["total", "between"]
    assert effects["v"] == ["total", "within"]


def test_factors_are_taken_apart_level_by_level() -> None:
    result = ml.decompose_effect("mAch ~ ses + sx", ml.datasets.hsb82(), groups="school", slopes="ses")
    assert "sx[T.Female]" in result["term"]
    assert result.fits.within_between.formula.endswith("(1 + ses_within | school)")
    tests = result.tests
    assert tests["term"].tolist() == ["ses", "sx[T.Female]", "(all)", "(all)"]
    assert tests["df_num"].tolist() == [1, 1, 2, 2]


def test_offsets_and_computed_responses() -> None:
    data = unbalanced().assign(e=lambda d: np.exp(d["y"]))
    plain = ml.decompose_effect("y ~ x", data.assign(y=data["y"] - data["z"]), groups="g")
    assert_allclose(ml.decompose_effect("y ~ x + offset(z)", data, groups="g")["estimate"], plain["estimate"])
    usual = ml.decompose_effect("y ~ x", data, groups="g")
    assert_allclose(ml.decompose_effect("log(e) ~ x", data, groups="g")["estimate"], usual["estimate"])


def test_names_that_are_no_identifiers() -> None:
    data = unbalanced().rename(columns={"x": "the x", "g": "a group"})
    result = ml.decompose_effect("y ~ `the x`", data, groups="a group")
    assert_allclose(result["estimate"], ml.decompose_effect("y ~ x", unbalanced(), groups="g")["estimate"])
    assert "the x_within" in result.fits.within_between.coef_names


def test_groups_may_be_combinations() -> None:
    data = unbalanced().assign(half=lambda d: d["g"].str[-1].isin(list("01234")))
    crossed = ml.decompose_effect("y ~ x", data, groups="half:g")
    assert_allclose(
        crossed["estimate"], ml.decompose_effect("y ~ x", data, groups="g")["estimate"], rtol=1e-8
    )


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_tables_come_in_the_user_s_kind_of_frame(kind: str) -> None:
    people = ml.datasets.income_blood_pressure(kind)
    result = ml.decompose_effect("blood_pressure ~ income", people, groups="neighbourhood")
    for table in (result.frame, result.tests, result.estimators, result.reliability):
        assert nw.from_native(table).implementation.value == kind
    assert nw.from_native(result.frame)["effect"].to_list() == ["total", "within", "between", "contextual"]


def test_rows_without_a_value_or_a_group_are_left_out_and_said() -> None:
    data = unbalanced()
    data.loc[[0, 5], "g"] = None
    data.loc[[5, 7], "x"] = np.nan
    result = ml.decompose_effect("y ~ x", data, groups="g")
    complete = ml.decompose_effect("y ~ x", data.drop(index=[0, 5, 7]), groups="g")
    assert_allclose(result["estimate"], complete["estimate"], rtol=1e-12)
    assert re.search(r"3 of \d+ rows were dropped for missing values \(x 2, g 2\)", flat(result))
    with pytest.raises(DataError, match="missing='raise'"):
        ml.decompose_effect("y ~ x", data, groups="g", missing="raise")


# Words ---------------------------------------------------------------------------------------------------


def flat(result: object) -> str:
    """The printed page in one line."""
    return re.sub(r"\s+", " ", str(result))


def test_the_paradox_is_told() -> None:
    people = ml.datasets.income_blood_pressure()
    page = flat(ml.decompose_effect("blood_pressure ~ income", people, groups="neighbourhood"))
    assert "the one higher by 1 in income is on average 0.3432 lower in blood_pressure" in page
    assert "whose mean income is higher by 1 is on average 0.4627 higher in mean blood_pressure" in page
    assert "OPPOSITE SIGNS: the slope of income is negative within groups" in page
    assert "ecological fallacy" in page
    assert "The slope over all rows is positive, against the slope within groups (Simpson's paradox)." in page
    assert "0.319 x -0.3432 (within) + 0.681 x 0.4727 (between, by size) = 0.2125" in page


def test_one_slope_is_not_said_to_be_two() -> None:
    page = flat(ml.decompose_effect("y ~ x", unbalanced(3), groups="g"))
    assert "is not ruled out" in page
    assert "OPPOSITE" not in page


def test_hausman_s_test_may_not_exist_and_that_is_said() -> None:
    random = np.random.default_rng(3)
    g, mean = np.repeat(np.arange(10), 4), random.normal(size=10)
    x = random.normal(size=40) + mean[g]
    w = random.normal(size=40) + 0.2 * random.normal(size=10)[g]
    y = x + w + 2.0 * mean[g] + random.normal(size=40)
    result = ml.decompose_effect("y ~ x + w", {"y": y, "x": x, "w": w, "g": g}, groups="g")
    assert np.isnan(result.tests[["statistic", "p_value"]].iloc[-1]).all()
    assert np.isfinite(result.tests["statistic"].iloc[:-1]).all()
    assert "Hausman's test does not exist here" in flat(result)


def test_means_that_say_nothing_are_not_corrected() -> None:
    random = np.random.default_rng(1)
    x = np.tile([-1.0, 0.0, 1.0], 10) + 1e-2 * random.normal(size=30)
    data = {"y": x + random.normal(size=30), "x": x, "g": np.repeat(np.arange(10), 3)}
    result = ml.decompose_effect("y ~ x", data, groups="g")
    assert result.reliability["reliability"][0] < 0.0
    assert np.isnan(result.reliability["contextual"][0])
    assert "differ no more than means of 3 rows drawn at random would" in flat(result)


def test_html_has_what_print_has() -> None:
    html = ml.decompose_effect("y ~ x", unbalanced(), groups="g")._repr_html_()
    assert "<table>" in html
    assert "contextual" in html


# The picture ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slopes", [False, True])
def test_the_picture_has_a_line_for_each_slope(slopes: bool) -> None:
    data = unbalanced(within=-0.5)
    result = ml.decompose_effect("y ~ x + z", data, groups="g", slopes=slopes)
    axes = result.plot()
    total, _, between = axes.get_lines()
    for line, effect in ((total, "total"), (between, "between")):
        rise = np.ptp(line.get_ydata()) * np.sign(value(result, "x", effect))
        assert_allclose(rise / np.ptp(line.get_xdata()), value(result, "x", effect), rtol=1e-8)
    ends = np.array(axes.collections[1].get_segments())
    assert len(ends) == 30
    own = (ends[:, 1, 1] - ends[:, 0, 1]) / (ends[:, 1, 0] - ends[:, 0, 0])
    within = value(result, "x", "within")
    expected = result.fits.within_between.coef()["x_within"] if slopes else np.full(30, within)
    assert_allclose(own, expected, rtol=1e-7)
    pyplot.close(axes.figure)


def test_the_picture_takes_axes_and_names() -> None:
    result = ml.decompose_effect("y ~ x + w", unbalanced(), groups="g")
    figure, axes = pyplot.subplots()
    assert result.plot("w", ax=axes) is axes
    assert axes.get_xlabel() == "w"
    pyplot.close(figure)
    with pytest.raises(DataError, match="'z' has no slopes within and between groups to draw; choose x, w"):
        result.plot("z")


# Misuse --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "options", "error", "message"),
    [
        ("y ~ z", {}, ModelError, r"'z' is constant within groups of 'g', so there is no effect within"),
        ("y ~ v", {}, ModelError, r"'v' is the same on average .* no effect between groups to estimate"),
        ("y ~ v + z", {}, ModelError, r"so each has one effect, which ml.lmm\(\"y ~ v \+ z \+ \(1 \| g\)\""),
        ("y ~ 1", {}, ModelError, "no predictor"),
        ("y ~ 0 + x", {}, FormulaError, "no intercept"),
        ("y ~ x + (1 | g)", {}, FormulaError, r"has random effects, \(1 \| g\); leave them out"),
        ("y ~ x + g", {}, FormulaError, "'g' names the groups and is a predictor"),
        ("g ~ x", {}, FormulaError, "'g' names the groups and is the response"),
        ("y ~ xx", {}, ColumnNotFoundError, "There is no column 'xx'"),
        ("y ~ x", {"groups": "school"}, ColumnNotFoundError, "There is no column 'school'"),
        ("y ~ x", {"groups": ["g"]}, DataTypeError, "groups= takes the name of a column"),
        ("y ~ x", {"groups": "row"}, ModelError, "each of the .* groups of 'row' has one row"),
        ("y ~ x", {"groups": "one"}, ModelError, "'one' has one group, 'a', so there is nothing between"),
        ("y ~ x + w", {"groups": "three"}, ModelError, "'three' has 3 groups; 4 are the least"),
        ("y ~ x + m", {}, ModelError, "m can be computed from other parts of the predictors"),
        ("y ~ x + x_within", {}, DataError, "'x_within' is in the model, and is what a part of 'x' would be"),
        ("y ~ x", {"slopes": "z"}, DataError, "slopes= names 'z', which is no predictor that varies within"),
        ("y ~ x", {"slopes": 3}, DataTypeError, "slopes=3 is neither True, False, nor names"),
        ("y ~ x", {"level": 95}, DataError, "level=0.95"),
        ("y ~ x", {"vcov": "CR9"}, DataError, "vcov='CR9' does not exist"),
        ("y ~ x", {"df": "guess"}, DataError, "df='guess' does not exist"),
    ],
)
def test_errors_say_what_to_do(formula: str, options: dict[str, Any], error: type, message: str) -> None:
    data = unbalanced()
    mean = data.groupby("g")[["x", "w"]].transform("mean")
    data = data.assign(
        v=data["w"] - mean["w"],
        m=mean["x"],
        x_within=data["w"],
        row=np.arange(len(data)),
        one="a",
        three=np.arange(len(data)) % 3,
    )
    with pytest.raises(error, match=message):
        ml.decompose_effect(formula, data, **{"groups": "g", **options})
