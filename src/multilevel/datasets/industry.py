"""Data sets from manufacturing and engineering."""

from __future__ import annotations

from multilevel._typing import Frame
from multilevel.datasets.loading import load
from multilevel.frames.table import FrameKind


def dyestuff(frame: FrameKind = "pandas") -> Frame:
    """Yield of five preparations of dyestuff from each of six batches of an intermediate.

    30 rows:

    - `Batch`: batch of the intermediate; 6 levels
    - `Yield`: yield of standard colour (g)

    Source: Davies OL, Goldsmith PL (1972). Statistical Methods in Research and Production, 4th ed.,
    section 6.4. Oliver and Boyd.
    Licence: GPL (>= 2), as distributed with the R package lme4 1.1.31.
    """
    return load("dyestuff", frame)


def dyestuff2(frame: FrameKind = "pandas") -> Frame:
    """The layout of `dyestuff`, simulated so that the variance between batches is estimated as zero.

    30 rows:

    - `Batch`: batch; 6 levels
    - `Yield`: simulated yield

    Source: Box GEP, Tiao GC (1973). Bayesian Inference in Statistical Analysis, section 5.1.2.
    Addison-Wesley.
    Licence: GPL (>= 2), as distributed with the R package lme4 1.1.31.
    """
    return load("dyestuff2", frame)


def ergostool(frame: FrameKind = "pandas") -> Frame:
    """Effort of nine people to rise from four types of stool.

    36 rows:

    - `effort`: effort to arise (Borg scale)
    - `Type`: type of stool; 4 levels
    - `Subject`: person, ordered by mean effort; 9 levels

    Source: Wretenberg P, Arborelius UP, Lindberg F (1993). The effects of a pneumatic stool and a
    one-legged stool on lower limb joint load and muscular activity during sitting and rising.
    Ergonomics 36, 519-535.
    Licence: GPL (>= 2), as distributed with the R package nlme 3.1.162.
    """
    return load("ergostool", frame)


def machines(frame: FrameKind = "pandas") -> Frame:
    """Productivity of six workers, each three times on each of three brands of machine.

    54 rows:

    - `Worker`: worker, ordered by mean score; 6 levels
    - `Machine`: brand of machine; 3 levels
    - `score`: productivity score

    Source: Milliken GA, Johnson DE (1992). Analysis of Messy Data, volume I: Designed Experiments.
    Chapman and Hall.
    Licence: GPL (>= 2), as distributed with the R package nlme 3.1.162.
    """
    return load("machines", frame)


def pastes(frame: FrameKind = "pandas") -> Frame:
    """Strength of paste: two tests of three casks from each of ten batches, casks nested in batches.

    60 rows:

    - `strength`: paste strength
    - `batch`: delivery batch; 10 levels
    - `cask`: cask within batch; the labels a, b, c are used again in every batch; 3 levels
    - `sample`: the cask as a label of its own, batch:cask; 30 levels

    Source: Davies OL, Goldsmith PL (1972). Statistical Methods in Research and Production, 4th ed.,
    section 6.5. Oliver and Boyd.
    Licence: GPL (>= 2), as distributed with the R package lme4 1.1.31.
    """
    return load("pastes", frame)


def penicillin(frame: FrameKind = "pandas") -> Frame:
    """Growth inhibition by six samples of penicillin, each on each of 24 plates: fully crossed.

    144 rows:

    - `diameter`: diameter of the zone of inhibition (mm)
    - `plate`: assay plate; 24 levels
    - `sample`: penicillin sample; 6 levels

    Source: Davies OL, Goldsmith PL (1972). Statistical Methods in Research and Production, 4th ed.,
    section 6.6. Oliver and Boyd.
    Licence: GPL (>= 2), as distributed with the R package lme4 1.1.31.
    """
    return load("penicillin", frame)


def petrol(frame: FrameKind = "pandas") -> Frame:
    """Yield of petrol from ten crude oils at several end points of distillation.

    32 rows:

    - `No`: crude oil; 10 levels
    - `SG`: specific gravity (degrees API)
    - `VP`: vapour pressure (psi)
    - `V10`: volatility: 10% point (ASTM, degrees F)
    - `EP`: end point (degrees F)
    - `Y`: yield (percent of crude)

    Source: Prater NH (1956). Estimate gasoline yields from crudes. Petroleum Refiner 35, 236-238.
    Licence: GPL-2 or GPL-3, as distributed with the R package MASS 7.3.58.2.
    """
    return load("petrol", frame)


def rail(frame: FrameKind = "pandas") -> Frame:
    """Travel time of ultrasound in six railway rails, three times each.

    18 rows:

    - `Rail`: rail, ordered by mean travel time; 6 levels
    - `travel`: travel time of head-waves (nanoseconds, less 36,100)

    Source: Devore JL (2000). Probability and Statistics for Engineering and the Sciences, 5th ed.
    Duxbury.
    Licence: GPL (>= 2), as distributed with the R package nlme 3.1.162.
    """
    return load("rail", frame)
