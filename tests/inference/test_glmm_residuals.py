"""Residuals of generalized mixed models where fitted probabilities are one to the last digit, and beyond."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.special import log_expit
from scipy.stats import norm

import multilevel as ml
from multilevel.errors import MultilevelWarning
from multilevel.families.links import LINKS, one_minus_mean
from multilevel.inference.glmm_residuals import share_deviance, share_difference
from multilevel.report.glmm_notes import undefined_notes


def test_residuals_are_finite_where_fitted_probabilities_are_one() -> None:
    data = ml.datasets.toenail()
    fit = ml.glmm(
        "healthy ~ treatment * time + (1 + time | patientID)",
        data.assign(healthy=1 - data["outcome"].cat.codes),
        family="binomial",
    )
    assert (fit.fitted == 1.0).any()
    y, eta = fit.design.y, fit.record.eta
    # (1 - mu) / sqrt(mu (1 - mu)) = exp(-eta / 2), and its mirror image
    expected = np.where(y == 1.0, np.exp(-eta / 2.0), -np.exp(eta / 2.0))
    np.testing.assert_allclose(fit.residuals("pearson"), expected, rtol=1e-10)
    deviance = np.where(y == 1.0, np.sqrt(-2.0 * log_expit(eta)), -np.sqrt(-2.0 * log_expit(-eta)))
    np.testing.assert_allclose(fit.residuals("deviance"), deviance, rtol=1e-10)
    page = str(fit.summary())
    assert "nan" not in page
    assert "Overdispersion" not in page  # single trials have none
    least = page.split("Pearson residuals")[1].split()[5]
    assert float(least) == pytest.approx(expected.min(), abs=1e-4)


@pytest.mark.parametrize("name", ["logit", "probit", "cloglog", "cauchit", "log", "identity"])
def test_one_less_the_mean_is_that_and_exact_in_the_tail(name: str) -> None:
    link = LINKS[name]
    eta = np.log([0.2, 0.5, 0.9]) if name == "log" else np.array([0.1, 0.4, 0.9])
    np.testing.assert_allclose(one_minus_mean(link, eta), 1.0 - link.inverse(eta), rtol=1e-13)
    far = {"logit": np.exp(-60.0), "probit": norm.sf(9.0), "cloglog": np.exp(-np.exp(4.0))}
    at = {"logit": 60.0, "probit": 9.0, "cloglog": 4.0}
    if name in far:
        np.testing.assert_allclose(one_minus_mean(link, np.array([at[name]])), far[name], rtol=1e-12)


def test_shares_have_residuals_at_both_ends_and_none_beyond() -> None:
    y, mu = np.array([0.0, 0.25, 1.0]), np.array([0.3, 0.3, 0.3])
    np.testing.assert_allclose(share_difference(y, mu, 1.0 - mu), (y - mu) / np.sqrt(0.21), rtol=1e-14)
    expected = [-2.0 * np.log(0.7), 2.0 * (0.25 * np.log(0.25 / 0.3) + 0.75 * np.log(0.75 / 0.7))]
    np.testing.assert_allclose(share_deviance(y, mu, 1.0 - mu)[:2], expected, rtol=1e-12)
    beyond = np.array([1.2])
    assert np.isnan(share_difference(np.ones(1), beyond, 1.0 - beyond)).all()
    assert np.isnan(share_deviance(np.ones(1), beyond, 1.0 - beyond)).all()


def test_a_page_says_why_rows_have_no_residual() -> None:
    bacteria = ml.datasets.bacteria()
    data = bacteria.assign(y01=(bacteria["y"] == "y").astype(int))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultilevelWarning)  # the search is known to fail
        fit = ml.glmm("y01 ~ trt + (1 | ID)", data, family="binomial", link="log")
    assert "nan" not in str(fit.summary())
    beyond = undefined_notes(np.array([1.0, np.nan, np.nan]))
    assert "2 rows" in beyond[0]
