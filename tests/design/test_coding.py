"""Names and values of model-matrix columns: against formulaic, and against R's contrasts."""

from __future__ import annotations

import numpy as np
import pytest
from formulaic import model_matrix
from formulaic.transforms.contrasts import TreatmentContrasts

from design_data import design, mixed_data
from multilevel.design.coding import Coding, contrast_table
from multilevel.errors import DataError, DataTypeError

SIDES = [
    "1 + x",
    "0 + x",
    "1 + text",
    "0 + text",
    "1 + x + z + x:z",
    "1 + text * own",
    "0 + text * own",
    "1 + text:own",
    "1 + x:text",
    "1 + x * text * own",
    "0 + x:text + own",
    "0 + text:x + own",
    "1 + text + own + h + text:own:h",
    "1 + text:own:g",
    "1 + (text + own + g)**2",
    "0 + (text + own + g)**2 - text:own",
    "1 + own:g + text:g",
    "0 + text:own + g:own",
    "1 + x:own + x:own:g + z:g",
    "1 + own/text",
    "1 + poly(x, 2) * text",
    "1 + scale(x):text + log(z)",
    "0 + x + text + own",
]


@pytest.mark.parametrize("side", SIDES)
def test_columns_are_formulaics(side: str) -> None:
    data = mixed_data(96)
    data["own"] = data["own"].cat.remove_unused_categories()
    expected = model_matrix(side, data.drop(columns="log"))  # formulaic lets a column hide the function
    ours = design(f"y ~ ({side} | h)", data).terms[0]
    assert ours.names == tuple(expected.columns)
    np.testing.assert_allclose(ours.Z, expected.to_numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("y ~ flag", ["flag[T.True]"]),
        ("y ~ own", ["own[T.w]", "own[T.u]"]),
        ("y ~ level", ["level[.L]", "level[.Q]"]),
        ("y ~ factor(h)", ["factor(h)[T.2]", "factor(h)[T.3]", "factor(h)[T.4]"]),
        ("y ~ C(h, sum)", ["C(h, contr.sum)[S.1]", "C(h, contr.sum)[S.2]", "C(h, contr.sum)[S.3]"]),
        (
            "y ~ C(text, Treatment(reference='v'))",
            [f"C(text, Treatment(reference='v'))[T.{k}]" for k in "uw"],
        ),
        ("y ~ relevel(text, ref = 'w')", ["relevel(text, ref='w')[T.u]", "relevel(text, ref='w')[T.v]"]),
        (
            "y ~ factor(text, levels = c('w', 'v', 'u'))",
            [f"factor(text, levels=['w', 'v', 'u'])[T.{k}]" for k in "vu"],
        ),
        ("y ~ ordered(text)", ["ordered(text)[.L]", "ordered(text)[.Q]"]),
        ("y ~ class", ["class[T.v]"]),
        ("y ~ factor(class)", ["factor(`class`)[T.v]"]),
        ("y ~ dotted.name + I(dotted.name^2)", ["dotted.name", "I(`dotted.name` ** 2)"]),
        ("y ~ log(log) + log", ["log(log)", "log"]),
        ("y ~ I(text == 'u')", ["I(text == 'u')[T.True]"]),
        ("y ~ I(flag * x)", ["I(flag * x)"]),
    ],
)
def test_names(formula: str, names: list[str]) -> None:
    assert list(design(formula, mixed_data()).coef_names[1:]) == names


# R: contr.helmert(3), contr.sum(3), contr.poly(3), contr.treatment(3); rows are levels
CODINGS = {
    "helmert": [[-1, -1], [1, -1], [0, 2]],
    "sum": [[1, 0], [0, 1], [-1, -1]],
    "poly": [[-np.sqrt(0.5), np.sqrt(1 / 6)], [0, -np.sqrt(2 / 3)], [np.sqrt(0.5), np.sqrt(1 / 6)]],
    "treatment": [[0, 0], [1, 0], [0, 1]],
}


@pytest.mark.parametrize("coding", CODINGS)
def test_contrasts_are_rs(coding: str) -> None:
    data = mixed_data()
    expected = np.array(CODINGS[coding])[data["text"].map({"u": 0, "v": 1, "w": 2})]
    for given in (coding, f"contr.{coding}", np.array(CODINGS[coding])):
        X = design("y ~ text", data, contrasts={"text": given}).X[:, 1:]
        np.testing.assert_allclose(X, expected, atol=1e-15)


