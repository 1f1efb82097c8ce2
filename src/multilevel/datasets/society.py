"""Data sets on people's answers and incomes, and on states and firms."""

from __future__ import annotations

from multilevel._typing import Frame
from multilevel.datasets.loading import load
from multilevel.frames.table import FrameKind


def income_blood_pressure(frame: FrameKind = "pandas") -> Frame:
    """Simulated income and blood pressure of 1,093 people in 40 neighbourhoods: a paradox.

    1,093 rows:

    - `neighbourhood`: neighbourhood; 40 levels
    - `income`: income (thousand dollars a year)
    - `blood_pressure`: systolic blood pressure (mmHg)

    Within a neighbourhood, people with more income have lower blood pressure; between neighbourhoods, those
    with higher mean income have higher mean blood pressure; over all people together, those with more
    income have higher blood pressure. All three are true of the same table, as slopes of three questions:
    -0.34, 0.46 and 0.21 mmHg a thousand dollars. `ml.decompose_effect("blood_pressure ~ income", data,
    groups="neighbourhood")` tells them apart.

    Source: Simulated for this package by tools/make_income_blood_pressure.py, with NumPy's PCG64 from
    seed 1950; no real people.
    Licence: free to use.
    """
    return load("income_blood_pressure", frame)


def mortality_rates(frame: FrameKind = "pandas") -> Frame:
    """Deaths of people of 18 to 20 in motor vehicle accidents, 50 US states, 1970 to 1983.

    700 rows:

    - `year`: year
    - `state`: state (FIPS code); 50 levels
    - `count`: deaths
    - `pop`: people of that age
    - `legal`: share of them allowed to drink
    - `beertaxa`: beer tax
    - `mrate`: deaths in 100,000

    Source: Carpenter C, Dobkin C (2011). The minimum legal drinking age and public health. Journal of
    Economic Perspectives 25(2), 133-156; Angrist JD, Pischke J-S (2014). Mastering 'Metrics. Princeton
    University Press.
    Licence: GPL-3, as distributed with the R package clubSandwich 0.5.8.
    """
    return load("mortality_rates", frame)


def petersen(frame: FrameKind = "pandas") -> Frame:
    """Simulated panel of 100 firms over ten years, with firm and year effects.

    1,000 rows:

    - `firm`: firm
    - `year`: year
    - `x`: regressor
    - `y`: response

    Source: Petersen MA (2009). Estimating standard errors in finance panel data sets: comparing
    approaches. Review of Financial Studies 22, 435-480.
    Licence: GPL-2 or GPL-3, as distributed with the R package sandwich 3.0.2.
    """
    return load("petersen", frame)


def verbagg(frame: FrameKind = "pandas") -> Frame:
    """Would they curse, scold, shout? 316 people answering 24 items on verbal aggression.

    7,584 rows:

    - `Anger`: trait anger score
    - `Gender`: gender; 2 levels
    - `item`: item; 24 levels
    - `resp`: answer: no, perhaps, yes (ordered); 3 levels
    - `id`: person; 316 levels
    - `btype`: behaviour: curse, scold, shout; 3 levels
    - `situ`: who is to blame: other or self; 2 levels
    - `mode`: want to do it, or would do it; 2 levels
    - `r2`: answer in two: perhaps and yes together; 2 levels

    Source: De Boeck P, Wilson M (2004). Explanatory Item Response Models. Springer.
    Licence: GPL (>= 2), as distributed with the R package lme4 1.1.31.
    """
    return load("verbagg", frame)
