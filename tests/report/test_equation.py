"""Equations of mixed models: what stands on which level, and LaTeX that compiles."""

import re

import pytest

import multilevel as ml
from multilevel.errors import DataError
from multilevel.report.notation import Symbol, Text, escape_latex
from reference_cases import case_data, load_case

MODELS = {
    "slopes": "Reaction ~ Days + (1 + Days | Subject)",
    "uncorrelated": "Reaction ~ Days + (Days || Subject)",
    "logarithm": "log(Reaction) ~ I(Days ** 2) + (1 | Subject)",
}


@pytest.fixture(
    scope="module", params=[*MODELS, "lmm_machines_nested", "lmm_penicillin_reml", "lmm_oats_splitplot"]
)
def any_fit(request, sleepstudy):
    if request.param in MODELS:
        return ml.lmm(MODELS[request.param], sleepstudy)
    case = load_case(request.param)
    return ml.lmm(case["spec"]["formula"], case_data(case))


def test_two_levels_and_the_combined_form(sleepstudy):
    text = ml.lmm(MODELS["slopes"], sleepstudy).equation()
    assert (
        text
        == """\
Level 1 (observations)
  Reaction_ij = β0_j + β1_j Days_ij + e_ij
Level 2 (Subject)
  β0_j = γ0 + u0_j
  β1_j = γ1 + u1_j
Combined
  Reaction_ij = γ0 + γ1 Days_ij + u0_j + u1_j Days_ij + e_ij
Distributions
  (u0_j, u1_j) ~ N(0, [612.09 9.6043; 9.6043 35.072])
  e_ij ~ N(0, 654.94)
Estimates
  γ0 = 251.41  (Intercept)
  γ1 = 10.467  (Days)"""
    )


def test_predictors_of_groups_explain_what_varies_between_them(sleepstudy):
    case = load_case("lmm_sleepstudy_cond_inter")
    text = ml.lmm(case["spec"]["formula"], case_data(case)).equation()
    assert "Reaction_ij = β0_j + β1_j Days_ij + e_ij" in text
    assert "β0_j = γ0 + γ2 cond[T.drugA]_j + γ3 cond[T.drugB]_j + u0_j" in text
    assert "β1_j = γ1 + γ4 cond[T.drugA]_j + γ5 cond[T.drugB]_j + u1_j" in text
    assert "γ4 Days_ij cond[T.drugA]_j" in text


def test_three_nested_levels():
    case = load_case("lmm_egsingle_cov")
    text = ml.lmm(case["spec"]["formula"], case_data(case), reml=False).equation()
    for line in (
        "math_ijk = β0_jk + β1_jk year_ijk + γ5 retained[T.1]_ijk + e_ijk",
        "β0_jk = β0_k + γ3 black[T.1]_jk + γ4 hispanic[T.1]_jk + u0_jk",
        "β1_jk = γ1 + γ6 lowinc_k + u1_jk",
        "β0_k = γ0 + γ2 lowinc_k + v0_k",
    ):
        assert line in text


def test_crossed_factors_share_a_level(penicillin):
    text = ml.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin).equation()
    assert "Level 2 (crossed: plate j, sample k)" in text
    assert "β0_jk = γ0 + u0_j + v0_k" in text


def test_offsets_and_weights_are_said(sleepstudy):
    data = sleepstudy.assign(known=1.0, w=2.0)
    text = ml.lmm("Reaction ~ Days + offset(known) + (1 | Subject)", data, weights="w").equation()
    assert "+ offset_ij + e_ij" in text
    assert "/ weight_ij)" in text


def test_latex_is_balanced(any_fit):
    latex = any_fit.equation("latex")
    bare = re.sub(r"\\[{}\\]|\\textbackslash", "", latex)
    depth = 0
    for character in bare:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0
    assert latex.count(r"\left(") == latex.count(r"\right)")
    begun = re.findall(r"\\begin\{(\w+)\}", latex)
    assert sorted(begun) == sorted(re.findall(r"\\end\{(\w+)\}", latex))
    assert begun[0] == "aligned"
    assert "nan" not in latex


def test_latex_escapes_names():
    assert escape_latex("a_b^2 & 50%") == r"a\_b\textasciicircum{}2 \& 50\%"


def test_a_variable_may_bear_the_name_of_a_greek_letter():
    assert Text().symbol(Symbol("beta", "", "ij", variable=True)) == "beta_ij"
    assert Text().symbol(Symbol("beta", "0", "j")) == "β0_j"


def test_other_styles_are_refused(sleepstudy):
    with pytest.raises(DataError, match="'latex'"):
        ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy).equation("word")


def test_structures_are_named_in_place_of_their_matrix(sleepstudy):
    data = sleepstudy.assign(visit=sleepstudy["Days"].astype(int).astype(str))
    fit = ml.lmm("Reaction ~ Days + ar1(0 + visit | Subject)", data, residual="none")
    assert "u11_j) ~ N(0, AR(1): SD 49.515, rho 0.79995)" in fit.equation()
    assert r"N\left(0, \text{AR(1): SD 49.515, rho 0.79995}\right)" in fit.equation("latex")
    each = ml.lmm("Reaction ~ Days + cs(1 + Days | Subject)", data)
    assert "(u0_j, u1_j) ~ N(0, compound symmetry: SDs 24.74, 5.9221, rho 0.065551)" in each.equation()


@pytest.mark.parametrize("make", [ml.ols, ml.lmm])
def test_odd_names_lose_their_backticks(sleepstudy, make):
    data = sleepstudy.rename(columns={"Reaction": "reaction time"})
    fit = make("`reaction time` ~ Days" + (" + (1 | Subject)" if make is ml.lmm else ""), data)
    assert "`" not in fit.equation() + fit.equation("latex")
    assert "reaction time_i" in fit.equation()


def test_parts_of_a_model_have_letters_of_their_own() -> None:
    fit = ml.glmm(
        "count ~ mined + (1 | site)",
        ml.datasets.salamanders(),
        family="truncated_nbinom2",
        zi="~ mined + (1 | site)",
        dispersion="~ mined",
    )
    text = fit.equation()
    values = [line for line in text.splitlines() if " (" in line and " = " in line]
    coefficients = [line.split(" = ")[0].strip() for line in values]
    assert len(set(coefficients)) == len(coefficients) == 6
    assert "logit(π) = ζ, π the probability of a zero" in text
    assert "v0_j ~ N(0, " in text
    assert "ξ_i = α0 + α1 mined" in text
    assert r"\xi_{i} = \alpha_{0} + \alpha_{1}" in fit.equation("latex")


def test_a_random_intercept_is_number_zero_where_thresholds_stand_for_the_fixed_one() -> None:
    fit = ml.glmm("rating ~ temp + contact + (1 | judge)", ml.datasets.wine(), family="ordinal")
    assert "η_ij = γ1 temp[T.warm]_ij + γ2 contact[T.yes]_ij + u0_j" in fit.equation()
