"""A matrix that would not fit is refused before it is built, with its size."""

from __future__ import annotations

import numpy as np
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
