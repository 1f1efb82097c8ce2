"""Which effects are taken out of which terms."""

import numpy as np
import pytest

from multilevel.design.build import build_design
from multilevel.design.reduction import reductions
from multilevel.formula.parse import parse_formula

RNG = np.random.default_rng(1)
DATA = {
    "y": RNG.standard_normal(120),
    "x": RNG.standard_normal(120),
    "z": RNG.standard_normal(120),
    "f": np.array(list("abc") * 40),
    "k": np.array(list("uv") * 60),
    "g": np.repeat(np.arange(10), 12).astype(str),
    "h": np.arange(120).astype(str),
}


def reduced(random_part, *, reduce=True, data=DATA, **options):
    design = build_design(parse_formula(f"y ~ x + {random_part}"), data, **options)
    return design, reductions(design, data, reduce=reduce)


def shown(random_part, **options):
    _, found = reduced(random_part, **options)
    return {each.label: [term.names for term in each.design.terms] for each in found}


@pytest.mark.parametrize(
    ("random_part", "expected"),
    [
        ("(1 | g)", {"(1 | g)": []}),
        ("(x | g)", {"x in (1 + x | g)": [("Intercept",)]}),
        ("(0 + x | g)", {"x in (0 + x | g)": [("Intercept",)]}),
        (
            "(x + z | g)",
            {"x in (1 + x + z | g)": [("Intercept", "z")], "z in (1 + x + z | g)": [("Intercept", "x")]},
        ),
        ("(x * z | g)", {"x:z in (1 + x * z | g)": [("Intercept", "x", "z")]}),
        (
            "(1 + x || g)",
            {"(1 | g)": [("x",)], "x in (0 + x | g)": [("Intercept",)]},
        ),
        (
            "(1 | g) + (0 + x | g)",
            {"(1 | g)": [("x",)], "x in (0 + x | g)": [("Intercept",)]},
        ),
        (
            "(1 + x | g) + (0 + z | g)",  # an intercept is there already: no second one
            {"x in (1 + x | g)": [("Intercept",), ("z",)], "z in (0 + z | g)": [("Intercept", "x")]},
        ),
        ("(f | g)", {"f in (1 + f | g)": [("Intercept",)]}),
        ("(0 + f | g)", {"f in (0 + f | g)": [("Intercept",)]}),
        ("(1 | g) + (0 + f || g)", {"(1 | g)": [("f[a]", "f[b]", "f[c]")], "(0 + f || g)": [("Intercept",)]}),
        ("cs(1 + x | g)", {"x in cs(1 + x | g)": [("Intercept",)]}),
        ("cs(0 + f | g)", {"cs(0 + f | g)": []}),
        ("ar1(0 + f | g)", {"ar1(0 + f | g)": []}),
        ("diag(1 + x | g, hom = TRUE)", {"diag(1 + x | g, hom = TRUE)": []}),
        ("(1 | g / k)", {"(1 | g)": [("Intercept",)], "(1 | g:k)": [("Intercept",)]}),
    ],
)
def test_effects_are_taken_out_one_at_a_time(random_part, expected):
    assert shown(random_part) == expected


def test_whole_terms_on_request():
    assert shown("(1 + x | g) + (1 | k)", reduce=False) == {
        "(1 + x | g)": [("Intercept",)],
        "(1 | k)": [("Intercept", "x")],
    }


def test_a_factor_that_needs_other_columns_is_coded_again():
    # without f, k must have a column for each level, which (0 + f + k | g) does not hold
    keep = np.arange(120) % 7 != 0
    data = {**DATA, "y": np.where(keep, DATA["y"], np.nan)}
    design, found = reduced("(0 + f + k | g)", data=data, offset=np.ones(120))
    without_f = found[0].design.terms[0]
    assert found[0].label == "f in (0 + f + k | g)"
    expected = (DATA["k"][keep][:, None] == np.array(["u", "v"])).astype(float)
    np.testing.assert_array_equal(without_f.Z, expected)
    assert found[1].design.terms[0].names == ("f[a]", "f[b]", "f[c]")
    assert design.n_rows == keep.sum()


def test_only_the_intercept_in_place_of_a_slope_is_marked():
    marks = {
        part: [each.replaced for each in reduced(part)[1]]
        for part in ("(0 + x | g)", "(x | g)", "(1 + x || g)")
    }
    assert marks == {"(0 + x | g)": [True], "(x | g)": [False], "(1 + x || g)": [False, False]}
