"""Standard errors that are right although observations of a cluster are alike, also with few clusters."""

import warnings

import numpy as np

import multilevel as ml

warnings.simplefilter("ignore", ml.errors.MultilevelWarning)  # CR1 with few clusters is shown on purpose


def show(title, fits):
    """Standard error, degrees of freedom and p-value of the last coefficient of each fit."""
    print(f"{title:<42}{'SE':>8}{'df':>7}{'p':>8}")
    for label, fit in fits.items():
        last = fit.tidy().iloc[-1]
        print(f"  {label:<40}{last['std_error']:8.3f}{last['df']:7.1f}{last['p_value']:8.3f}")
    print()


studies = ml.datasets.dropout_prevention()  # 385 effects of programmes, of which a study reports several
kinds = ("model", "CR1", "CR2", "CR3")
model = "LOR1 ~ study_design + adjusted + male_pct"
show(
    "Effect of the share of boys, 152 studies",
    {
        kind: ml.ols(model, studies, vcov=kind, cluster=None if kind == "model" else "studyID")
        for kind in kinds
    },
)
pupils = ml.datasets.course_demo_10x30()  # 10 schools, 5 of them treated
show(
    "Effect of the treatment, 10 schools",
    {
        kind: ml.ols("y ~ treatment", pupils, vcov=kind, cluster=None if kind == "model" else "school")
        for kind in kinds
    },
)

print(ml.ols("y ~ treatment", pupils, vcov="CR2", cluster="school"), "\n")

panel = ml.datasets.petersen()  # 100 firms in 10 years; effects of firms and of years
two_ways = ml.ols("y ~ x", panel, cluster=["firm", "year"])
print("Firms and years, CR1:", two_ways.se.round(4), "\n")

sleep = ml.datasets.sleepstudy()
intercepts = ml.lmm("Reaction ~ Days + (1 | Subject)", sleep)  # takes all for equally hurt by lost sleep
slopes = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleep)
print("SE of Days in a mixed model      by the model   CR2")
for label, fit in {"the same slope for all": intercepts, "a slope of their own": slopes}.items():
    robust = np.sqrt(fit.vcov(kind="CR2").diagonal())
    print(f"  {label:<30} {fit.se[1]:12.3f} {robust[1]:5.3f}")
