"""Marginal means, trends and effects against averages of predictions, and the algebra they obey."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import multilevel as ml
from multilevel.errors import DataError, DataTypeError, ModelError, MultilevelWarning
from reference_cases import case_data, case_names, load_case

RNG = np.random.default_rng(11)
N = 240


def make_data() -> pd.DataFrame:
    data = pd.DataFrame(
        {
            "x": RNG.gamma(2.0, size=N),
            "z": RNG.normal(size=N),
            "dose": RNG.choice([0, 10, 40], N, p=[0.5, 0.3, 0.2]),
            "sex": RNG.choice(["f", "m"], N, p=[0.7, 0.3]),
            "arm": pd.Categorical(RNG.choice(["c", "a", "b"], N), ["c", "a", "b"]),
            "old": RNG.random(N) < 0.3,
            "two": RNG.choice([0.0, 1.0], N, p=[0.8, 0.2]),
            "clinic": RNG.integers(0, 20, N),
            "count": RNG.integers(1, 4, N),
        }
    )
    effect = RNG.normal(size=20)[data["clinic"]]
    return data.assign(y=effect + data["x"] + (data["sex"] == "m") * data["z"] + RNG.normal(size=N))


DATA = make_data()
FORMULA = "y ~ arm * sex + log(x) * sex + poly(z, 2) + factor(dose) + old + two + (1 | clinic)"
FIT = ml.lmm(FORMULA, DATA)
LEVELS: dict[str, list[Any]] = {
    "arm": ["c", "a", "b"],
    "sex": ["f", "m"],
    "dose": [0, 10, 40],
    "old": [False, True],
    "two": [0.0, 1.0],
}


def grid(x: float | None = None, z: float | None = None) -> pd.DataFrame:
    """Every combination of levels, covariates at their means."""
    rows = pd.DataFrame(list(product(*LEVELS.values())), columns=list(LEVELS))
    return rows.assign(x=DATA["x"].mean() if x is None else x, z=DATA["z"].mean() if z is None else z)


def predicted(rows: pd.DataFrame, fit: Any = FIT) -> np.ndarray:
    return fit.predict(rows, re="none")


# Means -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [["arm"], ["sex"], ["dose"], ["old"], ["two"], ["arm", "sex"]])
def test_means_are_averages_of_predictions(names: list[str]) -> None:
    means = FIT.emmeans(names).frame.set_index(names)["estimate"]
    expected = grid().assign(fit=predicted(grid())).groupby(names, observed=True)["fit"].mean()
    np.testing.assert_allclose(means.reindex(expected.index), expected, rtol=1e-10)


def test_the_first_variable_varies_fastest_and_groups_slowest() -> None:
    means = FIT.emmeans("sex * arm | old")
    assert means["sex"] == ["f", "m"] * 6
    assert means["arm"] == ["c", "c", "a", "a", "b", "b"] * 2
    assert means["old"] == [False] * 6 + [True] * 6


def test_the_mean_of_everything() -> None:
    expected = predicted(grid()).mean()
    for specs in ("1", "~ 1", None, []):
        assert FIT.emmeans(specs)["estimate"] == pytest.approx([expected])


def test_standard_errors_are_those_of_the_linear_functions() -> None:
    means = FIT.emmeans("arm")
    L = means.means.functions.L
    np.testing.assert_allclose(means["std_error"], np.sqrt(np.diag(L @ FIT.vcov() @ L.T)), rtol=1e-9)


def test_values_given_replace_levels_and_means() -> None:
    at = {"x": [1.0, 4.0], "z": 0.5, "dose": 10, "sex": "m"}
    means = FIT.emmeans("arm | x", at=at)
    rows = pd.concat([grid(1.0, 0.5), grid(4.0, 0.5)]).query("dose == 10 and sex == 'm'")
    expected = rows.assign(fit=predicted(rows)).groupby(["x", "arm"], observed=True)["fit"].mean()
    found = means.frame.set_index(["x", "arm"])["estimate"]
    np.testing.assert_allclose(found.reindex(expected.index), expected, rtol=1e-10)
    assert "dose = 10" in str(means)


@pytest.mark.parametrize("weights", ["proportional", "outer", "cells", "flat"])
def test_weights(weights: str) -> None:
    others = ["sex", "dose", "old", "two"]
    share = {name: DATA[name].value_counts(normalize=True) for name in others}
    cell = DATA.groupby([*others], observed=True).size()
    full = DATA.groupby(["arm", *others], observed=True).size()

    def weight(row: pd.Series) -> float:
        key = tuple(row[name] for name in others)
        match weights:
            case "proportional":
                return cell.get(key, 0)
            case "outer":
                return float(np.prod([share[name][row[name]] for name in others]))
        count = full.get((row["arm"], *key), 0)
        return count if weights == "cells" else float(count > 0)

    rows = grid()
    w = rows.apply(weight, axis=1)
    means = FIT.emmeans("arm", weights=weights)
    for arm, estimate in zip(means["arm"], means["estimate"], strict=True):
        here = (rows["arm"] == arm).to_numpy()
        assert estimate == pytest.approx(np.average(predicted(rows)[here], weights=w[here]), rel=1e-10)


def test_cell_weights_give_the_means_of_the_data_in_a_model_of_factors() -> None:
    fit = ml.ols("y ~ arm * sex", DATA)
    found = fit.emmeans("arm", weights="cells").frame.set_index("arm")["estimate"]
    np.testing.assert_allclose(found, DATA.groupby("arm", observed=True)["y"].mean(), rtol=1e-10)


def test_frequency_weights_are_rows_repeated() -> None:
    formula = "y ~ arm * x + sex + two"
    counted = ml.ols(formula, DATA, freq_weights="count")
    repeated = ml.ols(formula, DATA.loc[DATA.index.repeat(DATA["count"])])
    for ask in (
        lambda fit: fit.emmeans("arm", weights="proportional").frame,
        lambda fit: fit.contrasts("arm", at={"x": [0, 2]}).frame,
        lambda fit: fit.emtrends("arm", "x").frame,
        lambda fit: fit.ame(by="sex"),
        lambda fit: fit.joint_tests(),
    ):
        pd.testing.assert_frame_equal(ask(counted), ask(repeated), rtol=1e-8)


def test_the_coding_of_factors_does_not_matter() -> None:
    recoded = FIT.update(contrasts={"arm": "sum", "sex": "helmert"})
    for ask in (
        lambda fit: fit.emmeans("arm * sex").frame,
        lambda fit: fit.contrasts("arm | sex").frame,
        lambda fit: fit.joint_tests(),
    ):
        pd.testing.assert_frame_equal(ask(recoded), ask(FIT), rtol=1e-5)  # two searches for theta


def test_far_from_zero_nothing_is_lost() -> None:
    """Numbers near 1e6 have ten digits behind those that cancel; theta is each search's own."""
    shifted = DATA.assign(x=DATA["x"] + 1e6)
    for fit, tolerance in (
        (ml.ols("y ~ arm * x", DATA), 1e-8),
        (ml.lmm("y ~ arm * x + (1 | clinic)", DATA), 1e-5),
    ):
        far = fit.update(data=shifted)
        for ask in (lambda fit: fit.emmeans("arm"), lambda fit: fit.emtrends("arm", "x")):
            for column in ("estimate", "std_error", "df"):
                np.testing.assert_allclose(ask(far)[column], ask(fit)[column], rtol=tolerance)


