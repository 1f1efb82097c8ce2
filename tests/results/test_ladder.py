"""`ml.ladder` against R's fits, plain fits of the same models, and the algebra it must obey."""

from __future__ import annotations

import re
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from multilevel.clusters.ladder import carries_together
from multilevel.errors import ColumnNotFoundError, DataError, DataTypeError, FormulaError, ModelError
from multilevel.results.ladder import Ladder
from reference_cases import case_data, case_names, load_case

mpl.use("Agg")

CRITERION = 1e-9  # relative: flat at the optimum
CHISQ = 1e-6  # absolute: the README's, for two criteria that are each at an optimum
ONE_BAR = re.compile(r"(?P<fixed>[^|]*) \+ \((?P<left>[^|]*) \| (?P<groups>[\w:]+)\)")
SLEEP = ml.datasets.sleepstudy()
HSB = ml.datasets.hsb82()


def one_bar(name: str) -> re.Match[str] | None:
    return ONE_BAR.fullmatch(load_case(name)["spec"]["formula"])


def step_of(name: str) -> str:
    """The step of a ladder that is the model of a case."""
    found = one_bar(name)
    assert found
    slope = found["left"].removeprefix("1 + ")
    if slope == "1":
        return "empty" if found["fixed"].endswith("~ 1") else "intercept"
    return f"slope {slope}"


NOT_STEPS = {
    "lmm_machines_slopes",  # no intercept in the bar
    "lmm_sleepstudy_slope_only",
    "lmm_machines_slopes_trt",  # a factor's slopes are combinations here
    "lmm_dialyzer",  # two slopes of one variable
    "lmm_oxboys_quad",
    "lmm_sleepstudy_poly2",  # a slope that is no predictor
    "lmm_orthodont_cent_interaction",  # I(age - 11) is spelled otherwise; a test of its own has it
}
CASES = [name for name in case_names("lmm_") if one_bar(name) and name not in NOT_STEPS]


def ladder_of(name: str, *, reml: bool | None = None) -> Ladder:
    case, found = load_case(name), one_bar(name)
    assert found
    spec = case["spec"]
    contrasts = {k: v.removeprefix("contr.") for k, v in (spec["contrasts"] or {}).items()}
    return ml.ladder(
        found["fixed"],
        case_data(case),
        found["groups"],
        reml=spec["method"] == "REML" if reml is None else reml,
        weights=spec["weights"],
        offset=spec["offset"],
        contrasts=contrasts or None,
    )


def row(steps: Ladder, name: str) -> dict[str, Any]:
    columns = steps.columns()
    place = columns["step"].index(name)
    return {column: values[place] for column, values in columns.items()}


# ---- R ----


def test_most_reference_cases_are_steps() -> None:
    assert len(CASES) >= 35


@pytest.mark.parametrize("name", CASES)
def test_steps_are_the_fits_of_lme4(name: str) -> None:
    case, step = load_case(name), row(ladder_of(name), step_of(name))
    criteria = case["criteria"]
    is_reml = case["spec"]["method"] == "REML"
    theirs = criteria["reml_criterion"] if is_reml else criteria["AIC"] - 2 * criteria["df"]
    assert step["criterion"] == pytest.approx(theirs, rel=CRITERION)
    ml_criteria = case["ml_refit"]["criteria"] if is_reml and "criteria" in case.get("ml_refit", {}) else None
    if ml_criteria:
        assert step["aic"] == pytest.approx(ml_criteria["AIC"], rel=CRITERION)
        assert step["bic"] == pytest.approx(ml_criteria["BIC"], rel=CRITERION)


BELOW = {"lmm_sleepstudy_m1_ml": "m0", "lmm_sleepstudy_m1_reml": "m0", "lmm_exam_ri": "null"}
BELOW |= {"lmm_sleepstudy_m2_ml": "m1", "lmm_sleepstudy_m2_reml": "m1", "lmm_exam_rs": "ri"}
BELOW |= {"lmm_bodyweight": "int", "lmm_orthodont_reml": "int", "lmm_hsb82_contextual": "ri"}


