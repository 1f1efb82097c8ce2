"""Changes over visits, some of them missing: the mixed model for repeated measures."""

import numpy as np

import multilevel as ml

rng = np.random.default_rng(
    8
)  # a trial: 60 people, two arms, four visits, dropout that depends on what was seen
n, visits = 60, np.arange(1, 5)
arm = np.repeat(["placebo", "drug"], n // 2)
R = np.array([[1.0, 0.7, 0.5, 0.4], [0.7, 1.0, 0.7, 0.5], [0.5, 0.7, 1.0, 0.7], [0.4, 0.5, 0.7, 1.0]])
errors = rng.normal(size=(n, 4)) @ np.linalg.cholesky(R).T * np.array([2.0, 2.5, 3.0, 3.5])
baseline = rng.normal(30.0, 5.0, size=n)
change = -0.2 * (baseline - 30.0)[:, None] - np.outer(np.where(arm == "drug", 1.5, 0.7), visits) + errors
seen = np.ones((n, 4), dtype=bool)
for k in range(1, 4):  # those who got worse leave
    seen[:, k] = seen[:, k - 1] & ~((change[:, k - 1] > 1.0) & (rng.random(n) < 0.5))
trial = {
    "change": np.where(seen, change, np.nan).ravel(),
    "baseline": np.repeat(baseline, 4),
    "arm": np.repeat(arm, 4),
    "visit": np.tile([f"v{v}" for v in visits], n),
    "person": np.repeat(np.arange(n), 4),
}

fit = ml.mmrm(
    "change ~ baseline + arm * visit",
    trial,
    groups="person",
    time="visit",
    df="kenward-roger",
    contrasts={"arm": "treatment('placebo')"},
)
print(fit, "\n")
print(fit.visit_covariance().round(2), "\n")
print(fit.emmeans("arm", by="visit", at={"visit": ["v4"]}).contrasts(), "\n")

structures = ["unstructured", "toeplitz-h", "ar1-h", "ar1"]
print(ml.compare([fit.update(residual=each) for each in structures], names=structures))
