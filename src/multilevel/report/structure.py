"""The structure of a table in tables and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from multilevel.clusters.bar_terms import FEWEST_LEVELS, BarTerms
from multilevel.clusters.guessed_groups import GuessedGroup
from multilevel.clusters.structure import ColumnLevel, DataStructure, FactorSizes, PairOfFactors, Relation
from multilevel.report.numbers import format_column
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns
from multilevel.report.wording import listed, plural

MOST_LISTED = 6


def factor_columns(structure: DataStructure) -> Columns:
    """One row a factor: levels, and rows a level."""
    factors = structure.factors
    return {
        "factor": [each.name for each in factors],
        "n_levels": np.array([each.n_levels for each in factors]),
        "rows_min": np.array([each.smallest for each in factors]),
        "rows_median": np.array([each.median for each in factors]),
        "rows_mean": np.array([each.mean for each in factors]),
        "rows_max": np.array([each.largest for each in factors]),
        "balanced": np.array([each.balanced for each in factors]),
    }


def pair_columns(structure: DataStructure) -> Columns:
    """One row a pair of factors: how the first lies to the second, and the pairs of levels that occur."""
    pairs = structure.pairs
    return {
        "first": [each.first for each in pairs],
        "relation": [each.relation.value for each in pairs],
        "second": [each.second for each in pairs],
        "within": [each.within for each in pairs],
        "n_pairs": np.array([each.n_pairs for each in pairs], dtype=np.int64),
        "possible": np.array([each.possible for each in pairs], dtype=np.int64),
        "rows_min": np.array([each.smallest for each in pairs], dtype=np.int64),
        "rows_max": np.array([each.largest for each in pairs], dtype=np.int64),
    }


def level_columns(structure: DataStructure) -> Columns:
    """One row a further column: the factor that it describes, and all in whose levels it is constant."""
    columns = structure.columns
    return {
        "column": [each.name for each in columns],
        "varies_between": [where(each) for each in columns],
        "constant_within": [", ".join(each.constant_within) for each in columns],
    }


def where(column: ColumnLevel) -> str:
    """Between what a column varies."""
    if column.varies is None:
        return "rows"
    return column.varies or "nothing"


def structure_page(structure: DataStructure, bars: BarTerms, notes: tuple[str, ...]) -> Summary:
    """Factors, pairs and columns, and what follows."""
    blocks = [factor_block(structure)]
    if structure.pairs:
        blocks.append(pair_block(structure))
    if structure.columns:
        blocks.append(level_block(structure))
    return Summary(
        title="Structure of the data",
        facts=(("Data", plural(structure.n, "row")), ("Random effects", bars.text or "none")),
        blocks=tuple(blocks),
        notes=(*reading(structure), *bar_words(structure, bars), *renumbering_words(structure), *notes),
    )


def guess_words(guesses: Sequence[GuessedGroup]) -> str:
    """Which columns were taken for factors, and why."""
    reasons: dict[str, list[str]] = {}
    for guess in guesses:
        reasons.setdefault(guess.why, []).append(guess.name)
    taken = "; ".join(f"{listed(names, len(names))} ({why})" for why, names in reasons.items())
    return f"A guess, as no groups were named: {taken}. Name others, as structure(data, ['g', 'h'])."


def factor_block(structure: DataStructure) -> Block:
    """Levels and rows a level."""
    factors = structure.factors
    cells = {
        "factor": [each.name for each in factors],
        "levels": [f"{each.n_levels:d}" for each in factors],
        "min": [f"{each.smallest:d}" for each in factors],
        "median": [f"{each.median:g}" for each in factors],
        "mean": format_column([each.mean for each in factors]),
        "max": [f"{each.largest:d}" for each in factors],
        "": ["balanced" if each.balanced else "" for each in factors],
    }
    return Block("Factors, and rows in each level", tuple(cells), tuple(zip(*cells.values(), strict=True)))


def pair_block(structure: DataStructure) -> Block:
    """How each factor lies to each other, and how many pairs of levels occur."""
    pairs = structure.pairs
    cells = {
        "factor": [each.first for each in pairs],
        "relation": [relation_text(each) for each in pairs],
        "pairs": [f"{each.n_pairs:d}" if each.crossed else "" for each in pairs],
        "of": [f"{each.possible:d}" if each.crossed else "" for each in pairs],
        "rows a pair": [rows_text(each) if each.crossed else "" for each in pairs],
    }
    rows = tuple(zip(*cells.values(), strict=True))
    return Block("Pairs of factors", tuple(cells), rows, n_labels=2)


def relation_text(pair: PairOfFactors) -> str:
    """The relation with the other factor's name."""
    if pair.within is None:
        return f"{pair.relation.value} {pair.second}"
    extent = "crossed with" if pair.complete else "partially crossed with"
    return f"{extent} {pair.second}, within {pair.within}"


