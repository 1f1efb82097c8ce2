"""How often is an effect found that is not there? Seven analyses of the same data sets."""

import multilevel as ml

schools = ml.Plan(school=10, pupil=30).assign("treated", at="school")
print(ml.type1("score ~ treated + (1 | school)", schools, test="treated", icc=0.25, seed=1))
