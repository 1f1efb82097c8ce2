"""A matrix that would not fit is refused before it is built; a design takes little beside its arrays."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from design_data import design
from multilevel.design import memory
from multilevel.errors import MemoryNeedError


def test_too_many_levels_for_a_fixed_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 4 * 10**9)
    n = 60_000
    data = {"y": np.arange(n) % 7.0, "id": np.arange(n) // 2, "x": np.arange(n) % 11.0}
    with pytest.raises(
        MemoryNeedError, match=r"14.4 GB \(60,000 rows by 30,00. columns\).*\(1 \| factor\(id\)\)"
    ):
        design("y ~ x + factor(id)", data)


def test_what_fits_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: None)  # a system that does not say
    memory.require_memory(10**9, {"x": 10**6})
    monkeypatch.setattr(memory, "available_memory", lambda: 10**9)
    memory.require_memory(10**6, {"x": 90})
    with pytest.raises(MemoryNeedError, match="880 MB"):
        memory.require_memory(10**6, {"x": 110})


def test_the_system_says_how_much_there_is() -> None:
    available = memory.available_memory()
    assert available is None or available > 0


@pytest.mark.parametrize("kind", ["integers", "whole floats", "categories"])
def test_a_design_takes_little_more_than_its_arrays(kind: str) -> None:
    rng = np.random.default_rng(2)
    n = 200_000
    group = rng.integers(0, 2000, n)
    labels = {
        "integers": group,
        "whole floats": group.astype(float),
        "categories": pd.Categorical.from_codes(group, [f"group{i}" for i in range(2000)]),
    }
    data = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n), "g": labels[kind]})
    made = design("y ~ x + (1 + x | g)", data)
    assert np.shares_memory(made.terms[0].Z, made.X)
    kept = made.y.nbytes + made.X.nbytes + made.groupings[0].codes.nbytes
    del made
    tracemalloc.start()
    made = design("y ~ x + (1 + x | g)", data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < kept + 2 * made.y.nbytes  # room for one working copy of the groups, and a mask
