"""A course in mixed models, worked from first principles. Run it with `make course`.

Chapter 1: the sleep study, repeated measurements of the same people.
Chapter 2: schools in five communities, and how estimates of clusters are shrunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent, indent

import numpy as np
import pandas as pd

import multilevel as ml
from multilevel.results.lmm import LMMFit


def say(text: str) -> None:
    print(dedent(text).strip("\n"))


def show(table: pd.DataFrame, decimals: int) -> None:
    print(indent(table.round(decimals).to_string(index=False), "  "))


def title(text: str) -> None:
    print(f"\n\n{text}\n{'=' * len(text)}")


def section(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


# Chapter 1: the sleep study ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SleepModels:
    """One model for each question of the first chapter."""

    empty: LMMFit
    intercept: LMMFit
    slope: LMMFit
    by_day: LMMFit


def fit_sleep_models(sleep: pd.DataFrame) -> SleepModels:
    return SleepModels(
        empty=ml.lmm("Reaction ~ 1 + (1 | Subject)", sleep),
        intercept=ml.lmm("Reaction ~ Days + (1 | Subject)", sleep),
        slope=ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleep),
        by_day=ml.lmm("Reaction ~ factor(Days) + (1 | Subject)", sleep),
    )


def variances(fit: LMMFit) -> dict[str, float]:
    """Variances of a model with one grouping factor, by name, the residual's last."""
    term = fit.record.terms[0]
    return {**dict(zip(term.names, term.sd**2, strict=True)), "residual": fit.sigma**2}


def share_between(fit: LMMFit) -> float:
    """Intraclass correlation of a random-intercept model."""
    between, within = variances(fit).values()
    return between / (between + within)


def teach_empty_model(fit: LMMFit) -> None:
    section("1.1  No predictor: two sources of variance")
    between, within = variances(fit).values()
    say(f"""
        Reaction times differ between people, and within a person from day to day.
          between people   {between:7.0f}
          within people    {within:7.0f}     (REML criterion {fit.criterion:.1f})
          ICC = {between:.0f} / ({between:.0f} + {within:.0f}) = {share_between(fit):.3f}
        Two measurements of one person correlate this much: they are not two independent facts.
    """)


def teach_random_intercept(empty: LMMFit, fit: LMMFit) -> None:
    section("1.2  Everybody slows down alike: a random intercept")
    before = variances(empty)["residual"]
    between, within = variances(fit).values()
    say(f"""
        Each day short of sleep costs {fit.fixef[1]:.2f} ms (SE {fit.se[1]:.2f}).
          between people   {between:7.1f}
          within people    {within:7.1f}     (REML criterion {fit.criterion:.1f})
        The days explain variance within people ({before:.0f} before). The variance between
        people grows: the empty model took for noise in their means what the days explain.
    """)


def teach_random_slope(fit: LMMFit) -> None:
    section("1.3  Everybody slows down at their own rate: a random slope")
    intercepts, slopes, within = variances(fit).values()
    correlation = fit.record.terms[0].correlation[1, 0]
    say(f"""
          starting points  {intercepts:8.2f}
          rates            {slopes:8.2f}    correlation with the starting points {correlation:.2f}
          within people    {within:8.2f}    (REML criterion {fit.criterion:.1f})
        The average rate is still {fit.fixef[1]:.2f} ms a day, but its standard error is now {fit.se[1]:.2f}:
        what we know of the average rate is limited by how few people we saw, not by how few days.
        Nineteen people in twenty would start, and slow down, somewhere between:
    """)
    show(fit.plausible_ranges(), 1)


def teach_comparison(intercept: LMMFit, slope: LMMFit) -> None:
    section("1.4  Do the rates really differ?")
    say("Both models fitted by maximum likelihood, so that their likelihoods compare:")
    print(ml.compare(intercept, slope))


def teach_days_as_categories(fit: LMMFit) -> None:
    section("1.5  Was a straight line fair?")
    say("The mean of day 0, and the difference of each later day from it:")
    for name, estimate in zip(fit.coef_names, fit.fixef, strict=True):
        print(f"  {name:<20} {estimate:7.2f}")


def chapter_one() -> None:
    title("Chapter 1  The sleep study: 18 people, 10 days, 180 reaction times (ms)")
    models = fit_sleep_models(ml.datasets.sleepstudy())
    teach_empty_model(models.empty)
    teach_random_intercept(models.empty, models.intercept)
    teach_random_slope(models.slope)
    teach_comparison(models.intercept, models.slope)
    teach_days_as_categories(models.by_day)


# Chapter 2: five communities ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ByHand:
    """The analysis of variance of equally large groups, written out."""

    means: pd.Series  # mean score of each community
    within: float  # mean square within communities
    naive_within: float  # the same sum of squares divided by N - 1: too small
    between: float  # variance between communities, by equating mean squares to their expectations


def by_hand(schools: pd.DataFrame) -> ByHand:
    groups = schools.groupby("community", observed=True)["risk_score"]
    means, size = groups.mean(), groups.size().iloc[0]
    squares = ((schools["risk_score"] - groups.transform("mean")) ** 2).sum()
    within = squares / (len(schools) - len(means))
    return ByHand(means, within, squares / (len(schools) - 1), np.var(means, ddof=1) - within / size)


def fit_communities(schools: pd.DataFrame) -> LMMFit:
    return ml.lmm("risk_score ~ 1 + (1 | community)", schools)


def teach_by_hand(hand: ByHand) -> None:
    section("2.1  The variances by hand")
    for community, mean in hand.means.items():
        print(f"  {community}   mean {mean:5.1f}")
    say(f"""
        Variance within communities: the squares around these means, divided by N - 5 = 15:  {hand.within:.2f}
          (divided by N - 1 = 19 they would give {hand.naive_within:.2f}: naive: five means were estimated)
        Variance between communities: that of the means, less what sampling schools adds:  {hand.between:.2f}
    """)


def teach_model(fit: LMMFit) -> None:
    section("2.2  The same by REML")
    between, within = variances(fit).values()
    say(f"""
        With equally many schools in each community the model agrees with the hand:
          between communities  {between:6.2f}
          within communities   {within:6.2f}    (REML criterion {fit.criterion:.1f})
          ICC = {share_between(fit):.3f}
    """)


def teach_shrinkage(fit: LMMFit) -> None:
    section("2.3  What the model believes of each community")
    say("A raw deviation is part truth, part luck. The model keeps the part that is reliable:")
    show(fit.ranef()[["level", "raw_deviation", "reliability", "estimate"]], 2)


def chapter_two() -> None:
    title("Chapter 2  Risk scores of four schools in each of five communities")
    schools = ml.datasets.course_prevention()
    fit = fit_communities(schools)
    teach_by_hand(by_hand(schools))
    teach_model(fit)
    teach_shrinkage(fit)


if __name__ == "__main__":
    chapter_one()
    chapter_two()
