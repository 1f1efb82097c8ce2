"""Who is missing, when, and does it show why?"""

from missing_trial import trial

import multilevel as ml

data = trial()
print(ml.missing_patterns(data, "person", "visit", y="pain", by="arm"), end="\n\n")
print(ml.little_test(data, groups="person", time="visit", y="pain"))