def test_offsets_stand_at_their_mean() -> None:
    base = ml.ols("y ~ sex + arm", DATA).emmeans("sex")["estimate"]
    shift = 3.0 * DATA["z"]
    for fit in (
        ml.ols("y ~ sex + arm + offset(3 * z)", DATA.assign(y=DATA["y"] + shift)),
        ml.ols("y ~ sex + arm", DATA.assign(y=DATA["y"] + shift), offset=shift.to_numpy()),
        ml.ols("y ~ sex + arm", DATA.assign(y=DATA["y"] + shift, known=shift), offset="known"),
    ):
        np.testing.assert_allclose(fit.emmeans("sex")["estimate"], base + shift.mean(), rtol=1e-9)
    named = ml.ols("y ~ sex + arm", DATA.assign(y=DATA["y"] + shift, known=shift), offset="known")
    np.testing.assert_allclose(named.emmeans("sex", at={"known": 0})["estimate"], base, rtol=1e-9)


def test_within_and_between_are_covariates_of_their_own() -> None:
    fit = ml.lmm("y ~ within(x, clinic) + between(x, clinic) + sex + (1 | clinic)", DATA)
    means = fit.emmeans("sex", at={"between(x, clinic)": 2.0})
    intercept, w, b, m = (fit.fixef[fit.coef_names.index(n)] for n in fit.coef_names)
    centre = (DATA["x"] - DATA.groupby("clinic")["x"].transform("mean")).mean()
    expected = intercept + w * centre + 2.0 * b + np.array([0.0, m])
    np.testing.assert_allclose(means["estimate"], expected, rtol=1e-9)


