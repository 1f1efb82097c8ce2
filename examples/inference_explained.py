"""How much of achievement lies between schools, what explains it, and which school is where?"""

import multilevel as ml

pupils = ml.datasets.hsb82()  # 7,185 pupils in 160 schools
empty = ml.lmm("mAch ~ 1 + (1 | school)", pupils)
status = ml.lmm("mAch ~ meanses + (1 | school)", pupils)  # social status of the school
slopes = ml.lmm("mAch ~ meanses + cses + (1 + cses | school)", pupils)  # and of the pupil within it


def show(title, table, digits=3):
    """A table below its title."""
    print(f"{title}\n{table.round(digits).to_string(index=False)}\n")


show("How alike are two pupils of one school?", empty.icc(conf_int="exact"))
show("What does the social status of the school explain?", status.r2().drop(columns="note"))
show("The share between schools, by a pupil's status", slopes.icc(over="cses", points=5, conf_int="delta"))

ranks = status.ranef(ranks=True, seed=1).sort_values("estimate", ascending=False)
columns = ["level", "estimate", "std_error", "reliability", "expected_rank", "rank_low", "rank_high"]
show(
    "Three schools at the top of the list, and three in its middle",
    ranks[columns].iloc[[0, 1, 2, 79, 80, 81]],
    2,
)
