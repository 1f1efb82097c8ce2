"""Hypotheses of terms: what they say of the cells, and what must not matter."""

import numpy as np
import pandas as pd
import pytest

from multilevel.design.build import build_design
from multilevel.design.fixed_terms import fixed_terms, term_cells
from multilevel.formula.parse import parse_formula
from multilevel.inference.term_contrasts import Metric, echelon, metric_of_rows, null_space, term_hypotheses
from reference_cases import load_data

UNBALANCED = load_data("oats")[np.arange(72) % 5 != 0]
EMPTY = UNBALANCED[
    ~((UNBALANCED["V"] == "Victory") & (UNBALANCED["N"] == "0.6cwt"))
    & ~((UNBALANCED["V"] == "Marvellous") & (UNBALANCED["N"] == "0.0cwt"))
]


def hypotheses(formula, data, kind, counts=None, **options):
    """Coefficient names, and L by term."""
    design = build_design(parse_formula(formula), data, **options)
    terms = fixed_terms(design)
    found = term_hypotheses(terms, term_cells(design), lambda: metric_of_rows(design.X, counts), kind)
    return design.coef_names, {term.name: L for term, L in zip(terms, found, strict=True)}


def same_span(one, other):
    return np.linalg.matrix_rank(np.vstack([one, other]), tol=1e-8) == len(one) == len(other)


def test_type_3_averages_over_cells():
    names, found = hypotheses("Y ~ V * N", UNBALANCED, 3)
    V = pd.DataFrame(found["V"], columns=names).loc[0]
    assert V["V[T.Marvellous]"] == 1.0
    assert [V[f"V[T.Marvellous]:N[T.0.{n}cwt]"] for n in (2, 4, 6)] == pytest.approx([0.25] * 3)
    assert np.count_nonzero(V) == 4


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("formula", ["Y ~ V * N", "Y ~ V * x + N", "Y ~ x + V * N * x", "Y ~ 0 + V * N"])
def test_the_coding_of_factors_does_not_matter(kind, formula):
    data = EMPTY.assign(x=np.sin(np.arange(len(EMPTY))))
    means = {}
    for coding in ("treatment", "sum", "helmert"):
        design = build_design(parse_formula(formula), data, contrasts={"V": coding, "N": coding})
        _, found = hypotheses(formula, data, kind, contrasts={"V": coding, "N": coding})
        inverse = np.linalg.pinv(design.X)
        means[coding] = {name: L @ inverse for name, L in found.items()}  # as functions of the fitted means
    for name, of_means in means["treatment"].items():
        assert same_span(of_means, means["sum"][name])
        assert same_span(of_means, means["helmert"][name])


def test_with_balanced_data_all_types_agree():
    each = [hypotheses("Y ~ V * N", load_data("oats"), kind)[1] for kind in (1, 2, 3)]
    for name in ("V", "N", "V:N"):
        assert same_span(each[0][name], each[2][name])
        assert same_span(each[1][name], each[2][name])


def test_type_1_is_the_elimination_of_the_cross_products():
    design = build_design(parse_formula("Y ~ V + N"), UNBALANCED)
    factor = np.linalg.cholesky(design.X.T @ design.X).T
    _, found = hypotheses("Y ~ V + N", UNBALANCED, 1)
    unit = factor / factor.diagonal()[:, None]
    np.testing.assert_allclose(np.vstack([found["V"], found["N"]]), unit[1:], atol=1e-12)


def test_sums_of_squares_of_types_1_and_2_are_those_of_nested_models():
    data = EMPTY.assign(x=np.sin(np.arange(len(EMPTY))))

    def rss(formula):
        design = build_design(parse_formula(formula), data)
        residuals = design.y - design.X @ np.linalg.lstsq(design.X, design.y, rcond=None)[0]
        return residuals @ residuals

    def gain(formula, kind, term):
        design = build_design(parse_formula(formula), data)
        L = hypotheses(formula, data, kind)[1][term]
        beta, inverse = (
            np.linalg.lstsq(design.X, design.y, rcond=None)[0],
            np.linalg.inv(design.X.T @ design.X),
        )
        return L @ beta @ np.linalg.solve(L @ inverse @ L.T, L @ beta)

    whole = "Y ~ V * N + x"
    assert gain(whole, 1, "N") == pytest.approx(rss("Y ~ V") - rss("Y ~ V + N"))
    assert gain(whole, 1, "V") == pytest.approx(rss("Y ~ 1") - rss("Y ~ V"))
    assert gain(whole, 2, "V") == pytest.approx(rss("Y ~ N + x") - rss("Y ~ V + N + x"))
    assert gain(whole, 2, "x") == pytest.approx(rss("Y ~ V * N") - rss(whole))
    assert gain(whole, 3, "V:N") == pytest.approx(rss("Y ~ V + N + x") - rss(whole))


