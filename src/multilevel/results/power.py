"""`ml.power`: how likely is it that a planned study finds its effect? By formula, and by simulation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multilevel._options import Seed, checked_choice, checked_count, checked_seed, checked_share
from multilevel._typing import Frame
from multilevel.errors import DataError, MultilevelWarning
from multilevel.families.family import Family
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind
from multilevel.inference.monte_carlo import Outcomes, RateLimits
from multilevel.report.power import PowerCell, power_columns, power_page
from multilevel.report.power_plot import draw_power
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.analyses import Test, checked_test
from multilevel.results.data_source import Model, data_source
from multilevel.results.page import Page
from multilevel.results.power_cells import Job, chosen_analysis, grid, power_facts, run_cells
from multilevel.results.power_search import needed_notes, refuse_several, smallest_size
from multilevel.simulation.parameters import Values
from multilevel.simulation.plan import Plan


@dataclass(frozen=True, slots=True, repr=False)
class Power(Page):
    """The power of one design or of several, a row each.

    `frame` is the table, `power["power"]` one of its columns, `replicates` the test in every data set.
    """

    cells: tuple[PowerCell, ...]
    outcomes: tuple[Outcomes, ...]  # of each cell; empty where nothing was simulated
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    alpha: float
    limits: RateLimits
    kind: FrameKind
    linear: bool  # whether a linear model was analysed
    needed: int | None = None  # the smallest size that reaches the power asked for

    @property
    def frame(self) -> Frame:
        """One row a design: what varies, n_rows, truth, formula, power, mc_error, conf_low, conf_high, ..."""
        return to_frame(self.columns(), self.kind)

    @property
    def replicates(self) -> Frame:
        """One row a data set: what varies, estimate, std_error, df, p_value, converged, singular."""
        if not self.outcomes:
            raise DataError("nothing was simulated, since n=None; give n=, the number of data sets.")
        columns: dict[str, Any] = {
            name: np.concatenate(
                [
                    np.full(len(o.p_value), c.settings[name])
                    for c, o in zip(self.cells, self.outcomes, strict=True)
                ]
            )
            for name in self.cells[0].settings
        }
        if self.cells[0].analysis:
            counts = [len(outcome.p_value) for outcome in self.outcomes]
            labels = np.array([cell.analysis for cell in self.cells], dtype=object)
            columns["analysis"] = np.repeat(labels, counts)
        for name in ("estimate", "std_error", "df", "p_value", "converged", "singular"):
            columns[name] = np.concatenate([getattr(outcome, name) for outcome in self.outcomes])
        return to_frame(columns, self.kind)

    def plot(self, *, ax: Any = None) -> Any:
        """Power along what varies first, a curve for each combination of the rest; dashes are the formula."""
        return draw_power(self.cells, self.limits, ax)

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return power_columns(self.cells, self.limits)

    def page(self) -> Summary:
        """What is printed."""
        return power_page(self.cells, self.facts, self.limits, self.alpha, self.notes, linear=self.linear)


def power(
    model: Model,
    design: Plan | Frame | None = None,
    *,
    test: Test,
    over: Mapping[str, Sequence[float]] | None = None,
    find: str | None = None,
    target: float = 0.8,
    method: str | Sequence[str] | None = None,
    analysis: str | None = None,
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
    alpha: float = 0.05,
    n: int | None = 1000,
    seed: Seed = None,
    redraw: bool | None = None,
    limits: RateLimits = "exact",
    progress: bool | None = None,
) -> Power:
    """Power of a test in a planned study: by formula where there is one, and by simulation.

    Data sets are drawn as by `ml.simulate`, each is analysed as the study would be, and rejections are
    counted. Of linear mixed models a formula stands beside it: the noncentral t or F at the true variances,
    which contains those of cluster-randomised trials (by design effect) and of two-level designs. Of
    generalized ones it is that of the model linearised at the true values, an approximation.

    Args:
        model: a formula or a fit, as for `ml.simulate`.
        design: a plan, or data without the response; of a fit, by default its own data.
        test: what is tested: a coefficient ("treated"), all coefficients of a factor ("arm"), or hypotheses
            as for `fit.test` ("arm[T.b] = arm[T.c]"), several of which are tested together; or a random
            effect ("(1 | school)", "day | person"), by the likelihood ratio with its boundary p-value.
        over: what to vary, in all combinations: sizes of the plan (or numbers of groups in data),
            coefficients, "icc" (if it is one number), "sigma" or "sd[group]", as in
            `{"school": [10, 20, 40], "treated": [0.3, 0.5]}`.
        find: the size whose smallest value that reaches `target` is sought, for example "school".
        target: the power sought.
        method: "satterthwaite" (the default of linear mixed models), "kenward-roger", "z" (the default of
            generalized ones), "lrt"; "ols" (naive, and the default without random effects), "cluster-robust"
            (least squares with CR2), "means" (least squares of the means of clusters) or "gee"
            (exchangeable, corrected for few clusters). Clusters are the grouping factor with fewest levels.
            Of a list of methods each analyses the same data sets.
        analysis: the formula that is fitted, if it is not the one that makes the data.
        fixef, sd, cor, icc, sigma, family, link, dispersion, shape, thresholds, sizes: what is true, as for
            `ml.simulate`.
        alpha: significance level, two-sided.
        n: data sets for each design; None for the formula alone.
        seed: of the random streams. Every design has the same ones.
        redraw: whether predictors are drawn anew in each data set; by default if the plan draws any.
            Otherwise the rows stay and only responses change, which is many times faster.
        limits: of the power, "exact" (Clopper-Pearson) or "wilson".
        progress: show a progress bar; on by default when it takes long. Ctrl-C keeps what is done.

    Example:
        >>> import multilevel as ml
        >>> plan = ml.Plan(school=20, pupil=25).assign("treated", at="school")
        >>> model = "y ~ treated + (1 | school)"
        >>> sizes = {"school": [20, 30]}
        >>> found = ml.power(model, plan, test="treated", fixef={"treated": 0.4}, icc=0.1, over=sizes, n=None)
        >>> found["formula"].round(3)
        array([0.631, 0.818])

    References:
        Donner, A. & Klar, N. (2000). Design and Analysis of Cluster Randomization Trials in Health Research.
        Arnold. Snijders, T. A. B. & Bosker, R. J. (1993). Journal of Educational Statistics 18, 237-259.
        Gelman, A. & Carlin, J. (2014). Perspectives on Psychological Science 9, 641-651.
    """
    checked_choice("limits", limits, ("exact", "wilson"))
    checked_share("alpha", alpha, "alpha=0.05")
    checked_test(test)
    if method is not None and not isinstance(method, str) and not method:
        raise DataError("method= is a method or a list of methods, and this list is empty.")
    said = Values({} if fixef is None else fixef, sd, cor, icc, sigma, dispersion, shape, thresholds)
    source = data_source(model, design, said, family, link, sizes, None)
    methods = [method] if method is None or isinstance(method, str) else list(method)
    chosen = tuple(chosen_analysis(source, each, analysis, test) for each in methods)
    count = None if n is None else checked_count("n", n)
    job = Job(source, chosen, test, alpha, checked_seed(seed), count, redraw, progress)
    settings = grid(source, over)
    if find is None:
        made, needed = run_cells(job, settings), None
    else:
        goal = checked_share("target", target, "target=0.8")
        made, needed = smallest_size(job, refuse_several(find, settings, chosen), goal)
    if made.interrupted:
        said_done = sum(len(outcome.p_value) for outcome in made.outcomes)
        warnings.warn(f"interrupted after {said_done} data sets, kept.", MultilevelWarning, stacklevel=2)
    return Power(
        cells=made.cells,
        outcomes=made.outcomes,
        facts=power_facts(job, made),
        notes=needed_notes(find, target, needed, made.cells),
        alpha=alpha,
        limits=limits,
        kind=source.frame_kind,
        linear=chosen[0].linear,
        needed=needed,
    )
