"""What are exponentials of coefficients: odds ratios, rate ratios, or nothing?"""

from __future__ import annotations

import re

import numpy as np

from multilevel.errors import ModelError
from multilevel.families.family import Family
from multilevel.families.links import Link
from multilevel.inference.wald import CoefficientTable, critical_value
from multilevel.report.numbers import format_column
from multilevel.report.summary import Block

LIMITS = 0.95
LOGARITHM = re.compile(r"\s*(np\.)?log\s*\(")  # a response whose coefficients are logs of ratios


def ratio_of_family(family: Family, response: str) -> str:
    """The word for exponentials of a family's coefficients; refused where they are nothing."""
    word = ratio_of_link(family.link, response)
    counts = family.density in ("poisson", "nbinom1", "nbinom2")
    return "rate ratio" if family.link.ratio == "ratio" and counts else word


def ratio_of_link(link: Link, response: str) -> str:
    """The word of a link; with the identity the response itself must be a logarithm.

    >>> from multilevel.families.links import LINKS
    >>> ratio_of_link(LINKS["logit"], "y"), ratio_of_link(LINKS["identity"], "log(y)")
    ('odds ratio', 'ratio')
    """
    if link.ratio is not None:
        return link.ratio
    if link.name == "identity" and LOGARITHM.match(response):
        return "ratio"
    unless = " unless the response is written as log(...)" if link.name == "identity" else ""
    raise ModelError(
        f"exponentiate=True has no meaning with the {link.name} link, whose coefficients are no logarithms "
        f"of ratios{unless}; for differences of means use emmeans() or ame()."
    )


def ratio_block(table: CoefficientTable, word: str, which: str = "") -> Block:
    """Coefficients as ratios, with limits."""
    half = critical_value(LIMITS, table.df) * table.std_error
    cells = {
        "": list(table.term),
        word[0].upper() + word[1:]: format_column(np.exp(table.estimate)),
        "2.5 %": format_column(np.exp(table.estimate - half)),
        "97.5 %": format_column(np.exp(table.estimate + half)),
    }
    return Block(f"Coefficients, as {which}{word}s", tuple(cells), tuple(zip(*cells.values(), strict=True)))
