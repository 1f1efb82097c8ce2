"""A design as a whole: what cannot be used is refused by name, what does not matter changes nothing."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from design_data import design, mixed_data
from multilevel.design.checks import refuse_saturated_terms
from multilevel.design.design import Design
from multilevel.errors import ColumnNotFoundError, DataError, DataTypeError, FormulaError, ModelError

FORMULA = "y ~ x * text + own + flag + log(z) + (1 + x | g) + (1 | g:flag)"


def assert_same(first: Design, second: Design) -> None:
    assert first.coef_names == second.coef_names
    np.testing.assert_array_equal(first.X, second.X)
    np.testing.assert_array_equal(first.y, second.y)
    np.testing.assert_array_equal(first.rows, second.rows)
    for ours, theirs in zip(first.groupings, second.groupings, strict=True):
        assert (ours.name, ours.levels) == (theirs.name, theirs.levels)
        np.testing.assert_array_equal(ours.codes, theirs.codes)
    for one, other in zip(first.terms, second.terms, strict=True):
        assert (one.label, one.names, one.grouping) == (other.label, other.names, other.grouping)
        np.testing.assert_array_equal(one.Z, other.Z)


def test_the_kind_of_frame_does_not_matter() -> None:
    data = mixed_data()
    in_polars = pl.from_pandas(data.astype({"level": str, "own": str})).with_columns(
        pl.col("own").cast(pl.Enum(["v", "unused", "w", "u"]))
    )
    as_dict = {name: data[name].to_numpy() for name in data.columns} | {"own": data["own"]}
    for other in (in_polars, in_polars.lazy(), pa.Table.from_pandas(data), as_dict):
        assert_same(design(FORMULA, other), design(FORMULA, data))


def test_the_index_does_not_matter() -> None:
    data = mixed_data()
    odd = data.set_index(pd.Index([1, 1, 2] * 16))
    assert_same(design(FORMULA, odd), design(FORMULA, data))


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(48)))
def test_row_order_does_not_matter(order: list[int]) -> None:
    data = mixed_data()
    straight, shuffled = design(FORMULA, data), design(FORMULA, data.iloc[order])
    np.testing.assert_array_equal(shuffled.X, straight.X[order])
    for ours, theirs in zip(shuffled.groupings, straight.groupings, strict=True):
        assert ours.levels == theirs.levels
        np.testing.assert_array_equal(ours.codes, theirs.codes[order])


def test_relabelled_groups_keep_their_rows_together() -> None:
    data = mixed_data()
    new_names = dict(zip("abcdef", "qzmkwp", strict=True))
    relabelled = design(FORMULA, data.assign(g=data["g"].map(new_names)))
    for ours, theirs in zip(relabelled.groupings, design(FORMULA, data).groupings, strict=True):
        pairs = set(zip(ours.codes.tolist(), theirs.codes.tolist(), strict=True))
        assert len(pairs) == ours.n_levels == theirs.n_levels


def test_unused_categories_do_not_matter() -> None:
    data = mixed_data()
    trimmed = data.assign(own=data["own"].cat.remove_unused_categories())
    assert_same(design(FORMULA, trimmed), design(FORMULA, data))


def test_arrays_are_as_the_core_wants_them() -> None:
    made = design("y ~ x + z + (1 + x | g) + (0 + z | h)", mixed_data())
    for matrix in (made.X, *(term.Z for term in made.terms)):
        assert matrix.dtype == np.float64
        assert matrix.flags.f_contiguous
    assert made.groupings[0].codes.dtype == np.int32
    assert np.shares_memory(made.X, made.terms[0].Z)  # the same columns are not written twice


def test_design_pickles_without_the_data() -> None:
    made = design("y ~ scale(x) + poly(z, 2) + ns(z, 3) + factor(h) + within(x, g) + (1 | g)", mixed_data())
    again = pickle.loads(pickle.dumps(made))
    assert_same(made, again)
    large = pd.concat([mixed_data()] * 200, ignore_index=True)
    assert len(pickle.dumps(design(FORMULA, large).encoder)) < 20_000


@pytest.mark.parametrize(
    ("formula", "error", "message"),
    [
        ("y ~ xx", ColumnNotFoundError, "no column 'xx' in the data. Did you mean 'x'"),
        ("y ~ x + (1 | grp)", ColumnNotFoundError, "no column 'grp'"),
        ("y ~ x + (zz | g)", ColumnNotFoundError, "no column 'zz'"),
        ("yy ~ x", ColumnNotFoundError, "no column 'yy'"),
        ("y ~ log(`no such`)", ColumnNotFoundError, "no column 'no such'"),
        ("y ~ `no such`", ColumnNotFoundError, "no column 'no such'"),
        ("text ~ x", DataTypeError, "'text' holds labels, not numbers"),
        ("flag ~ x", DataTypeError, "'flag' is true or false; convert it to 0 and 1"),
        ("log(x) ~ z", DataError, r"'log\(x\)' is not finite in rows"),
        ("I(0 * y) ~ x", DataError, "is 0 in every row used"),
        ("x / z ~ 1", FormulaError, r"only a binomial model has; .* write I\(x / z\)"),
        ("cbind(x, z) ~ 1", FormulaError, "only a binomial model has"),
    ],
)
def test_refusals(formula: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        design(formula, mixed_data())


def test_ratio_inside_identity_is_arithmetic() -> None:
    data = mixed_data()
    np.testing.assert_allclose(design("I(x / z) ~ 1", data).y, data["x"] / data["z"], rtol=1e-15)


def test_a_nearly_constant_response_is_none() -> None:
    data = mixed_data()
    data["y"] = 1e12 + np.arange(48) % 2
    assert design("y ~ x", data).n_rows == 48


@pytest.mark.parametrize(
    "formula",
    ["y ~ x + (1 | row)", "y ~ x + (1 + x + z | pair)", "y ~ x + diag(1 + z | pair)", "y ~ x + (1 | g/row)"],
)
def test_as_many_effects_as_observations_are_refused(formula: str) -> None:
    data = mixed_data().assign(row=np.arange(48), pair=np.arange(48) // 2)
    with pytest.raises(ModelError, match=r"random effects .* for 48 observations"):
        refuse_saturated_terms(design(formula, data))


def test_saturated_terms_with_their_own_structure_pass() -> None:
    data = mixed_data().assign(row=np.arange(48), pair=np.arange(48) // 2)
    refuse_saturated_terms(design("y ~ x + cs(1 + z | pair) + ar1(1 + x | pair)", data))
    refuse_saturated_terms(design("y ~ x + (1 | pair)", data))
    refuse_saturated_terms(design("y ~ x + (1 | row)", data, freq_weights=np.full(48, 2)))
