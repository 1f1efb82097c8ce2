"""The reference answers are read as R meant them."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from reference.doubts import all_doubts
from reference_cases import (
    REFERENCE,
    align_names,
    case_data,
    case_names,
    load_case,
    load_data,
    name_key,
    to_formulaic_names,
    warnings_about,
)

SUBSETS = [name for name in case_names() if load_case(name)["spec"].get("subset")]
WITH_NOBS = [name for name in case_names() if load_case(name)["dims"].get("n_dropped_na") is not None]


def test_every_family_is_here() -> None:
    families = {name.split("_")[0] for name in case_names()}
    assert families == {"lmm", "glmm", "tmb", "clmm", "nlme", "gee", "robust", "icc"}
    assert len(case_names("lmm_")) == 81
    assert case_names("glmm_cbpp") == sorted(case_names("glmm_cbpp"))


def test_prefix_and_unknown_names() -> None:
    assert case_names("lmm_sleepstudy_m0") == ["lmm_sleepstudy_m0_ml", "lmm_sleepstudy_m0_reml"]
    assert case_names("nothing") == []
    with pytest.raises(KeyError):
        load_case("lmm_nothing")


def test_rows_used_and_dropped_add_up_to_the_rows_of_the_subset() -> None:
    wrong = [
        name
        for name in WITH_NOBS
        if len(case_data(load_case(name)))
        != load_case(name)["dims"]["nobs"] + load_case(name)["dims"]["n_dropped_na"]
    ]
    assert len(WITH_NOBS) > 150
    assert wrong == []


@pytest.mark.parametrize("name", SUBSETS)
def test_subset(name: str) -> None:
    case = load_case(name)
    assert len(case_data(case)) == case["dims"]["nobs"] < case["data"]["n_rows"]


def test_level_order_is_r_s_own() -> None:
    assert list(load_data("sleepstudy")["cond"].cat.categories) == ["ctrl", "drugA", "drugB"]
    assert load_data("cake")["temperature"].cat.ordered
    assert load_data("Orthodont")["Subject"].cat.categories[0] != "F01"


def test_missing_values_and_types() -> None:
    data = load_data("sleepstudy")
    assert data["DaysNA"].isna().sum() == 5
    assert data["SubjectID"].dtype == "int64"
    assert data["Reaction"].iloc[0] == 249.56
    assert load_data("dropoutPrevention")["big_study"].dtype == bool


def test_callers_do_not_share_data() -> None:
    data = load_data("Rail")
    data.loc[0, "travel"] = -1.0
    assert load_data("Rail")["travel"].iloc[0] != -1.0


def test_design_of_r_is_met_by_the_numeric_columns() -> None:
    case = load_case("lmm_sleepstudy_m1_reml")
    total = case["design"]["col_sum"][1]
    assert case_data(case)["Days"].sum() == total


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lmm_sleepstudy_m1_reml", ["Intercept", "Days"]),
        ("glmm_cbpp_laplace", ["Intercept", "period[T.2]", "period[T.3]", "period[T.4]"]),
        ("glmm_cbpp_sum", ["Intercept", "period[S.1]", "period[S.2]", "period[S.3]"]),
        ("lmm_ergostool_helmert", ["Intercept", "Type[H.T2]", "Type[H.T3]", "Type[H.T4]"]),
        ("lmm_sleepstudy_noint", ["Days", "cond[ctrl]", "cond[drugA]", "cond[drugB]"]),
        ("lmm_sleepstudy_poly2", ["Intercept", "poly(Days, 2)[1]", "poly(Days, 2)[2]"]),
        ("lmm_oxboys_quad", ["Intercept", "age", "I(age ** 2)"]),
        (
            "lmm_orthodont_cent_interaction",
            ["Intercept", "I(age - 11)", "Sex[T.Female]", "I(age - 11):Sex[T.Female]"],
        ),
    ],
)
def test_names_in_formulaic_s_spelling(name: str, expected: list[str]) -> None:
    case = load_case(name)
    assert to_formulaic_names(case["fixed"]["names"], case_data(case), case["spec"]["contrasts"]) == expected


def test_names_of_ordered_factors() -> None:
    names = ["temperature.L", "temperature^4", "recipeB:temperature.C"]
    expected = ["temperature[.L]", "temperature[^4]", "recipe[T.B]:temperature[.C]"]
    assert to_formulaic_names(names, load_data("cake")) == expected


def test_a_column_that_begins_another_is_not_mistaken_for_it() -> None:
    data = pd.DataFrame(
        {"use": pd.Categorical(["N", "Y"]), "use01": [0, 1], "user": pd.Categorical(["N", "Y"])}
    )
    assert to_formulaic_names(["use01", "useY", "userY"], data) == ["use01", "use[T.Y]", "user[T.Y]"]


def test_interactions_are_aligned_whatever_their_order() -> None:
    data = load_data("Hsb82")
    ours = ["Intercept", "sector[T.Catholic]:cses", "cses"]
    assert align_names(["cses", "cses:sectorCatholic"], ours, data) == [2, 1]
    assert name_key("I(a:b):c") == {"I(a:b)", "c"}


def test_doubtful_cases_are_listed() -> None:
    assert warnings_about("gee_sleepstudy_unstructured")
    assert warnings_about("lmm_rail") == []
    listed = json.loads((REFERENCE / "trust.json").read_text(encoding="utf-8"))["cases"]
    assert listed == all_doubts()


@pytest.mark.parametrize(
    ("one", "other", "tolerance"),
    [  # absolute, on the log-likelihood: each pair is the same model by two packages
        ("tmb_sleepstudy_gaussian", "lmm_sleepstudy_m2_ml", 1e-6),
        ("nlme_sleep_lme_reml", "lmm_sleepstudy_m2_reml", 1e-6),
        ("tmb_cbpp", "glmm_cbpp_laplace", 1e-5),  # glmer's inner tolerance
        ("tmb_epil_poisson", "glmm_epil_ri", 1e-5),
    ],
)
def test_packages_agree_on_the_same_model(one: str, other: str, tolerance: float) -> None:
    first, second = (load_case(name)["criteria"]["loglik"] for name in (one, other))
    assert first == pytest.approx(second, abs=tolerance)


def test_numbers_in_print_are_met() -> None:
    empty, slope = load_case("lmm_sleepstudy_m0_reml"), load_case("lmm_sleepstudy_m2_reml")
    assert round(empty["criteria"]["reml_criterion"], 1) == 1904.3
    assert round(empty["icc"]["ICC_adjusted"], 3) == 0.395
    assert round(slope["criteria"]["reml_criterion"], 1) == 1743.6
    assert round(slope["varcorr"][0]["var"][1], 2) == 35.07
    assert load_case("icc_anova_school_prevention")["anova"]["F"] == pytest.approx(33.953, abs=5e-4)