@pytest.mark.parametrize(("name", "below"), BELOW.items())
def test_likelihood_ratios_are_those_of_lme4(name: str, below: str) -> None:
    ours, theirs = row(ladder_of(name), step_of(name)), load_case(name)["lrt"][below]
    assert ours["chisq"] == pytest.approx(theirs["chisq"], abs=CHISQ)
    assert ours["df"] == theirs["df"]
    assert ours["p_value"] == pytest.approx(theirs["p"], rel=1e-5, abs=1e-300)
    assert [ours["aic"], ours["bic"]] == pytest.approx([theirs["AIC"][1], theirs["BIC"][1]], rel=CRITERION)


def test_sleepstudy_reads_as_the_course_has_it() -> None:
    steps = ml.ladder("Reaction ~ Days", SLEEP, groups="Subject")
    frame = steps.frame.set_index("step")
    assert frame.loc["empty", "icc"].round(3) == 0.395
    assert frame["criterion"].round(1).tolist()[1:] == [1904.3, 1786.5, 1743.6]
    assert frame.loc["empty", ["var_groups", "var_residual"]].round().tolist() == [1278, 1959]
    assert frame.loc["intercept", ["var_groups", "var_residual"]].round(1).tolist() == [1378.2, 960.5]
    slope = frame.loc["slope Days"]
    assert slope["chisq"].round(3) == 42.139
    assert slope["df"] == 2
    assert slope["p_value"] == pytest.approx(7.07241e-10, rel=1e-5)
    chi_1, chi_2 = 8.5e-11, slope["p_value"]
    assert slope["p_boundary"] == pytest.approx((chi_1 + chi_2) / 2, rel=1e-2)
    # R: anova(lmer(Reaction ~ 1 + (1 | Subject), REML = FALSE), lm(Reaction ~ 1))
    assert frame.loc["empty", "chisq"] == pytest.approx(50.50789, abs=1e-5)
    assert frame.loc["empty", "p_boundary"] == pytest.approx(1.1869e-12 / 2, rel=1e-4)
    assert frame.loc["no groups", "loglik"] == pytest.approx(-980.524475850947, rel=1e-12)


# ---- the steps ----


def test_fits_are_plain_fits() -> None:
    steps = ml.ladder("mAch ~ cses + meanses", HSB, groups="school")
    assert list(steps.fits) == ["no groups", "empty", "intercept", "slope cses"]
    plain = ml.lmm("mAch ~ cses + meanses + (1 + cses | school)", HSB)
    fit = steps.fits["slope cses"]
    np.testing.assert_allclose(fit.fixef, plain.fixef, rtol=1e-12)
    np.testing.assert_allclose(fit.se, plain.se, rtol=1e-12)
    assert fit.update(". ~ . - meanses").formula == "mAch ~ cses + (1 + cses | school)"
    assert steps.fits["empty"].predict(HSB.head(3)).shape == (3,)
    table, (compared,) = steps.frame.iloc[3], [ml.compare(steps.fits["intercept"], fit)]
    assert table["chisq"] == pytest.approx(compared["chisq"][1], rel=1e-12)
    assert table["p_boundary"] == compared["p_boundary"][1]


def test_explained_variance_is_that_of_r2() -> None:
    steps = ml.ladder("mAch ~ cses + meanses", HSB, groups="school")
    for name in ("intercept", "slope cses"):
        r2 = steps.fits[name].r2().set_index(["measure", "group"])["estimate"]
        ours = row(steps, name)
        assert ours["r2_marginal"] == pytest.approx(r2["marginal", "Observation"], rel=1e-9)
        assert ours["reduction_groups"] == pytest.approx(r2["raudenbush_bryk", "school"], rel=1e-7)
        assert ours["reduction_residual"] == pytest.approx(r2["raudenbush_bryk", "Residual"], rel=1e-7)
        assert ours["icc"] == pytest.approx(steps.fits[name].icc()["icc"][0], rel=1e-9)


