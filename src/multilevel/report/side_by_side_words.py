"""Sentences that explain why fits differ, or that they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.clusters.attenuation import UNFLATTENED, attenuation
from multilevel.clusters.side_by_side import CONSTANT_ICC, Explained
from multilevel.report.side_by_side import Column, all_terms, se_ratios, span, values
from multilevel.report.wording import number

AGREE = 0.01  # standard errors apart: estimates that differ by less agree in what anyone would print
FAR = 0.5  # standard errors apart: estimates of one coefficient from the same rows are rarely so far apart
NOTABLE = 1.15  # times the standard error that is due: something else than a common correlation is at work
NOTICED = 0.005  # share of a variance from which it shows in printed ratios
NOTABLE_ROWS = 0.05  # by how much rows must vary otherwise than a family says to be spoken of
HALF = 0.5  # intraclass correlation of a predictor from which it varies mostly between groups
UNALIKE = 0.02  # intraclass correlation below which rows of one group are hardly alike
INTERCEPT = "Intercept"


@dataclass(frozen=True, slots=True)
class Random:
    """What a sentence needs to know of one fit's random effects."""

    slopes: tuple[str, ...]  # columns that have random slopes
    variance: float  # mean variance that random effects add to the linear predictor; 0 without


def and_listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a", "a and b", "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


# ---- standard errors ----


def standard_error_sentences(
    columns: Sequence[Column], explained: Sequence[Explained], random: Sequence[Random]
) -> list[str]:
    """One sentence for each thing that clusters do to standard errors, and what they do not explain."""
    own = columns[0].table.term
    sentences = []
    for each in explained:
        names = [own[k] for k in each.terms]
        ratios = comparable_ratios(columns, names)
        found = "; ".join(
            f"{column.label} {span(row)}"
            for column, row in zip(columns[1:], ratios, strict=True)
            if np.isfinite(row).all()
        )
        said = Said(names, columns[0].label, found, row_variance(each, columns[0]))
        sentences.append(cluster_sentence(each, said))
        sentences += beyond_sentences(each, names, columns[1:], ratios, random[1:])
    return [*sentences, *(share_sentence(explained[0], columns[0]) if explained else [])]


def comparable_ratios(columns: Sequence[Column], names: Sequence[str]) -> Array:
    """Ratios (fits - 1, k) to the first fit's standard errors; NaN for fits with slopes on another scale."""
    ratios = se_ratios(columns, names)[1:]
    first = columns[0]
    same = [c.estimand == first.estimand or first.link in UNFLATTENED for c in columns[1:]]
    return np.where(np.array(same)[:, None], ratios, np.nan)


@dataclass(frozen=True, slots=True)
class Said:
    """Words for some coefficients of a naive fit."""

    names: Sequence[str]
    naive: str  # what the fit is called
    found: str  # ratios of the other fits: "lmm 2.80; gee 2.75"
    rows: float  # variance of a row over what its family says; 1 where the naive fit estimates it

    @property
    def ratios(self) -> str:
        """What the fits that can be compared give."""
        return f"Ratios found: {self.found}." if self.found else "No other fit is on the same scale."

    @property
    def terms(self) -> str:
        """The coefficients: "x and z"."""
        return and_listed(self.names)

    @property
    def rows_vary(self) -> bool:
        """Whether rows vary otherwise than their family says, so that it shows in ratios."""
        return bool(abs(1.0 - self.rows) > NOTABLE_ROWS)

    def verb(self, one: str, several: str) -> str:
        """The form of a verb or pronoun that goes with them."""
        return one if len(self.names) == 1 else several


def cluster_sentence(each: Explained, said: Said) -> str:
    """What a common correlation within groups does to the standard errors of some coefficients."""
    inflation, group = each.of.inflation, each.of.group
    if np.isnan(inflation.icc):
        return f"Too little is left between or within {group} to say how alike errors are there."
    if each.effect == "larger":
        return f"{too_small(each, said)} {due_words(each, said)}"
    if each.effect == "smaller" and inflation.icc < 0.0:
        return (
            f"{said.terms}: errors of one {group} are less alike than those of different ones (ICC "
            f"{inflation.icc:.2f}), and the predictor more (ICC_x {icc_x_words(each)}), so that they cancel: "
            f"{due_words(each, said)}"
        )
    if each.effect == "smaller":
        return (
            f"{said.terms} {said.verb('varies', 'vary')} within {group} (ICC_x {icc_x_words(each)}), so "
            "that each "
            f"{group} is compared with itself and what makes one differ from another (ICC "
            f"{inflation.icc:.2f}) "
            f"cancels. {said.naive} counts it as noise"
            f"{'' if said.rows_vary else ', and its standard error is too large'}: {due_words(each, said)}"
        )
    if abs(inflation.icc) < UNALIKE:
        return (
            f"Errors of one {group} are hardly alike (ICC {inflation.icc:.2f}), so it matters little to the "
            f"standard error of {said.terms} whether a fit knows of {group}"
            f"{f': {due_words(each, said)}' if said.rows_vary else f'. {said.ratios}'}"
        )
    return (
        f"{said.terms}: errors of one {group} are alike (ICC {inflation.icc:.2f}), but the predictor too "
        "little "
        f"(ICC_x {icc_x_words(each)}) for that to matter much: {due_words(each, said)}"
    )


