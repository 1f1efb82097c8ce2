"""`ml.simulate`: data sets from a plan and a model that is said to be true, or from a fit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from multilevel._options import Seed, checked_seed
from multilevel._typing import Frame
from multilevel.errors import MultilevelWarning
from multilevel.families.family import Family
from multilevel.frames.table import FrameKind
from multilevel.inference.replication import replicated
from multilevel.results.data_source import Model, data_source
from multilevel.simulation.parameters import Values
from multilevel.simulation.plan import Plan
from multilevel.simulation.streams import random_streams


def simulate(
    model: Model,
    design: Plan | Frame | None = None,
    *,
    fixef: Mapping[str, float] | None = None,
    sd: Mapping[str, Any] | None = None,
    cor: Mapping[str, Any] | None = None,
    icc: float | Mapping[str, float] | None = None,
    sigma: float | None = None,
    family: str | Family | None = None,
    link: str | None = None,
    dispersion: float | None = None,
    shape: float | None = None,
    thresholds: Sequence[float] | None = None,
    sizes: Mapping[str, int] | None = None,
    n: int | None = None,
    seed: Seed = None,
    frame: FrameKind | None = None,
    progress: bool | None = None,
) -> Any:
    """Data sets from a plan and a model that is true in them; or from a fit, with changed effects or sizes.

    The formula that will be fitted makes the data. Coefficients have the names that the fit will give them.

    Args:
        model: a formula; or a fit of `lmm`, `glmm`, `ols` or `glm`, whose estimates are taken for true where
            nothing else is said.
        design: a plan (`ml.Plan`), or any data frame that has all columns but the response; of a fit, by
            default its own data.
        fixef: coefficients by name; those not named are zero (of a fit: as estimated).
        sd: standard deviations of the random effects by group: `{"school": 0.4}`, `{"person": {"Intercept":
            25, "day": 6}}`, or a list in the order of the formula.
        cor: correlations of the random effects by group, one for all pairs or a matrix: `{"person": 0.1}`.
        icc: instead of `sd`, the share of variance of random intercepts: a number, or by group. For binary
            and ordinal responses on the latent scale.
        sigma: residual standard deviation; if not given, 1, or with `icc` what makes the total variance 1.
        family: of the response, as in `ml.glmm`; gaussian if not given.
        link: of the family.
        dispersion: of families that have one: the size of a negative binomial, the precision of a beta.
        shape: degrees of freedom of Student's, the power of Tweedie's distribution.
        thresholds: between the ordered categories of an ordinal response, one fewer than these.
        sizes: other numbers of units: of a plan's levels; or, for data, of the levels of a grouping factor,
            whose groups are then repeated in turn under new names, or left out.
        n: None for one data set; a number for a list of so many, each with a random stream of its own.
        seed: of the random streams.
        frame: "pandas", "polars", "pyarrow" ...; by default the kind of the data given, pandas for a plan.
        progress: show a progress bar; on by default when it takes long. Ctrl-C keeps what is done.

    Example:
        >>> import multilevel as ml
        >>> plan = ml.Plan(school=20, pupil=25).assign("treated", at="school")
        >>> data = ml.simulate("y ~ treated + (1 | school)", plan, fixef={"treated": 0.5}, icc=0.1, seed=1)
        >>> list(data.columns), data.shape
        (['school', 'pupil', 'treated', 'y'], (500, 4))
        >>> fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", ml.datasets.sleepstudy())
        >>> ml.simulate(fit, fixef={"Days": 5}, sizes={"Subject": 40}, seed=1).shape
        (400, 3)
    """
    root = checked_seed(seed)
    source = data_source(
        model,
        design,
        Values({} if fixef is None else fixef, sd, cor, icc, sigma, dispersion, shape, thresholds),
        family,
        link,
        sizes,
        frame,
    )
    if n is None:
        return source.data_set(random_streams(1, root)[0])
    streams = random_streams(n, root)
    sets, _ = replicated(lambda block: source.data_set(block[0]), streams, 1, progress, "data sets")
    if len(sets) < len(streams):
        warnings.warn(f"interrupted after {len(sets)} data sets, kept.", MultilevelWarning, stacklevel=2)
    return sets
