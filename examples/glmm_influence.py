"""Which herds carry the estimates?"""

import multilevel as ml

cases = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
print(cases.influence("herd"))
print("\n")
print(cases.influence().frame.nlargest(3, "cooks_distance").round(3).iloc[:, :7].to_string(index=False))
