"""Data sets from schools and universities."""

from __future__ import annotations

from multilevel._typing import Frame
from multilevel.datasets.loading import load
from multilevel.frames.table import FrameKind


def chem97(frame: FrameKind = "pandas") -> Frame:
    """A-level chemistry scores of 31,022 candidates in 2,410 schools of 131 authorities, 1997.

    31,022 rows:

    - `lea`: local education authority; 131 levels
    - `school`: school; 2,410 levels
    - `score`: A-level score: 0 (fail) to 10 (A)
    - `gender`: gender; 2 levels
    - `age`: age (months, from 18 years and 6 months)
    - `gcsecnt`: mean GCSE score less its mean

    Source: Fielding A, Yang M, Goldstein H (2003). Multilevel ordinal models for examination grades.
    Statistical Modelling 3, 127-153.
    Licence: GPL (>= 2), as distributed with the R package mlmRev 1.0.8.
    """
    return load("chem97", frame)


def dropout_prevention(frame: FrameKind = "pandas") -> Frame:
    """385 effects of programmes against school dropout, from 152 studies.

    385 rows:

    - `LOR1`: effect of the programme (log odds ratio)
    - `varLOR`: sampling variance of LOR1
    - `studyID`: study; 152 levels
    - `studySample`: sample within study; 317 levels
    - `study_design`: how groups were formed; 3 levels
    - `outcome`: what was measured; 4 levels
    - `evaluator_independence`: how independent the evaluators were; 4 levels
    - `implementation_quality`: how well the programme was carried out; 3 levels
    - `program_site`: where it took place; 4 levels
    - `attrition`: loss of participants
    - `group_equivalence`: how alike the groups were at the start
    - `adjusted`: whether effects were adjusted; 2 levels
    - `male_pct`: boys (percent)
    - `white_pct`: white participants (percent)
    - `average_age`: mean age (years)
    - `duration`: length of the programme (weeks)
    - `service_hrs`: hours of service a week
    - `big_study`: whether the study was large

    Source: Wilson SJ, Tanner-Smith EE, Lipsey MW, Steinka-Fry K, Morrison J (2011). Dropout prevention
    and intervention programs. Campbell Systematic Reviews 8.
    Licence: GPL-3, as distributed with the R package clubSandwich 0.5.8.
    """
    return load("dropout_prevention", frame)


def egsingle(frame: FrameKind = "pandas") -> Frame:
    """Mathematics scores of 1,721 pupils in 60 schools over six years.

    7,230 rows:

    - `schoolid`: school; 60 levels
    - `childid`: child; 1,721 levels
    - `year`: year of study, centred
    - `grade`: grade
    - `math`: mathematics score (item response scale)
    - `retained`: 1 if held back in the grade, else 0; 2 levels
    - `female`: sex, with the labels of the source; 2 levels
    - `black`: 1 if black, else 0; 2 levels
    - `hispanic`: 1 if Hispanic, else 0; 2 levels
    - `size`: pupils in the school
    - `lowinc`: pupils of low-income families (percent)
    - `mobility`: pupils who moved within the year (percent)

    Source: Raudenbush SW, Bryk AS, Cheong YF, Congdon RT (2000). HLM 5: Hierarchical Linear and
    Nonlinear Modeling. Scientific Software International; from the US Sustaining Effects Study.
    Licence: GPL (>= 2), as distributed with the R package mlmRev 1.0.8.
    """
    return load("egsingle", frame)


def exam(frame: FrameKind = "pandas") -> Frame:
    """Examination scores of 4,059 pupils in 65 schools of inner London.

    4,059 rows:

    - `school`: school; 65 levels
    - `normexam`: score at age 16, normalised
    - `schgend`: who goes to the school: mixed, boys, girls; 3 levels
    - `schavg`: school mean of the intake score
    - `vr`: verbal reasoning of the pupil, band; 3 levels
    - `intake`: intake score of the pupil, band; 3 levels
    - `standLRT`: London reading test at age 11, standardised
    - `sex`: sex; 2 levels
    - `type`: mixed or single-sex school; 2 levels
    - `student`: pupil; numbers are unique within a school only; 650 levels

    Source: Goldstein H, Rasbash J, Yang M, Woodhouse G, Pan H, Nuttall D, Thomas S (1993). A multilevel
    analysis of school examination results. Oxford Review of Education 19, 425-433.
    Licence: GPL (>= 2), as distributed with the R package mlmRev 1.0.8.
    """
    return load("exam", frame)