def test_cells_that_do_not_connect_leave_fewer_comparisons():
    """Varieties that never met at one nitrogen are not compared (lmerTest does, by a dropped column)."""
    first = UNBALANCED["V"] == "Golden.rain"
    low = UNBALANCED["N"].isin(["0.0cwt", "0.2cwt"])
    _, found = hypotheses("Y ~ V * N", UNBALANCED[first == low], 3)
    assert len(found["V"]) == 1  # Marvellous against Victory
    assert len(found["N"]) == 2


def test_nested_factors_average_over_what_is_inside():
    names, found = hypotheses("Y ~ V + V:N", UNBALANCED, 3)
    row = pd.DataFrame(found["V"], columns=names).loc[0]
    assert [row[f"V[Marvellous]:N[T.0.{n}cwt]"] for n in (2, 4, 6)] == pytest.approx([0.25] * 3)
    assert [row[f"V[Golden.rain]:N[T.0.{n}cwt]"] for n in (2, 4, 6)] == pytest.approx([-0.25] * 3)


def test_the_same_model_without_an_intercept_has_the_same_hypotheses():
    for kind in (2, 3):
        with_, without = (hypotheses(f"Y ~ {one} + V + N", UNBALANCED, kind)[1] for one in (1, 0))
        assert len(without["V"]) == len(with_["V"]) == 2
        np.testing.assert_allclose(without["V"].sum(axis=1), 0.0, atol=1e-12)  # differences of levels
    assert len(hypotheses("Y ~ 0 + V", UNBALANCED, 3)[1]["V"]) == 3  # no level is zero


def test_a_dropped_term_has_nothing_to_test_and_spares_the_others():
    data = UNBALANCED.assign(x=np.sin(np.arange(len(UNBALANCED))))
    data["copy"] = 2 * data["x"] + 1
    for kind in (1, 2, 3):
        _, found = hypotheses("Y ~ x + V + copy", data, kind)
        assert [len(found[name]) for name in ("x", "V", "copy")] == [1, 2, 0]


def test_counts_are_repeated_rows():
    counts = 1 + np.arange(len(UNBALANCED)) % 3
    repeated = UNBALANCED.loc[UNBALANCED.index.repeat(counts)]
    for kind in (1, 2):
        _, by_count = hypotheses("Y ~ V * N", UNBALANCED, kind, counts.astype(float))
        _, by_row = hypotheses("Y ~ V * N", repeated, kind)
        for name, L in by_row.items():
            np.testing.assert_allclose(by_count[name], L, atol=1e-10)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_columns_far_from_zero_keep_their_digits(kind):
    data = UNBALANCED.assign(
        x=np.round(1024 * np.sin(np.arange(len(UNBALANCED)))) / 1024
    )  # exact beside 2^30
    _, far = hypotheses("Y ~ V + x + N", data.assign(x=data["x"] + 2.0**30), kind)
    _, plain = hypotheses("Y ~ V + x + N", data, kind)
    for name in ("V", "x", "N"):
        np.testing.assert_allclose(far[name], plain[name], atol=1e-9)


def test_units_do_not_matter():
    data = UNBALANCED.assign(x=np.sin(np.arange(len(UNBALANCED))))
    for kind in (1, 2, 3):
        _, plain = hypotheses("Y ~ x * V", data, kind)
        names, tiny = hypotheses("Y ~ x * V", data.assign(x=data["x"] * 1e-13), kind)
        size = np.array([1e-13 if "x" in name else 1.0 for name in names])
        for name, L in tiny.items():
            unit = 1e-13 if "x" in name else 1.0
            np.testing.assert_allclose(L / size * unit, plain[name], atol=1e-9)


def test_echelon_puts_an_identity_first():
    rows = np.array([[0.0, 2.0, 4.0, 2.0], [0.0, 1.0, 2.0, 3.0]])
    np.testing.assert_allclose(echelon(rows), [[0, 1, 2, 0], [0, 0, 0, 1]], atol=1e-15)


def test_null_space_of_nothing_is_everything():
    np.testing.assert_array_equal(null_space(np.empty((0, 3))), np.eye(3))
    assert null_space(np.eye(2)).shape == (0, 2)


def test_a_metric_of_the_fit_weighs_rows_as_the_fit_does():
    design = build_design(parse_formula("Y ~ V + N"), UNBALANCED)
    metric = metric_of_rows(design.X, None)
    T = Metric.columns(metric, about_mean=False)
    np.testing.assert_allclose(T.T @ T, design.X.T @ design.X, atol=1e-9)
