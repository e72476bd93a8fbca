"""What is wrong with an argument of an optimizer or a schedule is said when it is given."""

from collections.abc import Callable
from typing import Any

import pytest

from backpass import optim
from backpass.optim import schedules
from helpers.refusals import refused

NAN, INF = float("nan"), float("inf")


CONSTRUCTIONS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    # optimizers
    "lr text": (lambda: optim.Adam("0.1"), ("Adam: lr is '0.1'", "expected a number")),  # type: ignore[arg-type]
    "lr negative": (lambda: optim.SGD(-0.1), ("SGD: lr is -0.1", "from 0")),
    "lr NaN": (lambda: optim.SGD(NAN), ("SGD: lr is nan",)),
    "lr inf": (lambda: optim.SGD(INF), ("SGD: lr is inf",)),
    "lr True": (lambda: optim.Lion(True), ("Lion: lr is True",)),
    "SGD momentum": (lambda: optim.SGD(momentum=1.5), ("SGD: momentum is 1.5", "from 0 to 1")),
    "SGD dampening": (lambda: optim.SGD(dampening=-1), ("SGD: dampening is -1",)),
    "SGD weight_decay": (lambda: optim.SGD(weight_decay=-1), ("SGD: weight_decay is -1",)),
    "SGD nesterov": (lambda: optim.SGD(nesterov=True), ("SGD: nesterov needs a momentum",)),
    "SGD momentum text": (lambda: optim.SGD(momentum="a", nesterov=True), ("SGD: momentum is 'a'",)),  # type: ignore[arg-type]
    "Adam betas one": (lambda: optim.Adam(betas=0.9), ("Adam: betas is 0.9", "expected")),  # type: ignore[arg-type]
    "Adam betas short": (lambda: optim.Adam(betas=(0.9,)), ("Adam: betas is (0.9,)", "expected")),  # type: ignore[arg-type]
    "Adam beta 1": (lambda: optim.Adam(betas=(1.0, 0.9)), ("Adam: betas[0] is 1.0",)),
    "AdamW beta 2": (lambda: optim.AdamW(betas=(0.9, -0.1)), ("AdamW: betas[1] is -0.1",)),
    "Adam eps": (lambda: optim.Adam(eps=-1e-8), ("Adam: eps is -1e-08",)),
    "AdamW decay": (lambda: optim.AdamW(weight_decay=NAN), ("AdamW: weight_decay is nan",)),
    "NAdam momentum_decay": (lambda: optim.NAdam(momentum_decay=-1), ("NAdam: momentum_decay is -1",)),
    "NAdam betas": (lambda: optim.NAdam(betas=(0.9, 1)), ("NAdam: betas[1] is 1",)),
    "RMSprop alpha": (lambda: optim.RMSprop(alpha=2), ("RMSprop: alpha is 2", "from 0 to 1")),
    "RMSprop momentum": (lambda: optim.RMSprop(momentum=-1), ("RMSprop: momentum is -1",)),
    "Adagrad start": (
        lambda: optim.Adagrad(initial_accumulator_value=-1),
        ("Adagrad: initial_accumulator_value is -1",),
    ),
    "Adagrad lr_decay": (lambda: optim.Adagrad(lr_decay=-1), ("Adagrad: lr_decay is -1",)),
    "Adadelta rho": (lambda: optim.Adadelta(rho=1.1), ("Adadelta: rho is 1.1",)),
    "Lion betas": (lambda: optim.Lion(betas=(2, 0)), ("Lion: betas[0] is 2",)),
    "clip norm": (lambda: optim.SGD(clip_grad_norm=-1), ("SGD: clip_grad_norm is -1",)),
    "clip value": (lambda: optim.SGD(clip_grad_value=NAN), ("SGD: clip_grad_value is nan",)),
    # schedules
    "schedule lr": (lambda: schedules.cosine(-1, 10), ("lr is -1", "at least 0")),
    "schedule lr text": (lambda: schedules.cosine("a", 10), ("lr is 'a'",)),  # type: ignore[arg-type]
    "schedule lr inf": (lambda: schedules.cosine(INF, 10), ("lr is inf",)),
    "schedule total": (lambda: schedules.cosine(0.1, 0), ("total_steps is 0", "at least 1")),
    "schedule end": (lambda: schedules.cosine(0.1, 10, end=NAN), ("end is nan",)),
    "schedule end text": (lambda: schedules.cosine(0.1, 10, end="x"), ("end is 'x'",)),  # type: ignore[arg-type]
    "schedule every": (lambda: schedules.step(0.1, 0, 0.5), ("every is 0", "at least 1")),
    "schedule every float": (lambda: schedules.step(0.1, 1.5, 0.5), ("every is 1.5", "integer")),  # type: ignore[arg-type]
    "schedule factor": (lambda: schedules.step(0.1, 3, -1), ("factor is -1",)),
    "schedule factor text": (lambda: schedules.step(0.1, 3, "x"), ("factor is 'x'",)),  # type: ignore[arg-type]
    "schedule exponential": (lambda: schedules.exponential(0.1, 3, NAN), ("factor is nan",)),
    "schedule warmup": (
        lambda: schedules.warmup_cosine(0.1, 11, 10),
        ("warmup_steps is 11", "total_steps = 10"),
    ),
    "schedule one_cycle": (lambda: schedules.one_cycle(0.1, 2), ("total_steps is 2", "at least 4")),
    "schedule piecewise step": (lambda: schedules.piecewise(0.1, {-1: 0.5}), ("step is -1", "at least 0")),
    "schedule piecewise factor": (lambda: schedules.piecewise(0.1, {1: "x"}), ("factor", "'x'")),  # type: ignore[dict-item]
    "schedule piecewise list": (lambda: schedules.piecewise(0.1, [1]), ("factors is [1]",)),  # type: ignore[arg-type]
    "schedule constant": (lambda: schedules.constant(-1), ("lr is -1",)),
}


@pytest.mark.parametrize("what", CONSTRUCTIONS)
def test_constructions(what: str) -> None:
    make, parts = CONSTRUCTIONS[what]
    with refused(*parts):
        make()
