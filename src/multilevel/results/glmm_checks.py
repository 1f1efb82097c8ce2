"""Are the arguments of `ml.glmm` such as there are?"""

from __future__ import annotations

from multilevel._options import checked_count
from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import DataError, FormulaError, ModelError
from multilevel.families.family import Family
from multilevel.formula.terms import Formula

MOST_NODES = 101


def require_random_effects(formula: Formula, zi: object) -> None:
    """Without random effects there is nothing mixed."""
    if not formula.bars and not (isinstance(zi, str) and "|" in zi):
        raise FormulaError(
            f"'{formula.text}' has no random effects, which a mixed model needs; add a term like "
            "(1 | group), or use ml.glm."
        )


def checked_nodes(nagq: object) -> int:
    """The number of quadrature points in each dimension; 0 for the fast variant of Laplace's one."""
    if nagq == 0 and not isinstance(nagq, bool | float):
        return 0
    if isinstance(nagq, int) and nagq < 0:
        raise DataError(f"nagq={nagq} is negative; 1 is Laplace's approximation, 0 its fast relative.")
    nodes = checked_count("nagq", nagq)
    if nodes > MOST_NODES:
        raise DataError(f"nagq={nodes} is more than {MOST_NODES} points; 25 are enough for nearly all data.")
    return nodes


def refuse_sides(family: Family, design: GLMMDesign) -> None:
    """What a family cannot have: a dispersion model, an excess of zeros."""
    name = family.name.replace("_", " ")
    if design.dispersion is not None:
        if not family.free_scale:
            raise ModelError(f"the {name} family has no dispersion, so dispersion= has nothing to model.")
        if "dispersion" in family.given:
            raise ModelError(
                f"the dispersion is given in {type(family).__name__}(...), so dispersion= has nothing to "
                "model; leave one of them out."
            )
        if design.dispersion.X.shape[1] == 0:
            raise ModelError(
                "dispersion='~ 0' would fix the dispersion at 1, in whatever units the response has; write "
                '"~ x", or leave it out. For a Gaussian model without a residual use '
                'ml.lmm(..., residual="none").'
            )
        if design.dispersion.terms:
            raise FormulaError("dispersion= takes fixed effects only; leave its bars out.")
    if design.zi is not None and family.response == "ordered":
        raise ModelError("zi= is for counts and amounts with zeros; categories have none.")
    if design.zi is not None and family.density == "binomial" and design.trials is None:
        raise ModelError(
            "zi= cannot be told from the probability of success where each row is one trial; leave it out."
        )
    if design.zi is not None and family.density in ("gaussian", "student", "beta"):
        raise ModelError(
            f"zi= adds zeros to a distribution of counts, and a {name} variable has density there, or none; "
            "model whether y is zero by a binomial of its own."
        )
    if family.density.startswith("truncated") and design.zi is None and (design.main.y == 0.0).any():
        count = int((design.main.y == 0.0).sum())
        raise DataError(
            f"'{design.main.response_name}' is zero in {count} rows, which a {name} variable never is; model "
            'the zeros by zi="~ x" (a hurdle), or leave these rows out.'
        )


def refuse_impossible(family: Family, design: GLMMDesign) -> None:
    """Values that the response cannot have."""
    main = design.main
    y = main.y if design.trials is None else main.y / design.trials
    if family.response != "ordered":
        family.refuse_impossible(y, main.response_name)
    if family.response == "trials" and design.trials is None:
        refuse_shares(y, main.response_name)


def refuse_shares(y: Array, name: str) -> None:
    """A share without its trials has no likelihood."""
    inside = int(((y != 0.0) & (y != 1.0)).sum())
    if inside:
        raise DataError(
            f"'{name}' lies between 0 and 1 in {inside} rows, and how many trials those shares are of is not "
            "said; write 'successes / trials', or weights= with the trials; for shares of an amount use "
            'family="beta".'
        )


def refuse_row_effects(family: Family, design: GLMMDesign) -> None:
    """A random effect for each row competes with a free residual variance."""
    if family.density not in ("gaussian", "student"):
        return
    for term in design.main.terms:
        grouping = design.main.groupings[term.grouping]
        if grouping.n_levels == design.main.n_rows:
            raise ModelError(
                f"'{grouping.name}' has one row a level, and so does the residual: their variances cannot be "
                f"told apart. Drop ({term.label}); in families of counts and proportions such a term is fine."
            )