def test_a_model_without_intercept_and_one_without_predictors() -> None:
    fit = ml.ols("y ~ 0 + arm", DATA)
    np.testing.assert_allclose(fit.emmeans("arm")["estimate"], fit.fixef)
    np.testing.assert_allclose(fit.emmeans("arm")["std_error"], fit.se)
    only = ml.lmm("y ~ 1 + (1 | clinic)", DATA)
    np.testing.assert_allclose(only.emmeans("1")["estimate"], only.fixef)
    assert len(only.ame()) == 0
    assert len(only.joint_tests()) == 0


def test_another_variance_is_that_of_the_fit_which_has_it() -> None:
    plain, robust = ml.ols("y ~ arm * sex", DATA), ml.ols("y ~ arm * sex", DATA, vcov="HC3")
    asked = plain.emmeans("arm", vcov="HC3").contrasts(adjust="holm")
    assert asked["p_value"] == pytest.approx(robust.contrasts("arm", adjust="holm")["p_value"])
    assert "HC3" in str(asked)


# Contrasts -------------------------------------------------------------------------------------------


def test_contrasts_within_groups_are_adjusted_group_by_group() -> None:
    table = FIT.contrasts("arm | sex", adjust="bonferroni").frame
    alone = FIT.contrasts("arm | sex", adjust="none").frame
    np.testing.assert_allclose(table["p_value"], np.minimum(3.0 * alone["p_value"], 1.0))
    everywhere = FIT.contrasts("arm * sex", adjust="bonferroni")
    assert len(everywhere["contrast"]) == 15
    assert everywhere["contrast"][0] == "c f - a f"


def test_groups_can_be_chosen_after_the_means() -> None:
    crossed = FIT.emmeans("arm * sex")
    for by in ("sex", "arm"):
        grouped = FIT.emmeans(["arm", "sex"], by=by).contrasts()
        pd.testing.assert_frame_equal(crossed.contrasts(by=by).frame, grouped.frame)


def test_interactions_are_differences_of_differences() -> None:
    table = FIT.contrasts("arm * sex", "interaction")
    means = FIT.emmeans("arm * sex").frame.set_index(["arm", "sex"])["estimate"]
    for arm, sex, estimate in zip(table["arm"], table["sex"], table["estimate"], strict=True):
        (a, b), (f, m) = arm.split(" - "), sex.split(" - ")
        assert estimate == pytest.approx(means[a, f] - means[b, f] - means[a, m] + means[b, m])
    joint = table.joint()
    names = [i for i, name in enumerate(FIT.coef_names) if "arm" in name and "sex" in name]
    L = np.eye(len(FIT.fixef))[names]
    expected = FIT._inference().f_test(L)
    assert joint["statistic"].iloc[0] == pytest.approx(expected.statistic, rel=1e-6)
    assert joint["df_num"].iloc[0] == 2


def test_one_method_a_factor() -> None:
    table = FIT.contrasts("dose * sex", ["polynomial", "pairwise"], interaction=True)
    assert table["dose"] == ["linear", "quadratic"]
    by_name = FIT.contrasts("dose * sex", {"dose": "polynomial"}, interaction=True)
    np.testing.assert_array_equal(by_name["estimate"], table["estimate"])


def test_a_control_by_its_value() -> None:
    table = FIT.contrasts("dose", "treatment_vs_control", ref=10)
    assert table["contrast"] == ["dose0 - dose10", "dose40 - dose10"]
    same = FIT.contrasts("dose", "trt.vs.ctrl", ref="dose10")
    np.testing.assert_array_equal(same["p_value"], table["p_value"])  # the same seed


def test_polynomials_use_the_values_of_the_levels() -> None:
    linear = FIT.contrasts("dose", "polynomial").contrasts.matrix[0]
    np.testing.assert_allclose(linear, [-5.0, -2.0, 7.0])


def test_tests_against_other_values() -> None:
    means = FIT.emmeans("arm")
    p = means.test(null=float(means["estimate"][0]))["p_value"]
    assert p.iloc[0] == pytest.approx(1.0)
    contrasts = means.contrasts(adjust="none")
    moved = contrasts.test(null=1.0)["statistic"]
    np.testing.assert_allclose(moved, (contrasts["estimate"] - 1.0) / contrasts["std_error"])


