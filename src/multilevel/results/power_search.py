"""How many clusters does it take? The smallest size that reaches a power: by formula, then by simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from multilevel.errors import DataError
from multilevel.report.power import PowerCell
from multilevel.results.analyses import Analysis
from multilevel.results.power_cells import Job, Made, Settings, run_cells
from multilevel.simulation.plan import Plan
from multilevel.simulation.plan_columns import Assigned

LARGEST = 1 << 16  # units, beyond which nothing is sought
LEVEL, GAIN = 500, 0.002  # power that twice as many units do not raise, from so many on, has levelled off
MOST_WALKED = 8  # sizes that are simulated beside the first guess
STRIDE = 0.03  # of the guess: a step that changes power by more than simulation leaves uncertain


@dataclass(slots=True)
class Tried:
    """Sizes that were simulated, each once."""

    job: Job
    find: str
    by_size: dict[int, Made] = field(default_factory=dict)

    def power(self, size: int) -> float:
        """Simulated power at a size."""
        if size not in self.by_size:
            self.by_size[size] = run_cells(self.job, [{self.find: float(size)}])
        figures = self.by_size[size].cells[0].figures
        assert figures is not None
        return figures.rate.share

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return any(made.interrupted for made in self.by_size.values())

    def made(self) -> Made:
        """All of them in the order of size."""
        parts = [self.by_size[size] for size in sorted(self.by_size)]
        cells = tuple(cell for part in parts for cell in part.cells)
        outcomes = tuple(outcome for part in parts for outcome in part.outcomes)
        return Made(cells, outcomes, parts[0].truth, self.interrupted)


def refuse_several(find: str, settings: Sequence[Settings], analyses: Sequence[Analysis]) -> str:
    """One size is sought at a time, for one way to test."""
    if len(analyses) > 1:
        raise DataError("find= seeks one size, and method= lists several ways to test; give one.")
    if list(settings) != [{}]:
        raise DataError("find= seeks one size, and over= varies designs; give one of them.")
    return find


def smallest_size(job: Job, find: str, target: float) -> tuple[Made, int | None]:
    """Designs tried, in the order of their size, and the smallest that reaches the target."""
    if find not in job.source.sized:
        raise DataError(f"find={find!r} is no size of the design; there are {', '.join(job.source.sized)}.")
    step = arms(job, find)
    guess = by_formula(job, find, target, step)
    if job.n is None:
        if guess is None:
            raise DataError("this design has no formula; give n=, the number of data sets to simulate.")
        sizes = [size for size in (guess - step, guess) if size >= least(step)]
        return run_cells(job, [{find: float(size)} for size in sizes]), guess
    tried = Tried(job, find)
    if guess is None:
        guess = first_reaching(tried.power, find, target, step, stop=lambda: tried.interrupted)
    walk(tried, guess, max(step, step * round(STRIDE * guess / step)), least(step), target)
    reached = [size for size in tried.by_size if tried.power(size) >= target]
    return tried.made(), min(reached) if reached else None


def walk(tried: Tried, guess: int, stride: int, lowest: int, target: float) -> None:
    """Step by step down from a size that reaches the target, or up to one that does."""
    size, down = guess, tried.power(guess) >= target
    for _ in range(MOST_WALKED):
        size += -stride if down else stride
        if size < lowest or tried.interrupted or (tried.power(size) >= target) != down:
            break


def by_formula(job: Job, find: str, target: float, step: int) -> int | None:
    """The smallest size by formula; None where there is none."""
    alone = replace(job, n=None)

    def power(size: int) -> float:
        return run_cells(alone, [{find: float(size)}]).cells[0].formula

    if power(least(step)) != power(least(step)):
        return None
    return first_reaching(power, find, target, step)


def first_reaching(
    power: Callable[[int], float],
    find: str,
    target: float,
    step: int,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """The smallest multiple of a step whose power reaches the target: by doubling, then halving."""
    low, high = 0, least(step)
    found = power(high)
    while found < target and not stop():
        low, high, before = high, 2 * high, found
        found = power(high)
        if found < target and (high > LARGEST or (high > LEVEL and found < before + GAIN)):
            raise DataError(
                f"{high:,} '{find}' reach a power of {found:.2g}, and {low:,} {before:.2g}: more of them "
                f"hardly help, and {target:g} is out of reach. Vary something else."
            )
    while high - low > step and not stop():
        middle = low + step * max(1, (high - low) // (2 * step))
        if middle <= least(step) - step:
            break
        low, high = (low, middle) if middle >= least(step) and power(middle) >= target else (middle, high)
    return high


def arms(job: Job, find: str) -> int:
    """Steps of the size that keep treatments balanced."""
    if not isinstance(job.source.design, Plan):
        return 1
    step = 1
    for sentence in job.source.design.steps:
        if isinstance(sentence, Assigned) and sentence.at == find:
            step *= len(sentence.values)
    return step


def least(step: int) -> int:
    """The smallest size that is tried: two units of each kind."""
    return 2 * step if step > 1 else 4


def needed_notes(
    find: str | None, target: float, needed: int | None, cells: Sequence[PowerCell]
) -> tuple[str, ...]:
    """The answer in a sentence."""
    if find is None:
        return ()
    if needed is None:
        return (f"None of the sizes tried reaches a power of {target:g}; begin from a larger plan.",)
    by_size = {round(cell.settings[find]): cell for cell in cells}
    figures = by_size[needed].figures
    by_formula = [size for size, cell in sorted(by_size.items()) if cell.formula >= target]
    also = f" (by formula {by_formula[0]})" if by_formula and by_formula[0] != needed else ""
    how = "by formula" if figures is None else "of those simulated"
    return (
        f"It takes {needed} '{find}': the smallest number, {how}, with a power of {target:g} or more{also}.",
    )
