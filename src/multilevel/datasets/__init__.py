"""Small classic data sets, each with its source; `catalogue()` lists them.

>>> from multilevel import datasets
>>> datasets.sleepstudy("polars").shape
(180, 3)

Every function takes the kind of frame wanted: "pandas" (the default), "polars" or "pyarrow". The names
follow those of the data sets in R, in lower case. Factors are categoricals, in the order of the source.
"""

from __future__ import annotations

from multilevel.datasets.course import (
    course_clustered_20x10,
    course_demo_10x30,
    course_independent,
    course_prevention,
    school_prevention,
)
from multilevel.datasets.education import (
    chem97,
    dropout_prevention,
    egsingle,
    exam,
    hsb82,
    insteval,
    scotssec,
    star_subset,
)
from multilevel.datasets.food import cake, oats, wine
from multilevel.datasets.industry import (
    dyestuff,
    dyestuff2,
    ergostool,
    machines,
    pastes,
    penicillin,
    petrol,
    rail,
)
from multilevel.datasets.listing import catalogue
from multilevel.datasets.medicine import (
    bacteria,
    contraception,
    dialyzer,
    epil,
    ohio,
    orthodont,
    oxboys,
    respiratory,
    seizure,
    sleepstudy,
    toenail,
)
from multilevel.datasets.nature import bodyweight, cbpp, dietox, grouseticks, ovary, owls, salamanders, spruce
from multilevel.datasets.society import income_blood_pressure, mortality_rates, petersen, verbagg

__all__ = [
    "bacteria",
    "bodyweight",
    "cake",
    "catalogue",
    "cbpp",
    "chem97",
    "contraception",
    "course_clustered_20x10",
    "course_demo_10x30",
    "course_independent",
    "course_prevention",
    "dialyzer",
    "dietox",
    "dropout_prevention",
    "dyestuff",
    "dyestuff2",
    "egsingle",
    "epil",
    "ergostool",
    "exam",
    "grouseticks",
    "hsb82",
    "income_blood_pressure",
    "insteval",
    "machines",
    "mortality_rates",
    "oats",
    "ohio",
    "orthodont",
    "ovary",
    "owls",
    "oxboys",
    "pastes",
    "penicillin",
    "petersen",
    "petrol",
    "rail",
    "respiratory",
    "salamanders",
    "school_prevention",
    "scotssec",
    "seizure",
    "sleepstudy",
    "spruce",
    "star_subset",
    "toenail",
    "verbagg",
    "wine",
]


def __dir__() -> list[str]:
    """The names of the data sets, and nothing of what makes them."""
    return __all__