def rows_text(pair: PairOfFactors) -> str:
    """Rows of the pairs that occur."""
    return f"{pair.smallest}" if pair.smallest == pair.largest else f"{pair.smallest} to {pair.largest}"


def level_block(structure: DataStructure) -> Block:
    """At which level the other columns vary."""
    cells = {
        "column": [each.name for each in structure.columns],
        "varies between": [where(each) for each in structure.columns],
        "constant within": [", ".join(each.constant_within) or "-" for each in structure.columns],
    }
    return Block("Other columns", tuple(cells), tuple(zip(*cells.values(), strict=True)), n_labels=3)


def reading(structure: DataStructure) -> list[str]:
    """The relations and levels as sentences."""
    single = {factor.name for factor in structure.factors if factor.is_row}
    words = [pair_words(pair) for pair in structure.pairs if pair.first not in single]
    between: dict[str, list[str]] = {}
    for column in structure.columns:
        if column.varies:
            between.setdefault(column.varies, []).append(column.name)
    for factor, names in between.items():
        shown = listed(names[:MOST_LISTED], len(names))
        verb = "varies" if len(names) == 1 else "vary"
        words.append(
            f"{shown} {verb} between levels of {factor} and never within one: what can be said of "
            f"{'it' if len(names) == 1 else 'them'} depends on the number of levels, not of rows."
        )
    return words


def pair_words(pair: PairOfFactors) -> str:
    """One pair in a sentence."""
    if pair.relation is Relation.INSIDE:
        return f"{pair.first} is nested in {pair.second}: each level lies in one level of {pair.second}."
    if pair.relation is Relation.SAME:
        return f"{pair.first} and {pair.second} make the same groups."
    if pair.within is not None:
        extent = "in every pair" if pair.complete else f"in {pair.n_pairs} of the {pair.possible} pairs"
        return (
            f"{pair.first} and {pair.second} are crossed within {pair.within}: their levels meet {extent} "
            f"that a level of {pair.within} holds, and never across levels."
        )
    if pair.complete:
        return f"{pair.first} and {pair.second} are fully crossed: every pair of levels occurs."
    return (
        f"{pair.first} and {pair.second} are partially crossed: {pair.n_pairs} of {pair.possible} pairs of "
        f"levels occur ({100.0 * pair.n_pairs / pair.possible:.2g}%)."
    )


def bar_words(structure: DataStructure, bars: BarTerms) -> list[str]:
    """Why factors have no random effect."""
    sizes = {factor.name: factor for factor in structure.factors}
    words = [
        f"{name} has one row a level: its effect cannot be told from the residual of a linear model."
        for name in bars.rows
    ]
    words += [few_words(sizes[name]) for name in bars.few]
    words += [f"{other} adds nothing to {one}." for one, other in bars.doubles]
    words += [time_words(pair) for pair in structure.pairs if pair.time is not None]
    once = [pair for pair in structure.pairs if pair.crossed and pair.largest == 1 and pair.time is None]
    words += [single_words(pair) for pair in once]
    return words


