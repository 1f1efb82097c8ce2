"""Model matrices against R's, for every reference case of a mixed model that stores them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from multilevel.design.build import build_design
from multilevel.design.design import Design
from multilevel.formula.parse import parse_formula
from reference_cases import align_names, case_data, case_names, load_case

CASES = [name for name in case_names("lmm") if "design" in load_case(name)]
GENERALISED = [name for name in case_names("glmm") if "design" in load_case(name)]
RTOL = 1e-9  # both compute the same numbers; only the order of sums differs


def r_design(case: dict[str, Any]) -> Design:
    spec = case["spec"]
    return build_design(
        parse_formula(spec["formula"]),
        case_data(case),
        weights=spec.get("weights"),
        offset=spec.get("offset"),
        contrasts=spec.get("contrasts"),
    )


def check_matrix(design: Design, case: dict[str, Any]) -> None:
    expected, contrasts = case["design"], case["spec"].get("contrasts")
    order = align_names(expected["col_names"], design.coef_names, case_data(case), contrasts)
    assert sorted(order) == list(range(len(design.coef_names)))
    X = design.X[:, order]
    np.testing.assert_allclose(X[:6], np.array(expected["head"]), rtol=RTOL, atol=1e-12)
    np.testing.assert_allclose(X.sum(axis=0), expected["col_sum"], rtol=RTOL, atol=1e-8)
    np.testing.assert_allclose((X**2).sum(axis=0), expected["col_sum_sq"], rtol=RTOL)


@pytest.mark.parametrize("name", CASES)
def test_model_matrix_is_rs(name: str) -> None:
    case = load_case(name)
    check_matrix(r_design(case), case)


@pytest.mark.parametrize("name", GENERALISED)
def test_model_matrix_of_generalised_models_is_rs(name: str) -> None:
    case = load_case(name)
    data = case_data(case)
    numbered = data.assign(row=np.arange(len(data), dtype=float))  # stands in for a binomial response
    _, _, right = case["spec"]["formula"].partition("~")
    design = build_design(parse_formula(f"row ~ {right}"), numbered, contrasts=case["spec"].get("contrasts"))
    check_matrix(design, case)


@pytest.mark.parametrize("name", CASES)
def test_rows_groups_and_dropped_columns_are_rs(name: str) -> None:
    case = load_case(name)
    design, dims = r_design(case), case["dims"]
    assert design.n_rows == dims["nobs"]
    assert design.dropped.n_missing == dims["n_dropped_na"]
    ours = {frozenset(grouping.name.split(":")): grouping.n_levels for grouping in design.groupings}
    theirs = {frozenset(group.split(":")): levels for group, levels in dims["ngroups"].items()}
    assert ours == theirs
    assert list(design.dropped.columns) == dims["rank_deficient_dropped"]