def too_small(each: Explained, said: Said) -> str:
    """Why a naive standard error is too small."""
    icc, group = each.of.inflation.icc, each.of.group
    verdict = "" if said.rows_vary else ", and its standard error is too small"
    if icc < 0.0:
        return (
            f"{said.terms}: errors of one {group} are less alike than those of different ones (ICC "
            f"{icc:.2f}); "
            f"{said.naive} takes rows for independent{verdict}:"
        )
    return (
        f"{said.terms} {where_words(each, said)}, and errors of one {group} are alike (ICC {icc:.2f}), so "
        f"that its rows repeat each other. {said.naive} takes them for independent{verdict}:"
    )


def where_words(each: Explained, said: Said) -> str:
    """Where predictors vary that have something in common within groups."""
    if each.constant:
        return f"{said.verb('is', 'are')} constant within {each.of.group}"
    least = float(each.over_terms(each.of.inflation.icc_x).min())
    varies, icc_x = said.verb("varies", "vary"), f"(ICC_x {icc_x_words(each)})"
    if least >= CONSTANT_ICC:
        return f"{varies} almost only between groups of {each.of.group} {icc_x}"
    if least >= HALF:
        return f"{varies} more between groups of {each.of.group} than within them {icc_x}"
    return f"{varies} within groups of {each.of.group}, and somewhat between them {icc_x}"


def icc_x_words(each: Explained) -> str:
    """How alike predictors are within groups."""
    return span(each.over_terms(each.of.inflation.icc_x))


def due_words(each: Explained, said: Said) -> str:
    """The design effect, the standard error that is due, and those found."""
    inflation = each.of.inflation
    deff, due = each.over_terms(inflation.deff), span(each.over_terms(inflation.se_ratio))
    effect = f"the design effect 1 + (m - 1) ICC ICC_x is {span(deff)}"
    if said.rows_vary:
        alone = span(np.sqrt(np.where(deff >= 0.0, deff, np.nan)))
        return (
            f"{effect}, which alone makes the standard error {alone} times that of {said.naive}; but "
            f"{said.naive} takes the variance of a row for what its family says, and rows vary "
            f"{said.rows:.2f} times as much, so that the standard error due is {due} times that of "
            f"{said.naive}. {said.ratios}"
        )
    return f"{effect}, and the standard error due {due} times that of {said.naive}. {said.ratios}"


def row_variance(each: Explained, naive: Column) -> float:
    """How much rows vary, in units of what the naive fit takes for known; 1 where it estimates that."""
    return 1.0 if naive.link == "identity" else 1.0 / each.of.inflation.naive_share


def share_sentence(each: Explained, naive: Column) -> list[str]:
    """Why the ratio due is not quite the root of the design effect, where rows' variance is estimated."""
    share = each.of.inflation.naive_share
    if naive.link != "identity" or not abs(1.0 - share) > NOTICED:
        return []
    return [
        "The ratio due is not quite the root of the design effect: since errors are alike, the residual "
        f"variance of {naive.label} is {100.0 * abs(1.0 - share):.1f}% too "
        f"{'small' if share < 1.0 else 'large'} as well."
    ]


def beyond_sentences(
    each: Explained, names: Sequence[str], columns: Sequence[Column], ratios: Array, random: Sequence[Random]
) -> list[str]:
    """What a common correlation does not explain: random slopes, robust variances, efficient weighing."""
    due = each.over_terms(each.of.inflation.se_ratio)
    sentences = []
    for column, row, effects in zip(columns, ratios, random, strict=True):
        with np.errstate(invalid="ignore"):
            excess = row / due
        sloped = [
            name
            for name, over in zip(names, excess, strict=True)
            if name in effects.slopes and over > NOTABLE
        ]
        others = [
            name
            for name, over in zip(names, excess, strict=True)
            if name not in effects.slopes and over > NOTABLE
        ]
        if sloped:
            verb = "lets the slope" if len(sloped) == 1 else "lets the slopes"
            sentences.append(
                f"{column.label} {verb} of {and_listed(sloped)} differ between groups of {each.of.group}. "
                "One common "
                "correlation knows nothing of that; an average of slopes that differ is known less well, "
                "so the "
                "larger standard error is right if they do."
            )
        if others and INTERCEPT not in others:
            sentences.append(
                f"The standard error of {and_listed(others)} by {column.label} is larger than a common "
                "correlation "
                f"explains: effects may differ between groups of {each.of.group} (try random slopes), or "
                "variances."
            )
    return list(dict.fromkeys(sentences))


