"""Which random effects does the structure of a table ask for?"""

from __future__ import annotations

from dataclasses import dataclass

from multilevel.clusters.structure import DataStructure, FactorSizes, Relation

FEWEST_LEVELS = 5  # below it a variance between levels is hardly known: coefficients serve better


@dataclass(frozen=True, slots=True)
class BarTerms:
    """Random effects for a model of the table, and why factors are left out."""

    bars: tuple[str, ...]  # "(1 | clinic)", from the fewest levels to the most
    rows: tuple[str, ...]  # factors with one row a level
    few: tuple[str, ...]  # factors with few levels, better coefficients
    times: tuple[str, ...]  # numbers that order rows within another factor, better predictors
    doubles: tuple[tuple[str, str], ...]  # a factor, and the one that makes the same groups

    @property
    def text(self) -> str:
        """As they stand in a formula."""
        return " + ".join(self.bars)


def bar_terms(structure: DataStructure) -> BarTerms:
    """A random intercept for each factor that makes groups of its own, several rows each.

    A factor whose labels may begin anew in another's levels stands as it is coded, unless it has few levels:
    whether it is nested is for who knows the data to say.
    """
    doubles = tuple((pair.first, pair.second) for pair in structure.pairs if pair.relation is Relation.SAME)
    repeated = {second for _, second in doubles}
    kept = [factor for factor in reversed(structure.factors) if factor.name not in repeated]
    rows = tuple(factor.name for factor in kept if factor.is_row)
    times = tuple(dict.fromkeys(pair.time for pair in structure.pairs if pair.time is not None))
    several = [factor for factor in kept if not factor.is_row and factor.name not in times]
    few = {factor.name for factor in several if is_few(factor, structure)}
    renumbered = {pair.renumbered.name for pair in structure.pairs if pair.renumbered is not None}
    return BarTerms(
        bars=tuple(f"(1 | {factor.name})" for factor in several if factor.name not in few),
        rows=rows,
        few=tuple(factor.name for factor in several if factor.name in few - renumbered),
        times=times,
        doubles=doubles,
    )


def is_few(factor: FactorSizes, structure: DataStructure) -> bool:
    """Whether a factor has so few levels that, beside others, it is better a coefficient."""
    others = any(other.n_levels >= FEWEST_LEVELS for other in structure.factors if other is not factor)
    return factor.n_levels < FEWEST_LEVELS and others
