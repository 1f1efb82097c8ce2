"""From what a user writes, `family="poisson"`, to a family."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from multilevel.errors import DataError, DataTypeError
from multilevel.families.continuous import Gamma, Gaussian, InverseGaussian, StudentT, Tweedie
from multilevel.families.counts import (
    NegativeBinomial,
    NegativeBinomial1,
    Poisson,
    TruncatedNegativeBinomial,
    TruncatedNegativeBinomial1,
    TruncatedPoisson,
)
from multilevel.families.family import Family
from multilevel.families.links import Link
from multilevel.families.ordinal import Ordinal
from multilevel.families.proportions import Beta, BetaBinomial, Binomial

Maker = Callable[..., Family]

FAMILIES: dict[str, Maker] = {
    "gaussian": Gaussian,
    "binomial": Binomial,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "nbinom1": NegativeBinomial1,
    "gamma": Gamma,
    "inverse_gaussian": InverseGaussian,
    "beta": Beta,
    "beta_binomial": BetaBinomial,
    "tweedie": Tweedie,
    "student": StudentT,
    "ordinal": Ordinal,
    "truncated_poisson": TruncatedPoisson,
    "truncated_nbinom2": TruncatedNegativeBinomial,
    "truncated_nbinom1": TruncatedNegativeBinomial1,
}
ALSO = {  # other names in use, without case, spaces, hyphens and dots
    "normal": "gaussian",
    "bernoulli": "binomial",
    "logistic": "binomial",
    "nb": "negative_binomial",
    "negbin": "negative_binomial",
    "negbinomial": "negative_binomial",
    "nb2": "negative_binomial",
    "nbinom": "negative_binomial",
    "nbinom2": "negative_binomial",
    "negativebinomial": "negative_binomial",
    "nb1": "nbinom1",
    "negativebinomial1": "nbinom1",
    "inversegaussian": "inverse_gaussian",
    "betabinomial": "beta_binomial",
    "t": "student",
    "studentt": "student",
    "cumulative": "ordinal",
    "truncatedpoisson": "truncated_poisson",
    "truncatednbinom2": "truncated_nbinom2",
    "truncatednbinom1": "truncated_nbinom1",
}
ELSEWHERE = {  # beginnings of names that other packages have, and the way here
    ("quasipoisson",): (
        "A variance in proportion to the mean is family='nbinom1', or keep 'poisson' with vcov='HC3' or "
        "cluster=..., whose standard errors allow for any variance"
    ),
    ("quasibinomial",): (
        "Shares that vary too much are family='beta_binomial', or keep 'binomial' with vcov='HC3' or "
        "cluster=..., whose standard errors allow for any variance"
    ),
    ("quasi",): "Keep the family with vcov='HC3' or cluster=..., or use ml.gee, which estimates a scale",
    ("zip", "zinb", "zinegbin", "zeroinfl", "zipoisson"): (
        "An excess of zeros is a part of its own, ml.glmm(..., family='poisson', zi='~ 1')"
    ),
    ("hurdle",): "A hurdle is ml.glmm(..., family='truncated_poisson', zi='~ 1')",
    ("multinom", "categorical", "nominal"): (
        "There is none for categories without an order; compare two at a time with 'binomial', or put them "
        "in order for 'ordinal'"
    ),
    ("lognormal",): "Model log(y) with 'gaussian', or use 'gamma' with link='log'",
    ("cox", "weibull", "exponential", "survival"): (
        "Survival times are not served; counts of events with offset(log(time)) and 'poisson' often serve"
    ),
}


def as_family(family: object, link: str | Link | None = None) -> Family:
    """The family named, with the link named; a Family passes through, with another link if one is named.

    >>> as_family("Poisson").link.name, as_family("binomial", "cloglog").link.name
    ('log', 'cloglog')
    """
    if isinstance(family, Family):
        if link is not None and link not in (family.link, family.link.name):
            raise DataError(
                f"The family has the link '{family.link.name}', and link={link!r} was given too; "
                "give one of them."
            )
        return family
    if not isinstance(family, str):
        raise DataTypeError(
            f"family={family!r} is no family; write family='binomial' or family=ml.families.Binomial()."
        )
    plain = "".join(character for character in family.lower() if character not in " -._")
    name = ALSO.get(plain, family.lower())
    if name not in FAMILIES:
        raise DataError(
            f"There is no family '{family}'.{hint(plain)} The families are {', '.join(FAMILIES)}."
        )
    return FAMILIES[name](link)


def hint(plain: str) -> str:
    """What was meant, by a name without case and marks between words; nothing if nobody knows."""
    for names, way in ELSEWHERE.items():
        if any(plain.startswith(name) for name in names):
            return f" {way}."
    spelled = {"".join(name.split("_")): name for name in FAMILIES} | ALSO
    close = get_close_matches(plain, spelled, n=1)
    return f" Did you mean '{spelled[close[0]]}'?" if close else ""
