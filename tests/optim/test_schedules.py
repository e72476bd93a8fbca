"""Schedules as objects: values, how they print, what they refuse. (Runs with them: tests/golden and the parity with torch.)"""

import math
from inspect import isfunction
from typing import Any

import pytest

from backpass.optim import schedules as s

MADE = {
    "step(0.1, every=10, factor=0.5)": {0: 0.1, 9: 0.1, 10: 0.05, 25: 0.025},
    "exponential(0.1, every=10, factor=0.5)": {0: 0.1, 5: 0.1 * 0.5**0.5, 20: 0.025},
    "cosine(0.1, total_steps=100, end=0.02)": {0: 0.1, 50: 0.06, 100: 0.02, 999: 0.02},
    "warmup_cosine(0.1, warmup_steps=10, total_steps=110, end=0)": {
        0: 0.01, 9: 0.1, 10: 0.1, 35: 0.05 * (1 + math.sqrt(0.5)), 60: 0.05, 110: 0,
    },
    "one_cycle(0.1, total_steps=100)": {0: 0.004, 29: 0.1, 64: 0.05 + 0.1 / 25e4 / 2, 99: 0.1 / 25e4, 500: 0.1 / 25e4},
    "piecewise(0.1, {10: 0.5, 20: 0.1})": {0: 0.1, 9: 0.1, 10: 0.05, 20: 0.005, 99: 0.005},
}  # fmt: skip


def test_all_are_tested() -> None:
    made = {name for name, value in vars(s).items() if isfunction(value) and value.__module__ == s.__name__}
    assert {text.split("(")[0] for text in MADE} == {n for n in made if not n.startswith("_")} - {"constant"}


@pytest.mark.parametrize("text", MADE)
def test_values_and_the_call_that_makes_it(text: str) -> None:
    schedule = eval(text, vars(s))
    assert repr(schedule) == text
    for step, lr in MADE[text].items():
        assert schedule(step) == pytest.approx(lr, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("step", [-1, 1.5, "a", None, True, 10**30])
def test_a_step_is_a_count(step: Any) -> None:
    with pytest.raises(ValueError, match=r"schedule: step is .*, expected an integer of at least 0"):
        s.warmup_cosine(0.1, 5, 10)(step)
