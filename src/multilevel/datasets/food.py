"""Data sets from field, kitchen and table."""

from __future__ import annotations

from multilevel._typing import Frame
from multilevel.datasets.loading import load
from multilevel.frames.table import FrameKind


def cake(frame: FrameKind = "pandas") -> Frame:
    """Breakage angle of chocolate cakes: three recipes, six oven temperatures, 15 replicates.

    270 rows:

    - `replicate`: replicate, within each recipe; 15 levels
    - `recipe`: recipe; 3 levels
    - `temperature`: baking temperature (degrees F), an ordered factor; 6 levels
    - `angle`: angle at which the cake broke (degrees)
    - `temp`: the same as a number

    Source: Cook FE (1938). Chocolate cake, I. Optimum baking temperature. Master's thesis, Iowa State
    College; in Cochran WG, Cox GM (1957). Experimental Designs, 2nd ed., p. 300. Wiley.
    Licence: GPL (>= 2), as distributed with the R package lme4 1.1.31.
    """
    return load("cake", frame)


def oats(frame: FrameKind = "pandas") -> Frame:
    """Yield of oats in a split plot: three varieties, four doses of nitrogen, six blocks.

    72 rows:

    - `B`: block; 6 levels
    - `V`: variety (whole plots); 3 levels
    - `N`: nitrogen manure, hundredweight an acre (subplots); 4 levels
    - `Y`: yield (quarter pounds a subplot)

    Source: Yates F (1935). Complex experiments. Supplement to the Journal of the Royal Statistical
    Society 2, 181-247.
    Licence: GPL-2 or GPL-3, as distributed with the R package MASS 7.3.58.2.
    """
    return load("oats", frame)


def wine(frame: FrameKind = "pandas") -> Frame:
    """Bitterness of white wine as nine judges rated it, by temperature and contact with skins.

    72 rows:

    - `response`: bitterness, 0 to 100
    - `rating`: bitterness in five ordered grades; 5 levels
    - `temp`: temperature while pressing; 2 levels
    - `contact`: contact of juice and skins; 2 levels
    - `bottle`: bottle, two for each treatment; 8 levels
    - `judge`: judge; 9 levels

    Source: Randall JH (1989). The analysis of sensory data by generalized linear model. Biometrical
    Journal 31, 781-793.
    Licence: GPL (>= 2), as distributed with the R package ordinal 2022.11.16.
    """
    return load("wine", frame)
