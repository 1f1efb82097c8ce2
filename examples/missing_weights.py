"""Weights for those who stayed, to stand for those who left."""

from missing_trial import trial

import multilevel as ml

data = trial()
weights = ml.dropout_weights(
    data, "person", "visit", "~ pain + arm", y="pain", numerator="~ arm * factor(visit)", truncate=(0.0, 0.99)
)
print(weights, end="\n\n")

formula = "pain ~ visit * arm"
print(
    ml.sidebyside(
        ml.gee(formula, data, groups="person", time="visit"),
        ml.gee(formula, data, groups="person", time="visit", weights=weights),
        ml.lmm("pain ~ visit * arm + (1 | person)", data),
        names=["as seen", "weighted", "mixed"],
    )
    .frame[["model", "term", "estimate", "std_error"]]
    .round(3)
    .to_string(index=False)
)
