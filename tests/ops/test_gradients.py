"""Generated from the contracts: every gradient op against central finite differences in float64, on every backend."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from backpass.backends import Backend
from backpass.ops.contract import REGISTRY, Op
from helpers import samples
from helpers.differences import numeric

LIMIT = 1e-6
PAIRS = [n for n in samples.OPS if n.endswith("_forward") and n.replace("_forward", "_backward") in REGISTRY]
LOSSES = [n for n in samples.OPS if "dpred" in REGISTRY[n].arrays]
SIZES = (3, 2, 5, 4, 6, 7)


def dims_of(op: Op) -> dict[str, Any]:
    """Small sizes, a different one for every letter of an op's inputs; rows to choose from are more than a batch has."""
    sizes = dict(zip(samples.input_letters(op), SIZES, strict=False))
    return sizes | {"*": (2, 3)} | ({"N": 9, "Z": 40} if "N" in sizes else {})


def assert_close(got: np.ndarray, want: np.ndarray, what: str) -> None:
    scale = max(float(np.abs(want).max(initial=0)), 1.0)
    assert np.abs(got - want).max(initial=0) <= LIMIT * scale, f"{what}: {got} against {want}"


def variants(op: Op) -> list[tuple[set[str], dict[str, Any]]]:
    return [(absent, chosen) for absent in samples.optional_sets(op) for chosen in samples.scalars(op)]


def sized(op: Op) -> list[dict[str, Any]]:
    """The small ones of an op's own cases, if it has any."""
    return op.samples["cases"][:8] if "cases" in op.samples else [dims_of(op)]


def run_gradients(backend: Backend, forward: Op, given: dict[str, Any]) -> list[str]:
    """Call the gradient ops one after another: what one needs of its own is allocated, and the next may read it."""
    outputs: list[str] = []
    for op in forward.gradients:
        fields = {k: v for k, v in given.items() if k in op.parameters}
        known = op.infer(
            {k: v.shape for k, v in fields.items() if k in op.arrays},
            {k: v for k, v in fields.items() if k in op.scalars},
        )
        for k in op.outputs:
            if k not in fields and not op.arrays[k].optional:
                fields[k] = np.full(op.arrays[k].shape(known), 77, op.arrays[k].dtype or "float64")
        backend.call(op.name, **fields)
        given |= fields
        outputs += [k for k in op.outputs if k in fields]
    return outputs


@pytest.mark.parametrize("name", PAIRS)
def test_gradient(name: str, backend: Backend) -> None:
    """Σ R · y for random R, y all outputs with gradients: the backward op against differences of the forward op."""
    forward = REGISTRY[name]
    taken = {k for op in forward.gradients for k in op.inputs}
    for dims, (absent, chosen) in product(sized(forward), variants(forward)):
        if "weight" in forward.inputs and chosen.get("activation", "identity") != "identity":
            continue  # the gradient op takes the slope of the activation before it: test_program
        fields = samples.call(forward, dims, "float64", absent - {"slope"}, chosen)
        rng = np.random.default_rng(1)
        flowing = [k for k in forward.outputs if f"d{k}" in taken and k in fields]
        weights = {k: rng.standard_normal(fields[k].shape) for k in flowing}

        def loss(fields: dict[str, Any] = fields, weights: dict[str, np.ndarray] = weights) -> float:
            call = samples.copied(fields)
            backend.call(name, **call)
            return sum(float((call[k] * weights[k]).sum()) for k in weights)

        done = samples.copied(fields)
        backend.call(name, **done)
        given: dict[str, Any] = {f"d{k}": weights[k] for k in flowing}
        for op in forward.gradients:
            for k in op.arrays:
                source = k.removeprefix("d")
                if k in op.outputs and source in fields:
                    given[k] = np.full_like(fields[source], 77)
                elif k in done and k not in given:
                    given[k] = done[k]
        if name == "activation_forward" and "slope" in absent:
            from backpass.ops.formulas import ACTIVATIONS

            if not ACTIVATIONS[chosen["activation"]].stores_slope:
                given.pop("slope", None)
        if forward.activates:
            given.pop("slope", None)
        first = forward.gradients[0]
        if any(k not in given and not first.arrays[k].optional for k in first.inputs):
            continue  # of inference: what the gradient needs was not asked for
        given |= {k: fields[k] for op in forward.gradients for k in op.scalars if k in fields}
        outputs = run_gradients(backend, forward, given)
        for k in outputs:
            if k.removeprefix("d") in fields:
                assert_close(
                    given[k],
                    numeric(loss, fields[k.removeprefix("d")]),
                    f"{name} {k} {chosen} without {absent}",
                )


@pytest.mark.parametrize("name", LOSSES)
def test_loss_gradient(name: str, backend: Backend) -> None:
    op = REGISTRY[name]
    for absent, chosen in variants(op):
        if "dpred" in absent:
            continue
        fields = samples.call(op, dims_of(op), "float64", absent, chosen)

        def loss(fields: dict[str, Any] = fields) -> float:
            call = samples.copied(fields)
            backend.call(name, **call)
            return float(call["loss"][0])

        done = samples.copied(fields)
        backend.call(name, **done)
        assert_close(done["dpred"], numeric(loss, fields["pred"]), f"{name} {chosen} without {absent}")
