"""Marginal means of models whose response has several parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import multilevel as ml
from glmm_data import grouped
from multilevel.errors import ModelError

# glmmTMB 1.1.5: predict(fit, data.frame(mined = c("no", "yes"), site = NA), type = "response", se.fit = TRUE,
# re.form = NA) of count ~ mined + (1 | site) with ziformula ~ mined
GLMMTMB = {
    "truncated_nbinom2": ([2.2529714353, 0.2943507779], [0.17437593019, 0.04838158955]),
    "negative_binomial": ([2.1925333399, 0.2521257851], [0.28232481830, 0.05376514985]),
    "poisson": ([2.2060080260, 0.2647223682], [0.21653358210, 0.04841416169]),
    "truncated_poisson": ([2.2070398567, 0.2867993722], [0.17243817143, 0.04507689321]),
}


def salamanders(family: str, right: str = "mined + (1 | site)", zi: str = "~ mined", **options: Any) -> Any:
    data = ml.datasets.salamanders()
    data = data.assign(mined=data["mined"].cat.reorder_categories(["no", "yes"]))
    return ml.glmm(f"count ~ {right}", data, family=family, zi=zi, **options)


@pytest.mark.parametrize("family", GLMMTMB)
def test_the_expected_response_and_its_error_are_those_of_glmmtmb(family: str) -> None:
    table = salamanders(family).emmeans("mined", kind="response")
    estimate, std_error = GLMMTMB[family]
    np.testing.assert_allclose(table["estimate"], estimate, rtol=1e-5)  # glmmTMB stops at about 1e-6
    np.testing.assert_allclose(table["std_error"], std_error, rtol=1e-4)
    spread = np.exp(1.959963984540054 * table["std_error"] / table["estimate"])
    np.testing.assert_allclose(table["conf_low"], table["estimate"] / spread)
    np.testing.assert_allclose(table["conf_high"], table["estimate"] * spread)


@pytest.mark.parametrize("family", ["poisson", "truncated_nbinom2", "truncated_nbinom1"])
def test_means_are_averages_of_predictions_over_the_grid(family: str) -> None:
    fit = salamanders(family, "mined + spp + (1 | site)", "~ spp")
    data = fit.call.data
    cells = data.drop_duplicates(["mined", "spp"]).sort_values(["mined", "spp"])
    expected = cells.assign(mu=fit.predict(cells, re="none")).groupby("mined", observed=True)["mu"].mean()
    means = fit.emmeans("mined", kind="response")
    np.testing.assert_allclose(means["estimate"], expected.loc[means["mined"]], rtol=1e-10)
    difference = means.contrasts()
    assert difference["contrast"] == ["no - yes"]
    assert difference["estimate"][0] == pytest.approx(means["estimate"][0] - means["estimate"][1], rel=1e-10)
    assert "differences of expected responses" in str(difference)
    counted = fit.emmeans("mined", kind="response", weights="cells")
    shares = data.groupby(["mined", "spp"], observed=True).size()
    both = cells.set_index(["mined", "spp"]).assign(mu=fit.predict(cells, re="none"))["mu"]
    totals = [each.groupby("mined", observed=True).sum() for each in (both * shares, shares)]
    weighted = totals[0] / totals[1]
    np.testing.assert_allclose(counted["estimate"], weighted.loc[counted["mined"]], rtol=1e-10)


def test_errors_count_a_dispersion_where_it_moves_the_mean() -> None:
    """By numerical derivatives of predictions in every parameter."""
    fit = salamanders("truncated_nbinom2", zi="~ mined", dispersion="~ mined")
    V, found = fit.vcov(full=True), fit.emmeans("mined", kind="response")

    def expected(move: np.ndarray) -> np.ndarray:
        cond, disp, zi = (fit.record.part(name).estimate for name in ("cond", "disp", "zi"))
        order = [part.component for part in fit.record.parts]
        pieces = dict(zip(order, np.split(move[:6], 3), strict=True))
        a, d, z = (
            np.cumsum(each + pieces[name]) for name, each in (("cond", cond), ("disp", disp), ("zi", zi))
        )
        mu, phi = np.exp(a), np.exp(d)
        return mu / (1.0 - (1.0 + mu / phi) ** -phi) / (1.0 + np.exp(z))

    k = len(V)
    h = 1e-5
    J = np.column_stack([(expected(h * e) - expected(-h * e)) / (2.0 * h) for e in np.eye(k)])
    np.testing.assert_allclose(found["estimate"], expected(np.zeros(k)), rtol=1e-10)
    np.testing.assert_allclose(found["std_error"], np.sqrt(np.diag(J @ V @ J.T)), rtol=1e-6)


def test_a_part_is_that_of_its_own_coefficients() -> None:
    fit = salamanders("truncated_poisson")
    conditional = fit.emmeans("mined", kind="response", component="conditional")
    np.testing.assert_allclose(conditional["estimate"], np.exp(np.cumsum(fit.fixef)), rtol=1e-10)
    assert "the mean before zeros are cut off" in str(conditional)
    zeros = fit.emmeans("mined", component="zi")
    zi = fit.record.part("zi")
    np.testing.assert_allclose(zeros["estimate"], np.cumsum(zi.estimate), rtol=1e-10)
    np.testing.assert_allclose(zeros["std_error"], [0.1123396, 0.1557856], rtol=1e-5)  # emmeans 1.8.4
    share = fit.emmeans("mined", kind="response", component="zi")
    fitted = ml.datasets.salamanders().groupby("mined", observed=True)["count"].agg(lambda y: (y == 0).mean())
    np.testing.assert_allclose(share["estimate"], fitted.loc[["no", "yes"]], rtol=1e-5)  # saturated
    assert "probability of a zero" in str(share)
    ratio = share.contrasts()
    assert ratio["contrast"] == ["no / yes"]
    assert ratio["estimate"][0] == pytest.approx(np.exp(-zi.estimate[1]), rel=1e-9)
    test = fit.joint_tests(component="zi")
    assert test["statistic"][0] == pytest.approx((zi.estimate[1] / zi.std_error[1]) ** 2, rel=1e-8)


def test_what_a_model_does_not_have_is_refused() -> None:
    fit = salamanders("poisson")
    with pytest.raises(ModelError, match="dispersion="):
        fit.emmeans("mined", component="dispersion")
    with pytest.raises(ModelError, match='kind="response"'):
        fit.emmeans("mined", component="response")
    plain = ml.glmm("count ~ a + (1 | g)", grouped(), family="poisson")
    with pytest.raises(ModelError, match="zi="):
        plain.emmeans("a", component="zi")
    whole = plain.emmeans("a", kind="response", component="response")
    np.testing.assert_allclose(whole["estimate"], plain.emmeans("a", kind="response")["estimate"])


def test_marginal_coefficients_of_one_part_are_not_those_of_a_gee() -> None:
    assert "not the coefficients that ml.gee finds" in " ".join(
        str(salamanders("poisson").marginal()).split()
    )
    plain = ml.glmm("count ~ a + (1 | g)", grouped(), family="poisson")
    assert "which ml.gee estimates" in " ".join(str(plain.marginal()).split())


def test_ratios_are_written_as_ratios() -> None:
    cbpp = ml.datasets.cbpp()
    fit = ml.glmm("incidence / size ~ period + (1 | herd)", cbpp, family="binomial")
    means = fit.emmeans("period", kind="response")
    assert means.contrasts("consecutive")["contrast"][0] == "period2 / period1"
    assert means.contrasts("effects")["contrast"][0] == "period1 effect"
    assert fit.emmeans("period").contrasts("consecutive")["contrast"][0] == "period2 - period1"
    crossed = ml.glmm("count ~ a * up + (1 | g)", grouped().assign(up=lambda d: d["x"] > 0), family="poisson")
    both = crossed.emmeans("a * up", kind="response").contrasts("interaction")
    assert both["a"][0] == "p / q"
    assert both["up"][0] == "False / True"
    probit = ml.glmm("binary ~ a + (1 | g)", grouped(), family="binomial", link="probit")
    assert probit.emmeans("a", kind="response").contrasts()["contrast"][0] == "p - q"


def test_coefficients_of_any_part_can_be_tested() -> None:
    fit = salamanders("negative_binomial", zi="~ mined", dispersion="~ mined")
    V, names = fit.vcov(full=True), list(fit.vcov_names)
    values = np.concatenate([part.estimate for part in fit.record.parts])
    z, d = names.index("zi~mined[T.yes]"), names.index("disp~mined[T.yes]")
    found = fit.test("zi~mined[T.yes] = 1, disp~mined[T.yes] - zi~Intercept")
    assert found["term"][0] == "zi~mined[T.yes] = 1"
    np.testing.assert_allclose(found["estimate"][0], values[z], rtol=1e-12)
    np.testing.assert_allclose(found["statistic"][0], (values[z] - 1.0) / np.sqrt(V[z, z]), rtol=1e-9)
    i = names.index("zi~Intercept")
    spread = np.sqrt(V[d, d] + V[i, i] - 2.0 * V[d, i])
    np.testing.assert_allclose(found["std_error"][1], spread, rtol=1e-9)
    both = fit.test(["mined[T.yes]", "zi~mined[T.yes]"], joint=True)
    assert both["df_num"][0] == 2
    which = [names.index("mined[T.yes]"), z]
    chi = values[which] @ np.linalg.solve(V[np.ix_(which, which)], values[which])
    assert both["statistic"][0] == pytest.approx(chi / 2.0, rel=1e-8)
    assert fit.test({"zeros": {"zi~mined[T.yes]": 1.0}})["estimate"][0] == pytest.approx(values[z])
    assert fit.test(np.array([0.0, 1.0]))["estimate"][0] == pytest.approx(fit.fixef[1])  # of the mean
    terms = fit.anova(component="zi")
    assert terms["statistic"][0] == pytest.approx(values[z] ** 2 / V[z, z], rel=1e-8)
    assert fit.anova(component="dispersion")["statistic"][0] == pytest.approx(
        values[d] ** 2 / V[d, d], rel=1e-8
    )
    with pytest.raises(ModelError, match="zi="):
        ml.glmm("count ~ a + (1 | g)", grouped(), family="poisson").anova(component="zi")


def test_a_dispersion_that_is_held_moves_nothing() -> None:
    held = salamanders(ml.families.NegativeBinomial(size=1.5))
    table = held.emmeans("mined", kind="response")
    np.testing.assert_allclose(table["estimate"][0], held.predict(re="none")[held.design.X[:, 1] == 0.0][0])
    assert np.isfinite(table["std_error"]).all()


def test_a_robust_variance_is_that_of_all_parts() -> None:
    fit = salamanders("poisson")
    V = fit.vcov(kind="CR3", full=True)
    a, z = fit.fixef, fit.record.part("zi").estimate
    mean, zeros = np.exp(np.cumsum(a)), 1.0 / (1.0 + np.exp(-np.cumsum(z)))
    one = np.tril(np.ones((2, 2)))
    J = np.hstack([((1.0 - zeros) * mean)[:, None] * one, -(mean * zeros * (1.0 - zeros))[:, None] * one])
    table = fit.emmeans("mined", kind="response", vcov="CR3")
    np.testing.assert_allclose(table["std_error"], np.sqrt(np.diag(J @ V[:4, :4] @ J.T)), rtol=1e-5)
    assert table["df"][0] == 22.0
    test = fit.test("zi~mined[T.yes]", vcov="CR3")
    assert test["std_error"][0] == pytest.approx(np.sqrt(V[3, 3]), rel=1e-6)
    assert test["df"][0] == 22.0
