"""Tables of the course this package grew from."""

from __future__ import annotations

from multilevel._typing import Frame
from multilevel.datasets.loading import load
from multilevel.frames.table import FrameKind


def course_clustered_20x10(frame: FrameKind = "pandas") -> Frame:
    """Simulated scores of ten pupils in each of 20 schools; true ICC 25/34 = 0.735.

    200 rows:

    - `school`: school
    - `school_effect`: true effect of the school, SD 5
    - `student_error`: true deviation of the pupil, SD 3
    - `score`: 50 + school_effect + student_error

    Source: Made for the course on multilevel models that this package grew from, with R's random
    numbers from seed 2026.
    Licence: free to use.
    """
    return load("course_clustered_20x10", frame)


def course_demo_10x30(frame: FrameKind = "pandas") -> Frame:
    """Simulated trial: 30 pupils in each of ten schools, five treated; true effect none, ICC 0.25.

    300 rows:

    - `school`: school
    - `treatment`: 1 for a treated school, else 0
    - `school_effect`: true effect of the school, variance 0.25
    - `y`: outcome, residual variance 0.75

    Source: Made for the course on multilevel models that this package grew from, with R's random
    numbers from seed 2026.
    Licence: free to use.
    """
    return load("course_demo_10x30", frame)


def course_independent(frame: FrameKind = "pandas") -> Frame:
    """100 simulated depression scores that are independent of each other.

    100 rows:

    - `id`: person
    - `depression`: depression score, drawn from a normal distribution with mean 15 and SD 5

    Source: Made for the course on multilevel models that this package grew from, with R's random
    numbers from seed 2026.
    Licence: free to use.
    """
    return load("course_independent", frame)


def course_prevention(frame: FrameKind = "pandas") -> Frame:
    """Risk scores of four schools in each of five communities.

    20 rows:

    - `community`: community; 5 levels
    - `school`: school, 1 to 20
    - `risk_score`: prevention risk score

    Source: Made for the course on multilevel models that this package grew from.
    Licence: free to use.
    """
    return load("course_prevention", frame)


def school_prevention(frame: FrameKind = "pandas") -> Frame:
    """The 20 schools of `course_prevention` with short labels.

    20 rows:

    - `community`: community, A to E; 5 levels
    - `school`: school, A1 to E4; 20 levels
    - `score`: prevention risk score

    Source: Made for the course on multilevel models that this package grew from.
    Licence: free to use.
    """
    return load("school_prevention", frame)