def hsb82(frame: FrameKind = "pandas") -> Frame:
    """Mathematics achievement of 7,185 pupils in 160 high schools of the USA, 1982.

    7,185 rows:

    - `school`: school, in order of mean achievement; 160 levels
    - `minrty`: whether the pupil belongs to a minority; 2 levels
    - `sx`: sex; 2 levels
    - `ses`: socio-economic status
    - `mAch`: mathematics achievement
    - `meanses`: school mean of ses
    - `sector`: public or Catholic; 2 levels
    - `cses`: ses less the school mean

    Source: Raudenbush SW, Bryk AS (2002). Hierarchical Linear Models, 2nd ed. Sage.
    Licence: GPL (>= 2), as distributed with the R package mlmRev 1.0.8.
    """
    return load("hsb82", frame)


def insteval(frame: FrameKind = "pandas") -> Frame:
    """73,421 ratings of 1,128 lecturers by 2,972 students at ETH Zurich: large and crossed.

    73,421 rows:

    - `s`: student; 2,972 levels
    - `d`: lecturer; 1,128 levels
    - `studage`: semesters the student had studied, ordered; 4 levels
    - `lectage`: semesters since the lecture, ordered; 6 levels
    - `service`: whether the lecture was given for another department (1); 2 levels
    - `dept`: department of the lecturer; 14 levels
    - `y`: rating, 1 (poor) to 5 (very good)

    Source: ETH Zurich, anonymised, published in the R package lme4: Bates D, Maechler M, Bolker B,
    Walker S (2015). Fitting linear mixed-effects models using lme4. Journal of Statistical Software
    67(1).
    Licence: GPL (>= 2), as distributed with the R package lme4 1.1.31.
    """
    return load("insteval", frame)


def scotssec(frame: FrameKind = "pandas") -> Frame:
    """Attainment of 3,435 pupils crossed by 148 primary and 19 secondary schools in Scotland.

    3,435 rows:

    - `verbal`: verbal reasoning on leaving primary school
    - `attain`: attainment at age 16
    - `primary`: primary school; 148 levels
    - `sex`: sex; 2 levels
    - `social`: social class, from low to high
    - `second`: secondary school; 19 levels

    Source: Paterson L (1991). Socio-economic status and educational attainment: a multidimensional and
    multilevel study. Evaluation and Research in Education 5, 97-121.
    Licence: GPL (>= 2), as distributed with the R package mlmRev 1.0.8.
    """
    return load("scotssec", frame)


def star_subset(frame: FrameKind = "pandas") -> Frame:
    """Test scores of 1,634 pupils over four grades, by class size: 12 schools of Project STAR.

    3,863 rows:

    - `id`: pupil; 1,634 levels
    - `sch`: school; 12 levels
    - `tch`: teacher; 203 levels
    - `gr`: grade, ordered: K, 1, 2, 3; 4 levels
    - `cltype`: class: small, regular, regular with an aide; 3 levels
    - `read`: reading score
    - `math`: mathematics score
    - `ses`: whether lunch is free (F) or not (N); 2 levels
    - `sx`: sex; 2 levels
    - `yrs`: years since kindergarten
    - `exp`: experience of the teacher (years)

    Source: Project STAR (Student/Teacher Achievement Ratio), State of Tennessee; Word E et al. (1990).
    Student/Teacher Achievement Ratio (STAR): Tennessee's K-3 class size study. Tennessee State
    Department of Education.
    Licence: GPL (>= 2), as distributed with the R package mlmRev 1.0.8.
    """
    return load("star_subset", frame)