# ---- estimates ----


def estimate_sentences(columns: Sequence[Column], random: Sequence[Random]) -> list[str]:
    """Do the estimates agree, where they should, and are they as far apart as they must be, where not?"""
    sentences = []
    linear = [column for column in columns if column.link == "identity"]
    if len(linear) > 1:
        sentences.append(linear_sentence(linear))
    for number_, column in enumerate(columns):
        if column.estimand == "subject-specific":
            partners = [c for c in columns if c.link == column.link and c.estimand == "population-averaged"]
            sentences += [flattened_sentence(column, random[number_], partners)] if partners else []
    links = list(dict.fromkeys(column.link for column in columns))
    if len(links) > 1:
        sentences.append(
            f"Links differ ({', '.join(links)}): coefficients are on different scales, and ratios are given "
            f"for fits with the link of {columns[0].label} alone."
        )
    return sentences


def linear_sentence(columns: Sequence[Column]) -> str:
    """Linear fits estimate the same coefficients: how far apart are they?"""
    first, *others = columns
    terms = [term for term in first.table.term if all(term in other.table.term for other in others)]
    if not terms:
        return "The fits have no coefficient in common."
    start = values(first, terms, "estimate")
    apart = np.array(
        [np.abs(values(c, terms, "estimate") - start) / values(c, terms, "std_error") for c in others]
    )
    fit, place = np.unravel_index(int(np.nanargmax(apart)), apart.shape)
    largest, term, other = float(apart[fit, place]), terms[int(place)], others[int(fit)]
    if largest <= AGREE:
        return (
            "The estimates agree: with an identity link a coefficient is the same for a single group and on "
            "average, and here every fit weighs the rows alike."
        )
    between = (
        f"{term} {number(start[int(place)])} by {first.label} and "
        f"{number(values(other, [term], 'estimate')[0])} by {other.label}"
    )
    if largest <= FAR:
        return (
            "With an identity link all fits estimate the same coefficients and only weigh rows differently: "
            f"estimates are at most {number(largest)} standard errors apart ({between})."
        )
    return (
        f"Estimates are up to {number(largest)} standard errors apart ({between}). If the model holds, "
        "linear fits "
        "estimate the same coefficients, so look for what it leaves out: an effect within groups that "
        "differs "
        "from the one between them (ml.decompose_effect), or rows that are missing because of the response."
    )


def flattened_sentence(column: Column, effects: Random, partners: Sequence[Column]) -> str:
    """How far averaging over random effects takes coefficients to zero, and whether the other fits show "
    "it."""
    by = and_listed([partner.label for partner in partners])
    intro = (
        f"{column.label} tells what changes for a single group (subject-specific), {by} what changes on "
        "average "
        "over all (population-averaged)"
    )
    expected = attenuation(column.link, effects.variance)
    if expected is None:
        return f"{intro}; with the {column.link} link the two differ, and neither is wrong."
    found = "; ".join(f"{partner.label} {shrunken(column, partner)}" for partner in partners)
    if column.link == "log":
        return (
            f"{intro}. With the log link slopes mean the same; the intercepts differ by half the variance "
            "of the "
            f"random effects ({number(0.5 * effects.variance)}). Found, as ratios of slopes: {found}."
        )
    formula = (
        "1 / sqrt(1 + c^2 v), c = 16 sqrt(3) / (15 pi)," if column.link == "logit" else "1 / sqrt(1 + v)"
    )
    return (
        f"{intro}. Averaging flattens the {column.link} curve: with random effects of variance "
        f"v = {number(effects.variance)}, average coefficients are about {formula} = {expected:.2f} times "
        "as large. "
        f"Found: {found}. Standard errors of {column.label} are on its larger scale, too, so that its "
        "ratios say nothing of precision. Neither is wrong; they answer different questions."
    )


def shrunken(column: Column, partner: Column) -> str:
    """Ratios of the slopes that two fits share, those that are told from zero."""
    terms = [t for t in all_terms([column]) if t in partner.table.term and t != INTERCEPT]
    mine, theirs = values(column, terms, "estimate"), values(partner, terms, "estimate")
    clear = np.abs(mine) > values(column, terms, "std_error")
    return span(theirs[clear] / mine[clear]) if clear.any() else "no slope is clear of zero"
