"""A course in mixed models, worked from first principles. Run it with `make course`.

Chapter 1: the sleep study, repeated measurements of the same people.
Chapter 2: schools in five communities, and how estimates of clusters are shrunk.
Chapter 3: how clustered data are, and what that costs, before any model.
Chapter 4: the same question put to several models, and why their answers differ.
Chapter 5: before there are data: false alarms, and how many schools a trial needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent, indent

import numpy as np
import pandas as pd

import multilevel as ml
from multilevel.results.effect_of_design import DesignEffects
from multilevel.results.icc_of_data import Likeness
from multilevel.results.lmm import LMMFit
from multilevel.results.power import Power
from multilevel.results.side_by_side import SideBySide
from multilevel.results.type1 import Type1


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


def teach_by_hand(schools: pd.DataFrame, hand: ByHand) -> None:
    section("2.1  The variances by hand")
    print(ml.cluster_summary(schools, "risk_score", groups="community"))
    print()
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
    teach_by_hand(schools, by_hand(schools))
    teach_model(fit)
    teach_shrinkage(fit)


# Chapter 3: how clustered are data? --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HowClustered:
    """What is asked of each table in the third chapter."""

    halves: float  # correlation of the first with the second half of independent scores
    pupils: Likeness  # 20 schools of ten, true ICC 25 / (25 + 9)
    communities: Likeness
    planned: DesignEffects  # ten schools of 30, ICC 0.25
    trial: DesignEffects  # the same in simulated data
    sleep: DesignEffects


def correlation_of_halves(people: pd.DataFrame) -> float:
    first, second = np.split(people["depression"].to_numpy(), 2)
    return float(np.corrcoef(first, second)[0, 1])


def ask_how_clustered() -> HowClustered:
    trial = ml.datasets.course_demo_10x30()
    return HowClustered(
        halves=correlation_of_halves(ml.datasets.course_independent()),
        pupils=ml.icc(ml.datasets.course_clustered_20x10(), "score", groups="school"),
        communities=ml.icc(ml.datasets.course_prevention(), "risk_score", groups="community"),
        planned=ml.design_effect(m=30, icc=0.25, n_groups=10),
        trial=ml.design_effect(trial, "y", groups="school", x="treatment"),
        sleep=ml.design_effect(ml.datasets.sleepstudy(), "Reaction", groups="Subject", x="Days"),
    )


def icc(between: float, within: float) -> float:
    """Share of the variance that lies between clusters."""
    return between / (between + within)


def teach_independence(halves: float) -> None:
    section("3.1  What independent scores look like")
    say(f"""
        100 depression scores of people who have nothing to do with each other. Pair the first 50 with
        the last 50: the pairs correlate {halves:.4f}, by chance alone. With 50 pairs a correlation has a
        standard error of about 1 / sqrt(50) = {1 / np.sqrt(50):.2f}, and this one is within two of them.
    """)


def teach_icc(pupils: Likeness) -> None:
    section("3.2  What the intraclass correlation is")
    say(f"""
        Neighbourhoods whose means vary by 28, and people within them by 52:
          ICC = 28 / (28 + 52) = {icc(28, 52):.2f}
        Schools simulated with a variance of 25, and pupils within them of 9:
          ICC = 25 / (25 + 9)  = {icc(25, 9):.3f}; in 20 schools of ten we estimate {pupils["icc"][0]:.3f}
        It is both a share of variance and the correlation of two members of one cluster.
    """)


def teach_anova(communities: Likeness) -> None:
    section("3.3  Five communities: the analysis of variance, and the ICC")
    show(communities.group_means, 2)
    print()
    print(communities.anova)
    print()
    print(communities)


def teach_decomposition(communities: Likeness) -> None:
    section("3.4  Every score taken apart")
    hand = communities.by_hand()
    show(hand.rows.head(5), 1)
    print()
    print(hand)


def teach_design_effect(asked: HowClustered) -> None:
    section("3.5  What clusters cost")
    print(asked.planned)
    print()
    say("""
        In the simulated trial the ICC has to be estimated, and the same question has this answer:
    """)
    show(asked.trial.frame, 3)
    print()
    say(f"""
        The sleep study has it the other way round. Everybody was measured on all ten days, so that people
        differ in Reaction and not in Days: each is their own control, and the naive standard error of
        Days is too large. It is to be multiplied by {asked.sleep["se_ratio"][1]:.2f}.
    """)
    show(asked.sleep.frame, 3)


def chapter_three() -> None:
    title("Chapter 3  How clustered are data, and what does it cost?")
    asked = ask_how_clustered()
    teach_independence(asked.halves)
    teach_icc(asked.pupils)
    teach_anova(asked.communities)
    teach_decomposition(asked.communities)
    teach_design_effect(asked)


# Chapter 4: several models, one question ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SideBySides:
    """Two questions, each put to several models."""

    treatment: SideBySide  # ten schools of 30 pupils, whole schools treated, no effect
    days: SideBySide  # the sleep study


def put_side_by_side(sleep: pd.DataFrame) -> SideBySides:
    pupils = ml.datasets.course_demo_10x30()
    return SideBySides(
        treatment=ml.sidebyside(
            ml.ols("y ~ treatment", pupils), ml.lmm("y ~ treatment + (1 | school)", pupils)
        ),
        days=ml.sidebyside(
            ml.ols("Reaction ~ Days", sleep),
            ml.lmm("Reaction ~ Days + (1 | Subject)", sleep),
            ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleep),
            names=["ols", "intercepts", "slopes"],
        ),
    )


def teach_side_by_side(both: SideBySides) -> None:
    section("4.1  Ten schools, a treatment without effect, and a p-value of 0.005")
    print(both.treatment)
    print()
    say("""
        Ten schools were drawn and treated, not 300 pupils. Planned with an ICC of 0.25 the ratio would be
        sqrt(8.25) = 2.87; in these data it is 2.80. The mixed model has 8 degrees of freedom, and no effect.
    """)
    section("4.2  The sleep study: two standard errors that are wrong, and one that knows of slopes")
    print(both.days)


def chapter_four() -> None:
    title("Chapter 4  Several models, one question")
    teach_side_by_side(put_side_by_side(ml.datasets.sleepstudy()))


# Chapter 5: before there are data ------------------------------------------------------------------------

TEN_SCHOOLS = ml.Plan(school=10, pupil=30).assign("treatment", at="school")
TRIAL = "y ~ treatment + (1 | school)"


def repeat_without_effect() -> Type1:
    return ml.type1(TRIAL, TEN_SCHOOLS, test="treatment", icc=0.25, seed=2026)


def find_number_of_schools() -> Power:
    true = {"test": "treatment", "fixef": {"treatment": 0.5}, "icc": 0.25}
    return ml.power(TRIAL, TEN_SCHOOLS, find="school", n=None, **true)


def chapter_five() -> None:
    title("Chapter 5  Before there are data")
    section("5.1  The trial of chapter 4 a thousand times, without effect")
    print(repeat_without_effect())
    section("5.2  How many schools does it take?")
    print(find_number_of_schools())


if __name__ == "__main__":
    chapter_one()
    chapter_two()
    chapter_three()
    chapter_four()
    chapter_five()
