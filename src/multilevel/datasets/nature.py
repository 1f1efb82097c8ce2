"""Data sets on animals and plants."""

from __future__ import annotations

from multilevel._typing import Frame
from multilevel.datasets.loading import load
from multilevel.frames.table import FrameKind


def bodyweight(frame: FrameKind = "pandas") -> Frame:
    """Weights of 16 rats on three diets over nine weeks.

    176 rows:

    - `weight`: weight (g)
    - `Time`: day
    - `Rat`: rat, ordered by weight within diet; 16 levels
    - `Diet`: diet; 3 levels

    Source: Hand D, Crowder M (1996). Practical Longitudinal Data Analysis. Chapman and Hall.
    Licence: GPL (>= 2), as distributed with the R package nlme 3.1.162.
    """
    return load("bodyweight", frame)


def cbpp(frame: FrameKind = "pandas") -> Frame:
    """New cases of contagious bovine pleuropneumonia in 15 herds over four periods.

    56 rows:

    - `herd`: herd; 15 levels
    - `incidence`: new serological cases in the period
    - `size`: animals at the start of the period
    - `period`: time period; 4 levels

    Source: Lesnoff M, Laval G, Bonnet P, Abdicho S, Workalemahu A, Kifle D, Peyraud A, Lancelot R,
    Thiaucourt F (2004). Within-herd spread of contagious bovine pleuropneumonia in Ethiopian highlands.
    Preventive Veterinary Medicine 64, 27-40.
    Licence: GPL (>= 2), as distributed with the R package lme4 1.1.31.
    """
    return load("cbpp", frame)


def dietox(frame: FrameKind = "pandas") -> Frame:
    """Weekly weights of 72 pigs fed vitamin E and copper.

    861 rows:

    - `Pig`: pig; 72 levels
    - `Evit`: dose of vitamin E; 3 levels
    - `Cu`: dose of copper; 3 levels
    - `Litter`: litter; 21 levels
    - `Start`: weight at the start (kg)
    - `Weight`: weight (kg)
    - `Feed`: feed eaten so far (kg); missing in week 1
    - `Time`: week, 1 to 12

    Source: Lauridsen C, Hojsgaard S, Sorensen MT (1999). Influence of dietary rapeseed oil, vitamin E,
    and copper on the performance and the antioxidative and oxidative status of pigs. Journal of Animal
    Science 77, 906-916.
    Licence: GPL (>= 3), as distributed with the R package geepack 1.3.9.
    """
    return load("dietox", frame)


def grouseticks(frame: FrameKind = "pandas") -> Frame:
    """Ticks on red grouse chicks, in broods, at locations.

    403 rows:

    - `INDEX`: chick; 403 levels
    - `TICKS`: number of ticks
    - `BROOD`: brood; 118 levels
    - `HEIGHT`: height above sea level (m)
    - `YEAR`: year less 1900; 3 levels
    - `LOCATION`: location; 63 levels
    - `cHEIGHT`: the same less its mean

    Source: Elston DA, Moss R, Boulinier T, Arrowsmith C, Lambin X (2001). Analysis of aggregation, a
    worked example: numbers of ticks on red grouse chicks. Parasitology 122, 563-569.
    Licence: GPL (>= 2), as distributed with the R package lme4 1.1.31.
    """
    return load("grouseticks", frame)


def ovary(frame: FrameKind = "pandas") -> Frame:
    """Number of ovarian follicles of 11 mares through their cycle.

    308 rows:

    - `Mare`: mare, ordered by largest count; 11 levels
    - `Time`: time in the cycle: 0 and 1 are ovulations
    - `follicles`: number of follicles wider than 10 mm

    Source: Pierson RA, Ginther OJ (1987). Follicular population dynamics during the estrous cycle of
    the mare. Animal Reproduction Science 14, 219-231.
    Licence: GPL (>= 2), as distributed with the R package nlme 3.1.162.
    """
    return load("ovary", frame)


def owls(frame: FrameKind = "pandas") -> Frame:
    """Begging of barn owl nestlings by brood, food and parent.

    599 rows:

    - `Nest`: nest; 27 levels
    - `FoodTreatment`: whether the brood was deprived of food or satiated; 2 levels
    - `SexParent`: sex of the parent that came; 2 levels
    - `ArrivalTime`: when the parent came (hours; 24 and more are after midnight)
    - `SiblingNegotiation`: calls of the brood in the quarter hour before
    - `BroodSize`: number of nestlings
    - `NegPerChick`: calls for each nestling
    - `logBroodSize`: logarithm of BroodSize

    Source: Roulin A, Bersier L-F (2007). Nestling barn owls beg more intensely in the presence of their
    mother than in the presence of their father. Animal Behaviour 74, 1099-1106.
    Licence: AGPL-3, as distributed with the R package glmmTMB 1.1.5.
    """
    return load("owls", frame)


def salamanders(frame: FrameKind = "pandas") -> Frame:
    """Counts of salamanders at 23 stream sites, some below mountaintop mines.

    644 rows:

    - `site`: site; 23 levels
    - `mined`: whether the site was mined; 2 levels
    - `cover`: cover objects (scaled)
    - `sample`: visit, 1 to 4
    - `DOP`: days since rain (scaled)
    - `Wtemp`: water temperature (scaled)
    - `DOY`: day of the year (scaled)
    - `spp`: species, and life stage for some; 7 levels
    - `count`: salamanders counted

    Source: Price SJ, Muncy BL, Bonner SJ, Drayer AN, Barton CD (2016). Effects of mountaintop removal
    mining and valley filling on the occupancy and abundance of stream salamanders. Journal of Applied
    Ecology 53, 459-468.
    Licence: AGPL-3, as distributed with the R package glmmTMB 1.1.5.
    """
    return load("salamanders", frame)


def spruce(frame: FrameKind = "pandas") -> Frame:
    """Size of 79 Sitka spruces grown with and without ozone.

    1,027 rows:

    - `chamber`: growth chamber
    - `ozone`: ozone-enriched air or normal; 2 levels
    - `id`: tree
    - `time`: days since 1 January 1988
    - `wave`: measurement, 1 to 13
    - `logsize`: logarithm of height times squared diameter

    Source: Diggle PJ, Liang K-Y, Zeger SL (1994). Analysis of Longitudinal Data. Clarendon Press.
    Licence: GPL (>= 3), as distributed with the R package geepack 1.3.9.
    """
    return load("spruce", frame)
