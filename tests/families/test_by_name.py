"""Names of families that do not exist: what is said of them."""

from __future__ import annotations

import pytest

from multilevel.errors import DataError
from multilevel.families.by_name import as_family


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("poison", r"no family 'poison'\. Did you mean 'poisson'\? The families are gaussian, "),
        ("Gauss", r"Did you mean 'gaussian'\?"),
        ("quasi-poisson", "A variance in proportion to the mean is family='nbinom1'"),
        ("quasibinomial", "family='beta_binomial', or keep 'binomial' with vcov='HC3'"),
        ("zip", r"ml\.glmm\(\.\.\., family='poisson', zi='~ 1'\)"),
        ("zero_inflated_poisson", r"zi='~ 1'"),
        ("hurdle", "truncated_poisson"),
        ("multinomial", "in order for 'ordinal'"),
        ("xyz", r"no family 'xyz'\. The families are"),
    ],
)
def test_the_way_is_shown(name, said):
    with pytest.raises(DataError, match=said):
        as_family(name)


@pytest.mark.parametrize("name", ["negbin", "Negative-Binomial", "NB2"])
def test_other_names_in_use(name):
    assert as_family(name).name == "negative_binomial"
