"""`ml.type1`: how often do analyses find an effect where there is none? Side by side, on the same data."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from multilevel._options import Seed, checked_choice, checked_count, checked_seed, checked_share
from multilevel._typing import Frame
from multilevel.errors import DataError, DataTypeError, MultilevelWarning
from multilevel.families.family import Family
from multilevel.formula.parse import parse_formula
from multilevel.formula.terms import Formula
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind
from multilevel.inference.many_least_squares import cluster_means
from multilevel.inference.monte_carlo import Figures, Outcomes, RateLimits, figures_of
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.report.true_model import true_words
from multilevel.report.type1 import type1_columns, type1_page
from multilevel.results.analyses import METHODS, Analysis, Test, checked_test, fixed_formula, statement
from multilevel.results.base import Fit
from multilevel.results.data_source import DataSource, Model, data_source
from multilevel.results.page import Page
from multilevel.results.power_cells import chosen_analysis, sided
from multilevel.results.random_effect_tests import is_random_effect
from multilevel.results.simulated_tests import simulated_tests
from multilevel.simulation.parameters import Values
from multilevel.simulation.plan import Plan

SAME = 1e-12  # difference of a predictor from its cluster's mean that is rounding
Analyses = Sequence[str] | Mapping[str, Any]


@dataclass(frozen=True, slots=True, repr=False)
class Type1(Page):
    """Sizes of tests, a row an analysis.

    `frame` is the table, `sizes["rate"]` one of its columns, `replicates` the tests in every data set.
    """

    labels: tuple[str, ...]
    figures: tuple[Figures, ...]
    outcomes: tuple[Outcomes, ...]
    facts: tuple[tuple[str, str], ...]
    alpha: float
    limits: RateLimits
    kind: FrameKind

    @property
    def frame(self) -> Frame:
        """One row an analysis: analysis, rate, mc_error, conf_low, conf_high, n, n_failed, ..., coverage."""
        return to_frame(self.columns(), self.kind)

    @property
    def replicates(self) -> Frame:
        """One row a test: analysis, estimate, std_error, df, p_value, converged, singular."""
        counts = [len(outcome.p_value) for outcome in self.outcomes]
        columns: dict[str, Any] = {"analysis": np.repeat(np.array(self.labels, dtype=object), counts)}
        for name in Outcomes.__slots__:
            columns[name] = np.concatenate([getattr(outcome, name) for outcome in self.outcomes])
        return to_frame(columns, self.kind)

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return type1_columns(self.labels, self.figures, self.limits)

    def page(self) -> Summary:
        """What is printed."""
        return type1_page(self.labels, self.figures, self.facts, self.limits, self.alpha)


def type1(
    model: Model,
    design: Plan | Frame | None = None,
    *,
    test: Test,
    analyses: Analyses | None = None,
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
    n: int = 1000,
    seed: Seed = None,
    redraw: bool | None = None,
    limits: RateLimits = "exact",
    progress: bool | None = None,
) -> Type1:
    """Rejection rates of a hypothesis that is true, by several analyses of the same simulated data sets.

    An honest test at 5% rejects 5% of them. Pupils counted one by one, when whole schools are treated, can
    reject half.

    Args:
        model: a formula or a fit, as for `ml.simulate`; what is tested is set to zero.
        design: a plan, or data without the response; of a fit, by default its own data.
        test: what is tested, as for `ml.power`: a coefficient, or a hypothesis that is true.
        analyses: methods of `ml.power`, such as `["ols", "cluster-robust", "kenward-roger"]`; or a mapping
            from labels to a method, to a formula, or to (formula, method). If not given, all that the model
            allows, and the model with random intercepts alone where slopes vary.
        fixef, sd, cor, icc, sigma, family, link, dispersion, shape, thresholds, sizes: what is true, as for
            `ml.simulate`.
        alpha: significance level, two-sided.
        n: data sets.
        seed: of the random streams.
        redraw: whether predictors are drawn anew in each data set, as for `ml.power`.
        limits: of the rates, "exact" (Clopper-Pearson) or "wilson".
        progress: show a progress bar; on by default when it takes long. Ctrl-C keeps what is done.

    Example:
        >>> import multilevel as ml
        >>> plan = ml.Plan(school=10, pupil=30).assign("treated", at="school")
        >>> model = "y ~ treated + (1 | school)"
        >>> naive = ml.type1(model, plan, test="treated", icc=0.25, analyses=["ols", "means"], n=400, seed=1)
        >>> naive["rate"].round(2)
        array([0.49, 0.05])

    References:
        Murray, D. M. (1998). Design and Analysis of Group-Randomized Trials. Oxford University Press.
        Moulton, B. R. (1990). An illustration of a pitfall in estimating the effects of aggregate variables
        on micro units. Review of Economics and Statistics 72, 334-338.
    """
    checked_choice("limits", limits, ("exact", "wilson"))
    checked_share("alpha", alpha, "alpha=0.05")
    checked_test(test)
    count = checked_count("n", n)
    said = Values({} if fixef is None else fixef, sd, cor, icc, sigma, dispersion, shape, thresholds)
    source = at_null(data_source(model, design, said, family, link, sizes, None), test, fixef or {}, model)
    chosen = given_analyses(source, analyses, test) if analyses is not None else usual_analyses(source, test)
    root = checked_seed(seed)
    found = simulated_tests(
        source, chosen, test, root, count, redraw=redraw, progress=progress, name="data sets"
    )
    if not found.null:
        raise DataError(
            "type1 is about a hypothesis that is true, and what test= says is not, given fixef=; ml.power is "
            "for effects."
        )
    if not found.outcomes:
        raise KeyboardInterrupt
    done = len(found.outcomes[0].p_value)
    if found.interrupted:
        warnings.warn(
            f"interrupted after {done} of {count} data sets, kept.", MultilevelWarning, stacklevel=2
        )
    asked = test if isinstance(test, str) else ", ".join(test)
    return Type1(
        labels=tuple(analysis.label for analysis in chosen),
        figures=tuple(figures_of(outcome, found.truth, alpha) for outcome in found.outcomes),
        outcomes=found.outcomes,
        facts=(
            ("Model", source.formula),
            ("True", true_words(found.model, ())),
            ("Test", f"{asked}, {sided(test)}at {100 * alpha:g}%; {found.rows} rows"),
            ("Data sets", f"{done:,}, seed {root.entropy}"),
        ),
        alpha=alpha,
        limits=limits,
        kind=source.frame_kind,
    )


def at_null(source: DataSource, test: Test, fixef: Mapping[str, float], model: Model) -> DataSource:
    """The source with the coefficients tested at zero, where a fit has estimates of them."""
    if not isinstance(model, Fit):
        return source
    names = source.coefficients()
    asked = [test] if isinstance(test, str) else list(test)
    tested = [name for name in names if name in asked or any(name.startswith(f"{t}[") for t in asked)]
    zero = {name: 0.0 for name in tested if name not in fixef}
    return source.with_values(replace(source.values, fixef={**source.values.fixef, **zero}))


def given_analyses(source: DataSource, analyses: Analyses, test: Test) -> list[Analysis]:
    """Methods, or labels with a method, a formula or both."""
    if isinstance(analyses, str) or not isinstance(analyses, Sequence | Mapping) or not analyses:
        raise DataTypeError(
            f"analyses= is a list of methods ({', '.join(METHODS)}), or a mapping from labels; got "
            f"{analyses!r:.40}."
        )
    if not isinstance(analyses, Mapping):
        return [chosen_analysis(source, method, None, test) for method in analyses]
    return [replace(one_analysis(source, given, test), label=str(label)) for label, given in analyses.items()]


def one_analysis(source: DataSource, given: Any, test: Test) -> Analysis:
    """A method, a formula, or a pair of them."""
    match given:
        case (str(formula), str(method)):
            return chosen_analysis(source, method, formula, test)
        case str(text) if "~" in text:
            return chosen_analysis(source, None, text, test)
    return chosen_analysis(source, given, None, test)


def usual_analyses(source: DataSource, test: Test) -> list[Analysis]:
    """What the data of such a model are commonly analysed by, the wrong ways among them."""
    parsed = parse_formula(source.formula)
    if is_random_effect(test) or not parsed.bars:
        return [chosen_analysis(source, None, None, test)]
    linear = chosen_analysis(source, None, None, test).linear
    mixed = ["satterthwaite", "kenward-roger", "z"] if linear else ["z"]
    means = ["means"] if linear and means_serve(source, test) else []
    gee = [] if source.family.response == "ordered" else ["gee"]
    found = [
        chosen_analysis(source, way, None, test) for way in ["ols", "cluster-robust", *means, *gee, *mixed]
    ]
    if any(bar.effects != "1" for bar in parsed.bars):
        plain = chosen_analysis(source, mixed[0], intercepts_alone(parsed), test)
        found.insert(1, replace(plain, label=f"{plain.label}, slopes left out"))
    return found


def intercepts_alone(formula: Formula) -> str:
    """The formula with a random intercept for each grouping factor, and no slopes."""
    factors = dict.fromkeys(":".join(bar.factor) for bar in formula.bars)
    return " + ".join([fixed_formula(formula), *(f"(1 | {factor})" for factor in factors)])


def means_serve(source: DataSource, test: Test) -> bool:
    """Whether one coefficient is tested that means of clusters can tell from the others."""
    design = source.coded(np.random.default_rng(0)).design.main
    asked = statement(test, design)
    clusters = min(design.groupings, key=lambda grouping: grouping.n_levels)
    X = cluster_means(clusters.codes, design.X)
    takes_part = asked.L.any(axis=0)
    within = np.abs(design.X - X[clusters.codes])[:, takes_part].max(initial=0.0)
    full = len(X) > X.shape[1] and np.linalg.matrix_rank(X) == X.shape[1]
    return len(asked.L) == 1 and within < SAME and bool(full)
