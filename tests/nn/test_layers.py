"""Layers' own arguments and shapes."""

import numpy as np
import pytest

import backpass as bp
from backpass import nn


def test_arguments_of_pytorch_that_need_nothing_here_are_taken() -> None:
    nn.Sequential(
        nn.ReLU(inplace=True), nn.LeakyReLU(0.1, inplace=True), nn.ELU(inplace=True), nn.SiLU(inplace=True)
    )
    assert nn.Dropout(0.2, inplace=True).p == 0.2
    assert nn.Softplus(2.0, threshold=20).beta == 2.0
    for make in (
        lambda: nn.Softplus(threshold=5),
        lambda: nn.PoissonNLLLoss(full=True),
        lambda: nn.GaussianNLLLoss(full=True),
    ):
        with pytest.raises(ValueError, match="expected"):
            make()


def test_flatten_some_dimensions() -> None:
    X = np.arange(48, dtype=np.float32).reshape(2, 2, 3, 4)
    for start, end, shape in ((1, -1, (2, 24)), (2, 3, (2, 2, 12)), (1, 2, (2, 6, 4)), (3, -1, (2, 2, 3, 4))):
        out = bp.Model(nn.Flatten(start, end)).predict(X)
        assert out.shape == shape
        assert np.array_equal(out.ravel(), X.ravel())
    with pytest.raises(ValueError, match="cannot flatten"):
        bp.Model(nn.Flatten(3, 2)).predict(X)
