"""How the next integer is drawn from logits."""

from typing import Any

import numpy as np
import pytest

from backpass.engine.generate import Choice

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "how",
    [{}, {"temperature": 0.0}, {"temperature": 0.7, "top_k": 5}, {"top_p": 0.6}, {"top_k": 9, "top_p": 0.9}],
)
def test_a_row_alone_is_drawn_as_among_others(how: dict[str, Any]) -> None:
    draw = Choice(**{"temperature": 1.0, "top_k": None, "top_p": None, "seed": 0} | how)
    for _ in range(50):
        logits, chance = RNG.normal(0, 3, (4, 17)).astype(np.float32), RNG.random(4)
        logits[1, 3] = -np.inf
        together = draw(logits, chance)
        assert [int(draw(logits[i : i + 1], chance[i : i + 1])) for i in range(4)] == together.tolist()
        assert together[1] != 3


def test_each_integer_is_as_likely_as_its_softmax() -> None:
    logits = np.log(np.array([[0.5, 0.2, 0.3]]))
    drawn = [int(Choice(1.0, None, None, 0)(logits, np.array([c]))) for c in np.arange(0.5, 1000) / 1000]
    np.testing.assert_array_equal(np.bincount(drawn), [500, 200, 300])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused(bad: float, rows: int, temperature: float) -> None:
    logits = np.zeros((rows, 5), np.float32)
    logits[-1, 2] = bad
    with pytest.raises(ValueError, match="output of the network is NaN or infinite"):
        Choice(temperature, None, None, 0)(logits, np.full(rows, 0.5))
