"""Five hundred data sets: one to three factors, nested and crossed, one to four columns, many singular."""

from __future__ import annotations

import pytest

from random_designs import random_design
from search_reference import complaints


@pytest.mark.study
@pytest.mark.parametrize("block", range(20))
def test_as_good_as_many_starts(block):
    seeds = range(1000 + 25 * block, 1025 + 25 * block)
    found = {seed: complaints(random_design(seed), seed) for seed in seeds}
    assert {seed: said for seed, said in found.items() if said} == {}
