"""Terms and their cells: what the algebra of codings says, against indicators written down from the data."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from multilevel.design.build import build_design
from multilevel.design.fixed_terms import fixed_terms, term_cells
from multilevel.errors import ModelError
from multilevel.formula.parse import parse_formula

RNG = np.random.default_rng(3)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=90),
        "a": RNG.choice(list("pqr"), 90),
        "b": RNG.choice(list("uv"), 90),
        "c": pd.Categorical(RNG.choice([1, 2, 3, 4], 90), ordered=True),
        "x": RNG.normal(size=90),
        "z": RNG.normal(size=90),
    }
)


def design_of(formula, data=DATA, **options):
    return build_design(parse_formula(formula), data, **options)


def cell_columns(name, data):
    """The cells of a term of plain columns, its first factor varying fastest."""
    parts = [] if name == "Intercept" else name.split(":")
    axes = [
        [data[part].to_numpy()]
        if part in "xz"
        else [(data[part] == level).to_numpy(float) for level in sorted(data[part].unique())]
        for part in parts
    ]
    columns = [np.prod([np.ones(len(data)), *cell], axis=0) for cell in product(*reversed(axes))]
    return np.column_stack(columns)


FORMULAS = [
    "y ~ a * b",
    "y ~ b * c * a",
    "y ~ a * x + z",
    "y ~ 0 + a + b + x",
    "y ~ 0 + x + c",
    "y ~ a:b",
    "y ~ 0 + b:a",
    "y ~ a + a:b",
    "y ~ x:a + z:a + x:z",
    "y ~ x * a * b",
]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize(
    "contrasts", [{}, {"a": "sum", "b": "helmert"}, {"a": np.array([[1, 2], [0, 1], [5, 0]])}]
)
def test_cells_are_indicators_times_numbers(formula, contrasts):
    design = design_of(formula, contrasts={k: v for k, v in contrasts.items() if k in formula})
    terms, cells = fixed_terms(design), term_cells(design)
    made = design.X @ cells.combinations
    for number, term in enumerate(terms):
        np.testing.assert_allclose(made[:, cells.term == number], cell_columns(term.name, DATA), atol=1e-12)


def test_columns_belong_to_their_terms():
    terms = fixed_terms(design_of("y ~ a * x + poly(z, 2)"))
    assert [(term.name, term.columns) for term in terms] == [
        ("Intercept", (0,)),
        ("a", (1, 2)),
        ("x", (3,)),
        ("poly(z, 2)", (4, 5)),
        ("a:x", (6, 7)),
    ]


def test_a_term_contains_those_of_fewer_factors_and_the_same_numbers():
    names = {term.name: term for term in fixed_terms(design_of("y ~ a * b * x"))}
    contained = {name: {n for n, t in names.items() if t.is_contained_in(names[name])} for name in names}
    assert contained["a:b"] == {"Intercept", "a", "b"}
    assert contained["a:x"] == {"x"}
    assert contained["a:b:x"] == {"x", "a:x", "b:x"}


def test_first_levels_are_counted():
    cells = term_cells(design_of("y ~ a * b"))
    assert cells.n_first[cells.term == 3].tolist() == [2, 1, 1, 1, 0, 0]


def test_dropped_columns_are_combinations_of_those_kept():
    data = DATA[~((DATA["a"] == "q") & (DATA["b"] == "v"))].assign(w=2 * DATA["x"] - 3 * DATA["z"] + 1)
    design = design_of("y ~ x + z + w + a * b", data)
    assert design.dropped.columns == ("w", "a[T.q]:b[T.v]")
    terms, cells = fixed_terms(design), term_cells(design)
    made = design.X @ cells.combinations
    assert next(term for term in terms if term.name == "w").columns == ()
    for number, term in enumerate(terms):
        written = data["w"].to_numpy()[:, None] if term.name == "w" else None
        if term.name == "a:b":
            written = np.column_stack(
                [(data["a"] == a) & (data["b"] == b) for b in "uv" for a in "pqr"]
            ).astype(float)
        if written is not None:
            np.testing.assert_allclose(made[:, cells.term == number], written, atol=1e-12)


def test_contrasts_that_tell_fewer_levels_apart_are_numbers():
    linear = np.array([[-1.0], [0.0], [1.0]])
    term = fixed_terms(design_of("y ~ a + x", contrasts={"a": linear}))[1]
    assert (term.numeric, term.categorical, term.columns) == ({"a"}, set(), (1,))
    with pytest.raises(ModelError, match="contrasts of 'a' do not tell all its levels apart"):
        term_cells(design_of("y ~ 0 + a + b:a", contrasts={"a": linear}))
