"""Data sets from a plan, from data without a response, and from a fit that is changed."""

import multilevel as ml

# Sixty patients of six clinics, half of each clinic's on the drug, seen four times; a quarter drop out by the
# last one, rather those who were doing badly.
trial = (
    ml.Plan(clinic=6, patient=10)
    .assign("arm", ("control", "drug"), at="patient")
    .draw("age", (45, 12), at="patient")
    .visits("week", [0, 4, 8, 12])
    .leave("patient", "week", share=0.25, previous=-0.8)
)
print(trial)

model = "score ~ arm * week + age + (1 | clinic) + (1 + week | patient)"
data = ml.simulate(
    model,
    trial,
    fixef={"Intercept": 50, "age": -0.1, "arm[T.drug]:week": 0.4},
    sd={"clinic": 2, "patient": {"Intercept": 5, "week": 0.3}},
    cor={"patient": -0.2},
    sigma=4,
    seed=1,
)
print(data.iloc[4:8].to_string(index=False))
print("\n")
print(ml.lmm(model, data).tidy().round(3).to_string(index=False))

# A fit is taken for true: forty persons like the eighteen of the sleep study, losing half as much per day.
fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", ml.datasets.sleepstudy())
larger = ml.simulate(fit, fixef={"Days": 5.0}, sizes={"Subject": 40}, seed=1)
print(f"\n{len(larger)} rows, {larger['Subject'].nunique()} persons")
