"""One question put to several models: what differs, and why."""

import numpy as np
import pandas as pd

import multilevel as ml

pupils = ml.datasets.course_demo_10x30()  # 10 schools of 30 pupils; whole schools are treated
naive = ml.ols("y ~ treatment", pupils)
mixed = ml.lmm("y ~ treatment + (1 | school)", pupils)
print(ml.sidebyside(naive, mixed), end="\n\n")

sleep = ml.datasets.sleepstudy()  # 18 persons on 10 days each
print(
    ml.sidebyside(
        ml.ols("Reaction ~ Days", sleep),
        ml.ols("Reaction ~ Days", sleep, vcov="CR2", cluster="Subject"),
        ml.lmm("Reaction ~ Days + (1 | Subject)", sleep),
        ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleep),
        names=["ols", "robust", "intercepts", "slopes"],
    ),
    end="\n\n",
)

rng = np.random.default_rng(1)  # 300 patients, eight visits, ill or not; patients differ a lot
patient, visit = np.repeat(range(300), 8), np.tile(np.arange(8), 300)
log_odds = -0.5 + 0.8 * (patient % 2) - 0.2 * visit + 2.0 * rng.normal(size=300)[patient]
ill = (rng.random(2400) < 1 / (1 + np.exp(-log_odds))).astype(int)
data = pd.DataFrame({"patient": patient, "visit": visit, "arm": patient % 2, "ill": ill})
print(
    ml.sidebyside(
        ml.glm("ill ~ arm + visit", data, family="binomial"),
        ml.gee("ill ~ arm + visit", data, groups="patient", family="binomial", corr="exchangeable"),
        ml.glmm("ill ~ arm + visit + (1 | patient)", data, family="binomial", nagq=15),
    )
)