def test_joint_tests_of_means_and_of_their_differences() -> None:
    means = FIT.emmeans("arm | sex")
    assert means.joint()["df_num"].tolist() == [3, 3]
    assert means.contrasts().joint()["df_num"].tolist() == [2, 2]
    assert means.joint()["sex"].tolist() == ["f", "m"]


# Trends ----------------------------------------------------------------------------------------------


def test_trends_are_slopes_of_predictions() -> None:
    h = 1e-5
    mean = DATA["x"].mean()
    for value in (mean, 0.5):
        at = None if value == mean else {"x": value}
        trends = FIT.emtrends("sex", "x", at=at).frame.set_index("sex")["estimate"]
        slope = (predicted(grid(value + h)) - predicted(grid(value - h))) / (2 * h)
        expected = grid().assign(slope=slope).groupby("sex")["slope"].mean()
        np.testing.assert_allclose(trends.reindex(expected.index), expected, rtol=1e-6)


def test_trends_of_a_linear_covariate_are_coefficients() -> None:
    fit = ml.lmm("y ~ sex * z + x + (1 | clinic)", DATA)
    trends = fit.emtrends("sex", "z")
    b = dict(zip(fit.coef_names, fit.fixef, strict=True))
    np.testing.assert_allclose(trends["estimate"], [b["z"], b["z"] + b["sex[T.m]:z"]], rtol=1e-12)
    difference = trends.contrasts("revpairwise", adjust="none")
    assert difference["std_error"][0] == pytest.approx(fit.se[fit.coef_names.index("sex[T.m]:z")])
    assert "slopes of y along z" in str(difference)


# Joint tests -----------------------------------------------------------------------------------------

REPEATED = {  # a variable in several terms, or no intercept: lmerTest asks something else there
    "lmm_oxboys_quad",
    "lmm_dialyzer",
    "lmm_sleepstudy_poly2raw",
    "lmm_sleepstudy_poly2",
    "lmm_sleepstudy_noint",
    "lmm_orthodont_cent_interaction",
    "lmm_sleepstudy_rankdef",
    "lmm_sleepstudy_rankdef2",
}


JOINT = [  # not singular fits, whose degrees of freedom R has from one-sided derivatives
    (name, method)
    for name in case_names("lmm_")
    for method in ("satterthwaite", "kenward_roger")
    if name not in REPEATED
    and f"typeIII_{method}" in (load_case(name).get("anova") or {})
    and load_case(name)["dims"]["nobs"] < 5000
    and not load_case(name)["is_singular"]
    and not (method == "kenward_roger" and load_case(name)["spec"]["weights"])  # pbkrtest's V has no weights
]


@cache
def fit_case(name: str) -> Any:
    case = load_case(name)
    spec = case["spec"]
    coding = spec["contrasts"] and {k: v.removeprefix("contr.") for k, v in spec["contrasts"].items()}
    return ml.lmm(
        spec["formula"], case_data(case), reml=spec["method"] == "REML",
        weights=spec["weights"], offset=spec["offset"], contrasts=coding,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "method"), JOINT)
def test_joint_tests_are_type_three(name: str, method: str) -> None:
    """With covariates at zero, where lmerTest has them; F to 1e-5, since theta is two searches' own."""
    theirs, fit = load_case(name)["anova"][f"typeIII_{method}"], fit_case(name)
    covariates = [v.name for v in fit._population().variables.values() if not v.is_factor]
    at = dict.fromkeys(covariates, 0.0)
    ours = fit.joint_tests(at=at, df=method.replace("_", "-")).set_index("term")
    assert len(ours) == len(theirs["terms"])
    np.testing.assert_allclose(ours["statistic"], theirs["F value"], rtol=1e-5)
    np.testing.assert_array_equal(ours["df_num"], theirs["NumDF"])
    np.testing.assert_allclose(ours["df_den"], theirs["DenDF"], rtol=1e-4)
    told = np.array(theirs["Pr(>F)"]) > 1e-300
    log_p = np.log(ours["p_value"][told]), np.log(np.array(theirs["Pr(>F)"])[told])
    np.testing.assert_allclose(*log_p, rtol=1e-3, atol=1e-4)


# Average effects -------------------------------------------------------------------------------------


