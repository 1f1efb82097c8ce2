"""Degrees of freedom by counting groups: against nlme, and by hand."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import DataError, ModelError
from reference_cases import align_names, case_data, case_names, load_case

NLME = [name for name in case_names("nlme_") if load_case(name)["fixed"].get("df")]


def grouping(random: str) -> str:
    """The grouping of nlme's `~ x | a/b` or `list(a = ...)`: all that its degrees of freedom depend on."""
    listed = re.match(r"list\((\w+) =", random)
    return listed[1] if listed else random.split("|")[1].strip()


@pytest.mark.parametrize("name", NLME)
def test_containment_is_nlme(name: str) -> None:
    case = load_case(name)
    spec, data = case["spec"], case_data(case)
    formula = f"{spec.get('formula') or spec['fixed']} + (1 | {grouping(spec['random'])})"
    fit = ml.lmm(formula, data)
    order = align_names(case["fixed"]["names"], fit.coef_names, data)
    assert fit._inference("containment").df(np.eye(len(order)))[order].tolist() == case["fixed"]["df"]


def test_between_within_splits_the_residual() -> None:
    """27 children, 16 boys, 4 visits each: 25 between children and 79 within."""
    fit = ml.lmm("distance ~ age * Sex + (1 | Subject)", ml.datasets.orthodont())
    df = dict(zip(fit.coef_names, fit._inference("between-within").df(np.eye(4)), strict=True))
    assert sorted(df.values()) == [25.0, 25.0, 79.0, 79.0]
    assert df["Intercept"] == 25.0
    assert df["age"] == 79.0
    assert sum(sorted(set(df.values()))) == fit.nobs - 4


def test_between_within_goes_by_the_outermost_factor() -> None:
    fit = ml.lmm("strength ~ 1 + (1 | batch / cask)", ml.datasets.pastes())
    assert fit._inference("between-within").df(np.eye(1)).tolist() == [9.0]
    assert fit._inference("containment").df(np.eye(1)).tolist() == [30.0]


def test_a_combination_has_the_smallest() -> None:
    found = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy())._inference("between-within")
    L = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 4.5], [0.0, -2.0]])
    assert found.df(L).tolist() == [17.0, 161.0, 17.0, 161.0]
    assert found.f_test(np.eye(2)).df_den == 17.0


def test_residual_and_normal() -> None:
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy())
    assert fit._inference("residual").df(np.eye(2)).tolist() == [178.0, 178.0]
    assert np.isinf(fit._inference("z").df(np.eye(2))).all()
    chi = fit._inference("z").f_test(np.eye(2))
    assert np.isinf(chi.df_den)


@pytest.mark.parametrize("df", ["containment", "between-within"])
def test_crossed_factors_are_not_counted(df: str) -> None:
    fit = ml.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", ml.datasets.penicillin())
    with pytest.raises(ModelError, match=r"plate and sample are crossed; use df=\"satterthwaite\""):
        fit.summary(df=df)


@pytest.mark.parametrize("df", ["containment", "between-within"])
def test_no_degrees_of_freedom_are_an_error(df: str) -> None:
    """Three groups and three columns that differ between them."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(3), 10)
    data = pd.DataFrame(
        {"y": rng.normal(size=30), "g": g, "u": g * 1.0, "v": g**2 * 1.0, "x": rng.normal(size=30)}
    )
    fit = ml.lmm("y ~ x + u + v + (1 | g)", data)
    with pytest.raises(ModelError, match="leaves no degrees of freedom for"):
        fit.tidy(df=df)


def test_an_unknown_method() -> None:
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy())
    with pytest.raises(
        DataError, match=r"df='welch' does not exist; choose None, 'satterthwaite', 'kenward-roger'"
    ):
        fit.summary(df="welch")
