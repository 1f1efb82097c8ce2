"""Which programs are compared, and what each of them cannot be asked?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.lines import LINES, QUESTIONS


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that fits mixed models. Those with requirements run in an environment of their own."""

    name: str
    worker: str  # script that measures one line
    requirements: str | None = None  # pinned versions; None for an R package
    cannot: Mapping[str, str] = field(default_factory=dict, hash=False)  # line -> why it is not asked

    @property
    def in_r(self) -> bool:
        """Whether it is an R package, run by the machine's own R."""
        return self.requirements is None


GENERALIZED = [line.name for line in LINES if line.family != "gaussian"]
LINEAR_ONLY = dict.fromkeys(GENERALIZED, "it has linear models only")
INFERENCE = {line.name: "inference is compared with R's" for line in LINES if line.task in QUESTIONS}


def python_engine(name: str, cannot: Mapping[str, str] | None = None) -> Engine:
    """A Python package whose worker and requirements have its name; only ours is asked more than fits."""
    worker = f"workers/fit_{name.replace('-', '_')}.py"
    return Engine(
        name, worker, f"peers/{name}.txt", {} if name == "multilevel" else {**INFERENCE, **(cannot or {})}
    )


ONE_FACTOR = "random effects of two crossed factors, which statsmodels does not have"
ONE_COVARIANCE = "correlated slopes at two levels, which statsmodels does not have"
NO_CORRELATION = "slopes correlated with intercepts, which gpboost does not have"

STATSMODELS = {
    **dict.fromkeys(GENERALIZED, "it has Bayesian generalized mixed models only"),
    **dict.fromkeys(("insteval", "insteval-fixed", "insteval-slopes", "maximal", "ratings"), ONE_FACTOR),
    "nested-slopes": ONE_COVARIANCE,
}
GPBOOST = {
    **{line.name: NO_CORRELATION for line in LINES if line.slopes},
    "logistic-25": "it has Laplace's approximation only",
    "cbpp": "successes in several trials a row, which gpboost's worker does not write out",
}

OURS = python_engine("multilevel")
ENGINES = (
    OURS,
    Engine("lme4", "r/fit_lme4.R"),
    Engine(
        "glmmTMB",
        "r/fit_glmmTMB.R",
        cannot={**INFERENCE, "logistic-25": "it has Laplace's approximation only"},
    ),
    python_engine("glmm"),
    python_engine("mixedlm", LINEAR_ONLY),
    python_engine("lme-python", LINEAR_ONLY),
    python_engine("statsmodels", STATSMODELS),
    python_engine("gpboost", GPBOOST),
)
