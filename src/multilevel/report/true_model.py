"""What is true in simulated data, in a line."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from multilevel.simulation.truth import Truth


def true_words(truth: Truth, varied: Container[str]) -> str:
    """Coefficients that are not zero, deviations and dispersion; what varies is not said."""
    named = [
        f"{name} {value:g}"
        for name, value in zip(truth.coef_names, truth.beta, strict=True)
        if value != 0.0 and name not in varied and f"fixef[{name}]" not in varied
    ]
    parts = [", ".join(named) if named else "all coefficients zero"] if named or not varied else []
    for term in truth.terms:
        if "icc" not in varied:
            parts.append(f"SD of ({term.label}) {', '.join(f'{sd:.3g}' for sd in term.sd)}")
        q = len(term.names)
        if q > 1 and np.isfinite(term.correlation).all():
            parts += [f"correlation {term.correlation[b, a]:.2g}" for a in range(q) for b in range(a + 1, q)]
    if truth.family.density == "gaussian" and not {"sigma", "icc"} & set(_listed(varied)):
        parts.append(f"residual SD {truth.sigma:.3g}")
    elif truth.family.density != "gaussian":
        phi = "" if truth.dispersion is None else f", dispersion {truth.dispersion[0]:.3g}"
        parts.append(f"{truth.family.name} response, {truth.family.link.name} link{phi}")
    return "; ".join(parts)


def _listed(varied: Container[str]) -> list[str]:
    return [name for name in ("sigma", "icc") if name in varied]
