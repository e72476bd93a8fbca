"""nn.Permute: dimensions in another order, with no copy before convolutions; and what it refuses."""

from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from backpass.export.plans import inputs_of, plan_of


def test_it_is_a_transposition(backend: Backend) -> None:
    x = np.random.default_rng(0).standard_normal((4, 3, 2, 5))
    model = bp.Model(nn.Permute((0, 3, 1, 2)), dtype="float64")
    model.backend = backend
    assert np.array_equal(model.predict(x), x.transpose(0, 3, 1, 2))
    out = model.forward(x, training=True)
    dout = np.random.default_rng(1).standard_normal(out.shape)
    assert np.array_equal(model.backward(dout), dout.transpose(0, 2, 3, 1))


def test_images_with_channels_last_are_not_copied() -> None:
    """The ops are those of a network without it."""
    inner = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 1)
    model = bp.Model(nn.Sequential(nn.Permute((0, 3, 1, 2)), *inner, nn.Permute((0, 2, 3, 1))))
    x = np.random.default_rng(0).standard_normal((2, 8, 9, 3)).astype(np.float32)
    out = model.predict(x)
    ops = [i.op.name for i in plan_of(model.engine, inputs_of("test", model.engine), 2, apart=True).forward]
    assert ops == ["conv2d_forward", "max_pool2d_forward", "conv2d_forward"]
    other = bp.Model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 1)))
    other.load_state_dict(dict(zip(other.state_dict(), model.state_dict().values(), strict=True)))
    want = other.predict(x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(out, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dims", [(1, 0), (0, 0, 1), (), 3, (0, 1.0), (0, True), "01", None, (0, 2), (-1, 0)])
def test_refused(dims: Any) -> None:
    with pytest.raises(ValueError, match=r"Permute: dims is .*, expected 0 and a permutation"):
        nn.Permute(dims)


def test_another_number_of_dimensions() -> None:
    with pytest.raises(
        ValueError, match=r"Permute\(\): the input has shape \(batch, 3\), expected 3 dimensions"
    ):
        bp.Model(nn.Permute()).predict(np.zeros((2, 3)))