def test_all_steps_use_the_rows_that_all_predictors_have() -> None:
    holes = SLEEP.assign(Days=SLEEP["Days"].where(SLEEP["Days"] != 4))
    steps = ml.ladder("Reaction ~ Days", holes, groups="Subject")
    assert {fit.nobs for fit in steps.fits.values()} == {162}
    assert "18 of 180 rows were dropped for missing values (Days 18)." in str(steps)
    with pytest.raises(DataError, match="18 of 180 rows"):
        ml.ladder("Reaction ~ Days", holes, groups="Subject", missing="raise")


def test_a_missing_group_is_a_missing_value() -> None:
    holes = SLEEP.astype({"Subject": object}).assign(
        Subject=SLEEP["Subject"].astype(object).where(SLEEP.index > 4)
    )
    steps = ml.ladder("Reaction ~ Days", holes, groups="Subject")
    assert {fit.nobs for fit in steps.fits.values()} == {175}


def test_what_has_no_slope_is_said() -> None:
    steps = ml.ladder("mAch ~ cses + meanses + sector", HSB, groups="school")
    assert "No random slope of meanses, sector: constant within each school." in str(steps)
    two_a_group = SLEEP[SLEEP["Days"] < 2]
    assert "No step 'slope Days': it has 36 random effects for 36 observations." in str(
        ml.ladder("Reaction ~ Days", two_a_group, groups="Subject")
    )


def test_a_factor_differs_by_combinations() -> None:
    machines = ml.datasets.machines()
    steps = ml.ladder("score ~ Machine", machines, groups="Worker")
    fit = steps.fits["effects Machine"]
    assert fit.formula == "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)"
    assert fit.criterion == pytest.approx(
        load_case("lmm_machines_nested")["criteria"]["reml_criterion"], rel=CRITERION
    )
    ours = row(steps, "effects Machine")
    assert ours["var_cells"] == pytest.approx(fit.varcorr()["variance"][1], rel=1e-12)


def test_slopes_together_where_the_data_carry_them() -> None:
    steps = ml.ladder("normexam ~ standLRT + sex", ml.datasets.exam(), groups="school")
    assert list(steps.fits)[-1] == "slopes"
    assert row(steps, "slopes")["against"] == "slope standLRT"
    assert row(steps, "slopes")["singular"]
    assert not carries_together(n_groups=9, n_columns=4, n_obs=10_000)
    few = ml.datasets.machines().assign(
        x=np.tile([0.0, 1.0, 2.0], 18), z=np.tile([1.0, 0.0, 0.0, 2.0, 5.0, 1.0], 9)
    )
    assert "No step 'slopes': 6 groups and 54 observations are few for 3 columns." in str(
        ml.ladder("score ~ x + z", few, groups="Worker")
    )


def test_a_square_gets_no_slope_beside_that_of_its_variable() -> None:
    steps = ml.ladder("Reaction ~ Days + I(Days^2)", SLEEP, groups="Subject")
    assert list(steps.fits) == ["no groups", "empty", "intercept", "slope Days"]


def test_a_computed_predictor_and_a_name_in_backticks() -> None:
    data = SLEEP.rename(columns={"Days": "the days", "Subject": "a subject"})
    steps = ml.ladder("log(Reaction) ~ scale(`the days`)", data, groups="a subject")
    assert steps.fits["slope scale(`the days`)"].formula.endswith("(1 + scale(`the days`) | `a subject`)")


def test_nothing_but_a_mean() -> None:
    steps = ml.ladder("Yield ~ 1", ml.datasets.dyestuff(), groups="Batch")
    assert list(steps.fits) == ["no groups", "empty"]
    assert "empty: 41.8% of the variance of Yield" in " ".join(str(steps).split())


def test_no_variance_between_groups() -> None:
    steps = ml.ladder("Yield ~ 1", ml.datasets.dyestuff2(), groups="Batch")
    assert row(steps, "empty")["p_boundary"] == 1.0
    assert "no variance of Yield is found between levels of Batch (ICC 0)" in " ".join(str(steps).split())


def test_combinations_of_two_columns_are_groups() -> None:
    steps = ml.ladder("strength ~ 1", ml.datasets.pastes(), groups="batch:cask")
    theirs = load_case("lmm_pastes_batch_cask_interaction")["criteria"]["reml_criterion"]
    assert row(steps, "empty")["criterion"] == pytest.approx(theirs, rel=CRITERION)


