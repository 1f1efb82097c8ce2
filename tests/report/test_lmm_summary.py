"""The printed summary of a mixed model, word for word, and what it says when something goes wrong."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import multilevel as ml
from multilevel.estimation.optimum import Certificate
from multilevel.report.structures import correlation_parameter
from multilevel.results.lmm import LMMFit

SLOPES = "Reaction ~ Days + (1 + Days | Subject)"

GOLDEN_REML = """\
Linear mixed model fit by REML
Formula: Reaction ~ Days + (1 + Days | Subject)
Observations: 180; groups: Subject 18
REML criterion: 1743.6

Scaled residuals
      Min       1Q  Median      3Q     Max
  -3.9536  -0.4634  0.0231  0.4634  5.1793

Random effects
  Group     Name       Variance  Std.Dev.  Corr
  Subject   Intercept    612.09    24.740
            Days          35.07     5.922  0.07
  Residual               654.94    25.592

Fixed effects (degrees of freedom: Satterthwaite)
             Estimate  Std. Error    df  t value         p
  Intercept   251.405       6.825  17.0   36.838    <2e-16
  Days         10.467       1.546  17.0    6.771  3.26e-06

Correlation of fixed effects
        Intercept
  Days     -0.138"""

GOLDEN_ML = """\
Linear mixed model fit by maximum likelihood
Formula: Yield ~ 1 + (1 | Batch)
Observations: 30; groups: Batch 6

Information criteria
    AIC    BIC  logLik  deviance  df.resid
  333.3  337.5  -163.7     327.3        27

Scaled residuals
      Min       1Q  Median      3Q     Max
  -1.4315  -0.7972  0.1480  0.7721  1.8037

Random effects
  Group     Name       Variance  Std.Dev.
  Batch     Intercept      1388     37.26
  Residual                 2451     49.51

Fixed effects (degrees of freedom: Satterthwaite)
             Estimate  Std. Error   df  t value         p
  Intercept    1527.5       17.69  6.0   86.326  1.63e-10"""


@pytest.fixture(scope="module")
def slopes(sleepstudy):
    return ml.lmm(SLOPES, sleepstudy)


def test_the_summary_of_a_reml_fit(slopes):
    assert str(slopes.summary()) == GOLDEN_REML
    assert repr(slopes) == GOLDEN_REML


def test_the_summary_of_a_maximum_likelihood_fit(dyestuff):
    assert str(ml.lmm("Yield ~ 1 + (1 | Batch)", dyestuff, reml=False)) == GOLDEN_ML


def test_a_zero_variance_is_named(dyestuff2):
    text = str(ml.lmm("Yield ~ 1 + (1 | Batch)", dyestuff2))
    assert "Singular fit in (1 | Batch): its variance is estimated as zero" in text
    assert "nan" not in text.lower()


def test_a_zero_variance_beside_another_is_named(sleepstudy):
    rng = np.random.default_rng(3)
    data = sleepstudy.assign(noise=rng.normal(size=180))
    fit = ml.lmm("Reaction ~ Days + (noise || Subject)", data)
    assert fit.singular
    assert "variance of noise is estimated as zero" in " ".join(str(fit).split())


def test_a_perfect_correlation_is_named(sleepstudy):
    rng = np.random.default_rng(1)
    subject = sleepstudy["Subject"].cat.codes.to_numpy()
    u = rng.normal(size=18)[subject]
    x = sleepstudy["Days"].to_numpy()
    data = sleepstudy.assign(y=5.0 * u + 2.0 * u * x + rng.normal(size=180))
    fit = ml.lmm("y ~ x + (x | Subject)", data.assign(x=x))
    assert fit.singular
    assert "perfectly correlated" in str(fit)


def test_dropped_rows_and_columns_are_said(sleepstudy):
    data = sleepstudy.assign(
        Days=sleepstudy["Days"].astype(float).where(sleepstudy.index != 3), twice=2.0 * sleepstudy["Days"]
    )
    text = str(ml.lmm("Reaction ~ Days + twice + (1 | Subject)", data))
    assert "1 of 180 rows were dropped for missing values (Days 1)." in text
    assert "linear combinations of the columns before them: twice." in text


def test_a_failed_certificate_is_shouted(slopes):
    doubtful = replace(slopes.optimum, certificate=Certificate(0.5, -1.0, False), message="stopped early")
    fit = LMMFit(slopes.design, replace(slopes.record, optimum=doubtful), slopes.call)
    assert not fit.converged
    assert "NOT CONVERGED: the search stopped early." in str(fit)


def test_correlations_of_many_coefficients_are_hidden(sleepstudy):
    names = [f"z{k}" for k in range(21)]
    rng = np.random.default_rng(2)
    data = sleepstudy.assign(**{name: rng.normal(size=180) for name in names})
    text = str(ml.lmm(f"Reaction ~ {' + '.join(names)} + (1 | Subject)", data))
    assert "Correlation of fixed effects" not in text


def test_wide_correlations_are_numbered(sleepstudy):
    text = str(ml.lmm("Reaction ~ DaysF + (1 | Subject)", sleepstudy))
    assert "10 DaysF[T.9]" in text.replace("DaysF[T.", "DaysF[T.")
    assert max(len(line) for line in text.splitlines()) < 100


class _Balance(HTMLParser):
    """Checks that every tag that opens closes."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_balanced_and_escaped(sleepstudy):
    data = sleepstudy.rename(columns={"Days": "a<b"})
    fit = ml.lmm("Reaction ~ `a<b` + (1 | Subject)", data)
    html = fit._repr_html_()
    parser = _Balance()
    parser.feed(html)
    assert not parser.open
    assert "a&lt;b" in html
    assert "a<b" not in html
    assert "http" not in html


@pytest.fixture(scope="module")
def visits(sleepstudy):
    return sleepstudy.assign(visit=sleepstudy["Days"].astype(int).astype(str))


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ("ar1(0 + visit | Subject)", r"AR\(1\), visit\[0\] to visit\[9\] +2452 +49.51  rho 0.80"),
        (
            "cs(0 + visit | Subject, hom=True)",
            r"compound symmetry, visit\[0\] to visit\[9\] +2339 +48.36  rho 0.59",
        ),
        (
            "cs(0 + visit | Subject)",
            r"visit\[0\] +1344.5 +36.67  compound symmetry, rho 0.63\n +visit\[1\] +1208.3 +34.76\n",
        ),
    ],
)
def test_a_structure_is_named_and_has_one_correlation(visits, term, words):
    fit = ml.lmm(f"Reaction ~ Days + {term}", visits, residual="none")
    assert re.search(words, str(fit))
    assert max(map(len, str(fit).splitlines())) <= 88


def test_one_variance_for_uncorrelated_columns_is_one_row(sleepstudy):
    text = str(ml.lmm("Reaction ~ Days + diag(1 + Days | Subject, hom=True)", sleepstudy))
    assert "Subject   uncorrelated, Intercept and Days     79.19     8.899\n" in text
    assert "Corr\n" not in text


def test_a_structure_with_a_zero_variance_keeps_its_correlation(sleepstudy):
    fit = ml.lmm("Reaction ~ Days + cs(1 + Days + I(Days**2) | Subject)", sleepstudy)
    term = fit.record.terms[0]
    root = np.linalg.cholesky(np.full((3, 3), 0.25) + 0.75 * np.eye(3))
    broken = replace(term, factor=root * np.array([[0.0], [1.0], [2.0]]))
    assert correlation_parameter(broken) == pytest.approx(0.25)
    assert np.isnan(correlation_parameter(replace(term, factor=np.zeros((3, 3)))))
