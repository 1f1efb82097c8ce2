"""The face of a fitted generalized mixed model: what it prints, its tables, its answers."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from glmm_cases import CLMM, GLMER, GLMMTMB, fit_case
from glmm_data import grouped
from multilevel.errors import DataError, DataTypeError, FormulaError, ModelError, SeparationError


@pytest.fixture(scope="module")
def zero_inflated() -> Any:
    return ml.glmm("empty ~ x + (1 | g)", grouped(), family="negative_binomial", zi="~ a", dispersion="~ x")


@pytest.mark.parametrize("name", [*GLMER, *GLMMTMB, *CLMM])
def test_no_page_prints_what_is_not_a_number(name: str) -> None:
    fit = fit_case(name)
    for page in (str(fit), fit._repr_html_()):
        assert "nan" not in page.lower().replace("dominan", "")
        assert "NOT CONVERGED" not in page


def test_the_page_names_every_part(zero_inflated: Any) -> None:
    page = str(zero_inflated)
    for said in (
        "Generalized linear mixed model fit by maximum likelihood (Laplace approximation)",
        "Family: negative binomial (log link)",
        "Zero inflation: ~ a",
        "Dispersion: ~ x",
        "Zero-inflation model (logit link)",
        "Dispersion model (log link)",
        "groups: g 24",
    ):
        assert said in page


def test_the_page_of_ratios_names_them(zero_inflated: Any) -> None:
    page = str(zero_inflated.summary(exponentiate=True))
    assert "Fixed effects, as rate ratios" in page
    assert "Zero-inflation model (logit link), as odds ratios" in page


def test_quadrature_is_named() -> None:
    fit = ml.glmm("binary ~ x + (1 | g)", grouped(), family="binomial", nagq=9)
    assert "adaptive Gauss-Hermite quadrature, 9 points" in str(fit)


def test_tidy(zero_inflated: Any) -> None:
    table = zero_inflated.tidy(conf_int=True)
    assert list(table.columns) == [
        "component",
        "term",
        "estimate",
        "std_error",
        "statistic",
        "p_value",
        "conf_low",
        "conf_high",
    ]
    assert list(table["component"]) == ["cond"] * 2 + ["disp"] * 2 + ["zi"] * 3
    ratios = zero_inflated.tidy(exponentiate=True, conf_int=True)
    np.testing.assert_allclose(ratios["estimate"], np.exp(table["estimate"]))
    np.testing.assert_allclose(ratios["conf_low"], np.exp(table["conf_low"]))
    np.testing.assert_allclose(ratios["p_value"], table["p_value"])


def test_tidy_of_random_effects(zero_inflated: Any) -> None:
    sds = zero_inflated.tidy("ran_pars")
    assert sds["term"].tolist() == ["sd__(Intercept)"]
    assert sds["estimate"][0] == pytest.approx(zero_inflated.theta[0])
    values = zero_inflated.tidy("ran_vals", conf_int=True)
    assert len(values) == 24
    assert (values["conf_low"] < values["estimate"]).all()
    assert zero_inflated.varcorr()["sd"][0] == pytest.approx(zero_inflated.theta[0])


def test_thresholds_stay_what_they_are() -> None:
    fit = ml.glmm("grade ~ x + (1 | g)", grouped(), family="ordinal")
    plain, ratios = fit.tidy(), fit.tidy(exponentiate=True)
    cuts = plain["component"] == "threshold"
    assert plain["term"][cuts].tolist() == ["low|some", "some|much", "much|all"]
    np.testing.assert_allclose(ratios["estimate"][cuts], plain["estimate"][cuts])
    assert (np.diff(fit.thresholds) > 0).all()


def test_glance_and_augment(zero_inflated: Any) -> None:
    one = zero_inflated.glance()
    assert one["nobs"][0] == 240
    assert one["aic"][0] == pytest.approx(2 * zero_inflated.df_model - 2 * zero_inflated.loglik)
    assert zero_inflated.df_model == 2 + 2 + 3 + 1
    data = zero_inflated.augment()
    np.testing.assert_allclose(data["fitted"] + data["residual"], grouped()["empty"])


def test_ranef_joins_the_data() -> None:
    fit = ml.glmm("count ~ x + (1 + x | g)", grouped(), family="poisson")
    table = fit.ranef()
    assert table["level"].dtype.kind == "i"
    assert set(table["term"]) == {"Intercept", "x"}
    coefficients = fit.coef()
    at = coefficients[coefficients["level"] == 3]
    of = table[(table["level"] == 3) & (table["term"] == "x")]
    assert at["x"].iloc[0] == pytest.approx(fit.fixef[1] + of["estimate"].iloc[0])


def test_a_fit_travels(zero_inflated: Any) -> None:
    there = pickle.loads(pickle.dumps(zero_inflated))
    assert str(there) == str(zero_inflated)
    np.testing.assert_allclose(there.predict(), zero_inflated.predict())
    there.profile("zi~Intercept")


def test_update() -> None:
    fit = ml.glmm("count ~ x + a + (1 | g)", grouped(), family="poisson")
    small = fit.update(". ~ . - a")
    assert small.coef_names == ("Intercept", "x")
    assert fit.update(family="negative_binomial").family == "negative_binomial"


def test_the_joint_covariance_has_names(zero_inflated: Any) -> None:
    full = zero_inflated.vcov(full=True)
    names = zero_inflated.vcov_names
    assert full.shape == (len(names),) * 2
    assert names[:3] == ("Intercept", "x", "disp~Intercept")
    assert names[-1] == "g.Intercept"
    np.testing.assert_allclose(full[:2, :2], zero_inflated.vcov())
    se = np.sqrt(np.diag(full))  # those of a zero-inflation model without bounds are huge
    assert (np.linalg.eigvalsh(full / np.outer(se, se)) > -1e-8).all()


def test_comparison_with_a_smaller_family() -> None:
    data = grouped()
    poisson = ml.glmm("wide ~ x + (1 | g)", data, family="poisson")
    wide = ml.glmm("wide ~ x + (1 | g)", data, family="negative_binomial")
    slopes = ml.glmm("wide ~ x + (1 + x | g)", data, family="negative_binomial")
    tests = ml.compare(poisson, wide, slopes)
    assert tests["df"].tolist()[1:] == [1, 2]
    assert tests["chisq"][1] == pytest.approx(2.0 * (wide.loglik - poisson.loglik))
    # one thing on a boundary: half of the chi-square with a degree less
    assert tests["p_boundary"][1] < tests["p_value"][1]
    assert tests["p_boundary"][2] < tests["p_value"][2]


def test_comparison_of_fixed_effects_has_no_boundary() -> None:
    data = grouped()
    large = ml.glmm("count ~ x + a + (1 | g)", data, family="poisson")
    table = ml.compare(large.update(". ~ . - a"), large)
    assert np.isnan(table["p_boundary"][1])
    other = ml.glmm("count ~ x + a + (1 | g)", data, family="poisson", nagq=5)
    assert "not nested" in str(ml.compare(large.update(". ~ . - a"), other))


def test_singular_fits_say_so() -> None:
    data = grouped()
    data["noise"] = np.random.default_rng(5).permutation(data["g"])
    fit = ml.glmm("count ~ x + (1 | g) + (1 | noise)", data, family="poisson")
    if fit.singular:
        assert "Singular fit in (1 | noise)" in str(fit)
    assert np.isfinite(fit.se).all()


class TestSeparation:
    def data(self) -> pd.DataFrame:
        data = grouped()
        data["perfect"] = data["binary"] + 0.01 * data["x"]
        data["arm"] = np.where((data["binary"] == 1) & (data.index % 3 == 0), "all", "some")
        return data

    @pytest.mark.parametrize("predictor", ["perfect", "arm"])
    def test_is_an_error_that_names_the_column_and_the_way_out(self, predictor: str) -> None:
        with pytest.raises(SeparationError, match=rf"{predictor}.* separates .*prior="):
            ml.glmm(f"binary ~ x + {predictor} + (1 | g)", self.data(), family="binomial")

    def test_a_prior_keeps_it_finite(self) -> None:
        fit = ml.glmm("binary ~ perfect + (1 | g)", self.data(), family="binomial", prior="weak")
        assert np.isfinite(fit.fixef).all()
        assert (fit.se < 20.0).all()
        assert "weak prior" in str(fit)

    def test_of_counts(self) -> None:
        data = grouped()
        data["off"] = np.where(data["count"] == 0, (data.index % 2).astype(float), 0.0)
        with pytest.raises(SeparationError, match="off separates the zeros"):
            ml.glmm("count ~ x + off + (1 | g)", data, family="poisson")

    def test_of_categories(self) -> None:
        data = grouped()
        data["top"] = np.where(data["grade"] == "all", 1.0, 0.0) * (data.index % 2)
        with pytest.raises(SeparationError, match="top separates the categories"):
            ml.glmm("grade ~ x + top + (1 | g)", data, family="ordinal")

    def test_groups_without_successes_are_fine(self) -> None:
        data = grouped()
        data.loc[data["g"] < 4, "binary"] = 0
        fit = ml.glmm("binary ~ x + (1 | g)", data, family="binomial")
        assert fit.converged
        assert np.isfinite(fit.ranef()["estimate"]).all()


MISUSE: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"formula": "size / hits ~ x + (1 | g)"}, DataError, "more successes than trials"),
    ({"formula": "share ~ x + (1 | g)"}, DataError, "how many trials"),
    ({"formula": "a ~ x + (1 | g)"}, DataTypeError, "holds 3 labels"),
    ({"formula": "x / size ~ a + (1 | g)"}, DataError, "counts trials, and is no count"),
    ({"formula": "binary ~ x"}, FormulaError, "no random effects.*ml.glm"),
    ({"nagq": -1}, DataError, "nagq=-1"),
    ({"nagq": False}, DataTypeError, "no whole number"),
    (
        {"formula": "empty ~ x", "family": "poisson", "zi": "~ 1 + (1 | g)", "nagq": 0},
        ModelError,
        "use nagq=1",
    ),
    ({"nagq": 1000}, DataError, "25 are enough"),
    ({"formula": "binary ~ x + (1 | g) + (1 | a)", "nagq": 3}, ModelError, "one grouping factor"),
    ({"zi": "~ 1"}, ModelError, "each row is one trial"),
    ({"dispersion": "~ x"}, ModelError, "no dispersion"),
    ({"zi": "x", "family": "poisson"}, FormulaError, "no right-hand side"),
    ({"zi": True, "family": "poisson"}, DataTypeError, "right-hand side as text"),
    ({"link": "log2"}, DataError, "no link"),
    ({"prior": "flat"}, DataTypeError, 'prior="weak"'),
    ({"prior": {"slope": 1.0}}, DataError, "no part 'slope'"),
    ({"prior": {"coef": -1.0}}, DataError, "no number above zero"),
    ({"family": "bernouli"}, DataError, "no family"),
    ({"formula": "x ~ a + (1 | g)", "family": "poisson"}, DataError, "a count is 0, 1, 2"),
    ({"formula": "count ~ x + (1 | g)", "family": "gamma"}, DataError, "positive"),
    ({"formula": "binary ~ x + (1 | g)", "family": "beta"}, DataError, "strictly"),
    ({"formula": "a ~ x + (1 | g)", "family": "ordinal"}, DataTypeError, "without an order"),
    ({"formula": "x ~ a + (1 | g)", "family": "ordinal"}, DataError, "too many"),
    ({"formula": "hits / size ~ x + (1 | g)", "family": "ordinal"}, FormulaError, "binomial"),
    ({"formula": "hits / size ~ x + (1 | g)", "family": "poisson"}, FormulaError, "binomial"),
    ({"formula": "count ~ x + (1 | g)", "family": "truncated_poisson"}, DataError, "hurdle"),
    (
        {"formula": "wide ~ x + (1 | g)", "family": "nbinom2", "dispersion": "~ x + (1 | g)"},
        FormulaError,
        "fixed effects only",
    ),
]


@pytest.mark.parametrize(("call", "error", "said"), MISUSE)
def test_misuse(call: dict[str, Any], error: type[Exception], said: str) -> None:
    arguments = {"formula": "binary ~ x + (1 | g)", "family": "binomial", **call}
    with pytest.raises(error, match=said):
        ml.glmm(data=grouped(), **arguments)


def test_misuse_of_a_fit() -> None:
    fit = ml.glmm("binary ~ x + (1 | g)", grouped(), family="binomial", link="probit")
    with pytest.raises(ModelError, match="no logarithms"):
        fit.tidy(exponentiate=True)
    with pytest.raises(ModelError, match=r"has scores instead; use vcov=\"CR3\""):
        fit.anova(vcov="CR2")
    with pytest.raises(DataError, match="kind="):
        fit.residuals("raw")
    with pytest.raises(ModelError, match="needs zi="):
        fit.predict(kind="zprob")
    ordinal = ml.glmm("grade ~ x + (1 | g)", grouped(), family="ordinal")
    with pytest.raises(ModelError, match="scaled"):
        ordinal.residuals("pearson")


@pytest.mark.parametrize(
    ("said", "data", "options"),
    [
        ("varies? no more|runs off to infinity", {"count": lambda d: np.arange(240) % 3}, {}),
        ("not determined by these data", {"count": lambda d: 3 + np.arange(240) % 3}, {"zi": "~ x"}),
    ],
)
def test_what_has_no_bound_is_said(said: str, data: Any, options: Any) -> None:
    frame = grouped()
    for name, make in data.items():
        frame[name] = make(frame)
    family = "poisson" if options else "negative_binomial"
    page = " ".join(str(ml.glmm("count ~ x + (1 | g)", frame, family=family, **options)).split())
    assert pytest.importorskip("re").search(said, page)


def test_contrasts_belong_to_the_side_that_has_the_factor() -> None:
    data = grouped()
    treatment = ml.glmm("empty ~ x + (1 | g)", data, family="poisson", zi="~ a")
    sums = ml.glmm("empty ~ x + (1 | g)", data, family="poisson", zi="~ a", contrasts={"a": "sum"})
    assert sums.loglik == pytest.approx(treatment.loglik, abs=1e-8)
    part = sums.record.part("zi")
    assert part is not None
    assert part.names == ("Intercept", "a[S.p]", "a[S.q]")
    with pytest.raises(DataError, match="'h', which is no predictor"):
        ml.glmm("empty ~ x + (1 | g)", data, family="poisson", zi="~ a", contrasts={"h": "sum"})


def test_means_of_an_ordinal_model_are_those_of_its_latent_variable() -> None:
    fit = ml.glmm("grade ~ x + a + (1 | g)", grouped(), family="ordinal")
    differences = fit.contrasts("a", "treatment_vs_control", adjust="none")
    at = [fit.coef_names.index(name) for name in ("a[T.q]", "a[T.r]")]
    np.testing.assert_allclose(differences["estimate"], fit.fixef[at])
    np.testing.assert_allclose(differences["std_error"], fit.se[at])
    assert fit.emtrends("a", "x")["estimate"] == pytest.approx(fit.fixef[fit.coef_names.index("x")])
    copy = ml.glmm("grade ~ x + a + I(2 * x) + (1 | g)", grouped(), family="ordinal")
    assert copy.dropped.columns == ("I(2 * x)",)
    again = copy.contrasts("a", "treatment_vs_control", adjust="none")
    np.testing.assert_allclose(again["estimate"], differences["estimate"], atol=1e-5)
    with pytest.raises(ModelError, match="no mean"):
        fit.emmeans("a", kind="response")


def test_random_effects_of_zeros_alone() -> None:
    fit = ml.glmm("empty ~ x", grouped(), family="poisson", zi="~ 1 + (1 | g)")
    assert set(fit.ranef()["component"]) == {"zi"}
    for ask in (fit.coef, fit.matrices, fit.icc, fit.r2, fit.plausible_ranges, fit.marginal):
        with pytest.raises(ModelError, match="the mean has no random effects"):
            ask()
    assert np.isfinite(fit.predict(interval="confidence")).all(axis=None)


def test_taking_out_random_effects_is_comparing_models() -> None:
    data = grouped()
    fit = ml.glmm("empty ~ x + (1 + x | g)", data, family="poisson", zi="~ 1 + (1 | g)")
    table = fit.ranova()
    assert table["term"].tolist() == ["<none>", "x in (1 + x | g)", "zi: (1 | g)"]
    for row, smaller in ((1, "empty ~ x + (1 | g)"), (2, None)):
        zi = "~ 1 + (1 | g)" if smaller else "~ 1"
        by_hand = ml.glmm(smaller or "empty ~ x + (1 + x | g)", data, family="poisson", zi=zi)
        assert table["loglik"][row] == pytest.approx(by_hand.loglik, abs=1e-6)
        compared = ml.compare(by_hand, fit)
        assert table["df"][row] == compared["df"][1]
        assert table["p_boundary"][row] == pytest.approx(compared["p_boundary"][1], abs=1e-6)


def test_taking_out_all_random_effects_is_a_generalized_linear_model() -> None:
    data = grouped()
    for left, family in (("amount", "gamma"), ("hits / size", "binomial"), ("grade", "ordinal")):
        link = "log" if family == "gamma" else None
        fit = ml.glmm(f"{left} ~ x + (1 | g)", data, family=family, link=link)
        table = fit.ranova()
        assert table["n_parameters"][1] == fit.df_model - 1
        if family != "ordinal":
            glm = ml.glm(f"{left} ~ x", data, family=family, link=link)
            if family == "binomial":  # of the gamma, least squares' dispersion is another
                assert table["loglik"][1] == pytest.approx(glm.loglik, abs=1e-6)
        assert table["statistic"][1] > 0
