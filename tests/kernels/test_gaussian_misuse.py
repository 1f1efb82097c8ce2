"""Wrong input to the compiled mixed model is refused at its border: an error, never a crash or a number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gaussian_problems import FactorPlan, TermPlan, kernel_of, random_problem, some_theta
from multilevel.kernels import _core
from multilevel.kernels.gaussian import GaussianKernel, TailTooLarge

PROBLEM = random_problem([FactorPlan(8, (TermPlan(2),)), FactorPlan(4, (TermPlan(1),))], n=40)


def arguments(**changes):
    """What the core is called with, some of it spoilt."""
    problem = PROBLEM
    given = {
        "X": problem.X,
        "x_shift": np.zeros(2),
        "x_scale": np.ones(2),
        "y": problem.y,
        "y_shift": 0.0,
        "y_scale": 1.0,
        "weights": np.ones(40),
        "n_obs": 40.0,
        "codes": list(problem.codes),
        "levels": [8, 4],
        "Z": list(problem.Z),
        "z_shift": [np.zeros(2), np.zeros(1)],
        "z_scale": [np.ones(2), np.ones(1)],
        "terms": [(0, 0, 2, 0, False), (1, 0, 1, 0, False)],
        "memory_limit": np.inf,
    }
    return given | changes


def spoilt(values: np.ndarray, at: int, value: float) -> np.ndarray:
    out = values.copy()
    out[at] = value
    return out


WRONG = {
    "y of another length": {"y": np.zeros(39)},
    "no rows": {"y": np.zeros(0)},
    "weights of another length": {"weights": np.ones(41)},
    "X of other rows": {"X": np.asfortranarray(np.ones((39, 2)))},
    "a shift too few for X": {"x_shift": np.zeros(1)},
    "a scale too many for X": {"x_scale": np.ones(3)},
    "codes of another length": {"codes": [PROBLEM.codes[0][:-1].copy(), PROBLEM.codes[1]]},
    "Z of other rows": {"Z": [np.asfortranarray(PROBLEM.Z[0][:-1]), PROBLEM.Z[1]]},
    "a code as large as the levels": {"codes": [spoilt(PROBLEM.codes[0], 3, 8), PROBLEM.codes[1]]},
    "a negative code": {"codes": [PROBLEM.codes[0], spoilt(PROBLEM.codes[1], 39, -1)]},
    "fewer levels than factors": {"levels": [8]},
    "fewer Z than factors": {"Z": [PROBLEM.Z[0]]},
    "fewer shifts than factors": {"z_shift": [np.zeros(2)]},
    "fewer scales than factors": {"z_scale": [np.ones(2)]},
    "a shift too few for Z": {"z_shift": [np.zeros(1), np.zeros(1)]},
    "no factors": {"codes": [], "levels": [], "Z": [], "z_shift": [], "z_scale": [], "terms": []},
    "factors with more levels later": {
        "codes": list(PROBLEM.codes[::-1]),
        "levels": [4, 8],
        "Z": list(PROBLEM.Z[::-1]),
        "z_shift": [np.zeros(1), np.zeros(2)],
        "z_scale": [np.ones(1), np.ones(2)],
        "terms": [(0, 0, 1, 0, False), (1, 0, 2, 0, False)],
    },
    "a term on a factor that is not there": {"terms": [(0, 0, 2, 0, False), (2, 0, 1, 0, False)]},
    "a term on a negative factor": {"terms": [(0, 0, 2, 0, False), (-1, 0, 1, 0, False)]},
    "a term wider than its factor": {"terms": [(0, 1, 2, 0, False), (1, 0, 1, 0, False)]},
    "a term before the first column": {"terms": [(0, -1, 2, 0, False), (1, 0, 1, 0, False)]},
    "a term without columns": {"terms": [(0, 0, 0, 0, False), (1, 0, 1, 0, False)]},
    "a term of negative width": {"terms": [(0, 2, -1, 0, False), (1, 0, 1, 0, False)]},
    "a structure that does not exist": {"terms": [(0, 0, 2, 4, False), (1, 0, 1, 0, False)]},
    "a negative structure": {"terms": [(0, 0, 2, -1, False), (1, 0, 1, 0, False)]},
    "one column with a correlation": {"terms": [(0, 0, 2, 0, False), (1, 0, 1, 2, False)]},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_is_refused(change):
    with pytest.raises(ValueError, match=r"\w"):
        _core.GaussianModel(**arguments(**change))


WRONG_KIND = {
    "whole numbers for y": {"y": np.zeros(40, dtype=int)},
    "single precision": {"X": np.asfortranarray(PROBLEM.X.astype(np.float32))},
    "long codes": {"codes": [code.astype(np.int64) for code in PROBLEM.codes]},
    "rows one after another": {"X": np.ascontiguousarray(np.ones((40, 2)))},
    "a matrix for y": {"y": np.zeros((40, 1))},
    "a vector for X": {"X": np.zeros(40)},
    "a list of weights": {"weights": [1.0] * 40},
}


@pytest.mark.parametrize("change", WRONG_KIND.values(), ids=WRONG_KIND)
def test_a_wrong_kind_is_refused(change):
    """No copy is made silently: an array of another type or layout does not get in."""
    with pytest.raises((TypeError, ValueError)):
        _core.GaussianModel(**arguments(**change))


def test_what_is_right_gets_in():
    _core.GaussianModel(**arguments())
    _core.GaussianModel(**arguments(weights=None))


@pytest.fixture
def kernel() -> GaussianKernel:
    return kernel_of(PROBLEM)


METHODS = {
    "criterion": lambda kernel, theta: kernel.criterion(theta, reml=True),
    "derivatives": lambda kernel, theta: kernel.derivatives(theta, reml=True),
    "search": lambda kernel, theta: kernel.search(theta, reml=True, tolerance=1e-9, max_evaluations=10),
    "term_factors": lambda kernel, theta: kernel.term_factors(theta),
    "solution": lambda kernel, theta: kernel.solution(theta),
    "inverse_blocks": lambda kernel, theta: kernel.inverse_blocks(theta, hold_fixed=True),
    "forward_solve": lambda kernel, theta: kernel.forward_solve(theta, np.zeros((22, 1))),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("length", [0, 3, 5])
def test_theta_has_one_entry_a_parameter(kernel, method, length):
    with pytest.raises(ValueError, match="one entry a covariance parameter"):
        method(kernel, np.ones(length))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_theta_that_is_no_number_has_no_criterion(kernel, bad):
    theta = some_theta(PROBLEM)
    theta[1] = bad
    assert kernel.criterion(theta, reml=True) == np.inf
    with pytest.raises(ValueError, match="not positive definite"):
        kernel.solution(theta)


def test_a_response_that_is_no_number_has_no_criterion():
    kernel = kernel_of(replace(PROBLEM, y=spoilt(PROBLEM.y, 7, np.nan)))
    assert kernel.criterion(some_theta(PROBLEM), reml=True) == np.inf


def test_collinear_columns_have_no_solution():
    kernel = kernel_of(replace(PROBLEM, X=np.asfortranarray(np.zeros((40, 2)))))
    assert kernel.criterion(some_theta(PROBLEM), reml=True) == np.inf
    with pytest.raises(ValueError, match="not positive definite"):
        kernel.solution(some_theta(PROBLEM))


@pytest.mark.parametrize("rows", [0, 21, 23])
def test_forward_solve_wants_a_row_for_each_effect(kernel, rows):
    with pytest.raises(ValueError, match="one row a random effect and coefficient"):
        kernel.forward_solve(some_theta(PROBLEM), np.zeros((rows, 2)))


@pytest.mark.parametrize("length", [0, 39, 41])
def test_another_response_has_the_same_rows(kernel, length):
    with pytest.raises(ValueError, match="rows of the old"):
        kernel.set_response(np.zeros(length), 0.0, 1.0)


def test_predictors_want_effects_of_the_right_shape(kernel):
    right = [np.zeros((8, 2)), np.zeros((4, 1))]
    kernel.linear_predictors(np.zeros(2), right)
    for beta, b in [
        (np.zeros(1), right),
        (np.zeros(2), right[:1]),
        (np.zeros(2), [np.zeros((7, 2)), right[1]]),
        (np.zeros(2), [np.zeros((8, 1)), right[1]]),
    ]:
        with pytest.raises(ValueError, match=r"\w"):
            kernel.linear_predictors(beta, b)


def test_a_search_may_be_cut_short(kernel):
    outcome = kernel.search(some_theta(PROBLEM), reml=True, tolerance=1e-9, max_evaluations=1)
    assert not outcome.converged
    assert np.isfinite(outcome.criterion)


def test_a_remainder_beyond_the_memory_limit_is_refused_with_its_size():
    problem = random_problem([FactorPlan(40, (TermPlan(1),)), FactorPlan(30, (TermPlan(1),))], n=300)
    given = arguments(
        X=problem.X,
        y=problem.y,
        weights=None,
        codes=list(problem.codes),
        levels=[40, 30],
        Z=list(problem.Z),
        z_shift=[np.zeros(1)] * 2,
        z_scale=[np.ones(1)] * 2,
        terms=[(0, 0, 1, 0, False), (1, 0, 1, 0, False)],
    )
    with pytest.raises(TailTooLarge, match="dense matrix of 33 columns"):
        _core.GaussianModel(**given | {"memory_limit": 1000.0})


def test_arrays_may_be_dropped_by_the_caller():
    """The core keeps what it reads alive."""
    kernel = kernel_of(random_problem([FactorPlan(8, (TermPlan(1),))], n=50))
    reference = kernel.criterion(np.array([0.7]), reml=True)
    kernel.set_response(np.arange(50.0), 0.0, 1.0)
    np.ones(10_000).sum()  # somebody else's memory now
    kernel.set_response(random_problem([FactorPlan(8, (TermPlan(1),))], n=50).y, 0.0, 1.0)
    assert kernel.criterion(np.array([0.7]), reml=True) == pytest.approx(reference, rel=1e-12)
