"""Where does R's own answer deserve care? Reads the archives and writes `trust.json` beside this file.

python tests/reference/doubts.py

A case is doubtful when its independent optimisers disagree, its gradient has not vanished, two packages
differ on the same likelihood, the fit is singular, or R itself complained.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from math import nan
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from reference_cases import case_names, load_case  # noqa: E402 (found through the line above)

Case = dict[str, Any]
NOTE = "cases where R's own answer deserves care; a case not listed passed every check in doubts.py"
COMPLAINT = re.compile(
    r"not available|did not converge|failed to converge|non-positive|singular convergence|false convergence",
    re.I,
)


def doubts(case: Case) -> list[str]:
    """What is doubtful about a case; empty for most."""
    checks: dict[str, tuple[Callable[[Case], Iterator[str]], ...]] = {
        "lmm": (about_runs, about_singularity),
        "glmm": (about_runs, about_gradient, about_crosscheck, about_standard_errors, about_singularity),
        "glmmtmb": (about_glmmtmb,),
        "clmm": (about_polish,),
        "nlme_lme": (about_nlme,),
        "nlme_gls": (about_nlme,),
        "gee": (about_gee,),
    }
    return [doubt for check in (*checks.get(case["kind"], ()), about_notes) for doubt in check(case)]


def about_runs(case: Case) -> Iterator[str]:
    """At least two of the independent optimisers should have reached the optimum."""
    runs = case.get("optimizer", {}).get("independent_runs") or {}
    excess = {
        name: run["excess_over_best"] for name, run in runs.items() if run["excess_over_best"] is not None
    }
    if excess and min(excess.values()) > 1e-6:
        yield f"the best run is {min(excess.values()):g} above the final criterion"
    if len(excess) > 1 and sum(value < 1e-4 for value in excess.values()) < 2:
        shown = ", ".join(f"{name} +{value:.2g}" for name, value in excess.items())
        yield f"only one of the independent optimisers reached the optimum: {shown}"


def about_gradient(case: Case) -> Iterator[str]:
    """The gradient should vanish."""
    found = case.get("gradient_at_optimum") or case["optimizer"].get("max_abs_gradient_before_last_step")
    gradient = [abs(g) for g in (found if isinstance(found, list) else [found]) if g is not None]
    if max(gradient, default=0) > 1e-2:
        yield f"gradient {max(gradient):.3g}"


def about_crosscheck(case: Case) -> Iterator[str]:
    """Two packages should agree on the Laplace fit."""
    other = case.get("glmmTMB_crosscheck")
    if not other or other["loglik"] is None:
        return
    fixed = case["fixed"]
    in_se = zip(other["estimate"], fixed["estimate"], fixed["se"], strict=True)
    apart = max(abs(theirs - ours) / max(1e-9, se) for theirs, ours, se in in_se)
    loglik = other["loglik"] - case["criteria"]["loglik"]
    if abs(loglik) > 1e-5 or apart > 1e-3:
        why = "" if case["spec"]["link"] in ("logit", "log") else " (expected: its link is not canonical)"
        yield f"glmer and glmmTMB differ by {loglik:.2g} in log-likelihood, {apart:.2g} standard errors{why}"


def about_standard_errors(case: Case) -> Iterator[str]:
    """lme4's default standard errors should be near those of the Richardson Hessian."""
    fixed = case["fixed"]
    better = fixed.get("se_hessian")
    if not better or None in better:
        return
    off = max(abs(se / good - 1) for se, good in zip(fixed["se"], better, strict=True))
    if off > 5e-3:
        yield f"lme4's default standard errors are off by {off:.2g}, relatively"


def about_singularity(case: Case) -> Iterator[str]:
    """On the boundary, parts of an answer are not identified."""
    if case.get("is_singular"):
        yield f"singular fit, theta = {', '.join(f'{theta:.3g}' for theta in case['theta']['values'])}"


def about_glmmtmb(case: Case) -> Iterator[str]:
    """Its gradient should vanish at a positive definite Hessian."""
    search = case["optimizer"]
    gradient = search.get("max_abs_gradient")
    if gradient is None or gradient > 1e-4 or not search["pd_hessian"]:
        definite = "" if search["pd_hessian"] else "not "
        yield f"glmmTMB's gradient is {gradient or nan:.2g}, its Hessian {definite}positive definite"


def about_polish(case: Case) -> Iterator[str]:
    """Newton steps should have changed clmm's answer little, and ended at a vanishing gradient."""
    polished = case.get("polished") or {}
    gradient, change = (polished.get(key) for key in ("max_abs_gradient", "max_abs_change"))
    if gradient is None or gradient > 1e-4 or change is None or change > 1e-3:
        yield f"clmm polished to a gradient of {gradient or nan:.2g} by a change of {change or nan:.2g}"


def about_nlme(case: Case) -> Iterator[str]:
    """nlminb and optim should agree; with fixed variances there is nothing to optimise."""
    search = case.get("optimizer")
    if not search:
        if "varFixed" not in str(case["spec"]):
            yield "no second optimiser"
        return
    deficit, apart = search.get("loglik_deficit_of_other") or 0.0, search.get("max_abs_structure_par_diff")
    if deficit > 1e-5:
        yield f"nlme's optimisers differ by {deficit:.3g} in log-likelihood, {apart:.3g} in parameters"


def about_gee(case: Case) -> Iterator[str]:
    """The moment equations should have been solved, with correlations that are correlations."""
    geepack, gee = case["geepack"], case.get("gee")
    if gee and gee["error"] != 0:
        yield f"gee::gee stopped with error code {gee['error']}"
    alpha = (geepack.get("alpha") or {}).get("estimate", [])
    if any(abs(value) >= 1 for value in alpha):
        yield f"geepack's alpha is {max(alpha, key=abs):.3g}, beyond 1"
    if geepack.get("error_code") not in (0, None):
        yield f"geepack stopped with error code {geepack['error_code']}"
    submodels = len(geepack.get("anova_sequential_wald", {}).get("terms", [])) > 1
    if submodels and (case["spec"]["scale_fix"] or (case["spec"]["waves"] and alpha)):
        yield "geepack's sequential anova fits the smaller models without waves and without a fixed scale"
    if 1 in case["dims"]["cluster_sizes"] and alpha:
        yield "geepack's SE of alpha: a cluster of one row repeats the derivatives of the cluster before it"
    if "QIC" in geepack and case["spec"]["family"] == "Gamma":
        yield "geepack's QIC: -y / (mu - log mu) in place of -y / mu - log mu"
    if "QIC" in geepack and case["spec"]["weights"] is not None:
        yield "geepack's QIC: the quasi-likelihood leaves the weights out"


def about_notes(case: Case) -> Iterator[str]:
    """What R complained of."""
    for note in case.get("notes", []):
        if COMPLAINT.search(note) and not note.startswith(("icc", "ICC")):
            yield " ".join(note[:160].split())


def all_doubts() -> dict[str, list[str]]:
    """Doubts by case, of the cases that have any."""
    found = {name: doubts(load_case(name)) for name in case_names()}
    return {name: messages for name, messages in found.items() if messages}


if __name__ == "__main__":
    text = json.dumps({"note": NOTE, "cases": all_doubts()}, indent=1, ensure_ascii=False)
    (HERE / "trust.json").write_text(text + "\n", encoding="utf-8")
