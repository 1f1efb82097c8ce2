"""Data sets on the health and growth of people."""

from __future__ import annotations

from multilevel._typing import Frame
from multilevel.datasets.loading import load
from multilevel.frames.table import FrameKind


def bacteria(frame: FrameKind = "pandas") -> Frame:
    """Presence of H. influenzae in children with otitis media, by treatment and week.

    220 rows:

    - `y`: bacteria present (y) or absent (n); 2 levels
    - `ap`: active drug (a) or placebo (p); 2 levels
    - `hilo`: compliance, high or low; 2 levels
    - `week`: week of test: 0, 2, 4, 6 or 11
    - `ID`: child; 50 levels
    - `trt`: placebo, drug, or drug with encouragement to take it (drug+); 3 levels

    Source: Leach A, Menzies School of Health Research, Darwin; in Venables WN, Ripley BD (2002). Modern
    Applied Statistics with S, 4th ed. Springer.
    Licence: GPL-2 or GPL-3, as distributed with the R package MASS 7.3.58.2.
    """
    return load("bacteria", frame)


def contraception(frame: FrameKind = "pandas") -> Frame:
    """Use of contraception by 1,934 women in 60 districts of Bangladesh, 1988.

    1,934 rows:

    - `woman`: woman; 1,934 levels
    - `district`: district; 60 levels
    - `use`: whether she used contraception at the time; 2 levels
    - `livch`: living children: 0, 1, 2, 3+; 4 levels
    - `age`: age less its mean (years)
    - `urban`: whether she lived in a town; 2 levels

    Source: Bangladesh Fertility Survey 1989; Huq NM, Cleland J (1990). Bangladesh Fertility Survey 1989
    (Main Report). National Institute of Population Research and Training.
    Licence: GPL (>= 2), as distributed with the R package mlmRev 1.0.8.
    """
    return load("contraception", frame)


def dialyzer(frame: FrameKind = "pandas") -> Frame:
    """Ultrafiltration rate of 20 dialysers at seven pressures and two rates of blood flow.

    140 rows:

    - `Subject`: dialyser, ordered by largest rate; 20 levels
    - `QB`: blood flow (dl/min); 2 levels
    - `pressure`: transmembrane pressure (dmHg)
    - `rate`: ultrafiltration rate (ml/hr)
    - `index`: measurement within dialyser, 1 to 7

    Source: Vonesh EF, Carter RL (1992). Mixed-effects nonlinear regression for unbalanced repeated
    measures. Biometrics 48, 1-17.
    Licence: GPL (>= 2), as distributed with the R package nlme 3.1.162.
    """
    return load("dialyzer", frame)


def epil(frame: FrameKind = "pandas") -> Frame:
    """Seizures of 59 people with epilepsy in four fortnights, on progabide or placebo.

    236 rows:

    - `y`: seizures in the fortnight
    - `trt`: treatment; 2 levels
    - `base`: seizures in the eight weeks before
    - `age`: age (years)
    - `V4`: 1 in the fourth fortnight, else 0
    - `subject`: subject; 59 levels
    - `period`: fortnight, 1 to 4
    - `lbase`: logarithm of base, centred
    - `lage`: logarithm of age, centred

    Source: Thall PF, Vail SC (1990). Some covariance models for longitudinal count data with
    overdispersion. Biometrics 46, 657-671.
    Licence: GPL-2 or GPL-3, as distributed with the R package MASS 7.3.58.2.
    """
    return load("epil", frame)


def ohio(frame: FrameKind = "pandas") -> Frame:
    """Wheezing of 537 children at ages 7 to 10, and whether their mothers smoked.

    2,148 rows:

    - `resp`: 1 if the child wheezed, else 0
    - `id`: child
    - `age`: age less 9 (years)
    - `smoke`: 1 if the mother smoked at the start, else 0

    Source: Fitzmaurice GM, Laird NM (1993). A likelihood-based method for analysing longitudinal binary
    responses. Biometrika 80, 141-151.
    Licence: GPL (>= 3), as distributed with the R package geepack 1.3.9.
    """
    return load("ohio", frame)


