"""The face that every fit shares: estimates, tables, and starting again from the same call.

How a fit class plugs in
------------------------
A class derives from `Fit[ItsRecord]`, is built as `Class(design, record, call)`, and supplies five hooks;
everything public in this file then works. Its record offers at least the attributes of `Estimates`.

    class OLSFit(Fit[OLSRecord]):
        def summary(self) -> Summary: ...                        # what print(fit) shows
        def _coefficients(self, df) -> CoefficientTable: ...     # inference/wald.py: estimates, SE, df, p
        def _glance(self) -> dict[str, object]: ...              # one row: name -> number
        def _augmented(self) -> dict[str, Array]: ...            # name -> (n,) columns beside the data
        def _estimate(self, design: Design) -> OLSRecord: ...    # the same settings on another design

The class may override any property (an OLS fit with a sandwich overrides `vcov` and thereby `se`), and what
comparisons ask of it: `link`, `_clusters()`, `_whitened()`, `_ran_pars()`.
The function that makes it (`ml.ols`) passes `Call(ols, data, options)`, with the keyword arguments it was
given, so that `update()` can call it again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_choice, checked_switch
from multilevel._typing import Array, Frame
from multilevel.clusters.coefficient_inflation import WhitenedRows
from multilevel.design.design import Design, Dropped, Grouping
from multilevel.families.links import LINKS
from multilevel.formula.update import update_formula
from multilevel.frames.output import beside, to_frame, with_columns
from multilevel.inference.clustering import Clustering
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.wald import CoefficientTable
from multilevel.report.ratios import ratio_of_link
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns, confint_columns, fixed_columns
from multilevel.results.checks import checked_columns, checked_response, checked_rows
from multilevel.results.maketables import coefficient_frame, statistic


class Estimates(Protocol):
    """What the record of any model with a linear predictor holds."""

    @property
    def coef_names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def beta(self) -> Array: ...  # noqa: D102
    @property
    def vcov(self) -> Array: ...  # noqa: D102
    @property
    def sigma(self) -> float: ...  # noqa: D102
    @property
    def fitted(self) -> Array: ...  # noqa: D102
    @property
    def loglik(self) -> float: ...  # noqa: D102
    @property
    def n_obs(self) -> float: ...  # noqa: D102
    @property
    def n_parameters(self) -> int: ...  # noqa: D102


RecordT = TypeVar("RecordT", bound=Estimates)
Estimand = Literal["subject-specific", "population-averaged", "both"]


@dataclass(frozen=True, slots=True)
class Call:
    """How the user asked for the fit, so that `update()` can ask again."""

    function: Callable[..., Any]  # ml.lmm, ml.ols
    data: Frame  # the user's own object, not a copy
    options: Mapping[str, object]  # keyword arguments of the function


class Fit(ABC, Generic[RecordT]):
    """A fitted model: properties are stored numbers; methods work or take options."""

    def __init__(self, design: Design, record: RecordT, call: Call) -> None:
        self.design = design
        self.record = record
        self.call = call

    # What the class supplies -------------------------------------------------------------------------

    @abstractmethod
    def summary(self) -> Summary:
        """The fit on one page."""

    @abstractmethod
    def _coefficients(self, df: str | None = None) -> CoefficientTable:
        """Estimates, standard errors and tests of the coefficients; `df` as for `_inference`."""

    @abstractmethod
    def _inference(
        self, df: str | None = None, vcov: str | None = None, cluster: Clustering | None = None
    ) -> CoefficientInference:
        """What to believe of linear functions of the coefficients; the fit's own way if nothing is chosen.

        `df` names a method for degrees of freedom, `vcov` a kind of variance, `cluster` its clusters.
        """

    @abstractmethod
    def _glance(self) -> dict[str, object]:
        """Figures of the whole model, for `glance()`."""

    @abstractmethod
    def _augmented(self) -> dict[str, Array]:
        """Columns (n,) that `augment()` adds, over the rows used."""

    @abstractmethod
    def _estimate(self, design: Design) -> RecordT:
        """Fit the same model with the same settings to another design."""

    # Stored numbers ----------------------------------------------------------------------------------

    @property
    def fixef(self) -> Array:
        """Coefficients (p,), in the order of `coef_names`."""
        return self.record.beta

    @property
    def coef_names(self) -> tuple[str, ...]:
        """Names of the coefficients (p,)."""
        return self.record.coef_names

    @property
    def se(self) -> Array:
        """Standard errors of the coefficients (p,)."""
        return self._coefficients().std_error

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return self.record.sigma

    @property
    def loglik(self) -> float:
        """Log-likelihood at the estimates."""
        return self.record.loglik

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return 2.0 * self.df_model - 2.0 * self.loglik

    @property
    def bic(self) -> float:
        """Schwarz's information criterion, with n the observations used."""
        return float(np.log(self.nobs)) * self.df_model - 2.0 * self.loglik

    @property
    def nobs(self) -> int:
        """Observations used (rows, each counted as often as its frequency weight says)."""
        return round(self.record.n_obs)

    @property
    def df_model(self) -> int:
        """Number of estimated parameters, variances included."""
        return self.record.n_parameters

    @property
    def df_residual(self) -> int:
        """Observations less parameters."""
        return self.nobs - self.df_model

    @property
    def fitted(self) -> Array:
        """Fitted values (n,) over the rows used."""
        return self.record.fitted

    @property
    def formula(self) -> str:
        """The formula as written."""
        return self.design.formula.text

    @property
    def family(self) -> str:
        """Distribution of the response."""
        return "gaussian"

    @property
    def link(self) -> str:
        """The link function's name."""
        return "identity"

    @property
    def dropped(self) -> Dropped:
        """Rows and columns that were left out, and why."""
        return self.design.dropped

    @property
    def estimand(self) -> Estimand:
        """Whom the coefficients speak of: a single group, the average over all, or both.

        "subject-specific" with random effects, "population-averaged" without, and "both" where the two agree
        because the link is the identity.
        """
        if self.link == "identity":
            return "both"
        return "subject-specific" if self.design.terms else "population-averaged"

    @property
    def converged(self) -> bool:
        """Whether the estimates are known to be the optimum."""
        return True

    # Tables ------------------------------------------------------------------------------------------

    def tidy(
        self,
        *,
        conf_int: bool = False,
        conf_level: float = 0.95,
        exponentiate: bool = False,
        df: Any = None,  # the methods that a class has for degrees of freedom are its own
    ) -> Frame:
        """One row a coefficient: term, estimate, std_error, statistic, df, p_value, and limits on request."""
        if checked_switch("exponentiate", exponentiate):
            self._ratio_word()
        columns = fixed_columns(self._coefficients(df), conf_level if conf_int else None, exponentiate)
        return self._frame(columns)

    def confint(self, method: Literal["wald"] = "wald", *, level: float = 0.95, df: Any = None) -> Frame:
        """Confidence limits of the coefficients: term, estimate, conf_low, conf_high."""
        checked_choice("method", method, ("wald",))
        return self._frame(confint_columns(self._coefficients(df), level))

    def glance(self) -> Frame:
        """One row that describes the whole fit."""
        return self._frame({name: [value] for name, value in self._glance().items()})

    def augment(self, data: Frame | None = None) -> Frame:
        """The data with fitted values and residuals beside them; empty in rows that were not used.

        `data` are the rows of the fit in their order, the data of the fit if not given; they may have more
        columns. Other rows are refused: `predict(new)` serves them.
        """
        data = checked_rows(self.call.data if data is None else data, self.design)
        columns = checked_columns(self._augmented(), data)
        return with_columns(data, columns, self.design.rows)

    # The same model again ----------------------------------------------------------------------------

    def refit(self, y: npt.ArrayLike) -> Self:
        """Fit the same model to another response (n,), over the rows used or all rows of the data."""
        design = replace(self.design, y=checked_response(y, self.design))
        return type(self)(design, self._estimate(design), self.call)

    def update(self, formula: str | None = None, **changes: Any) -> Self:
        """Fit again with another formula (`. ~ . + x` keeps what the dot stands for) or other arguments."""
        options = {**self.call.options, **changes}
        data = options.pop("data", self.call.data)
        text = self.formula if formula is None else update_formula(self.formula, formula)
        fit: Self = self.call.function(text, data, **options)
        return fit

    # What comparisons of fits ask ---------------------------------------------------------------------

    def _clusters(self) -> tuple[Grouping, ...]:
        """Groups whose rows the standard errors take as alike; none where all rows count as independent."""
        return self.design.groupings

    def _whitened(self) -> WhitenedRows | None:
        """The rows of a fit that takes them for independent, scaled to equal variance; None for others."""
        return None

    def _ran_pars(self) -> Columns | None:
        """Standard deviations and correlations of random effects: group, term, estimate; None without any."""
        return None

    def _ratio_word(self) -> str:
        """What exponentials of the coefficients are; refused where they are nothing."""
        return ratio_of_link(LINKS[self.link], self.design.response_name)

    def _by_ml(self) -> Self:
        """This model fitted by maximum likelihood, as comparisons of likelihoods need it."""
        return self

    # Display -----------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    @property
    def __maketables_coef_table__(self) -> Frame:
        return coefficient_frame(self._coefficients())

    def __maketables_stat__(self, key: str) -> object:
        return statistic(self, key)

    @property
    def __maketables_depvar__(self) -> str:
        return self.design.response_name

    @property
    def __maketables_vcov_info__(self) -> dict[str, str | None]:
        return {"vcov_type": "model-based", "clustervar": None}

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return ["N", "aic", "bic"]

    def _frame(self, columns: Mapping[str, Any]) -> Frame:
        """A table in the user's own kind of frame."""
        return to_frame(columns, self.design.frame_kind)

    def _predictions(self, new: Frame | None, columns: Mapping[str, Any]) -> Frame:
        """A table of predictions: for new rows in their own kind of frame, with their pandas index."""
        return self._frame(columns) if new is None else beside(new, columns, self.design.frame_kind)
