"""Fixtures shared by all tests: each classic data set, read once and never to be changed."""

from __future__ import annotations

import pandas as pd
import pytest

from reference_cases import load_data


@pytest.fixture(scope="session")
def sleepstudy() -> pd.DataFrame:
    """Reaction times of 18 sleep-deprived subjects on 10 days, with the columns that the cases add."""
    return load_data("sleepstudy")


@pytest.fixture(scope="session")
def dyestuff() -> pd.DataFrame:
    """Yield of five samples from each of six batches."""
    return load_data("Dyestuff")


@pytest.fixture(scope="session")
def dyestuff2() -> pd.DataFrame:
    """The same layout, simulated so that the variance between batches is estimated as zero."""
    return load_data("Dyestuff2")


@pytest.fixture(scope="session")
def penicillin() -> pd.DataFrame:
    """Plates crossed with samples, one value each."""
    return load_data("Penicillin")


@pytest.fixture(scope="session")
def pastes() -> pd.DataFrame:
    """Casks nested in batches, the labels of casks used again in every batch."""
    return load_data("Pastes")


@pytest.fixture(scope="session")
def machines() -> pd.DataFrame:
    """Six workers, each three times on each of three machines."""
    return load_data("Machines")


@pytest.fixture(scope="session")
def oats() -> pd.DataFrame:
    """A split plot: nitrogen within varieties within blocks."""
    return load_data("oats")


@pytest.fixture(scope="session")
def cbpp() -> pd.DataFrame:
    """Disease counts of 15 herds in up to four periods."""
    return load_data("cbpp")


@pytest.fixture(scope="session")
def school_prevention() -> pd.DataFrame:
    """Five communities of four schools."""
    return load_data("school_prevention")
