"""Several imputed data sets, one answer; and what if those who left were worse off than they looked?"""

from missing_trial import trial

import multilevel as ml

data = trial()
fit = ml.lmm("pain ~ visit * arm + (1 | person)", data)
sensitivity = ml.delta_sensitivity(
    fit, where={"arm": "drug"}, term="visit:arm[T.drug]", deltas=[-1, 1, 2, 3, 4], n=20, seed=1
)
print(sensitivity, end="\n\n")

fits = []
for draw in sensitivity.imputations:  # as missing at random: your own imputations stand here
    completed = data.copy()
    completed.loc[sensitivity.imputed, "pain"] = draw
    fits.append(ml.lmm("pain ~ visit * arm + (1 | person)", completed))
pooled = ml.pool(fits)
print(pooled, end="\n\n")
print(pooled.test("arm[T.drug] = 0, visit:arm[T.drug] = 0", joint=True))
