"""Routes from values to views of their memory: what the steps compute is what the view shows."""

from typing import Any

import numpy as np
import pytest

from backpass.export.graph.views import Step, carried_over, lone_shape, route


def walked(value: np.ndarray, steps: list[Step]) -> np.ndarray:
    """What the nodes compute."""
    for kind, numbers in steps:
        if kind == "Reshape":
            value = value.reshape(numbers)
        elif kind == "Transpose":
            value = value.transpose(numbers)
        else:
            axis, start, end, step = numbers
            value = value[(slice(None),) * axis + (slice(start, end, step),)]
    return value


def turned(rng: np.random.Generator, array: np.ndarray) -> np.ndarray:
    """A view of an array: dimensions exchanged, cut, split, left out, repeated."""
    for _ in range(rng.integers(1, 5)):
        axis = int(rng.integers(array.ndim)) if array.ndim else 0
        change = rng.integers(5)
        if change == 0:
            array = array.transpose(rng.permutation(array.ndim))
        elif change == 1 and array.ndim and array.shape[axis] > 1:
            start = int(rng.integers(array.shape[axis] - 1))
            array = array[(slice(None),) * axis + (slice(start, None, int(rng.integers(1, 3))),)]
        elif change == 2 and array.ndim > 1:
            array = array[(slice(None),) * axis + (int(rng.integers(array.shape[axis])),)]
        elif change == 3 and array.flags.c_contiguous:
            array = array.reshape(-1, *array.shape[2:]) if array.ndim > 1 else array.reshape(1, -1)
        elif change == 4:
            array = np.broadcast_to(array, (2, *array.shape))
    return array


@pytest.mark.parametrize("seed", range(3))
def test_steps_compute_what_a_view_shows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(200):
        _compare(rng)


def _compare(rng: np.random.Generator) -> None:
    shape = rng.integers(1, 6, rng.integers(1, 5))
    memory = np.arange(float(np.prod(shape))).reshape(shape)
    value = memory.transpose(rng.permutation(memory.ndim))
    view = turned(rng, memory)
    steps = route(view, value)
    assert steps is not None
    found = walked(value, steps)
    assert found.shape == lone_shape(view)
    np.testing.assert_array_equal(np.broadcast_to(found, view.shape), view)


def test_what_a_value_does_not_hold_has_no_route() -> None:
    memory = np.arange(24.0).reshape(4, 6)
    for view, value in (
        (memory, memory[:, :3]),
        (memory[:, 2:], memory[:, :3]),
        (memory[0], memory[1:]),
        (memory[::-1], memory),
        (np.lib.stride_tricks.sliding_window_view(memory[0], 3), memory),
    ):
        assert route(view, value) is None


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (0, 1, 3, 2), (3, 0, 1, 2)])
def test_a_copy_in_another_order_holds_the_same_value(order: Any) -> None:
    """Written into a copy in the order of the view, its memory shows the value as it was."""
    value = np.arange(120.0).reshape(2, 3, 4, 5)
    view = value.transpose(order)
    copy = np.ascontiguousarray(view)
    held = carried_over(value, view, copy)
    assert held is not None
    assert np.shares_memory(held, copy)
    np.testing.assert_array_equal(held, value)
    assert carried_over(value, view[:1], copy[:1]) is None
