"""Whether a fit by Laplace's approximation would be another one by quadrature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import expit, log_expit

import multilevel as ml
from multilevel.inference.laplace_error import block_errors, laplace_errors, some_levels


def largest(fit: Any) -> float:
    errors = laplace_errors(fit.model, fit.record, fit._working_model())
    return max((error.change for error in errors), default=0.0)


def nested_births() -> pd.DataFrame:
    """Yes or no for one or two children of 600 mothers in 60 communities; mothers differ a lot."""
    rng = np.random.default_rng(6)
    mother = np.repeat(np.arange(600), rng.integers(1, 3, 600))
    community = mother // 10
    eta = 0.3 + rng.normal(size=60)[community] + 2.5 * rng.normal(size=600)[mother]
    return pd.DataFrame(
        {"y": (rng.random(len(eta)) < expit(eta)) * 1, "mother": mother, "community": community}
    )


def test_the_difference_of_the_integrals_is_what_dense_integration_finds() -> None:
    toenail = ml.datasets.toenail()
    fit = ml.glmm("outcome ~ treatment + (1 | patientID)", toenail, family="binomial")
    model, modes = fit._working_model(), fit.record.modes[0]
    eta = model.kernel.linear_predictors(fit.optimum.theta)
    share, rows = some_levels(fit.model, model, modes, eta)
    assert share == 1.0
    sd = float(fit.theta[0])
    found = block_errors(model, rows, np.array([[sd]]), 0.0, [0])
    y, codes = fit.design.y, fit.design.groupings[0].codes
    for level in (0, 5, 40):
        mine = codes == level
        fixed = fit.record.eta_fixed[mine]

        def height(u: float, fixed: np.ndarray = fixed, mine: np.ndarray = mine) -> float:
            return float(log_expit((2.0 * y[mine] - 1.0) * (fixed + sd * u)).sum() - 0.5 * u * u)

        mode = float(modes.values[level, 0]) / sd
        p = expit(fixed + sd * mode)
        laplace = height(mode) - 0.5 * np.log(1.0 + sd**2 * (p * (1.0 - p)).sum())
        exact = np.log(quad(lambda u: np.exp(height(u)), -12.0, 12.0)[0] / np.sqrt(2.0 * np.pi))
        assert found[level] == pytest.approx(exact - laplace, abs=2e-3)  # fifteen points of quadrature


@pytest.mark.parametrize(
    ("formula", "left"), [("time", "(1 | patientID)"), ("time", "(1 + time | patientID)")], ids=["one", "two"]
)
def test_a_poor_approximation_is_told(formula: str, left: str) -> None:
    fit = ml.glmm(f"outcome ~ treatment * {formula} + {left}", ml.datasets.toenail(), family="binomial")
    assert largest(fit) > 2.0
    assert "The Laplace approximation is poor here: with 6.5 responses" in " ".join(str(fit).split())
    table = fit.check(seed=1)
    assert table["status"][list(table["check"]).index("Laplace approximation")] == "warn"


def test_it_is_told_of_nested_factors() -> None:
    fit = ml.glmm("y ~ 1 + (1 | community / mother)", nested_births(), family="binomial")
    by_group = {e.group: e.change for e in laplace_errors(fit.model, fit.record, fit._working_model())}
    assert by_group["community:mother"] > 2.0
    page = " ".join(str(fit).split())
    assert "responses a level of community:mother" in page
    assert "nagq= serves one grouping factor" in page


def sleepstudy_counts() -> pd.DataFrame:
    rng, sleep = np.random.default_rng(3), ml.datasets.sleepstudy()
    person = np.repeat(np.arange(18), 10)
    eta = 2.0 + (0.1 + 0.08 * rng.normal(size=18)[person]) * sleep["Days"] + 0.4 * rng.normal(size=18)[person]
    return sleep.assign(lapses=rng.poisson(np.exp(eta)))


WELL = {
    "cbpp": ("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp, "binomial"),
    "contraception": ("use ~ age + (1 + urban | district)", ml.datasets.contraception, "binomial"),
    "wine": ("rating ~ temp + (1 | judge)", ml.datasets.wine, "ordinal"),
    "counts": ("lapses ~ Days + (1 + Days | Subject)", sleepstudy_counts, "poisson"),
    "ticks": ("TICKS ~ YEAR + (1 | BROOD) + (1 | INDEX)", ml.datasets.grouseticks, "poisson"),
    "salamanders": ("count ~ mined + (1 | site)", ml.datasets.salamanders, "poisson"),
}


@pytest.mark.parametrize("name", WELL)
def test_nothing_is_said_of_groups_that_say_enough(name: str) -> None:
    formula, data, family = WELL[name]
    fit = ml.glmm(formula, data(), family=family)
    assert largest(fit) < 0.25
    assert "Laplace approximation is poor" not in " ".join(str(fit).split())


def test_what_is_told_is_what_quadrature_changes() -> None:
    """Where more than half a standard error is said, quadrature does move estimates so far, and else not."""
    for data, formula in (
        (ml.datasets.ohio(), "resp ~ age + (1 | id)"),
        (ml.datasets.bacteria(), "y ~ trt + (1 | ID)"),
    ):
        laplace = ml.glmm(formula, data, family="binomial")
        exact = ml.glmm(formula, data, family="binomial", nagq=25)
        moved = np.abs(exact.fixef - laplace.fixef) / laplace.se
        assert (largest(laplace) > 0.5) == (moved.max() > 0.5)
        assert not laplace_errors(exact.model, exact.record, exact._working_model())


def test_many_rows_are_told_by_some_levels() -> None:
    births = nested_births()
    many = pd.concat([births.assign(mother=births["mother"] + 600 * k) for k in range(60)])
    fit = ml.glmm("y ~ 1 + (1 | mother)", many, family="binomial")
    model, modes = fit._working_model(), fit.record.modes[0]
    share, rows = some_levels(fit.model, model, modes, model.kernel.linear_predictors(fit.optimum.theta))
    assert share < 1.0
    assert len(rows.b) == rows.codes.max() + 1
    assert largest(fit) > 0.5
