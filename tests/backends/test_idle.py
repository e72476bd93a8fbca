"""Parameters without a gradient: their moments must not linger as denormals, on which arithmetic is many times slower."""

from typing import Any

import numpy as np
import pytest

from backpass.backends import Backend, get_backend
from backpass.ops.contract import REGISTRY

UPDATES = [name for name, op in REGISTRY.items() if "params" in op.outputs]
SHOWS = ("lion_step",)  # the parameters follow the sign of the moment, which a denormal has as well


def after_a_step(backend: Backend, name: str, dtype: str, **scalars: Any) -> dict[str, np.ndarray]:
    """The moments after a step without a gradient, which were denormal before."""
    op, tiny = REGISTRY[name], np.finfo(dtype).smallest_subnormal
    arrays = {
        k: np.ones([37 if d == "N" else int(d) for d in array.dims], array.dtype or dtype)
        for k, array in op.arrays.items()
    }
    arrays["grads"][...] = 0
    moments = {k: arrays[k] for k in op.outputs if k != "params"}
    for moment in moments.values():
        moment[...] = 5 * tiny
    fields = arrays | {k: s for k, s in {"momentum": 0.9, **scalars}.items() if k in op.scalars}
    backend.run_op(name, op.complete(fields))
    assert np.isfinite(arrays["params"]).all()
    return moments


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UPDATES)
def test_idle_moments_leave_the_denormals(name: str, dtype: str, native: Backend) -> None:
    """On native: only its kernels are fast enough to suffer."""
    moments, references = (after_a_step(backend, name, dtype) for backend in (native, get_backend("numpy")))
    assert moments
    for key, moment in moments.items():
        reference = references[key]
        if name in SHOWS:
            assert (moment != 0).all(), key
        elif np.abs(reference).max() < np.finfo(dtype).tiny:
            assert (moment == 0).all(), key
        else:  # the formula keeps it away from 0
            np.testing.assert_allclose(moment, reference, rtol=1e-5, err_msg=key)


def test_a_small_eps_keeps_them(native: Backend) -> None:
    """sqrt(v) could be seen beside such an eps: nothing is flushed."""
    for moment in after_a_step(native, "adam_step", "float32", eps=1e-20).values():
        assert (moment != 0).all()
