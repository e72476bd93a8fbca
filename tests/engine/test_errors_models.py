"""What is wrong with an argument of a model is said when it is given, and what no two models may share."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

import backpass as bp
from backpass import nn, optim
from helpers.nets import X, Y
from helpers.refusals import assert_trains, refused


def made(**arguments: Any) -> Callable[[], Any]:
    return lambda: bp.Model(**({"net": nn.Sequential(nn.Linear(6, 3))} | arguments))


CONSTRUCTIONS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "net a list": (made(net=[nn.Linear(4, 3)]), ("net is list", "expected a layer")),
    "net a class": (made(net=nn.Linear), ("net is the class Linear", "expected a layer")),
    "net None": (made(net=None), ("net is NoneType", "expected a layer")),
    "loss unknown": (made(loss="msee"), ("loss is 'msee'", "'mse'", "'cross_entropy'")),
    "loss None": (made(loss=None), ("loss is None", "'mse'")),
    "loss a list": (made(loss=["mse", 3]), ("loss[1] is 3", "'mse'")),
    "loss an empty list": (made(loss=[]), ("losses is empty", "a loss for each output")),
    "loss a class": (made(loss=nn.MSELoss), ("loss is the class MSELoss", "MSELoss()")),
    "optimizer unknown": (made(optimizer="adamm"), ("optimizer is 'adamm'", "'adam'", "'sgd'")),
    "optimizer a class": (made(optimizer=optim.Adam), ("optimizer is <class", "expected")),
    "optimizer None": (made(optimizer=None), ("optimizer is None", "'adam'")),
    "backend unknown": (
        made(backend="jax"),
        ("backend is 'jax'", "'auto'", "'native'", "'numba'", "'numpy'"),
    ),
    "backend None": (made(backend=None), ("backend is None", "'auto'")),
    "backend a list": (made(backend=["numpy"]), ("backend is ['numpy']", "'auto'")),
    "dtype float16": (made(dtype="float16"), ("dtype is 'float16'", "'float32' or 'float64'")),
    "dtype int": (made(dtype=int), ("dtype is <class 'int'>", "'float32' or 'float64'")),
    "dtype unknown": (
        made(dtype="single precision"),
        ("dtype is 'single precision'", "'float32' or 'float64'"),
    ),
    "dtype None": (made(dtype=None), ("dtype is None", "'float32' or 'float64'")),
    "dtype swapped": (made(dtype=">f4"), ("dtype is '>f4'", "'float32' or 'float64'")),
    "threads 0": (made(threads=0), ("threads is 0", "1")),
    "threads negative": (made(threads=-1), ("threads is -1", "1")),
    "threads a float": (made(threads=1.5), ("threads is 1.5", "integer")),
    "threads True": (made(threads=True), ("threads is True", "integer")),
    "threads beyond reason": (made(threads=10**9), ("threads is 1000000000", "expected")),
    "seed negative": (made(seed=-1), ("seed is -1", "expected an integer")),
    "seed a float": (made(seed=0.0), ("seed is 0.0", "expected an integer")),
    "seed too large": (made(seed=2**63), (f"seed is {2**63}", "expected an integer")),
    "seed None": (made(seed=None), ("seed is None", "expected an integer")),
    "set_backend": (lambda: bp.set_backend("tf"), ("backend is 'tf'", "'native'")),
}


@pytest.mark.parametrize("what", CONSTRUCTIONS)
def test_constructions(what: str) -> None:
    make, parts = CONSTRUCTIONS[what]
    with refused(*parts):
        make()


def test_a_layer_belongs_to_one_model() -> None:
    shared, other = nn.Linear(6, 6), nn.Linear(6, 6)
    first = bp.Model(nn.Sequential(shared, nn.Linear(6, 3)))
    with refused("net", "Linear(6, 6)", "already belongs to another model", "deepcopy", model=first):
        bp.Model(nn.Sequential(other, shared))
    second = bp.Model(
        nn.Sequential(other, deepcopy(shared), nn.Linear(6, 3))
    )  # the failure has not used `other` up
    assert_trains(second, Y)
    assert_trains(first, Y)


def test_a_loss_of_ones_own_that_is_wrong() -> None:
    def model(loss: Any) -> bp.Model:
        return bp.Model(nn.Sequential(nn.Linear(6, 3)), loss)

    for loss, parts in (
        (lambda p, y: 1.0, ("returned float", "(value, gradient)")),
        (lambda p, y: (1.0, p[:, 0]), ("gradient of shape", "like pred")),
        (lambda p, y: (p, p), ("an array of shape", "one number")),
        (lambda p, y: (None, p), ("None", "one number")),
        (lambda p, y: (1.0, p.astype(str)), ("gradient of dtype <U", "numbers")),
    ):
        made = model(loss)
        with refused(*parts, model=made):
            made.fit(X, Y)
    with refused("y", "rows"):
        model(lambda p, y: (1.0, p)).fit(X, Y[:3])
