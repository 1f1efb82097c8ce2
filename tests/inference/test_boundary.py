"""Which mixture belongs to which pair of models."""

import numpy as np
import pytest

from multilevel.design.build import build_design
from multilevel.formula.parse import parse_formula
from multilevel.inference.boundary import mixture_between
from multilevel.inference.smaller_models import fit_smaller
from reference_cases import load_data


def mixture(small, large, data="sleepstudy", response="Reaction"):
    frame = load_data(data)
    if data == "sleepstudy":
        frame = frame.assign(far=frame["Days"] + 1e8, visit=frame["Days"].astype(int).astype(str))
    designs = [build_design(parse_formula(f"{response} ~ {right}"), frame) for right in (small, large)]
    return mixture_between(*(fit_smaller(design, reml=False) for design in designs))


@pytest.mark.parametrize(
    ("small", "large", "free"),
    [
        ("Days", "Days + (1 | Subject)", 0),
        ("1", "Days + (1 | Subject)", 1),
        ("Days + (1 | Subject)", "Days + (1 + Days | Subject)", 1),
        ("Days + (1 | Subject)", "Days + (1 + Days || Subject)", 0),
        ("Days + (0 + Days | Subject)", "Days + (1 + Days | Subject)", 1),
        ("Days + (1 + Days | Subject)", "Days + (1 + Days + I(Days**2) | Subject)", 2),
        ("Days + (1 | Subject)", "Days + cs(1 + Days | Subject)", 1),
        ("Days", "Days + diag(1 + Days | Subject, hom = TRUE)", 0),
        ("Days + ar1(0 + visit | Subject)", "Days + ar1(0 + visit | Subject) + (0 + Days | Subject)", 0),
    ],
)
def test_one_more_variance_is_half_and_half(small, large, free):
    found = mixture(small, large)
    assert found.free == free
    np.testing.assert_array_equal(found.weights, [0.5, 0.5])


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("1 + (1 | Subject)", "Days + (1 | Subject)"),  # a fixed effect
        ("Days + (1 + Days || Subject)", "Days + (1 + Days | Subject)"),  # a correlation
        ("Days + (1 | Subject) + (0 + Days | Subject)", "Days + (1 + Days | Subject)"),
        ("Days + diag(1 + Days | Subject, hom = TRUE)", "Days + (1 + Days || Subject)"),  # equal variances
        ("Days", "Days + ar1(0 + visit | Subject)"),  # no correlation before there is a variance
    ],
)
def test_without_a_known_boundary_there_is_no_mixture(small, large):
    assert mixture(small, large) is None


def test_crossed_variances_of_a_balanced_design_are_nearly_independent():
    found = mixture("1", "1 + (1 | plate) + (1 | sample)", "Penicillin", "diameter")
    np.testing.assert_allclose(found.weights, [0.25, 0.5, 0.25], atol=1e-3)


def test_several_covariances_at_once():
    both = mixture("Days", "Days + (1 + Days | Subject)")
    assert (both.free, len(both.weights)) == (0, 4)
    apart = mixture("Days", "Days + (1 + Days || Subject)")
    assert (apart.free, len(apart.weights)) == (0, 3)
    interior = mixture("Days + (1 | Subject)", "Days + (1 + Days + I(Days**2) | Subject)")
    assert (interior.free, len(interior.weights)) == (2, 4)


def test_origin_and_unit_of_a_slope_do_not_matter():
    near = mixture("Days", "Days + (1 + Days | Subject)")
    far = mixture("far", "far + (1 + far | Subject)")
    milli = mixture("Days", "Days + (1 + I(1000 * Days) | Subject)")
    np.testing.assert_allclose(far.weights, near.weights, rtol=1e-6)
    np.testing.assert_allclose(milli.weights, near.weights, rtol=1e-6)


def test_effects_of_cells_stand_in_a_covariance_of_a_factor():
    # equal correlations, all variances positive: nothing of the larger covariance is on its boundary
    small, large = "Machine + (1 | Worker) + (1 | Worker:Machine)", "Machine + (0 + Machine | Worker)"
    assert mixture(small, large, "Machines", "score") is None
    one = mixture("Machine + (1 | Worker)", large, "Machines", "score")
    assert (one.free, len(one.weights)) == (2, 4)
