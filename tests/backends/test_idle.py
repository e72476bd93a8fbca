"""Parameters without a gradient: their moments must not linger as denormals, on which arithmetic is many times slower."""

from typing import Any

import numpy as np
import pytest

from backpass.backends import Backend
from backpass.ops.contract import REGISTRY

MOMENTS = {
    "sgd_step": ["velocity"],
    "adam_step": ["m", "v"],
    "nadam_step": ["m", "v"],
    "rmsprop_step": ["v", "velocity"],
    "adadelta_step": ["v", "delta"],
}


def after_a_step(backend: Backend, name: str, dtype: str, **scalars: Any) -> dict[str, np.ndarray]:
    """The moments after a step without a gradient, which were denormal before."""
    op, tiny = REGISTRY[name], np.finfo(dtype).smallest_subnormal
    given = {k: np.full(37, 5 * tiny, dtype) for k in MOMENTS[name]}
    arrays = given | {"params": np.ones(37, dtype), "grads": np.zeros(37, dtype)}
    arrays |= {"lr": np.ones(1), "scale": np.ones(1), "step": np.full(1, 9), "coefficients": np.ones(2)}
    fields = {k: a for k, a in arrays.items() if k in op.arrays} | {
        k: s for k, s in {"momentum": 0.9, **scalars}.items() if k in op.scalars
    }
    backend.run_op(name, op.complete(fields))
    assert np.isfinite(arrays["params"]).all()
    return given


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MOMENTS)
def test_idle_moments_become_zero(name: str, dtype: str, backend: Backend) -> None:
    if backend.name != "native":
        pytest.skip("only the native kernels are fast enough to suffer")
    for key, moment in after_a_step(backend, name, dtype).items():
        assert (moment == 0).all(), key


def test_a_small_eps_keeps_them(backend: Backend) -> None:
    """sqrt(v) could be seen beside such an eps: nothing is flushed."""
    if backend.name != "native":
        pytest.skip("only the native kernels are fast enough to suffer")
    for moment in after_a_step(backend, "adam_step", "float32", eps=1e-20).values():
        assert (moment != 0).all()
