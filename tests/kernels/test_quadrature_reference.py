"""Quadrature and Laplace fits of one grouping factor by the compiled core, against R's packages."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import stats

from design_data import design
from marginal_problems import Problem, kernel_of, one_predictor
from multilevel.kernels.density import DensityCode
from multilevel.kernels.marginal import MarginalOutcome
from reference_cases import Case, align_names, case_data, load_case, load_data

SHORT = ["cbpp_agq9", "cbpp_agq25", "toenail_agq20", "bacteria_agq20", "contraception_agq7", "epil_agq15"]
LAPLACE = ["cbpp_laplace", "toenail_laplace", "contraception_ri", "contraception_rs", "epil_ri", "epil_rs"]
CROSS_CHECKED = ["cbpp_probit", "cbpp_cloglog", "contraception_probit", "contraception_cloglog"]


@cache
def problem_of(name: str) -> tuple[Problem, tuple[str, ...], Case]:
    """A glmer case of one grouping factor as plain arrays, the names of its columns, and the case."""
    case = load_case(f"glmm_{name}")
    data, formula, trials = case_data(case), case["spec"]["formula"], None
    left, right = formula.split("~")
    if "cbind" in left:
        trials, left = data["size"].to_numpy(), "incidence"
    made = design(f"{left} ~ {right}", data)
    factor, term = made.groupings[0], made.terms[0]
    problem = one_predictor(
        case["spec"]["family"], case["spec"]["link"], made.y, made.X, factor.codes, term.Z, trials=trials
    )
    return problem, made.coef_names, case


@cache
def fitted(name: str) -> MarginalOutcome:
    problem, _, case = problem_of(name)
    kernel = kernel_of(problem, case["spec"]["nAGQ"])
    p = problem.n_coefficients
    return kernel.search(kernel.start(np.zeros(p)), tolerance=1e-10, max_evaluations=300)


def saturated(problem: Problem) -> float:
    """The log-likelihood of one mean a row, which lme4 takes off where there are several nodes."""
    if problem.trials is not None:
        return float(stats.binom.logpmf(problem.y, problem.trials, problem.y / problem.trials).sum())
    return (
        float(stats.poisson.logpmf(problem.y, problem.y).sum())
        if problem.density.family == "poisson"
        else 0.0
    )


def in_r_order(name: str, gamma: np.ndarray) -> np.ndarray:
    _, names, case = problem_of(name)
    return gamma[align_names(case["fixed"]["names"], names, load_data(case["data"]["name"]))]


@pytest.mark.parametrize("name", SHORT)
def test_glmer_with_several_nodes(name: str) -> None:
    problem, _, case = problem_of(name)
    outcome = fitted(name)
    assert outcome.converged
    loglik = -0.5 * outcome.criterion
    theirs = case["criteria"]["loglik"] + saturated(problem)
    assert loglik == pytest.approx(theirs, abs=1e-5)
    assert (
        loglik >= theirs - 1e-6
    )  # lme4's nodes stand at modes found to a tolerance of 1e-13 in the deviance
    np.testing.assert_allclose(
        abs(outcome.psi[0]), case["theta"]["values"][0], rtol=1e-4
    )  # R's optimiser and PIRLS
    np.testing.assert_allclose(
        in_r_order(name, outcome.psi[1:]), case["fixed"]["estimate"], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", LAPLACE + CROSS_CHECKED)
def test_glmmtmb_with_one_node(name: str) -> None:
    _, _, case = problem_of(name)
    outcome = fitted(name)
    check = case["glmmTMB_crosscheck"]
    assert outcome.converged
    assert -0.5 * outcome.criterion == pytest.approx(check["loglik"], abs=1e-6)
    p = len(case["fixed"]["names"])
    np.testing.assert_allclose(in_r_order(name, outcome.psi[-p:]), check["estimate"], rtol=1e-5, atol=1e-6)


def test_standard_errors_from_differences_of_the_gradient() -> None:
    problem, names, case = problem_of("cbpp_agq25")
    kernel = kernel_of(problem, 25)
    covariance = 2 * np.linalg.inv(kernel.hessian(fitted("cbpp_agq25").psi))
    order = align_names(case["fixed"]["names"], names, load_data("cbpp"))
    ours = np.sqrt(np.diag(covariance)[1:][order])
    np.testing.assert_allclose(ours, case["fixed"]["se_hessian"], rtol=1e-5)  # both by differences


def test_ordered_responses_with_ten_nodes() -> None:
    case = load_case("clmm_wine_agq10")
    data = case_data(case)
    y = (data["rating"].astype(int) - 1).to_numpy(dtype=float)
    X = np.column_stack([data["temp"] == "warm", data["contact"] == "yes"]).astype(float)
    upper = np.column_stack([y == j for j in range(4)]).astype(float)
    lower = np.column_stack([y == j + 1 for j in range(4)]).astype(float)
    codes = data["judge"].cat.codes.to_numpy(dtype=np.int32)
    thresholds = np.arange(2, 6, dtype=np.int32)
    problem = replace(
        one_predictor("ordinal", "logit", y, X, codes, np.ones((len(y), 1))),
        density=DensityCode("ordinal", "logit", categories=5),
        designs=(X, upper, lower),
        coefficients=(np.array([0, 1], dtype=np.int32), thresholds, thresholds),
    )
    kernel = kernel_of(problem, 10)
    outcome = kernel.search(
        kernel.start(np.array([0, 0, -1.5, 0, 1.0, 2.0])), tolerance=1e-10, max_evaluations=300
    )
    polished = case["polished"]
    assert -0.5 * outcome.criterion == pytest.approx(polished["loglik"], abs=1e-6)
    ours = np.concatenate([outcome.psi[3:], outcome.psi[1:3], [np.log(abs(outcome.psi[0]))]])
    np.testing.assert_allclose(ours, polished["par"], rtol=1e-4)  # numerical gradients there
