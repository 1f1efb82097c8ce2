"""Does a factor need all its levels or one fewer? Codings that span each term without repetition.

A term spans the products of its factors' subsets: with categorical a and b, `a:b` spans 1, a, b and
a:b. What earlier terms with the same numeric factors span is left out, and the rest is put together
again: (1 and a-) make a with all its levels, where a- has one level fewer.

Reference: the algorithm of Smith's patsy ("Redundancy and categorical factors"), after Chambers and
Hastie (1992), Statistical Models in S, chapter 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, combinations
from typing import TypeAlias

from multilevel.design.model_terms import Term

Coding: TypeAlias = dict[str, bool]  # categorical expression -> whether all its levels are coded
Block: TypeAlias = tuple[tuple[str, bool], ...]  # factors of a product of columns; numeric ones are False


@lru_cache(maxsize=512)
def code_terms(terms: tuple[Term, ...], labelled: frozenset[str]) -> tuple[Block, ...]:
    """The blocks of columns that the terms need, in order; `labelled` are the categorical factors."""
    return tuple(chain.from_iterable(code_each_term(terms, labelled)))


@lru_cache(maxsize=512)
def code_each_term(terms: tuple[Term, ...], labelled: frozenset[str]) -> tuple[tuple[Block, ...], ...]:
    """The blocks of columns that each term adds to those before it."""
    spanned: set[tuple[frozenset[str], frozenset[str]]] = set()  # (numeric factors, categorical subset)
    blocks: list[tuple[Block, ...]] = []
    for term in terms:
        categorical = [factor for factor in term if factor in labelled]
        numeric = frozenset(term).difference(categorical)
        subsets = [subset for subset in _subsets(categorical) if (numeric, frozenset(subset)) not in spanned]
        spanned.update((numeric, frozenset(subset)) for subset in subsets)
        blocks.append(tuple(_block(term, categorical, coding) for coding in _put_together(subsets)))
    return tuple(blocks)


def _subsets(factors: Sequence[str]) -> list[tuple[str, ...]]:
    return [subset for size in range(len(factors) + 1) for subset in combinations(factors, size)]


def _put_together(subsets: Sequence[tuple[str, ...]]) -> list[Coding]:
    codings: list[Coding] = []
    for subset in subsets:
        codings = _absorb(codings, dict.fromkeys(subset, False))
    return sorted(codings, key=len)


def _absorb(codings: list[Coding], new: Coding) -> list[Coding]:
    """Add a product; where it differs from one before by one reduced factor, both make that factor full."""
    for i, old in enumerate(codings):
        extra = [factor for factor in new if factor not in old]
        if len(extra) == 1 and not new[extra[0]] and new == {**old, extra[0]: False}:
            return _absorb(codings[:i] + codings[i + 1 :], {**new, extra[0]: True})
    return [*codings, new]


def _block(term: Term, categorical: Sequence[str], coding: Coding) -> Block:
    """The factors of the term that take part, in the term's order."""
    taking_part = [factor for factor in term if factor in coding or factor not in categorical]
    return tuple((factor, coding.get(factor, False)) for factor in taking_part)
