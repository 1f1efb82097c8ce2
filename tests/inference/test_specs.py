"""What the text that asks for means says."""

from __future__ import annotations

import pytest

from multilevel.errors import DataError, DataTypeError
from multilevel.inference.specs import Specs, read_specs

KNOWN = ["a", "b", "c", "odd|name", "a b", "between(x, g)"]


@pytest.mark.parametrize(
    ("specs", "by", "names", "groups"),
    [
        ("a", None, ("a",), ()),
        ("~ a * b", None, ("a", "b"), ()),
        ("a + b", "c", ("a", "b"), ("c",)),
        ("a:b", None, ("a", "b"), ()),
        ("a | b", None, ("a",), ("b",)),
        ("a | b * c", None, ("a",), ("b", "c")),
        ("a | b", ["c"], ("a",), ("b", "c")),
        (["a", "b"], "b", ("a",), ("b",)),
        ("odd|name", None, ("odd|name",), ()),
        ("a b", None, ("a b",), ()),
        ("`a b` * c", None, ("a b", "c"), ()),
        ("between(x, g)", None, ("between(x, g)",), ()),
        ("1", None, (), ()),
        (None, "a", (), ("a",)),
        ("a * a", None, ("a",), ()),
    ],
)
def test_what_specs_say(specs: object, by: object, names: tuple[str, ...], groups: tuple[str, ...]) -> None:
    assert read_specs(specs, by, KNOWN) == Specs(names, groups)  # type: ignore[arg-type]


def test_misuse() -> None:
    with pytest.raises(DataError, match=r"write \.contrasts\('a', 'pairwise'\)"):
        read_specs("pairwise ~ a", None, KNOWN)
    with pytest.raises(DataError, match="cannot be read"):
        read_specs("a *", None, KNOWN)
    with pytest.raises(DataTypeError, match="specs=3 names no variables"):
        read_specs(3, None, KNOWN)  # type: ignore[arg-type]
    with pytest.raises(DataTypeError, match=r"by=\[1\] names no variables"):
        read_specs("a", [1], KNOWN)  # type: ignore[list-item]
