"""Which means does the user ask for? "dose * sex | clinic" as names of variables, and of groups."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from multilevel.errors import DataError, DataTypeError

Names = str | Sequence[str] | None  # "a", ["a", "b"], "a * b", "a | b"; None for the mean of everything


@dataclass(frozen=True, slots=True)
class Specs:
    """The variables whose combinations have means, and those within whose levels means are compared."""

    names: tuple[str, ...]
    by: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """All of them, those that vary fastest first."""
        return (*self.names, *self.by)


def read_specs(specs: Names, by: Names, known: Iterable[str]) -> Specs:
    """Names from text or lists; a variable's own name is never taken apart."""
    known = frozenset(known)
    names, after = split_bar(specs, known)
    within = (*after, *names_of(by, known, "by"))
    chosen = tuple(name for name in names if name not in within)
    return Specs(tuple(dict.fromkeys(chosen)), tuple(dict.fromkeys(within)))


def split_bar(specs: Names, known: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names before and after a bar."""
    if not isinstance(specs, str) or specs in known or "|" not in specs:
        return names_of(specs, known, "specs"), ()
    before, _, after = specs.partition("|")
    return names_of(before, known, "specs"), names_of(after, known, "specs")


def names_of(given: Names, known: frozenset[str], what: str) -> tuple[str, ...]:
    """Names in a text such as "a * b", or in a list."""
    if given is None:
        return ()
    if isinstance(given, str):
        return tuple(name for name in names_in_text(given, known) if name != "1")
    if not isinstance(given, Sequence) or not all(isinstance(name, str) for name in given):
        raise DataTypeError(
            f"{what}={given!r:.60} names no variables; write {what}='a', 'a * b' or ['a', 'b']."
        )
    return tuple(given)


def names_in_text(text: str, known: frozenset[str]) -> list[str]:
    """The names between `*`, `+` and `:`, after a `~` if there is one."""
    left, tilde, right = text.rpartition("~")
    if left.strip():
        raise DataError(
            f"{text.strip()!r} asks for means and contrasts at once; write "
            f".contrasts({right.strip()!r}, {left.strip()!r})."
        )
    text = (right if tilde else text).strip()
    if text in known:
        return [text]
    names = [name.strip().strip("`") for name in re.split(r"[*+:](?![^()]*\))", text)]
    if "" in names:
        raise DataError(f"specs={text!r} cannot be read; write 'a', 'a * b' or 'a | b'.")
    return names
