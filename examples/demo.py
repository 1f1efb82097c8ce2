"""The sleep study: reaction times (ms) of 18 people, each kept short of sleep for ten days.

Run it with `make demo`.
"""

import multilevel as ml


def heading(text: str) -> None:
    print(f"\n\n{text}\n{'=' * len(text)}\n")


def main() -> None:
    sleep = ml.datasets.sleepstudy()

    heading("1. No predictor: how much of the variance lies between people?")
    empty = ml.lmm("Reaction ~ 1 + (1 | Subject)", sleep)
    print(empty)
    print("\nIntraclass correlation")
    print(empty.icc().round(3).to_string(index=False))

    heading("2. Everybody slows down alike: a random intercept")
    intercept = ml.lmm("Reaction ~ Days + (1 | Subject)", sleep)
    print(intercept)

    heading("3. Everybody slows down at their own rate: a random slope")
    slope = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleep)
    print(slope)
    print("\nThe model as equations\n")
    print(slope.equation())
    print("\nWhere 95% of people's intercepts and slopes likely fall")
    print(slope.plausible_ranges().round(2).to_string(index=False))

    heading("4. Do the rates differ? The last two models compared")
    print(ml.compare(intercept, slope))


if __name__ == "__main__":
    main()
