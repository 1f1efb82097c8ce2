"""Estimates, standard errors and tests of linear functions of the coefficients, where the data give them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.inference.coefficients import CoefficientInference, FTest
from multilevel.inference.estimability import FullColumns, estimable, estimable_combinations

AT_ONCE = 256  # functions whose covariance is formed together


@dataclass(frozen=True, slots=True)
class Functions:
    """k linear functions `L beta + constant`; L has also the columns of X that the fit dropped."""

    L: Array  # (k, p + d)
    constant: Array  # (k,) from offsets


@dataclass(frozen=True, slots=True)
class Basis:
    """What the functions are functions of, and what is believed of it."""

    columns: FullColumns
    inference: CoefficientInference


@dataclass(frozen=True, slots=True)
class Estimated:
    """Functions with their uncertainty; NaN where the data say nothing."""

    estimate: Array  # (k,)
    std_error: Array  # (k,)
    df: Array  # (k,)
    known: Mask  # (k,) which are estimable


def kept_columns(L: Array, basis: Basis) -> Array:
    """Columns (k, p) that have coefficients."""
    return np.asarray(L[:, list(basis.columns.kept)])


def estimated(functions: Functions, basis: Basis) -> Estimated:
    """Each function with its standard error and degrees of freedom."""
    known = estimable(functions.L, basis.columns)
    L = kept_columns(functions.L[known], basis)
    estimate, std_error, df = (np.full(len(known), np.nan) for _ in range(3))
    estimate[known] = L @ basis.inference.beta + functions.constant[known]
    std_error[known] = standard_errors(L, basis.inference)
    moving = known & (std_error > 0.0)
    df[moving] = basis.inference.df(kept_columns(functions.L[moving], basis))
    return Estimated(estimate, std_error, df, known)


def standard_errors(L: Array, inference: CoefficientInference) -> Array:
    """Standard errors (k,) of L beta-hat, a few rows at a time: no (k, k) matrix is formed."""
    parts = [inference.covariance(L[i : i + AT_ONCE]).diagonal() for i in range(0, len(L), AT_ONCE)]
    return np.sqrt(np.maximum(np.concatenate(parts), 0.0)) if parts else np.empty(0)


def transformed(matrix: Array, functions: Functions) -> Functions:
    """Combinations of functions, one for each row of `matrix` (j, k); those not in one do not spoil it."""
    used = matrix != 0.0
    L = np.where(np.isfinite(functions.L), functions.L, 0.0)
    constant = np.where(np.isfinite(functions.constant), functions.constant, 0.0)
    unknown = used @ ~np.isfinite(functions.L).all(axis=1)
    combined = matrix @ L
    combined[unknown] = np.nan
    return Functions(combined, matrix @ constant)


def joint_test(functions: Functions, basis: Basis) -> FTest | None:
    """F test that all functions are zero, as far as the data say something of them; None if they do not."""
    known = np.isfinite(functions.L).all(axis=1)
    L, constant = functions.L[known], functions.constant[known]
    combine = estimable_combinations(L, basis.columns)
    tested = kept_columns(combine @ L, basis)
    if not len(tested) or not np.abs(tested).max() > 0.0:
        return None
    return basis.inference.f_test(tested, -combine @ constant)
