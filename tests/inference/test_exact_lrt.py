"""The finite-sample distribution of the likelihood ratio of one variance."""

import numpy as np
import pytest
from scipy import stats

import multilevel as ml
from multilevel.inference.exact_lrt import null_draws, spectrum
from multilevel.inference.matrices import spread
from multilevel.inference.smaller_models import linear_record
from reference_cases import load_data

N = 20_000


def spectrum_of(fit):
    term = fit.design.terms[0]
    grouping = fit.design.groupings[term.grouping]
    return spectrum(fit.design, linear_record(fit.design), term.Z, grouping.codes, grouping.n_levels)


def dense_eigenvalues(fit):
    design, term = fit.design, fit.design.terms[0]
    grouping = design.groupings[term.grouping]
    counts = np.ones(design.n_rows) if design.freq_weights is None else design.freq_weights
    root = np.sqrt(counts * (1.0 if design.weights is None else design.weights))[:, None]
    Z = root * spread(term, grouping.codes, grouping.n_levels).toarray()
    Q = np.linalg.qr(root * design.X)[0]
    rest = Z - Q @ (Q.T @ Z)
    return np.linalg.eigvalsh(rest.T @ rest), np.linalg.eigvalsh(Z.T @ Z)


def positive(values):
    return np.sort(values[values > 1e-10 * values.max()])


@pytest.mark.parametrize("formula", ["(1 | g)", "(0 + x | g)", "diag(1 + x | g, hom = TRUE)"])
@pytest.mark.parametrize("option", [None, "weights", "freq_weights"])
def test_the_spectrum_is_that_of_the_whole_matrices(formula, option):
    rng = np.random.default_rng(2)
    data = {"y": rng.standard_normal(90), "x": rng.standard_normal(90), "g": rng.integers(0, 12, 90)}
    options = {} if option is None else {option: rng.integers(1, 4, 90)}
    fit = ml.lmm(f"y ~ x + I(x**2) + {formula}", data, **options)
    of = spectrum_of(fit)
    mu, xi = dense_eigenvalues(fit)
    np.testing.assert_allclose(np.repeat(of.mu, of.count.astype(int)), positive(mu), rtol=1e-8)
    np.testing.assert_allclose(np.repeat(of.xi, of.xi_count.astype(int)), positive(xi), rtol=1e-8)


def test_thousands_of_levels_collapse_to_their_sizes():
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(5000), rng.integers(1, 4, 5000))
    fit = ml.lmm(
        "y ~ x + (1 | g)", {"y": rng.standard_normal(len(g)), "x": rng.standard_normal(len(g)), "g": g}
    )
    of = spectrum_of(fit)
    assert len(of.mu) < 20
    assert of.count.sum() == 4999


def test_values_that_are_nearly_equal_may_be_taken_for_equal(monkeypatch):
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(300), rng.integers(2, 9, 300))
    data = {"y": rng.standard_normal(len(g)), "x": rng.standard_normal(len(g)), "g": g}
    fit = ml.lmm("y ~ x + (0 + x | g)", data)
    whole = spectrum_of(fit)
    monkeypatch.setattr("multilevel.inference.exact_lrt.MOST_ROWS", 120)
    classes = spectrum_of(fit)
    assert len(whole.mu) == 299 > 2 * len(classes.mu)
    assert classes.mu @ classes.count == pytest.approx(whole.mu @ whole.count, rel=1e-3)
    one, other = (null_draws(of, N, np.random.default_rng(1), reml=True) for of in (whole, classes))
    for point in (0.5, 2.0):
        tail = (one > point).mean()
        assert (other > point).mean() == pytest.approx(
            tail, abs=5.7 * np.sqrt(tail / N)
        )  # 4 sd of a difference


@pytest.mark.parametrize("reml", [True, False])
def test_in_a_balanced_layout_it_is_a_function_of_f(reml):
    # six batches of five: the optimum is in closed form, 1 + 5 lambda = max(F', 1)
    fit = ml.lmm("Yield ~ 1 + (1 | Batch)", load_data("Dyestuff"))
    ours = null_draws(spectrum_of(fit), N, np.random.default_rng(1), reml=reml)
    rng = np.random.default_rng(9)
    between, within, k = rng.chisquare(5, N), rng.chisquare(24, N), 5 if reml else 6
    ratio = np.maximum(between / k / (within / 24), 1.0)
    exact = (24 + k) * np.log((between + within) / (between / ratio + within))
    exact -= k * np.log(ratio)
    share = stats.f.cdf(k / 5, 5, 24)
    assert (ours < 1e-6).mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / N))
    for point in (0.5, 2.0, 4.0):
        tail = (exact > point).mean()
        assert (ours > point).mean() == pytest.approx(
            tail, abs=5.7 * np.sqrt(tail / N)
        )  # 4 sd of a difference


@pytest.mark.parametrize("reml", [True, False])
def test_it_is_what_refits_of_simulated_data_give(reml):
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(8), [2, 3, 4, 5, 6, 7, 8, 9])
    data = {"y": rng.standard_normal(len(g)), "x": rng.standard_normal(len(g)) + g, "g": g}
    fit = ml.lmm("y ~ x + (1 | g)", data, reml=reml)
    draws = null_draws(spectrum_of(fit), N, np.random.default_rng(1), reml=reml)
    table = fit.ranova(method="bootstrap", n=4000, seed=1)
    p = (1 + (draws >= table["statistic"][1]).sum()) / (1 + N)
    assert table["p_bootstrap"][1] == pytest.approx(p, abs=4 * table["p_error"][1])


def test_in_a_balanced_layout_its_p_value_is_that_of_the_analysis_of_variance():
    fit = ml.lmm("Yield ~ 1 + (1 | Batch)", load_data("Dyestuff"))
    between, within = 11271.5, 2451.25  # mean squares on 5 and 24 degrees of freedom
    for reml in (True, False):
        table = fit.update(reml=reml).ranova(method="exact", n=N, seed=3)
        expected = stats.f.sf(between / within, 5, 24)
        assert table["p_exact"][1] == pytest.approx(expected, abs=4.0 * np.sqrt(expected / N))


def test_effects_that_the_fixed_part_explains_have_no_spectrum():
    data = load_data("Machines")
    fit = ml.lmm("score ~ Worker + (1 | Worker)", data)
    assert spectrum_of(fit) is None
