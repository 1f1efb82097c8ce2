"""Which models are timed? One line of the table each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Task = Literal["fit", "refit", "refits", "satterthwaite", "kenward-roger", "profile", "bootstrap"]
QUESTIONS = ("satterthwaite", "kenward-roger", "profile", "bootstrap")  # asked of a fit, which is not timed


@dataclass(frozen=True, slots=True)
class Line:
    """A model, the data it is fitted to, and what of it is timed."""

    name: str
    title: str  # what the table says
    data: str  # a data set of `data.py`
    formula: str  # in lme4's dialect
    columns: int  # y, columns of the model matrix and of the left sides of the bars
    factors: int  # grouping factors
    reml: bool = True  # or maximum likelihood
    task: Task = "fit"
    responses: str | None = None  # data set of responses to refit, one a column
    family: str = "gaussian"  # or "binomial", "poisson", under their canonical links
    nodes: int = 1  # of adaptive quadrature; 1 is Laplace's approximation

    @property
    def slopes(self) -> bool:
        """Whether something besides an intercept varies between groups."""
        return any(left.strip() != "1" for left in re.findall(r"\(([^|()]*)\|", self.formula))

    @property
    def likelihood(self) -> str:
        """The criterion that is minimised."""
        if self.family != "gaussian":
            return "Laplace" if self.nodes == 1 else f"{self.nodes} nodes"
        return "REML" if self.reml else "ML"

    def model_megabytes(self, rows: int) -> float:
        """What the model itself takes: its columns as doubles, its group codes as 32-bit integers."""
        return rows * (8 * self.columns + 4 * self.factors) / 1e6


SLEEP = "Reaction ~ Days + (Days | Subject)"
SLOPE = "y ~ x1 + x2 + (1 + x1 | g)"
# Products stand in the data and a/b is written out, for engines that do not read them in a formula.
EFFECTS = "a + b + c + ab + ac + bc + abc"
MAXIMAL = f"y ~ {EFFECTS} + (1 + {EFFECTS} | subject) + (1 + {EFFECTS} | item)"

CLINICS = "y ~ x1 + x2 + (1 | g)"


def generalized(
    name: str, title: str, data: str, formula: str, columns: int, factors: int, family: str, nodes: int = 1
) -> Line:
    """A line of a generalized linear mixed model."""
    return Line(name, title, data, formula, columns, factors, reml=False, family=family, nodes=nodes)


# Models of random intercepts alone are fitted by maximum likelihood, so that gpboost, which has no REML,
# can take part; refits too, because lme4's (1.1-31) take one fixed effect for granted under REML, and end
# elsewhere than its fits. The others by REML.
LINES = (
    Line("sleepstudy", "sleepstudy, `(Days \\| Subject)`", "sleepstudy", SLEEP, 5, 1),
    Line("refit", "its refit to another response", "sleepstudy", SLEEP, 5, 1, False, "refit", "responses"),
    Line("refits", "its refit to 1,000 responses", "sleepstudy", SLEEP, 5, 1, False, "refits", "responses"),
    Line(
        "insteval",
        "InstEval, `service + (1\\|s) + (1\\|d) + (1\\|dept:service)`",
        "insteval",
        "y ~ service + (1 | s) + (1 | d) + (1 | dept:service)",
        6,
        3,
        reml=False,
    ),
    Line(
        "insteval-fixed",
        "InstEval, `service * dept + (1\\|s) + (1\\|d)`",
        "insteval",
        "y ~ service * dept + (1 | s) + (1 | d)",
        31,
        2,
        reml=False,
    ),
    Line(
        "insteval-slopes",
        "InstEval, `service + (service\\|s) + (service\\|d)`",
        "insteval",
        "y ~ service + (1 + service | s) + (1 + service | d)",
        7,
        2,
    ),
    Line("slope-int", "1M rows, `(1 + x1 \\| g)`, 10,000 integer groups", "slope_int", SLOPE, 6, 1),
    Line("slope-categorical", "the same, categorical groups", "slope_categorical", SLOPE, 6, 1),
    Line("slope-string", "the same, string groups", "slope_string", SLOPE, 6, 1),
    Line(
        "nested-slopes",
        "1M rows, `(x \\| a/b)`, 1,000 a of 10 b",
        "nested_slopes",
        "y ~ x + (1 + x | a) + (1 + x | a:b)",
        7,
        2,
    ),
    Line(
        "three-level",
        "1M rows, `(1 \\| a/b)`, 1,000 a, 50,000 b",
        "three_level",
        "y ~ x + (1 | a/b)",
        5,
        2,
        reml=False,
    ),
    Line(
        "chem97",
        "Chem97, `gcsecnt + gender + (1 \\| lea/school)`",
        "chem97",
        "score ~ gcsecnt + gender + (1 | lea/school)",
        6,
        2,
        reml=False,
    ),
    Line(
        "chem97-slope",
        "Chem97, `gcsecnt + gender + (gcsecnt \\| school)`",
        "chem97",
        "score ~ gcsecnt + gender + (1 + gcsecnt | school)",
        6,
        1,
    ),
    Line(
        "maximal",
        "maximal model, 1,792 rows, 8 x 8 for 56 subjects and 32 items",
        "maximal",
        MAXIMAL,
        25,
        2,
    ),
    Line(
        "satterthwaite",
        "Satterthwaite's summary of the million rows, fit not counted",
        "slope_int",
        SLOPE,
        6,
        1,
        task="satterthwaite",
    ),
    Line(
        "kenward-roger",
        "Kenward and Roger's summary of the sleep study, fit not counted",
        "sleepstudy",
        SLEEP,
        5,
        1,
        task="kenward-roger",
    ),
    Line(
        "profile",
        "profile intervals of all its parameters, fit not counted",
        "sleepstudy",
        SLEEP,
        5,
        1,
        False,
        "profile",
    ),
    Line(
        "bootstrap",
        "1,000 parametric bootstrap samples of it with intervals, fit not counted",
        "sleepstudy",
        SLEEP,
        5,
        1,
        False,
        "bootstrap",
    ),
    Line(
        "ratings",
        "1M ratings, 6,040 users x 3,706 items",
        "ratings",
        "y ~ 1 + (1 | user) + (1 | item)",
        4,
        2,
        reml=False,
    ),
    generalized(
        "logistic",
        "logistic, 100,000 rows, `(1 \\| g)`, 2,000 groups",
        "logistic",
        CLINICS,
        5,
        1,
        "binomial",
    ),
    generalized("logistic-25", "the same by quadrature", "logistic", CLINICS, 5, 1, "binomial", nodes=25),
    generalized(
        "cbpp",
        "cbpp, `cbind(cases, others) ~ period + (1 \\| herd)`, 56 rows",
        "cbpp",
        "cbind(incidence, healthy) ~ period + (1 | herd)",
        7,
        1,
        "binomial",
    ),
    generalized(
        "rasch",
        "VerbAgg, `1 + (1 \\| id) + (1 \\| item)`, 7,584 rows",
        "verbagg",
        "yes ~ 1 + (1 | id) + (1 | item)",
        4,
        2,
        "binomial",
    ),
    generalized(
        "verbagg",
        "VerbAgg, four predictors, `(1 \\| id) + (1 \\| item)`",
        "verbagg",
        "yes ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)",
        9,
        2,
        "binomial",
    ),
    generalized(
        "poisson-crossed",
        "Poisson, 100,000 rows, `x + (1 \\| a) + (1 \\| b)`, 1,000 x 200",
        "poisson_crossed",
        "y ~ x + (1 | a) + (1 | b)",
        5,
        2,
        "poisson",
    ),
)