def test_average_effects_are_averages_of_changed_predictions() -> None:
    effects = FIT.ame().set_index(["term", "contrast"])["estimate"]
    here = DATA
    for level in ("a", "b"):
        change = predicted(here.assign(arm=level)) - predicted(here.assign(arm="c"))
        assert effects["arm", f"{level} - c"] == pytest.approx(change.mean(), rel=1e-9)
    older = predicted(here.assign(old=True)) - predicted(here.assign(old=False))
    assert effects["old", "True - False"] == pytest.approx(older.mean(), rel=1e-9)
    h = 1e-6
    slope = (predicted(here.assign(x=here["x"] + h)) - predicted(here.assign(x=here["x"] - h))) / (2 * h)
    assert effects["x", "slope"] == pytest.approx(slope.mean(), rel=1e-6)
    assert list(effects.index.get_level_values(0).unique()) == ["arm", "sex", "x", "z", "dose", "old", "two"]


def test_average_effects_in_groups() -> None:
    effects = FIT.ame("x", by=["sex", "clinic"])
    assert len(effects) == len(DATA.groupby(["sex", "clinic"]).size())
    assert effects["clinic"].dtype.kind == "i"
    whole = FIT.ame("x")["estimate"].iloc[0]
    counts = DATA.groupby(["sex", "clinic"]).size().to_numpy()
    assert np.average(effects["estimate"], weights=counts) == pytest.approx(whole)


def test_average_effects_of_a_linear_model_are_its_coefficients() -> None:
    fit = ml.lmm("y ~ z + sex + (1 | clinic)", DATA)
    table = fit.ame()
    np.testing.assert_allclose(table["estimate"], fit.fixef[1:], rtol=1e-9)
    np.testing.assert_allclose(table["std_error"], fit.se[1:], rtol=1e-9)


# What cannot be estimated ----------------------------------------------------------------------------


def without_a_cell() -> pd.DataFrame:
    return DATA.query("not (arm == 'a' and sex == 'm')")


def test_empty_cells_have_no_numbers() -> None:
    fit = ml.lmm("y ~ arm * sex + z + (1 | clinic)", without_a_cell())
    means = fit.emmeans("arm * sex")
    unknown = [(a, s) == ("a", "m") for a, s in zip(means["arm"], means["sex"], strict=True)]
    for column in ("estimate", "std_error", "df", "conf_low", "conf_high"):
        assert np.isnan(means[column]).tolist() == unknown
    assert "1 of these cannot be estimated" in str(means)
    assert np.isnan(fit.emmeans("arm")["estimate"]).tolist() == [False, True, False]
    over_data = fit.emmeans("arm", weights="cells")["estimate"]
    assert np.isfinite(over_data).all()
    pairs = fit.contrasts("arm | sex")
    assert np.isnan(pairs["p_value"]).tolist() == [False, False, False, True, False, True]
    tests = fit.joint_tests().set_index("term")
    assert tests["df_num"].to_dict() == {"arm": 1, "sex": 0, "arm:sex": 1, "z": 1}
    assert np.isnan(tests.loc["sex", "statistic"])


def test_the_answers_that_remain_are_those_of_the_model_of_cells() -> None:
    fit = ml.ols("y ~ arm * sex", without_a_cell())
    cells = without_a_cell().groupby(["arm", "sex"], observed=True)["y"].mean()
    found = fit.emmeans("arm * sex").frame.set_index(["arm", "sex"])["estimate"].dropna()
    np.testing.assert_allclose(found.reindex(cells.index), cells, rtol=1e-10)


def test_effects_that_cannot_be_told_apart_are_missing_and_said_to_be() -> None:
    fit = ml.ols("y ~ z + w + sex", DATA.assign(w=2.0 * DATA["z"] + 1.0))
    np.testing.assert_allclose(
        fit.emmeans("sex")["estimate"], ml.ols("y ~ z + sex", DATA).emmeans("sex")["estimate"]
    )
    with pytest.warns(MultilevelWarning, match="The effect of z, w cannot be estimated"):
        assert np.isnan(fit.ame()["estimate"]).tolist() == [True, True, False]


# Frames and misuse -----------------------------------------------------------------------------------


def test_tables_are_in_the_users_kind_of_frame() -> None:
    means = ml.ols("y ~ arm * x", pl.from_pandas(DATA)).emmeans("arm")
    assert isinstance(means.frame, pl.DataFrame)
    assert isinstance(means.test(), pl.DataFrame)
    assert isinstance(means.joint(), pl.DataFrame)
    assert isinstance(means.contrasts().frame, pl.DataFrame)
    arrow = ml.ols("y ~ arm * x", pa.Table.from_pandas(DATA)).ame()
    assert isinstance(arrow, pa.Table)


