"""`ml.Plan`: a study that has not been made yet, sentence by sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from multilevel._options import Seed, checked_count, checked_seed, checked_share
from multilevel._typing import Frame
from multilevel.errors import DataError, DataTypeError
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind
from multilevel.simulation.dropout import Left, Loss, Missed
from multilevel.simulation.numbers import checked_number
from multilevel.simulation.plan_columns import Assigned, Drawn, Stepped, checked_draw, checked_values
from multilevel.simulation.plan_levels import Crossed, Nested, Visits, checked_size, checked_times
from multilevel.simulation.plan_rows import NOTHING, PlannedRows, Step


@dataclass(frozen=True, init=False, repr=False, slots=True)
class Plan:
    """A study that is planned: its levels, who meets whom, what is assigned, measured and lost.

    Every method returns a new plan, so that plans can be written as a chain and shared.

    Args:
        levels: names and sizes, outermost first: `ml.Plan(school=20, pupil=25)` are 20 schools of 25 pupils
            each. A size may be a list with one number a unit above, or a distribution such as
            `scipy.stats.poisson(25)`, of which each unit above has one draw (at least 1).

    Example:
        >>> import multilevel as ml
        >>> plan = ml.Plan(school=20, pupil=25).assign("treated", at="school").draw("ses", (0, 1), at="pupil")
        >>> plan
        Plan of 500 rows
          20 'school', in each 'pupil': 25
          'treated' (0, 1) assigned to each 'school' in equal numbers
          'ses' of each 'pupil': normal, mean 0, SD 1
        >>> plan.data(seed=1).shape
        (500, 4)
    """

    steps: tuple[Step, ...]
    losses: tuple[Loss, ...]

    def __init__(self, **levels: Any) -> None:
        if not levels:
            raise DataError("a plan needs a level or more, as in ml.Plan(school=20, pupil=25).")
        steps = tuple(Nested(name, checked_size(name, size)) for name, size in levels.items())
        if np.ndim(steps[0].size) or not isinstance(steps[0].size, int):
            name = steps[0].name
            raise DataTypeError(f"{name}= is how many units of '{name}' there are, one whole number.")
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "losses", ())

    # Sentences ---------------------------------------------------------------------------------------

    def cross(self, name: str, count: int, *, per: int | None = None) -> Plan:
        """Every unit so far meets all `count` units of another factor, or `per` of them, drawn evenly.

        Example:
            >>> import multilevel as ml
            >>> ml.Plan(reader=12).cross("word", 40, per=10).data(seed=1).shape
            (120, 2)
        """
        some = None if per is None else checked_count("per", per)
        return self._and(Crossed(name, checked_count(name, count), some))

    def visits(self, name: str, times: int | Sequence[float]) -> Plan:
        """Every unit so far is seen at each of the times: numbers, or how many (0, 1, 2, ...).

        Example:
            >>> import multilevel as ml
            >>> ml.Plan(person=2).visits("week", [0, 4, 12]).data()["week"].tolist()
            [0.0, 4.0, 12.0, 0.0, 4.0, 12.0]
        """
        return self._and(Visits(name, checked_times(name, times)))

    def assign(self, name: str, values: Sequence[Any] = (0, 1), *, at: str) -> Plan:
        """A treatment: the units of a level are dealt the values at random, in equal numbers.

        Units that lie in others are dealt within them (pupils within schools), and a second treatment of the
        same level within the first. Numbers become a number, labels a factor.

        Example:
            >>> import multilevel as ml
            >>> trial = ml.Plan(clinic=4, patient=6).assign("arm", ("a", "b"), at="patient").data(seed=1)
            >>> trial.groupby(["clinic", "arm"], observed=True).size().tolist()
            [3, 3, 3, 3, 3, 3, 3, 3]
        """
        return self._and(Assigned(name, checked_values(name, values), at))

    def step(self, name: str, *, at: str, time: str) -> Plan:
        """A stepped wedge: units of a level cross over from 0 to 1, in turn, after each time but the last.

        Example:
            >>> import multilevel as ml
            >>> wedge = ml.Plan(hospital=6).visits("period", 4).step("on", at="hospital", time="period")
            >>> wedge.data(seed=1).groupby("period")["on"].sum().tolist()
            [0, 2, 4, 6]
        """
        return self._and(Stepped(name, at, time))

    def draw(self, name: str, values: Any, *, at: str, icc: float = 0.0) -> Plan:
        """A covariate, drawn for each unit of a level.

        Args:
            name: of the column.
            values: the share of ones, such as 0.3; (mean, sd) of a normal variable; shares of labels, such as
                {"a": 0.2, "b": 0.8}; or a distribution, such as `scipy.stats.gamma(2)`.
            at: the level whose units have a value each.
            icc: of a normal covariate, how alike units are that lie in the same unit above.

        Example:
            >>> import multilevel as ml
            >>> plan = ml.Plan(school=2, pupil=3).draw("size", (500, 100), at="school")
            >>> plan.draw("girl", 0.5, at="pupil").data(seed=1).groupby("school")["size"].nunique().tolist()
            [1, 1]
        """
        return self._and(Drawn(name, checked_draw(name, values, icc), at, float(icc)))

    def miss(self, share: float) -> Plan:
        """A share of the responses is missing, completely at random (MCAR).

        Example:
            >>> import multilevel as ml
            >>> plan = ml.Plan(school=10, pupil=10).miss(0.1)
            >>> int(ml.simulate("y ~ 1 + (1 | school)", plan, icc=0.1, seed=1)["y"].isna().sum())
            10
        """
        return self._without(Missed(checked_share("share", share, "share=0.1")))

    def leave(self, at: str, time: str, *, share: float, previous: float = 0.0) -> Plan:
        """Units of a level drop out and do not come back; all are seen at the first time.

        Args:
            at: the level whose units leave.
            time: the column of times.
            share: of the units, gone by the last time.
            previous: how much a response one SD higher at the time before adds to the log odds of leaving: 0
                for dropout completely at random, else at random given what was seen (MAR).

        Example:
            >>> import multilevel as ml
            >>> plan = ml.Plan(person=100).visits("week", 3).leave("person", "week", share=0.3, previous=-1)
            >>> data = ml.simulate("y ~ week + (1 | person)", plan, icc=0.5, seed=1)
            >>> data.groupby("week")["y"].count().tolist()
            [100, 79, 67]
        """
        gone = checked_share("share", share, "share=0.2")
        return self._without(Left(time, at, gone, checked_number("previous", previous)))

    def resized(self, **counts: int) -> Plan:
        """The same plan with other numbers of units, of crossed units or of visits.

        Example:
            >>> import multilevel as ml
            >>> ml.Plan(school=20, pupil=25).resized(school=30)
            Plan of 750 rows
              30 'school', in each 'pupil': 25
        """
        steps = list(self.steps)
        for name, count in counts.items():
            at = self._sized(name)
            steps[at] = resized_step(steps[at], checked_count(name, count))
        return self._with(tuple(steps), self.losses)

    # What it makes -----------------------------------------------------------------------------------

    def data(self, *, seed: Seed = None, frame: FrameKind = "pandas") -> Frame:
        """A data set without a response, as this kind of frame.

        Example:
            >>> import multilevel as ml
            >>> ml.Plan(school=1, pupil=2).data()
               school  pupil
            0       1      1
            1       1      2
        """
        return to_frame(self.rows(np.random.default_rng(checked_seed(seed))).frame_columns(), frame)

    def rows(self, rng: np.random.Generator) -> PlannedRows:
        """The rows that one random stream makes."""
        rows = NOTHING
        for step in self.steps:
            rows = step.apply(rows, rng)
        return rows

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        return tuple(name for step in self.steps for name in step.names)

    @property
    def sized(self) -> tuple[str, ...]:
        """What `resized` can change: levels, crossed factors and visits."""
        return tuple(s.name for s in self.steps if isinstance(s, Nested | Crossed | Visits))

    @property
    def random(self) -> bool:
        """Whether data sets of the plan differ by more than the names of units and their responses."""
        uneven = any(isinstance(s, Nested) and np.ndim(s.size) for s in self.steps)
        dealt = any(isinstance(s, Assigned | Stepped) for s in self.steps)
        return bool(self.losses) or (uneven and dealt) or any(step.random for step in self.steps)

    def __repr__(self) -> str:
        rows = self.rows(np.random.default_rng(0))
        about = "about " if any(step.random and isinstance(step, Nested) for step in self.steps) else ""
        nested = [step for step in self.steps if isinstance(step, Nested)]
        others = [step.words() for step in (*self.steps, *self.losses) if not isinstance(step, Nested)]
        levels = ", in each ".join(
            [f"{nested[0].size} '{nested[0].name}'", *(step.words() for step in nested[1:])]
        )
        return "\n  ".join([f"Plan of {about}{rows.n} rows", levels, *others])

    # -------------------------------------------------------------------------------------------------

    def _and(self, step: Step) -> Plan:
        """The plan with one more sentence, tried at once so that a mistake shows where it is made."""
        for name in step.names:
            if not isinstance(name, str) or not name:
                raise DataTypeError(f"a column of a plan has a name, as text; got {name!r}.")
            if name in self.names:
                raise DataError(f"the plan has a column {name!r} already; choose another name.")
        step.apply(self.rows(np.random.default_rng(0)), np.random.default_rng(0))
        return self._with((*self.steps, step), self.losses)

    def _without(self, loss: Loss) -> Plan:
        if isinstance(loss, Left):
            levels = [step.name for step in self.steps if isinstance(step, Nested | Crossed)]
            times = [step.name for step in self.steps if isinstance(step, Visits)]
            if loss.at not in levels or loss.time not in times:
                raise DataError(
                    f"leave({loss.at!r}, {loss.time!r}) names a level and its visits; the plan has the "
                    f"levels {', '.join(levels)} and the visits {', '.join(times) or '(none)'}."
                )
        return self._with(self.steps, (*self.losses, loss))

    def _with(self, steps: tuple[Step, ...], losses: tuple[Loss, ...]) -> Plan:
        plan = object.__new__(Plan)
        object.__setattr__(plan, "steps", steps)
        object.__setattr__(plan, "losses", losses)
        return plan

    def _sized(self, name: str) -> int:
        for at, step in enumerate(self.steps):
            if isinstance(step, Nested | Crossed | Visits) and step.name == name:
                return at
        raise DataError(f"the plan has no size {name!r}; it has {', '.join(self.sized)}.")


def resized_step(step: Step, count: int) -> Step:
    """A level, a crossed factor or visits with another count; visits go on at the interval they had."""
    if isinstance(step, Nested):
        return replace(step, size=count)
    if isinstance(step, Crossed):
        return replace(step, count=count)
    assert isinstance(step, Visits)
    gap = step.times[1] - step.times[0] if len(step.times) > 1 else 1.0
    return replace(step, times=tuple(step.times[0] + gap * k for k in range(count)))


def lost_rows(
    losses: Sequence[Loss], rows: PlannedRows, y: Any, rng: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Rows (n,) whose response is lost."""
    gone = np.zeros(rows.n, dtype=np.bool_)
    for loss in losses:
        if isinstance(loss, Left):
            times: Mapping[str, Any] = rows.columns
            gone |= loss.lost(y, rows.units[loss.at], np.asarray(times[loss.time]), rng)
        else:
            gone |= loss.lost(y, np.zeros(rows.n, np.int32), np.zeros(rows.n), rng)
    return gone
