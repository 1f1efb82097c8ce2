"""`ml.mmrm`: the mixed model for repeated measures, with the covariance of visits left free."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_choice
from multilevel._typing import Frame
from multilevel.covariance.residual.specification import Residual, as_residual
from multilevel.covariance.residual.variance_functions import VarIdent
from multilevel.covariance.working.specification import Correlation
from multilevel.design.design import Design
from multilevel.errors import DataError, ModelError
from multilevel.estimation.gls import GLSSolution
from multilevel.estimation.residual.rows import ResidualRows
from multilevel.fitted.visit_covariance import VisitCovariance, visit_covariances
from multilevel.report.tables import Columns
from multilevel.results.base import Call
from multilevel.results.gls import GLSFit, fit_call, with_strata

HETEROGENEOUS = {
    "csh": "exchangeable",
    "exchangeableh": "exchangeable",
    "ar1h": "ar1",
    "arh1": "ar1",
    "toeph": "toeplitz",
    "toeplitzh": "toeplitz",
}
UNSTRUCTURED = ("unstructured", "un", "us")


def mmrm(
    formula: str,
    data: Frame,
    *,
    groups: str,
    time: str,
    residual: Residual | Correlation | str = "unstructured",
    by: str | None = None,
    df: Literal["satterthwaite", "kenward-roger"] = "satterthwaite",
    reml: bool = True,
    weights: str | npt.ArrayLike | None = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> MMRMFit:
    """Mixed model for repeated measures: means by visit, and any covariance between the visits of a person.

    What trials analyse as changes from baseline over visits. There are no random effects; the covariance of
    the visits is estimated as it is. People with missing visits take part with those they have, which is
    right if values are missing at random.

    Args:
        formula: `"change ~ baseline + arm * visit"`.
        data: any data frame, or a mapping of equally long columns (n rows), in any order.
        groups: column of the people, the independent units.
        time: column of visits, one row a person and visit.
        residual: covariance of the visits: "unstructured" (a variance for each visit and a correlation for
            each pair), "exchangeable", "ar1", "toeplitz" (one variance), "exchangeable-h", "ar1-h",
            "toeplitz-h" (a variance for each visit), or `ml.Residual(corr=..., var=...)`.
        by: column, constant in each person, whose levels have covariances of their own, as the arms of a
            trial.
        df: "satterthwaite", or "kenward-roger" with its standard errors.
        reml: restricted maximum likelihood (the default), or maximum likelihood.
        weights: precision weights, column or array (n,): variances are divided by them.
        contrasts: coding of factors, for example `{"arm": "treatment('placebo')"}`.
        missing: "drop" rows with missing values and say how many, or "raise".

    Example:
        >>> import multilevel as ml
        >>> teeth = ml.datasets.orthodont()
        >>> fit = ml.mmrm("distance ~ Sex * C(age)", teeth, groups="Subject", time="age")
        >>> fit.tidy()["df"].round(1).tolist()[:2]
        [25.0, 25.0]
        >>> fit.emmeans("Sex", by="age").contrasts()["estimate"].round(2).tolist()
        [1.69, 1.59, 2.63, 3.38]

    References:
        Mallinckrodt, C. H., Clark, W. S. & David, S. R. (2001). Accounting for dropout bias using mixed-
        effects models. Journal of Biopharmaceutical Statistics 11, 9-21.
        Kenward, M. G. & Roger, J. H. (1997). Small sample inference for fixed effects from restricted maximum
        likelihood. Biometrics 53, 983-997.
    """
    checked_choice("df", df, ("satterthwaite", "kenward-roger"))
    for argument, column in (("groups", groups), ("time", time)):
        if not isinstance(column, str):
            raise DataError(f"{argument}= takes the name of a column; got {column!r:.60}.")
    if df == "kenward-roger" and reml is False:
        raise ModelError(
            'df="kenward-roger" is made for REML estimates of the variances; leave out reml=False, or use '
            'df="satterthwaite".'
        )
    structure = visit_structure(residual, time, by)
    data_options: dict[str, Any] = {"weights": weights, "contrasts": contrasts, "missing": missing}
    options = {"groups": groups, "time": time, "residual": residual, "by": by, "df": df, "reml": reml}
    call = Call(mmrm, data, {**options, **data_options})
    return fit_call(MMRMFit, formula, call, structure, groups, time, reml, data_options)


def visit_structure(residual: object, time: str, by: str | None) -> Residual:
    """Correlation of visits, and whether each has a variance of its own."""
    plain = re.sub(r"[\s_.()-]", "", residual.casefold()) if isinstance(residual, str) else ""
    if plain in HETEROGENEOUS:
        structure = Residual(HETEROGENEOUS[plain], VarIdent(time))
    elif plain in UNSTRUCTURED:
        structure = Residual("unstructured", VarIdent(time))
    else:
        structure = as_residual(residual)
    if structure.var not in (None, VarIdent(time)):
        raise ModelError(
            "the covariance of visits has a variance for each visit, or one for all; for other functions of "
            "the variance use ml.gls."
        )
    if not structure.correlated:
        raise ModelError("visits of one person are correlated; for independent rows use ml.ols.")
    return with_strata(structure, by)


class MMRMFit(GLSFit):
    """A fitted mixed model for repeated measures."""

    title = "Mixed model for repeated measures"

    def __init__(self, design: Design, call: Call, rows: ResidualRows, solution: GLSSolution) -> None:
        super().__init__(design, call, rows, solution)
        if not self.reml:  # as comparisons of likelihoods ask for
            self.default_df = "satterthwaite"

    def visit_covariance(self, stratum: str | None = None) -> npt.NDArray[np.float64]:
        """The covariance matrix (T, T) of the visits, of the stratum of `by` that is named.

        Example:
            >>> import multilevel as ml
            >>> teeth = ml.datasets.orthodont()
            >>> fit = ml.mmrm("distance ~ Sex * C(age)", teeth, groups="Subject", time="age")
            >>> fit.visit_covariance().round(2)
            array([[5.42, 2.72, 3.91, 2.71],
                   [2.72, 4.18, 2.93, 3.32],
                   [3.91, 2.93, 6.46, 4.13],
                   [2.71, 3.32, 4.13, 4.99]])
        """
        found = visit_covariances(self.rows, self.solution)
        if stratum is None and len(found) == 1:
            return found[0].covariance
        by = self.residual.by
        named = {part.stratum: part for part in found}
        key = f"{by}[{stratum}]"
        if key not in named:
            raise DataError(f"choose a stratum of '{by}': {', '.join(self._strata())}.")
        return named[key].covariance

    def varcorr(self, *, conf_level: float = 0.95) -> Frame:  # noqa: ARG002  a table of matrices has no limits
        """Variances of visits, and covariances and correlations of pairs of them; `group` is the stratum.

        The columns are those of a mixed model: group, term, term2, variance, sd, covariance, correlation. The
        parameters with standard errors and limits are in `residual_parameters()`.
        """
        return self._frame(visit_columns(visit_covariances(self.rows, self.solution)))

    def _strata(self) -> tuple[str, ...]:
        by = self.rows.by
        return () if by is None else by.levels


def visit_columns(found: tuple[VisitCovariance, ...]) -> Columns:
    """One row a visit, then one a pair of visits, stratum after stratum."""
    rows: list[tuple[str, str, str | None, float, float, float, float]] = []
    for part in found:
        sd = np.sqrt(part.covariance.diagonal())
        T = len(part.visits)
        rows += [(part.stratum, part.visits[k], None, sd[k] ** 2, sd[k], np.nan, np.nan) for k in range(T)]
        for s in range(T):
            for t in range(s + 1, T):
                both = float(part.covariance[s, t])
                pair = (part.stratum, part.visits[s], part.visits[t])
                rows.append((*pair, np.nan, np.nan, both, both / (sd[s] * sd[t])))
    names = ("group", "term", "term2", "variance", "sd", "covariance", "correlation")
    return {name: [row[k] for row in rows] for k, name in enumerate(names)}