def orthodont(frame: FrameKind = "pandas") -> Frame:
    """Growth of the jaw of 27 children at ages 8, 10, 12 and 14.

    108 rows:

    - `distance`: pituitary to pterygomaxillary fissure (mm)
    - `age`: age (years)
    - `Subject`: child (M boys, F girls), ordered by mean distance within sex; 27 levels
    - `Sex`: sex; 2 levels

    Source: Potthoff RF, Roy SN (1964). A generalized multivariate analysis of variance model useful
    especially for growth curve problems. Biometrika 51, 313-326.
    Licence: GPL (>= 2), as distributed with the R package nlme 3.1.162.
    """
    return load("orthodont", frame)


def oxboys(frame: FrameKind = "pandas") -> Frame:
    """Heights of 26 boys from Oxford on nine occasions.

    234 rows:

    - `Subject`: boy, ordered by mean height; 26 levels
    - `age`: age, standardised
    - `height`: height (cm)
    - `Occasion`: occasion, ordered; 9 levels

    Source: Goldstein H (1987). Multilevel Models in Educational and Social Research. Griffin.
    Licence: GPL (>= 2), as distributed with the R package nlme 3.1.162.
    """
    return load("oxboys", frame)


def respiratory(frame: FrameKind = "pandas") -> Frame:
    """Respiratory status of 111 patients at four visits in two centres.

    444 rows:

    - `center`: centre; 2 levels
    - `id`: patient within centre; the numbers start again in centre 2
    - `treat`: active drug (A) or placebo (P); 2 levels
    - `sex`: sex; 2 levels
    - `age`: age (years)
    - `baseline`: 1 if status was good at the start, else 0
    - `visit`: visit, 1 to 4
    - `outcome`: 1 if status is good, else 0

    Source: Koch GG, Carr GJ, Amara IA, Stokes ME, Uryniak TJ (1990). Categorical data analysis. In
    Berry DA (ed.), Statistical Methodology in the Pharmaceutical Sciences. Dekker; Davis CS (1991).
    Statistics in Medicine 10, 1959-1980.
    Licence: GPL (>= 3), as distributed with the R package geepack 1.3.9.
    """
    return load("respiratory", frame)


def seizure(frame: FrameKind = "pandas") -> Frame:
    """The trial of `epil` with its baseline as a row: five counts for each of 59 people.

    295 rows:

    - `id`: person
    - `time`: 0 for the baseline, then fortnights 1 to 4
    - `y`: seizures
    - `t`: length of the interval (weeks)
    - `lt`: logarithm of t, the offset of a rate
    - `x`: 1 after the baseline, else 0
    - `trt`: 1 for progabide, 0 for placebo
    - `age`: age (years)

    Source: Thall PF, Vail SC (1990). Some covariance models for longitudinal count data with
    overdispersion. Biometrics 46, 657-671; laid out as in Diggle PJ, Liang K-Y, Zeger SL (1994).
    Analysis of Longitudinal Data. Clarendon Press.
    Licence: GPL (>= 3), as distributed with the R package geepack 1.3.9.
    """
    return load("seizure", frame)


def sleepstudy(frame: FrameKind = "pandas") -> Frame:
    """Reaction times of 18 people over ten days of three hours of sleep a night.

    180 rows:

    - `Reaction`: mean reaction time (ms)
    - `Days`: days of sleep restriction, 0 to 9 (days 0 and 1 are training and adaptation)
    - `Subject`: person; 18 levels

    Source: Belenky G, Wesensten NJ, Thorne DR, Thomas ML, Sing HC, Redmond DP, Russo MB, Balkin TJ
    (2003). Patterns of performance degradation and restoration during sleep restriction and subsequent
    recovery. Journal of Sleep Research 12, 1-12.
    Licence: GPL (>= 2), as distributed with the R package lme4 1.1.31.
    """
    return load("sleepstudy", frame)


def toenail(frame: FrameKind = "pandas") -> Frame:
    """Toenail infection of 294 patients at up to seven visits, under two drugs.

    1,908 rows:

    - `patientID`: patient; 294 levels
    - `outcome`: separation of the nail plate, none or mild against moderate or severe; 2 levels
    - `treatment`: drug; 2 levels
    - `time`: months since the start
    - `visit`: visit, 1 to 7

    Source: De Backer M, De Vroey C, Lesaffre E, Scheys I, De Keyser P (1998). Twelve weeks of
    continuous oral therapy for toenail onychomycosis caused by dermatophytes. Journal of the American
    Academy of Dermatology 38, S57-S63.
    Licence: GPL (>= 2), as distributed with the R package HSAUR3 1.0.13.
    """
    return load("toenail", frame)