def test_without_an_intercept_there_is_no_test_against_the_mean() -> None:
    steps = ml.ladder("Reaction ~ 0 + Days", SLEEP, groups="Subject")
    assert np.isnan(row(steps, "intercept")["chisq"])
    assert "No test against 'empty': it is not nested in this model." in " ".join(str(steps).split())


# ---- algebra ----


def comparable(steps: Ladder) -> pd.DataFrame:
    return steps.frame.drop(columns=["step", "formula", "against"]).astype(float)


def test_the_order_of_rows_and_names_of_groups_do_not_matter() -> None:
    steps = ml.ladder("Reaction ~ Days", SLEEP, groups="Subject")
    names = {level: f"s{(k * 7) % 18}" for k, level in enumerate(SLEEP["Subject"].unique())}
    shuffled = SLEEP.sample(frac=1.0, random_state=1).assign(
        Subject=lambda d: d["Subject"].astype(object).map(names)
    )
    other = ml.ladder("Reaction ~ Days", shuffled, groups="Subject")
    np.testing.assert_allclose(comparable(steps), comparable(other), rtol=1e-7)
    ours, theirs = steps.pooling().frame, other.pooling().frame
    joined = ours.assign(level=ours["level"].map(names)).merge(theirs, on=["level", "term"])
    np.testing.assert_allclose(joined["no_pooling_x"], joined["no_pooling_y"], rtol=1e-9)
    np.testing.assert_allclose(joined["partial_x"], joined["partial_y"], rtol=1e-6)


def test_counts_are_repeated_rows() -> None:
    data = SLEEP.assign(f=1 + (SLEEP.index % 3))
    weighted = ml.ladder("Reaction ~ Days", data, groups="Subject", freq_weights="f", time="Days")
    repeated = ml.ladder(
        "Reaction ~ Days", data.loc[data.index.repeat(data["f"])], groups="Subject", time="Days"
    )
    np.testing.assert_allclose(comparable(weighted), comparable(repeated), rtol=1e-7)
    for view in (Ladder.pooling, Ladder.dummies):
        ours, theirs = view(weighted).frame, view(repeated).frame
        numbers = ours.select_dtypes(float).columns
        np.testing.assert_allclose(ours[numbers], theirs[numbers], rtol=1e-6)
        assert ours.drop(columns=numbers).equals(theirs.drop(columns=numbers))
    ours, theirs = weighted.time_shape(), repeated.time_shape()
    np.testing.assert_allclose(ours.tests.iloc[:, 2:], theirs.tests.iloc[:, 2:], rtol=1e-6)


def test_weights_are_passed_on() -> None:
    data = load_case("lmm_sleepstudy_weights")
    steps = ladder_of("lmm_sleepstudy_weights")
    plain = ml.lmm("Reaction ~ 1 + (1 | Subject)", case_data(data), weights="w")
    assert row(steps, "empty")["criterion"] == pytest.approx(plain.criterion, rel=1e-10)


def test_scale_of_the_response() -> None:
    steps = ml.ladder("Reaction ~ Days", SLEEP, groups="Subject")
    other = ml.ladder("Reaction ~ Days", SLEEP.assign(Reaction=SLEEP["Reaction"] * 1000), groups="Subject")
    for column in ("chisq", "icc", "r2_marginal", "reduction_groups"):
        np.testing.assert_allclose(steps[column], other[column], rtol=1e-6, atol=1e-9)


# ---- shape of the results ----


def test_tables_come_back_in_the_users_own_kind() -> None:
    steps = ml.ladder("Reaction ~ Days", pl.from_pandas(SLEEP), groups="Subject", time="Days")
    for table in (
        steps.frame,
        steps.components,
        steps.pooling().frame,
        steps.dummies().frame,
        steps.time_shape().frame,
        steps.time_shape().tests,
    ):
        assert isinstance(table, pl.DataFrame)
    assert steps.frame["chisq"].is_null().sum() == 1