def few_words(factor: FactorSizes) -> str:
    """Few levels."""
    return (
        f"{factor.name} has {plural(factor.n_levels, 'level')}, too few to estimate a variance between them: "
        "let it be a predictor."
    )


def time_words(pair: PairOfFactors) -> str:
    """Numbers that order the rows of a level."""
    return (
        f"{pair.time} orders the rows of each {pair.first} (repeated measures): it serves as a predictor, "
        f"whose slope may vary, ({pair.time} | {pair.first}), rather than as groups. Should its numbers be "
        f"mere names, add (1 | {pair.time})."
    )


def single_words(pair: PairOfFactors) -> str:
    """One row a pair."""
    return (
        f"A level of {pair.first} has at most one row in a level of {pair.second}: their interaction cannot "
        "be told from the residual."
    )


def renumbering_words(structure: DataStructure) -> list[str]:
    """What to do where labels may begin anew; from the factor with most levels to the fewest."""
    others: dict[str, list[PairOfFactors]] = {}
    for pair in structure.pairs:
        if pair.renumbered is not None:
            others.setdefault(pair.renumbered.name, []).append(pair)
    around = {name: [other_of(pair, name) for pair in pairs] for name, pairs in others.items()}
    return [
        anew_words(name, around, structure) + "".join(map(either_words, pairs))
        for name, pairs in others.items()
    ]


def other_of(pair: PairOfFactors, name: str) -> str:
    """The other factor of a pair."""
    return pair.second if pair.first == name else pair.first


def anew_words(name: str, around: Mapping[str, Sequence[str]], structure: DataStructure) -> str:
    """What to write if labels begin anew in levels of other factors; each list ends with fewest levels."""
    outer = [other for other in around[name] if not set(around.get(other, ())) & set(around[name])]
    inner = [other for other in around[name] if other not in outer]  # which begin anew themselves
    words = (
        f"Labels of {name} come back in levels of {listed(around[name], len(around[name]))}. If a label "
        f"means the same {name} everywhere, the factors are crossed, as counted here. "
    )
    *more, last = outer
    if inner:
        path = "/".join([last, *sorted(inner, key=lambda each: len(around[each])), name])
        each = " of each ".join([*sorted(inner, key=lambda each: -len(around[each])), last])
        return (
            f"{words}If numbering begins anew in each {each}, {name} is nested: write (1 | {path}), without "
            f"{name} if its groups are single rows then."
        )
    words += (
        f"If numbering begins anew in each {last}, {name} is nested: {nested_bars(name, last, structure)}"
    )
    words += f"; likewise for {listed(more, len(more))}." if more else "."
    already = combinations_of(structure, name, last)
    return words if already is None else f"{words} {already} has a level for each {last}:{name} already."


def nested_bars(inner: str, outer: str, structure: DataStructure) -> str:
    """What to write for a factor whose numbering begins anew in another's levels."""
    factor = next(each for each in structure.factors if each.name == outer)
    if factor.n_levels < FEWEST_LEVELS:
        return f"write (1 | {outer}:{inner}), with {outer} as a predictor"
    return f"write (1 | {outer}/{inner}), or (1 | {outer}:{inner}) beside (1 | {outer})"


def either_words(pair: PairOfFactors) -> str:
    """The other reading, where nothing in the data says which factor begins anew."""
    if pair.renumbered is None or not pair.renumbered.either:
        return ""
    name = pair.renumbered.name
    other = other_of(pair, name)
    return f" (Should {other} begin anew in each {name} instead, write it the other way round.)"


def combinations_of(structure: DataStructure, one: str, other: str) -> str | None:
    """A factor that has a level for each combination of two crossed ones."""
    n_pairs = structure.pair(one, other).n_pairs
    for factor in structure.factors:
        if factor.n_levels == n_pairs and {one, other} <= set(structure.holders(factor.name)):
            return factor.name
    return None
