"""What is nested, what is crossed, and where do columns vary?"""

import numpy as np

import multilevel as ml

# Patients of 12 clinics see any of their clinic's five physicians, four times each.
rng = np.random.default_rng(1)
clinic = np.repeat(np.arange(12), 80)
patient = np.repeat(np.arange(240), 4)
physician = clinic * 5 + rng.integers(0, 5, len(clinic))
visits = {
    "visit": np.arange(len(clinic)),
    "patient": patient,
    "physician": physician,
    "clinic": clinic,
    "policy": np.where(clinic % 2 == 0, "usual", "new"),
    "age": rng.integers(30, 80, 240)[patient],
    "pain": rng.normal(size=len(clinic)),
}
print(ml.structure(visits, ["visit", "patient", "physician", "clinic"]), end="\n\n")

# Patients are numbered anew in each of two centres: 1 to 56, and 1 to 55.
print(ml.structure(ml.datasets.respiratory(), ["center", "id"]), end="\n\n")

pupils = ml.datasets.course_demo_10x30()
print(ml.cluster_summary(pupils, "y", groups="school", by="treatment"))
