"""How clustered are data, and what does that cost? Before any model."""

import multilevel as ml

pupils = ml.datasets.hsb82()  # 7,185 pupils in 160 schools
achievement = ml.icc(pupils, "mAch", groups="school")
print(achievement, end="\n\n")
print(achievement.anova, end="\n\n")
print(ml.design_effect(pupils, "mAch", groups="school", x=["meanses", "cses"]), end="\n\n")

women = ml.datasets.contraception()  # 1,934 women in 60 districts
print(ml.icc(women, "use", groups="district", conf_int="bootstrap", seed=1))
