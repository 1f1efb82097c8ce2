"""Population-averaged coefficients that a user holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from multilevel._options import checked_switch
from multilevel._typing import Array
from multilevel.frames.table import FrameKind
from multilevel.inference.component_means import has_parts, mean_words
from multilevel.inference.population_averaged import PopulationAveraged, population_averaged
from multilevel.inference.wald import checked_level
from multilevel.report.glmm_tables import ratio_word
from multilevel.report.population_averaged import marginal_columns, marginal_page
from multilevel.report.summary import Summary
from multilevel.results.glmm_base import GLMMBase
from multilevel.results.printed_table import PrintedTable


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class MarginalCoefficients(PrintedTable):
    """Coefficients within a group beside those in the population, with standard errors and limits.

    `frame` holds the table in the user's kind of frame; `vcov` the covariance of the marginal ones.
    """

    found: PopulationAveraged
    groups: str
    link: str
    level: float
    ratio: str | None  # what exponentials are called, where they were asked for
    kind: FrameKind
    part: str = ""  # whose mean they are of, where the response is more than it

    @property
    def _kind(self) -> FrameKind:
        return self.kind

    @property
    def coef_names(self) -> tuple[str, ...]:
        """Names of the coefficients (p,)."""
        return self.found.names

    @property
    def fixef(self) -> Array:
        """Population-averaged coefficients (p,)."""
        return self.found.estimate

    @property
    def se(self) -> Array:
        """Their standard errors (p,)."""
        return self.found.std_error

    @property
    def vcov(self) -> Array:
        """Their covariance (p, p)."""
        return self.found.vcov

    def columns(self) -> dict[str, Any]:
        """Term, conditional and marginal estimates with standard errors, test, limits, formula."""
        return marginal_columns(self.found, self.level, exponentiate=self.ratio is not None)

    def page(self) -> Summary:
        """The table with words on both views."""
        return marginal_page(self.found, self.groups, self.link, self.level, self.ratio, self.part)


class Marginal(GLMMBase):
    """The step from subject-specific to population-averaged coefficients."""

    def marginal(self, *, level: float = 0.95, exponentiate: bool = False) -> MarginalCoefficients:
        """Population-averaged coefficients beside the conditional ones of the model.

        A coefficient of a mixed model compares observations of one group. Averaged over groups the same
        comparison is weaker (or, with a log link, only the intercept moves): that is what a GEE estimates.
        The mean of each row is averaged over the random effects, and the link of the averages is fitted to
        the predictors by least squares; standard errors are by the delta method, with what is not known of
        the covariances counted. Beside it stands, for random intercepts, the formula
        beta / sqrt(1 + c^2 sigma^2) with c = 16 sqrt(3) / (15 pi) of the logit (exact ones of the probit,
        log and identity links).

        Args:
            level: of the confidence limits.
            exponentiate: odds ratios or rate ratios instead of coefficients.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> marginal = fit.marginal()
            >>> (marginal["estimate"] / marginal["conditional"]).round(2)
            array([0.92, 0.95, 0.95, 0.96])

        References:
            Hedeker, D., du Toit, S. H. C., Demirtas, H. & Gibbons, R. D. (2018). A note on marginalization
            of regression parameters from mixed models of binary outcomes. Biometrics 74, 354-361.
        """
        ratio = ratio_word(self.record) if checked_switch("exponentiate", exponentiate) else None
        groups = " and ".join(dict.fromkeys(term.group for term in self.record.terms))
        return MarginalCoefficients(
            population_averaged(self.model, self.record),
            groups,
            self.record.family.link.name,
            checked_level(level),
            ratio,
            self.design.frame_kind,
            mean_words(self.record) if has_parts(self.model, self.record) else "",
        )