def test_components_are_those_of_the_fits() -> None:
    steps = ml.ladder("Reaction ~ Days", SLEEP, groups="Subject")
    components = steps.components
    mine = components[components["step"] == "slope Days"].drop(columns="step").reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, steps.fits["slope Days"].varcorr(), check_dtype=False)


def test_it_reads() -> None:
    text = " ".join(str(ml.ladder("Reaction ~ Days", SLEEP, groups="Subject", time="Days")).split())
    for part in (
        "empty: 39.5% of the variance of Reaction lies between levels of Subject",
        "two observations of one level correlate 0.395",
        "falls by 51.0% (1959 to 960.5), that between them grows by 7.8% (1278 to 1378)",
        "the slope of Days, 10.47 on average, differs between levels of Subject",
        "with a standard deviation of 5.922: if such slopes are normal,",
        "95% lie between -1.140 and 22.07",
        "likelihood ratio 42.14 on 2 df, boundary p 3.96e-10",
        "AIC (1763.9) and BIC (1783.1) are both lowest at 'slope Days'",
        "no p-value is corrected for the number of tests",
        "Lack of fit of a straight line in Days",
    ):
        assert part in text
    assert "<table" in ml.ladder("Reaction ~ Days", SLEEP, groups="Subject")._repr_html_()


def test_criteria_that_disagree_are_both_named() -> None:
    steps = ml.ladder("mAch ~ cses * sector + meanses + minrty", HSB, groups="school")
    text = " ".join(str(steps).split())
    assert "AIC is lowest at 'slope minrty'" in text
    assert "BIC at 'intercept'" in text
    assert "Within 2 of the lowest AIC: 'intercept'." in text
    assert "about what the fixed part, with its interactions, gives it" in text


def test_variances_are_drawn() -> None:
    steps = ml.ladder("score ~ Machine", ml.datasets.machines(), groups="Worker")
    axes = steps.plot()
    widths = [
        sum(bar.get_width() for bar in axes.patches if bar.get_y() == y)
        for y in {b.get_y() for b in axes.patches}
    ]
    totals = np.nansum([steps["var_groups"], steps["var_cells"], steps["var_residual"]], axis=0)
    np.testing.assert_allclose(sorted(widths), sorted(totals), rtol=1e-12)
    assert steps.plot(axes) is axes
    plt.close("all")


# ---- misuse ----


def test_misuse() -> None:
    with pytest.raises(FormulaError, match=r"leave \(1 \| Subject\) out of the formula"):
        ml.ladder("Reaction ~ Days + (1 | Subject)", SLEEP, groups="Subject")
    with pytest.raises(ColumnNotFoundError, match="subject"):
        ml.ladder("Reaction ~ Days", SLEEP, groups="subject")
    with pytest.raises(DataTypeError, match="groups= takes the name of a column"):
        ml.ladder("Reaction ~ Days", SLEEP, groups=["Subject"])
    with pytest.raises(ModelError, match="'Subject' has one group"):
        ml.ladder("Reaction ~ Days", SLEEP.head(10), groups="Subject")
    with pytest.raises(ModelError, match=r"random effects .* cannot be told apart"):
        ml.ladder("Reaction ~ Days", SLEEP.assign(row=range(180)), groups="row")
    with pytest.raises(ModelError, match="'Subject' is a predictor and names the groups"):
        ml.ladder("Reaction ~ Days + factor(Subject)", SLEEP, groups="Subject")
    with pytest.raises(DataTypeError, match="time='Subject' needs numbers"):
        ml.ladder("Reaction ~ Days", SLEEP, groups="Subject", time="Subject")
    with pytest.raises(DataTypeError, match="time= takes the name of a column"):
        ml.ladder("Reaction ~ Days", SLEEP, groups="Subject", time=SLEEP["Days"])
    with pytest.raises(DataError, match="'t' is 3 in every row used"):
        ml.ladder("Reaction ~ Days", SLEEP.assign(t=3.0), groups="Subject", time="t")
    steps = ml.ladder("Reaction ~ Days", SLEEP, groups="Subject")
    with pytest.raises(DataError, match="was not told which column is time"):
        steps.time_shape()
    with pytest.raises(DataError, match="step='slopes' does not exist"):
        steps.pooling("slopes")
