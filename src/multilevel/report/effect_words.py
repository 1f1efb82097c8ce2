"""A decomposition of effects read out: what the slopes compare, and where they must not be confused."""

from __future__ import annotations

import math

from multilevel.clusters.effect_numbers import EffectNumbers, Slope
from multilevel.report.numbers import format_p

MOST_READ = 2  # predictors that are read out; the others are read alike
UNLIKELY = 0.05  # p-value below which slopes are said to differ
APART = (
    "Mundlak's and Hausman's tests differ. Hausman's takes variances from the model with one slope, where a "
    "contextual effect swells the variance between groups, and its chi-square does not know how few groups "
    "there are; trust Mundlak's."
)


def effect_words(numbers: EffectNumbers, response: str) -> list[str]:
    """Sentences about the first predictors, and about Hausman's test."""
    found = numbers.found
    names = found.chosen(found.both)
    words = [line for name in names[:MOST_READ] for line in predictor_words(numbers, name, response)]
    if len(names) > MOST_READ:
        words.append(f"Read the slopes of {', '.join(names[MOST_READ:])} alike.")
    return [*words, *hausman_words(numbers)]


def predictor_words(numbers: EffectNumbers, name: str, response: str) -> list[str]:
    """What the slopes of one predictor compare, and what stands out."""
    total, within, between, contextual = (
        slope_of(numbers, name, effect) for effect in ("total", "within", "between", "contextual")
    )
    groups = numbers.found.groups
    alike = " alike in the other predictors" if len(numbers.found.names) > 1 else ""
    same = f"the same {name}{' and' if alike else ''}{alike}"
    return [
        f"Within: of two rows of one {groups}{alike}, the one higher by 1 in {name} is on average "
        f"{higher(within)} in {response}{limits(within, numbers.level)}.",
        f"Between: of two groups of {groups}{alike}, the one whose mean {name} is higher by 1 is on average "
        f"{higher(between)} in mean {response}{limits(between, numbers.level)}.",
        f"Contextual: of two rows with {same}, the one in a {groups} whose mean {name} is higher by 1 is on "
        f"average {higher(contextual)} in "
        f"{response}{limits(contextual, numbers.level)}. {difference_words(contextual)}",
        *blend_words(numbers, name, total),
        *sign_words(name, groups, total, within, between),
        *reliability_words(numbers, name),
    ]


def higher(slope: Slope) -> str:
    """A slope as a comparison of two."""
    return f"{figure(abs(slope.estimate))} {'higher' if slope.estimate >= 0.0 else 'lower'}"


def difference_words(contextual: Slope) -> str:
    """Whether the slopes are told apart."""
    if contextual.p_value < UNLIKELY:
        return f"The two slopes differ ({p_words(contextual.p_value)}): one slope for both describes neither."
    return (
        f"That the two slopes are one is not ruled out ({p_words(contextual.p_value)}), which does not show "
        "that they are: the limits say how far apart they may be."
    )


def blend_words(numbers: EffectNumbers, name: str, total: Slope) -> list[str]:
    """A total slope as the mix that it is, where it is one exactly."""
    if len(numbers.found.names) > 1:
        return []
    others = numbers.others
    within, between = (
        float(others.tests.estimate[others.estimator.index(estimator)])
        for estimator in ("fixed effects", "group means, by size")
    )
    share = float(numbers.found.split.share_between[0])
    return [
        f"Total: {100.0 * share:.1f}% of the sum of squares of {name} lies between groups, and the slope "
        f"over all rows is the mix {1.0 - share:.3f} x {figure(within)} (within) + {share:.3f} x "
        f"{figure(between)} (between, by size) = {figure(total.estimate)}."
    ]


def sign_words(name: str, groups: str, total: Slope, within: Slope, between: Slope) -> list[str]:
    """The ecological fallacy, where it can be committed."""
    if within.estimate * between.estimate >= 0.0:
        return []
    doubt = "" if within.clear and between.clear else ", though not both limits leave out 0"
    words = [
        f"OPPOSITE SIGNS: the slope of {name} is {sign(within)} within groups of {groups} and "
        f"{sign(between)} between them{doubt}. To read the slope between groups as one between their members "
        "is the ecological fallacy (Robinson 1950); the reverse is as wrong."
    ]
    if total.estimate * within.estimate < 0.0:
        words.append(
            f"The slope over all rows is {sign(total)}, against the slope within groups (Simpson's paradox)."
        )
    return words


def reliability_words(numbers: EffectNumbers, name: str) -> list[str]:
    """What noise in group means does to the slope on them."""
    found, about = numbers.found, numbers.reliability
    k = found.chosen(found.both).index(name)
    value, contextual = float(about.reliability[k]), float(about.contextual[k])
    if value <= 0.0:
        return [
            f"Group means of {name} differ no more than means of {about.group_size:.3g} rows drawn at random "
            "would, so the slopes between groups and the contextual effect say little."
        ]
    head = f"Group means of {name} have reliability {value:.3f} (groups of {about.group_size:.3g})"
    if math.isnan(contextual):
        return [f"{head}; together with the other predictors too little to correct slopes for it."]
    between = slope_of(numbers, name, "within").estimate + contextual
    return [
        f"{head}. If rows are a sample of their group, that noise draws the slope between groups to the one "
        f"within; without it the contextual effect would be about {figure(contextual)} and the slope between "
        f"{figure(between)}. If the rows are the whole group, leave both as they are."
    ]


def hausman_words(numbers: EffectNumbers) -> list[str]:
    """Why Hausman's test does not exist, or that it contradicts Mundlak's."""
    if numbers.hausman.exists:
        apart = (numbers.hausman.p_value < UNLIKELY) != (numbers.mundlak[-1][1].p_value < UNLIKELY)
        return [APART] if apart else []
    return [
        "Hausman's test does not exist here: what should be the variance of the difference between fixed and "
        "random effects is not positive definite. Mundlak's test asks the same and does not need it."
    ]


def error_words(numbers: EffectNumbers) -> list[str]:
    """What standard errors are by."""
    total, mixed = numbers.methods
    return [
        f"Standard errors: of total slopes {total_words(total, numbers)}; of the others {mixed_words(mixed)}."
    ]


def total_words(method: str, numbers: EffectNumbers) -> str:
    """How the pooled regression finds them."""
    if method == "model":
        return "by least squares, as if there were no groups"
    return f"{method}, clustered by {numbers.found.groups}"


def mixed_words(method: str) -> str:
    """How the mixed model finds them."""
    if method.startswith("CR"):
        return f"{method}, with the mixed model as working model"
    known = {"normal": "the normal distribution", "Satterthwaite": "df by Satterthwaite"}
    return f"by the mixed model ({known.get(method, f'df: {method}')})"


def slope_of(numbers: EffectNumbers, name: str, effect: str) -> Slope:
    """One slope of a predictor that has it."""
    slope = numbers.slopes.row(name, effect)
    assert slope is not None
    return slope


def limits(slope: Slope, level: float) -> str:
    """Confidence limits in parentheses."""
    return f" ({100.0 * level:g}% limits {figure(slope.low)} to {figure(slope.high)})"


def sign(slope: Slope) -> str:
    """Which way a slope goes."""
    return "positive" if slope.estimate > 0.0 else "negative"


def figure(value: float) -> str:
    """A number of four digits."""
    return f"{value:.4g}"


def p_words(value: float) -> str:
    """A p-value with its letter."""
    text = format_p([value])[0]
    return f"p {text}" if text.startswith("<") else f"p = {text}"