def test_whatever_reads_arrow_reads_the_tables() -> None:
    table = FIT.contrasts("arm")
    np.testing.assert_array_equal(pl.DataFrame(table)["estimate"].to_numpy(), table["estimate"])


@pytest.mark.parametrize(
    ("ask", "problem"),
    [
        (lambda: FIT.emmeans("arms"), "'arms', which the fixed part does not have; did you mean 'arm'"),
        (lambda: FIT.emmeans("clinic"), "'clinic', which is a grouping factor of the random effects"),
        (lambda: FIT.emmeans("y"), "'y', which is the response; there are arm, sex"),
        (lambda: FIT.emmeans("arm", by="count"), "by names 'count'"),
        (lambda: FIT.emmeans("arm", at={"count": 1}), "at names 'count'"),
        (lambda: FIT.emmeans("arm", at={"sex": "x"}), "'sex' has no level 'x'; its levels are 'f', 'm'"),
        (lambda: FIT.emmeans("arm", at={"sex": []}), "gives no value for 'sex'"),
        (lambda: FIT.emmeans("arm", at={"sex": ["f", "f"]}), "names a level of 'sex' twice"),
        (lambda: FIT.emmeans("arm", at={"x": "high"}), "at= for 'x' is not made of numbers"),
        (lambda: FIT.emmeans("arm", weights="even"), "weights='even' does not exist"),
        (lambda: FIT.emmeans("arm", level=95), "level=0.95 for 95%"),
        (lambda: FIT.emtrends("arm", "sex"), "var='sex' is a factor, which has no slope"),
        (lambda: FIT.emtrends("arm", "w"), "var names 'w'"),
        (lambda: FIT.contrasts("x"), r"one mean for x, so nothing can be compared; give values with at="),
        (lambda: FIT.contrasts("1"), "one mean for everything"),
        (lambda: FIT.contrasts("arm", "pairs"), "method='pairs' does not exist; choose 'pairwise'"),
        (lambda: FIT.contrasts("arm", adjust="tuky"), "adjust='tuky' does not exist; choose 'tukey'"),
        (lambda: FIT.contrasts("arm", "effects", adjust="tukey"), "made for all pairwise differences"),
        (lambda: FIT.contrasts("arm", {"k": {"d": 1}}), "'d' is none of the levels compared"),
        (lambda: FIT.contrasts("arm", "treatment_vs_control", ref="d"), "'d' is none of the levels"),
        (lambda: FIT.contrasts("arm", ref="c"), "ref= belongs to treatment_vs_control"),
        (lambda: FIT.contrasts("arm", "interaction"), "need two factors at least"),
        (lambda: FIT.contrasts("arm * sex", {"dose": "eff"}, interaction=True), "'dose', which is none"),
        (lambda: FIT.contrasts("arm * sex", ["eff"], interaction=True), "1 sets for the 2 factors"),
        (lambda: FIT.emmeans("arm").contrasts(by="sex"), "by names 'sex', which these means do not have"),
        (lambda: FIT.emmeans("pairwise ~ arm"), r"\.contrasts\('arm', 'pairwise'\)"),
        (lambda: FIT.ame("count"), "variables names 'count'"),
        (lambda: FIT.ame("x", by="nowhere"), "no column 'nowhere'"),
    ],
)  # fmt: skip
def test_misuse_names_the_culprit_and_the_way_out(ask: Any, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        ask()


def test_misuse_of_types() -> None:
    with pytest.raises(DataTypeError, match="at=3 maps no variable to values"):
        FIT.emmeans("arm", at=3)  # type: ignore[arg-type]
    with pytest.raises(DataTypeError, match="is no contrast"):
        FIT.contrasts("arm", None)


def test_groups_that_are_missing_are_refused() -> None:
    data = DATA.assign(site=DATA["sex"].where(DATA["z"] < 1.0))
    with pytest.raises(DataError, match="by: 'site' is missing in"):
        ml.ols("y ~ x", data).ame(by="site")


def test_huge_grids_are_refused() -> None:
    data = {
        "y": RNG.normal(size=600),
        **{name: np.arange(600) % k for name, k in (("a", 90), ("b", 89), ("c", 88))},
    }
    fit = ml.ols("y ~ factor(a) + factor(b) + factor(c)", data)
    with pytest.raises(ModelError, match="the reference grid would have 704,880 cells; 'a' alone has 90"):
        fit.emmeans("a")
    assert len(fit.emmeans("a", at={"b": [0, 1], "c": 5})["estimate"]) == 90