def test_contrasts_reach_factors_made_of_the_column_and_left_sides_of_bars() -> None:
    data = mixed_data()
    made = design("y ~ x + (text | g)", data, contrasts={"text": "sum"})
    assert made.terms[0].names == ("Intercept", "text[S.u]", "text[S.v]")
    assert design("y ~ factor(text)", data, contrasts={"text": "sum"}).coef_names[1] == "factor(text)[S.u]"


@pytest.mark.parametrize(
    "given",
    [
        ("treatment", "w"),
        "treatment('w')",
        'contr.treatment(base = "w")',
        "Treatment(reference='w')",
        "treatment(w)",
        "SAS",
        "contr.SAS",
    ],
)
def test_a_reference_level_may_be_named(given: object) -> None:
    made = design("y ~ text + (text | g)", mixed_data(), contrasts={"text": given})
    assert made.coef_names == made.terms[0].names == ("Intercept", "text[T.u]", "text[T.v]")


def test_a_reference_level_may_be_a_number() -> None:
    data = mixed_data().astype({"h": "category"})
    for given in (("treatment", 2), ("treatment", "2"), "treatment(2)"):
        assert design("y ~ h", data, contrasts={"h": given}).coef_names[1:] == ("h[T.1]", "h[T.3]", "h[T.4]")


def test_contrasts_of_truth_values() -> None:
    assert design("y ~ flag", mixed_data(), contrasts={"flag": "sum"}).coef_names[1] == "flag[S.False]"


@pytest.mark.parametrize(
    ("contrasts", "error", "message"),
    [
        ({"text": "foo"}, DataError, "no coding 'foo'; choose one of treatment, sum, helmert, poly"),
        ("sum", DataError, "maps columns to codings, as in .*; this is of type str"),
        (["sum"], DataError, "this is of type list"),
        ({"text": ["w"]}, DataError, r"\['w'\] is no coding for 'text'; choose one of treatment"),
        ({"text": {"reference": "w"}}, DataError, "is no coding for 'text'"),
        ({"text": None}, DataError, "is no matrix of finite numbers for 'text'"),
        ({"text": [1.0, 2.0, 3.0]}, DataError, "is no matrix of finite numbers for 'text'"),
        ({"text": ("treatment", "x")}, DataError, "'text' has no level 'x'.*there are 'u', 'v', 'w'"),
        ({"text": "treatment('x')"}, DataError, "'text' has no level 'x' to be the reference"),
        ({"text": "sum('w')"}, DataError, "'sum', which has no reference level"),
        ({"text": np.eye(2)}, DataError, "'text' do not fit its 3 levels \\(u, v, w\\)"),
        ({"elsewhere": "sum"}, DataError, "names 'elsewhere', which is no predictor"),
        ({"x": "sum"}, DataTypeError, "names 'x', which is numeric"),
    ],
)
def test_wrong_contrasts(contrasts: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        design("y ~ x + text", mixed_data(), contrasts=contrasts)


def test_wrong_reference_level() -> None:
    with pytest.raises(DataError, match="reference level"):
        design("y ~ C(text, Treatment('nowhere'))", mixed_data())
    with pytest.raises(DataError, match="no level 'nowhere'"):
        design("y ~ relevel(text, 'nowhere')", mixed_data())
    with pytest.raises(DataError, match="leave out 'w'"):
        design("y ~ factor(text, levels=['u', 'v'])", mixed_data())


def test_a_factor_with_one_level_is_refused_by_name() -> None:
    data = mixed_data().assign(same="only")
    with pytest.raises(DataError, match=r"'same' has one level \('only'\)"):
        design("y ~ same", data)


@pytest.mark.parametrize("n_levels", [2, 3, 12])
def test_the_short_way_to_treatment_contrasts_is_formulaics(n_levels: int) -> None:
    levels = tuple(f"l{i}" for i in range(n_levels))
    long_way = TreatmentContrasts().get_coding_matrix(list(levels), reduced_rank=True)
    assert np.array_equal(contrast_table(Coding(levels, TreatmentContrasts())), long_way.to_numpy())
    other = contrast_table(Coding(levels, TreatmentContrasts(base="l1")))
    assert np.array_equal(other[1], np.zeros(n_levels - 1))
