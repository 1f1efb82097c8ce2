"""Explained variance and intraclass correlations of fits, against R and the algebra they must obey."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.results.lmm import LMMFit
from reference_cases import case_data, case_names, load_case, load_data

OPTIMISER = 1e-5  # relative: where R's optimiser stopped
CASES = [name for name in case_names("lmm_") if load_case(name).get("r2_nakagawa")]
SINGULAR = [name for name in CASES if load_case(name)["is_singular"]]

# performance misses random variance where random columns are spread over several terms, where a random column
# is not among the fixed ones under its name, and where a term has no intercept.
INTERCEPT_ALONE = [
    "lmm_sleepstudy_poly2",
    "lmm_sleepstudy_two_terms",
    "lmm_sleepstudy_uncorr_ml",
    "lmm_sleepstudy_uncorr_reml",
]
OTHERWISE = {*INTERCEPT_ALONE, "lmm_machines_slopes", *SINGULAR}
SLEEP = load_data("sleepstudy")
SLOPES = "Reaction ~ Days + (1 + Days | Subject)"


@cache
def fit_case(name: str) -> LMMFit:
    case = load_case(name)
    spec = case["spec"]
    contrasts = {k: v.removeprefix("contr.") for k, v in (spec["contrasts"] or {}).items()}
    return ml.lmm(
        spec["formula"],
        case_data(case),
        reml=spec["method"] == "REML",
        weights=spec["weights"],
        offset=spec["offset"],
        contrasts=contrasts or None,
    )


def r2_of(fit: LMMFit) -> dict[str, float]:
    table = fit.r2()
    return dict(zip(table["measure"][:2], table["estimate"][:2], strict=True))


def variance_of_fixed_part(fit: LMMFit) -> float:
    return float(np.var(fit.design.X @ fit.fixef, ddof=1))


# ---- R ----


@pytest.mark.parametrize("name", [name for name in CASES if name not in OTHERWISE])
def test_marginal_and_conditional_are_those_of_performance(name: str) -> None:
    ours, theirs = r2_of(fit_case(name)), load_case(name)["r2_nakagawa"]
    assert ours["marginal"] == pytest.approx(theirs["R2_marginal"], rel=OPTIMISER, abs=1e-12)
    assert ours["conditional"] == pytest.approx(theirs["R2_conditional"], rel=OPTIMISER)


@pytest.mark.parametrize("name", sorted(OTHERWISE))
def test_where_r_leaves_variance_out_all_of_it_counts(name: str) -> None:
    fit = fit_case(name)
    M = fit.matrices()
    random = (M.Z @ M.Sigma @ M.Z.T).diagonal().mean()
    fixed = variance_of_fixed_part(fit)
    whole = fixed + random + fit.sigma**2
    assert r2_of(fit)["marginal"] == pytest.approx(fixed / whole, rel=1e-10, abs=1e-12)
    assert r2_of(fit)["conditional"] == pytest.approx((fixed + random) / whole, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("name", SINGULAR)
def test_r_leaves_all_random_variance_out_of_singular_fits(name: str) -> None:
    fit = fit_case(name)
    fixed = variance_of_fixed_part(fit)
    theirs = load_case(name)["r2_nakagawa"]["R2_marginal"]
    assert fixed / (fixed + fit.sigma**2) == pytest.approx(theirs, rel=OPTIMISER, abs=1e-12)


@pytest.mark.parametrize("name", INTERCEPT_ALONE)
def test_r_leaves_slopes_out_of_terms_that_it_does_not_see(name: str) -> None:
    fit = fit_case(name)
    fixed, intercept = variance_of_fixed_part(fit), fit.record.terms[0].covariance[0, 0]
    theirs = load_case(name)["r2_nakagawa"]["R2_marginal"]
    assert fixed / (fixed + intercept + fit.sigma**2) == pytest.approx(theirs, rel=OPTIMISER)


def is_by_group(name: str) -> bool:
    """Whether R gives shares by group that it does not itself call inaccurate (those with random slopes)."""
    case = load_case(name)
    return bool((case.get("icc_by_group") or {}).get("Group")) and not any(
        "random slopes" in str(note) for note in case["notes"]
    )


@pytest.mark.parametrize("name", list(filter(is_by_group, CASES)))
def test_shares_by_group_are_those_of_performance(name: str) -> None:
    theirs = load_case(name)["icc_by_group"]
    table = fit_case(name).icc()
    ours = {frozenset(g.split(":")): icc for g, icc in zip(table["group"], table["icc"], strict=True)}
    for group, icc in zip(theirs["Group"], theirs["ICC"], strict=True):
        assert ours[frozenset(group.split(":"))] == pytest.approx(icc, rel=OPTIMISER)


def test_the_figures_of_the_course() -> None:
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", SLEEP)
    table = fit.icc()
    assert table["icc"][0] == pytest.approx(0.589, abs=5e-4)
    assert table["icc_unadjusted"][0] == pytest.approx(0.424, abs=5e-4)


# ---- the null model and the levels ----


def rows_of(table: pd.DataFrame, measure: str) -> dict[Any, float]:
    rows = table[table["measure"] == measure]
    return dict(zip(rows["group"], rows["estimate"], strict=True))


def test_reductions_by_hand() -> None:
    null = ml.lmm("Reaction ~ 1 + (1 | Subject)", SLEEP)
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", SLEEP)
    tau0, tau = (each.record.terms[0].covariance[0, 0] for each in (null, fit))
    table = fit.r2()
    bryk, bosker = rows_of(table, "raudenbush_bryk"), rows_of(table, "snijders_bosker")
    assert bryk["Subject"] == pytest.approx(1.0 - tau / tau0, rel=1e-8)
    assert bryk["Residual"] == pytest.approx(1.0 - fit.sigma**2 / null.sigma**2, rel=1e-8)
    assert bosker["Observation"] == pytest.approx(
        1.0 - (tau + fit.sigma**2) / (tau0 + null.sigma**2), rel=1e-8
    )
    assert bosker["Subject"] == pytest.approx(0.0, abs=1e-8)  # Days is balanced: means learn nothing of it


def test_unequal_groups_count_by_the_harmonic_mean_of_their_sizes() -> None:
    data = SLEEP.drop(SLEEP.index[[3, 5, 8, 14, 15, 16, 17, 60]])
    null, fit = (ml.lmm(f"Reaction ~ {x} + (1 | Subject)", data) for x in ("1", "Days"))
    harmonic = 1.0 / np.mean(1.0 / data.groupby("Subject", observed=True).size())
    left, whole = (f.record.terms[0].covariance[0, 0] + f.sigma**2 / harmonic for f in (fit, null))
    assert rows_of(fit.r2(), "snijders_bosker")["Subject"] == pytest.approx(1.0 - left / whole, rel=1e-6)


def test_the_null_model_uses_the_rows_weights_and_offset_of_the_fit() -> None:
    data = SLEEP.assign(Days=SLEEP["Days"].where(SLEEP.index % 7 > 0), w=1.0 + SLEEP.index % 3, o=SLEEP.index)
    options: dict[str, Any] = {"weights": "w", "offset": "o"}
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", data, **options)
    null = ml.lmm("Reaction ~ 1 + (1 | Subject)", data[data["Days"].notna()], **options)
    pd.testing.assert_frame_equal(fit.r2(), fit.r2(null=null))
    assert fit.r2()["total"][3] == pytest.approx(null.sigma**2)


def test_a_null_model_explains_nothing() -> None:
    fit = ml.lmm("strength ~ 1 + (1 | batch/cask)", load_data("Pastes"))
    table = fit.r2()
    assert (table["estimate"].drop(1) == 0.0).all()
    assert table["estimate"][1] == pytest.approx(fit.icc()["icc"][2])


def test_components_are_compared_where_both_models_have_them() -> None:
    fit, null = ml.lmm(SLOPES, SLEEP), ml.lmm("Reaction ~ 1 + (1 + Days | Subject)", SLEEP)
    table = fit.r2(null=null)
    bryk = table[table["measure"] == "raudenbush_bryk"]
    ratio = np.diag(fit.record.terms[0].covariance) / np.diag(null.record.terms[0].covariance)
    assert list(bryk["term"][:2]) == ["Intercept", "Days"]
    np.testing.assert_allclose(bryk["estimate"][:2], 1.0 - ratio, rtol=1e-8)
    assert fit.r2()["note"][2] == "averaged"


def test_a_variance_of_zero_counts_as_zero(dyestuff2: pd.DataFrame) -> None:
    data = dyestuff2.assign(x=np.arange(30) % 5)
    table = ml.lmm("Yield ~ x + (1 | Batch)", data).r2()
    assert table["estimate"][0] == table["estimate"][1] > 0.0
    assert table["note"][1] == "singular"
    assert np.isnan(table["estimate"][2])
    assert table["note"][2] == "undefined"


def test_without_a_residual_only_the_marginal_r2_is_there() -> None:
    fit = ml.lmm("Reaction ~ Days + ar1(0 + DaysF | Subject)", SLEEP, residual="none")
    table = fit.r2()
    between = fit.record.terms[0].covariance[0, 0]
    fixed = variance_of_fixed_part(fit)
    assert table["estimate"][0] == pytest.approx(fixed / (fixed + between))
    assert np.isnan(table["estimate"][1])
    with pytest.raises(ModelError, match="residual"):
        fit.icc(conf_int="bootstrap")
    with pytest.raises(ModelError, match="residual"):
        fit.r2(conf_int="bootstrap")


# ---- algebra ----

ALGEBRA = "Reaction ~ Days + cond + (1 + Days | Subject)"


def everything(fit: LMMFit) -> np.ndarray:
    """All shares that a fit gives, with limits that need no random numbers."""
    shares = ["icc", "conf_low", "conf_high"]
    return np.concatenate(
        [
            fit.r2()["estimate"],
            fit.icc(conf_int="delta")[[*shares, "icc_cumulative", "icc_unadjusted"]].to_numpy().ravel(),
            fit.icc(over="Days", points=4, conf_int="delta")[shares].to_numpy().ravel(),
        ]
    )


@pytest.mark.parametrize(
    ("scale", "shift", "x_scale", "x_shift"), [(1e-3, 5.0, 1.0, 0.0), (7.0, 1e6, 60.0, 1e7)]
)
def test_units_do_not_matter(scale: float, shift: float, x_scale: float, x_shift: float) -> None:
    changed = SLEEP.assign(
        Reaction=scale * SLEEP["Reaction"] + shift, Days=x_scale * SLEEP["Days"].astype(float) + x_shift
    )
    np.testing.assert_allclose(
        everything(ml.lmm(ALGEBRA, changed)), everything(ml.lmm(ALGEBRA, SLEEP)), rtol=1e-5, atol=1e-8
    )


def test_the_order_of_rows_does_not_matter() -> None:
    order = np.random.default_rng(1).permutation(len(SLEEP))
    np.testing.assert_allclose(
        everything(ml.lmm(ALGEBRA, SLEEP.iloc[order])),
        everything(ml.lmm(ALGEBRA, SLEEP)),
        rtol=1e-6,
        atol=1e-8,
    )


def test_counted_rows_are_repeated_rows() -> None:
    counts = np.tile([1, 2, 3], 60)
    repeated = SLEEP.loc[SLEEP.index.repeat(counts)].reset_index(drop=True)
    counted = ml.lmm(ALGEBRA, SLEEP, freq_weights=counts)
    np.testing.assert_allclose(
        everything(counted), everything(ml.lmm(ALGEBRA, repeated)), rtol=1e-5, atol=1e-8
    )
    one = "Reaction ~ Days + (1 | Subject)"
    limits = ["conf_low", "conf_high"]
    np.testing.assert_allclose(
        ml.lmm(one, SLEEP, freq_weights=counts).icc(conf_int="exact")[limits],
        ml.lmm(one, repeated).icc(conf_int="exact")[limits],
        rtol=1e-8,
    )


# ---- limits ----


def test_the_bootstrap_refits_both_models_to_the_same_responses() -> None:
    fit = ml.lmm(SLOPES, SLEEP)
    table = fit.r2(conf_int="bootstrap", n=5, seed=3, level=0.5)
    one_by_one = [fit.refit(y).r2()["estimate"] for y in fit.simulate(5, seed=3).T]
    low, high = np.quantile(one_by_one, [0.25, 0.75], axis=0)
    np.testing.assert_allclose(table["conf_low"], low, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(table["conf_high"], high, rtol=1e-4, atol=1e-6)


def test_the_bootstrap_of_the_icc_takes_quantiles_of_refits() -> None:
    fit = ml.lmm(SLOPES, SLEEP)
    refits = [fit.refit(y) for y in fit.simulate(5, seed=3).T]
    for options in ({}, {"at": {"Days": [0.0, 9.0]}}, {"over": "Days", "points": 3}):
        table = fit.icc(**options, conf_int="bootstrap", n=5, seed=3, level=0.5)
        low, high = np.quantile([each.icc(**options)["icc"] for each in refits], [0.25, 0.75], axis=0)
        np.testing.assert_allclose(table["conf_low"], low, rtol=1e-4)
        np.testing.assert_allclose(table["conf_high"], high, rtol=1e-4)


def test_blocks_of_responses_do_not_change_a_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = ml.lmm(SLOPES, SLEEP)
    whole = fit.icc(conf_int="bootstrap", n=25, seed=1)
    monkeypatch.setattr("multilevel.estimation.refits.BLOCK_BYTES", 8 * 180 * 10)
    pd.testing.assert_frame_equal(fit.icc(conf_int="bootstrap", n=25, seed=1), whole)


def test_limits_at_points_are_those_over_a_grid() -> None:
    fit = ml.lmm("strength ~ 1 + (1 | batch/cask)", load_data("Pastes"))
    assert list(fit.icc(conf_int="delta")["group"]) == ["batch", "batch:cask", "all groups"]
    slopes = ml.lmm(SLOPES, SLEEP)
    at = slopes.icc(at={"Days": np.linspace(0, 9, 4)}, conf_int="delta")
    over = slopes.icc(over="Days", points=4, conf_int="delta")
    columns = ["Days", "between", "within", "icc", "conf_low", "conf_high"]
    pd.testing.assert_frame_equal(at[columns], over[columns])


def test_a_refitted_response_does_not_stay_behind() -> None:
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", SLEEP)
    before = fit.icc(conf_int="exact")
    fit.refit(np.random.default_rng(1).normal(size=180))
    pd.testing.assert_frame_equal(fit.icc(conf_int="exact"), before)


# ---- variances along a variable ----


def test_the_partition_is_that_of_the_marginal_covariance() -> None:
    formula = "score ~ Machine + (0 + Machine | Worker)"
    machines = load_data("Machines")
    table = ml.lmm(formula, machines).icc(over="Machine")
    fit = ml.lmm(formula, machines)
    V = fit.marginal_cov("1")
    rows = machines[machines["Worker"].astype(str) == "1"]["Machine"].astype(str).to_numpy()
    for machine, between, within in zip(table["Machine"], table["between"], table["within"], strict=True):
        here = np.flatnonzero(rows == machine)
        assert V[here[0], here[1]] == pytest.approx(between)
        assert V[here[0], here[0]] == pytest.approx(between + within)


def test_functions_of_one_variable_move_together(sleepstudy: pd.DataFrame) -> None:
    fit = ml.lmm("Reaction ~ Days + I(Days^2) + (1 + Days + I(Days^2) | Subject)", sleepstudy)
    table = fit.icc(over="Days", points=4)
    at = fit.icc(at={"Days": table["Days"], "I(Days ** 2)": table["Days"] ** 2})
    np.testing.assert_allclose(table["icc"], at["icc"], rtol=1e-10)


def test_several_grouping_factors_share_the_variance_out() -> None:
    fit = fit_case("lmm_egsingle")
    table = fit.icc(over="year", points=3)
    groups = table.groupby("group", sort=False)
    assert list(groups.groups) == ["schoolid", "schoolid:childid", "all groups"]
    parts = table["icc"].to_numpy().reshape(3, 3)
    np.testing.assert_allclose(parts[0] + parts[1], parts[2])
    np.testing.assert_allclose(
        table["between"] + table["within"], np.tile(table["between"][6:] + fit.sigma**2, 3)
    )


def test_a_variable_keeps_its_column_whatever_its_name() -> None:
    data = SLEEP.rename(columns={"Days": "group"})
    table = ml.lmm("Reaction ~ group + (1 + group | Subject)", data).icc(over="group", points=3)
    assert list(table.columns[:2]) == ["group_value", "group"]
    np.testing.assert_allclose(table["group_value"], [0.0, 4.5, 9.0])


def test_a_column_of_the_random_effects_can_move_itself() -> None:
    fit = ml.lmm("Reaction ~ Days + (1 + I(Days - 4) | Subject)", SLEEP)
    np.testing.assert_allclose(
        fit.icc(over="I(Days - 4)", points=3)["icc"], fit.icc(over="Days", points=3)["icc"]
    )


# ---- what cannot be answered ----


def test_mistakes_are_named() -> None:
    fit, slopes = ml.lmm("Reaction ~ Days + (1 | Subject)", SLEEP), ml.lmm(SLOPES, SLEEP)
    with pytest.raises(ModelError, match="one random column"):
        slopes.icc(conf_int="exact")
    with pytest.raises(DataError, match="'profile' does not exist"):
        fit.icc(conf_int="profile")
    with pytest.raises(DataError, match="not both"):
        slopes.icc(at={"Days": 1}, over="Days")
    with pytest.raises(DataError, match="which are 'Days'"):
        slopes.icc(over="day")
    with pytest.raises(DataTypeError, match="name of one variable"):
        slopes.icc(over=["Days"])
    with pytest.raises(DataError, match="no random slopes"):
        fit.icc(over="Days")
    with pytest.raises(DataTypeError, match="null="):
        fit.r2(null=3)
    with pytest.raises(ModelError, match="other rows"):
        fit.r2(null=ml.lmm("Reaction ~ 1 + (1 | Subject)", SLEEP[:170]))
    with pytest.raises(ModelError, match="weights"):
        fit.r2(null=ml.lmm("Reaction ~ 1 + (1 | Subject)", SLEEP, weights=np.arange(1.0, 181.0)))


def test_delta_limits_need_variances_above_zero(dyestuff2: pd.DataFrame) -> None:
    fit = ml.lmm("Yield ~ 1 + (1 | Batch)", dyestuff2)
    with pytest.raises(ModelError, match="singular"):
        fit.icc(conf_int="delta")
    assert fit.icc(conf_int="exact")["conf_low"][0] == 0.0


def test_tables_come_in_the_users_own_kind_of_frame() -> None:
    fit = ml.lmm(SLOPES, pl.from_pandas(SLEEP[["Reaction", "Days", "Subject"]]))
    assert isinstance(fit.r2(), pl.DataFrame)
    assert fit.r2()["note"].to_list() == [None, None, "averaged", None, None, None]
    assert isinstance(fit.icc(over="Days", conf_int="delta"), pl.DataFrame)
