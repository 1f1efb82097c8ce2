"""`ml.sidebyside`: the same question put to several fits, and why their answers differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Frame
from multilevel.clusters.attenuation import mean_variance
from multilevel.clusters.coefficient_inflation import coefficient_inflation
from multilevel.clusters.side_by_side import Explained, GroupEffect, explain
from multilevel.clusters.within import varying_within, within_groups
from multilevel.design.columns import INTERCEPT
from multilevel.errors import DataError, ModelError
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind
from multilevel.report.side_by_side import (
    Column,
    group_effect_columns,
    side_by_side_columns,
    side_by_side_page,
)
from multilevel.report.side_by_side_words import (
    Random,
    and_listed,
    estimate_sentences,
    standard_error_sentences,
)
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.given_fits import AnyFit, given_fits
from multilevel.results.printed_table import PrintedTable

MISSING_WORDS = {  # with random effects, and without
    True: "bears responses that are missing because of observed data (MAR)",
    False: "needs them to be missing for reasons that the predictors hold",
}


@dataclass(frozen=True, slots=True, repr=False)
class SideBySide(PrintedTable):
    """Coefficients of several fits in columns, with what explains their differences.

    `frame` holds the table in the user's kind of frame; `table["se_ratio"]` is one of its columns.
    """

    fits: tuple[Column, ...]
    effects: tuple[GroupEffect, ...]  # of each grouping; none where there is no naive fit to explain
    sentences: tuple[str, ...]
    kind: FrameKind

    @property
    def _kind(self) -> FrameKind:
        return self.kind

    @property
    def standard_errors(self) -> Frame:
        """What groups do to each naive standard error: groups, term, icc, icc_x, deff, se_ratio (due)."""
        return to_frame(group_effect_columns(self.effects, self.fits[0].table.term), self.kind)

    def tidy(self) -> Frame:
        """One row a fit and coefficient: `frame` under the name that fits have for it."""
        return self.frame

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return side_by_side_columns(self.fits)

    def page(self) -> Summary:
        """What is printed."""
        return side_by_side_page(self.fits, self.sentences)


def sidebyside(*fits: AnyFit | Sequence[AnyFit], names: Sequence[str] | None = None) -> SideBySide:
    """Estimates, standard errors and p-values of several fits side by side, and why they differ.

    Give the naive fit first: standard errors are shown as ratios to its own. If it takes rows for independent
    and another fit knows of groups, the ratio that is due is worked out coefficient by coefficient. With a
    correlation ICC of errors within groups, it is the root of Moulton's design effect

        1 + (m - 1) ICC ICC_x,

    with ICC_x the correlation within groups of what the other predictors leave of this one: above 1 for what
    differs between groups, below 1 for what varies within them. The table says whether coefficients are
    subject-specific (of a single group) or population-averaged; with an identity link they are both.

    `frame` has a row a fit and coefficient: model, term, estimate, std_error, se_ratio, statistic, df,
    p_value, estimand. `standard_errors` has the design effects.

    Args:
        fits: fits of one response by any of the models, one by one or as one list, the naive one first.
        names: what to call them, one name a fit; by default the function that made each.

    Example:
        >>> import multilevel as ml
        >>> pupils = ml.datasets.course_demo_10x30()
        >>> naive = ml.ols("y ~ treatment", pupils)
        >>> mixed = ml.lmm("y ~ treatment + (1 | school)", pupils)
        >>> print(ml.sidebyside(naive, mixed).page().blocks[0])
        Coefficients
                                     ols      lmm
          Intercept  estimate      49.91    49.91
                     std. error  0.07457  0.20867
                       / ols's      1.00     2.80
                     p            <2e-16   <2e-16
          treatment  estimate    -0.2962  -0.2962
                     std. error   0.1055   0.2951
                       / ols's      1.00     2.80
                     p            0.0053   0.3449

    References:
        Moulton, B. R. (1986). Random group effects and the precision of regression estimates. Journal of
        Econometrics 32, 385-397.
        Zeger, S. L., Liang, K.-Y. & Albert, P. S. (1988). Models for longitudinal data: a generalized
        estimating equation approach. Biometrics 44, 1049-1060.
    """
    given = given_fits("sidebyside", fits)
    refuse_other_responses(given)
    columns = tuple(column_of(fit, label) for fit, label in zip(given, labels_of(names, given), strict=True))
    effects = group_effects(given)
    random = [random_of(fit) for fit in given]
    sentences = (
        *standard_error_sentences(columns, explained_terms(given[0], effects), random),
        *naive_notes(given, columns, effects),
        *estimate_sentences(columns, random),
        *row_notes(given, columns),
    )
    return SideBySide(columns, effects, sentences, given[0].design.frame_kind)


def labels_of(names: Sequence[str] | None, fits: Sequence[AnyFit]) -> list[str]:
    """Names given, or the functions that made the fits, numbered where one made several."""
    if names is not None:
        labels = [str(name) for name in names]
        if len(labels) != len(fits):
            raise DataError(f"{len(labels)} names for {len(fits)} fits; give one name a fit.")
        if len(set(labels)) < len(labels):
            raise DataError("names= repeats a name; give each fit its own.")
        return labels
    made_by = [fit.call.function.__name__ for fit in fits]
    times, seen = Counter(made_by), Counter[str]()
    labels = []
    for name in made_by:
        seen[name] += 1
        labels.append(f"{name} {seen[name]}" if times[name] > 1 else name)
    return labels


def refuse_other_responses(fits: Sequence[AnyFit]) -> None:
    """Coefficients of different responses do not compare."""
    first = fits[0].design.response_name
    for number, fit in enumerate(fits[1:], start=2):
        if fit.design.response_name != first:
            raise ModelError(
                f"fit 1 explains '{first}' and fit {number} '{fit.design.response_name}'; side by side stand "
                "fits of one response."
            )


def column_of(fit: AnyFit, label: str) -> Column:
    """What the table shows of one fit."""
    return Column(
        label=label,
        formula=fit.formula,
        about=about(fit),
        n_rows=fit.design.n_rows,
        link=fit.link,
        estimand=fit.estimand,
        table=fit._coefficients(),
    )


def about(fit: AnyFit) -> str:
    """What the standard errors rest on."""
    names = and_listed([grouping.name for grouping in fit._clusters()] or [""])
    link = "" if fit.link == "identity" else f"{fit.family}, {fit.link} link; "
    if fit.design.terms:
        return f"{link}random effects of {names}"
    return f"{link}{f'rows of one {names} alike' if names else 'rows independent'}"


# ---- what groups do to the standard errors of the first fit ----


def group_effects(fits: Sequence[AnyFit]) -> tuple[GroupEffect, ...]:
    """Design effects of each grouping that a later fit knows of, where the first one knows of none."""
    rows = fits[0]._whitened()
    partner = next((fit for fit in fits[1:] if fit._clusters()), None)
    if rows is None or partner is None or not same_rows(fits[0], partner):
        return ()
    counts = np.ones(len(rows.X)) if rows.counts is None else rows.counts
    X = fits[0].design.X
    return tuple(
        GroupEffect(
            group=grouping.name,
            inflation=coefficient_inflation(rows, grouping.codes),
            constant=~varying_within(X, within_groups(X, grouping.codes, counts)),
        )
        for grouping in partner._clusters()
        if 1 < grouping.n_levels < len(X)
    )


def same_rows(one: AnyFit, other: AnyFit) -> bool:
    """Whether two fits use the same rows."""
    return np.array_equal(one.design.rows, other.design.rows)


def explained_terms(naive: AnyFit, effects: Sequence[GroupEffect]) -> list[Explained]:
    """What groups do to the coefficients of the naive fit, the intercept only where there is no other."""
    if not effects:
        return []
    names = naive.coef_names
    terms = [k for k, name in enumerate(names) if name != INTERCEPT] or list(range(len(names)))
    return explain(effects, terms)


def random_of(fit: AnyFit) -> Random:
    """Random slopes, and the variance that random effects add to the linear predictor."""
    terms = fit.design.terms
    slopes = [name for term in terms for name in term.names if name != INTERCEPT]
    found = getattr(fit.record, "terms", ())
    variance = sum(
        mean_variance(np.asarray(term.Z), estimate.root) for term, estimate in zip(terms, found, strict=False)
    )
    return Random(tuple(slopes), float(variance))


# ---- notes ----


def naive_notes(
    fits: Sequence[AnyFit], columns: Sequence[Column], effects: Sequence[GroupEffect]
) -> list[str]:
    """Why standard errors are not explained, where they are not."""
    if effects:
        return []
    first = columns[0].label
    if fits[0]._clusters():
        return [
            f"{first} comes first and knows of groups, so ratios are to its standard errors; put a fit that "
            "takes rows for independent first to see what groups do to it."
        ]
    if not any(fit._clusters() for fit in fits):
        return ["No fit here knows of groups: every standard error takes rows for independent."]
    partner = next(fit for fit in fits[1:] if fit._clusters())
    if not same_rows(fits[0], partner):
        return []
    return [f"The design effect of groups is not worked out for {first}."]


def row_notes(fits: Sequence[AnyFit], columns: Sequence[Column]) -> list[str]:
    """Say that fits use different rows, and what each assumes of missing ones."""
    notes = []
    if not all(same_rows(fits[0], fit) for fit in fits[1:]):
        counts = ", ".join(f"{column.label} {column.n_rows}" for column in columns)
        notes.append(f"The fits use different rows ({counts}), which alone may make them differ.")
    missing = max(fit.dropped.n_missing for fit in fits)
    if missing:
        words = [missing_words(fits, columns, mixed) for mixed in (False, True)]
        notes.append(
            f"Up to {missing} rows were left out for missing values: {'; '.join(filter(None, words))}."
        )
    return notes


def missing_words(fits: Sequence[AnyFit], columns: Sequence[Column], mixed: bool) -> str:
    """What the fits with random effects, or those without, assume of missing responses."""
    who = [column.label for column, fit in zip(columns, fits, strict=True) if bool(fit.design.terms) is mixed]
    return f"{and_listed(who)} {MISSING_WORDS[mixed]}" if who else ""
