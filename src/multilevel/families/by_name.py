"""From what a user writes, `family="poisson"`, to a family."""

from __future__ import annotations

from collections.abc import Callable

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
        raise DataError(f"There is no family '{family}'; there are {', '.join(FAMILIES)}.")
    return FAMILIES[name](link)
