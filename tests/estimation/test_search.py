"""The search on data sets of random shape, beside a multi-start search; the study has five hundred more."""

from __future__ import annotations

import pytest

from random_designs import random_design
from search_reference import complaints


@pytest.mark.parametrize("seed", range(40))
def test_as_good_as_many_starts(seed):
    assert complaints(random_design(seed), seed) == []
