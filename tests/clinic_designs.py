"""Visits of patients to physicians in clinics, by two policies."""

from __future__ import annotations

import numpy as np


def clinic_data(seed: int, policy: str) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Visits of patients. In "within" patients stay in one clinic, whose physicians they meet at random; in
    "across" they go to any clinic."""
    rng = np.random.default_rng(seed)
    clinics, physicians, patients, visits = 60, 8, 40, 5  # per clinic, per clinic, per patient
    true = {"clinic": 1.0, "patient": 0.8, "physician": 0.5, "residual": 1.2}
    home = np.repeat(np.arange(clinics), patients * visits)
    patient = np.repeat(np.arange(clinics * patients), visits)
    clinic = home if policy == "within" else rng.integers(0, clinics, len(home))
    physician = rng.integers(0, physicians, len(home))  # numbered anew in every clinic
    x = rng.normal(size=len(home))
    y = 2.0 + 0.5 * x + true["residual"] * rng.normal(size=len(home))
    y += true["clinic"] * rng.normal(size=clinics)[clinic]
    y += true["patient"] * rng.normal(size=clinics * patients)[patient]
    y += true["physician"] * rng.normal(size=clinics * physicians)[clinic * physicians + physician]
    return {"y": y, "x": x, "clinic": clinic, "patient": patient, "physician": physician}, true
