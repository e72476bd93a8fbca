"""What is wrong with an argument of a loss is said when it is given."""

from collections.abc import Callable
from typing import Any

import pytest

from backpass import nn
from helpers.nets import LABELS, X, small
from helpers.refusals import refused


def with_loss(loss: Callable[[], Any], y: Any = LABELS) -> Callable[[], Any]:
    return lambda: small(loss()).fit(X, y)


NAN = float("nan")


CONSTRUCTIONS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "reduction": (lambda: nn.MSELoss("none"), ("MSELoss: reduction is 'none'", "'mean', 'sum', 'half'")),
    "reduction of others": (lambda: nn.L1Loss("half"), ("L1Loss: reduction is 'half'", "'mean', 'sum'")),
    "label_smoothing": (
        lambda: nn.CrossEntropyLoss(label_smoothing=2),
        ("CrossEntropyLoss: label_smoothing is 2",),
    ),
    "label_smoothing text": (
        lambda: nn.CrossEntropyLoss(label_smoothing="a"),  # type: ignore[arg-type]
        ("CrossEntropyLoss: label_smoothing is 'a'",),
    ),
    "ignore_index": (
        lambda: nn.CrossEntropyLoss(ignore_index="a"),
        ("CrossEntropyLoss: ignore_index is 'a'",),
    ),  # type: ignore[arg-type]
    "weight text": (lambda: nn.CrossEntropyLoss(weight="ab"), ("CrossEntropyLoss: weight",)),
    "weight shape": (
        with_loss(lambda: nn.CrossEntropyLoss(weight=[1, 2])),
        ("weight has shape (2,)", "(3,)"),
    ),
    "weight negative": (
        with_loss(lambda: nn.CrossEntropyLoss(weight=[-1, 2, 3])),
        ("CrossEntropyLoss: weight",),
    ),
    "weight NaN": (with_loss(lambda: nn.NLLLoss(weight=[NAN, 2, 3])), ("NLLLoss: weight",)),
    "delta": (lambda: nn.HuberLoss(delta=0), ("HuberLoss: delta is 0", "above 0")),
    "delta text": (lambda: nn.HuberLoss(delta="a"), ("HuberLoss: delta is 'a'",)),  # type: ignore[arg-type]
    "beta": (lambda: nn.SmoothL1Loss(beta=-1), ("SmoothL1Loss: beta is -1", "above 0")),
    "pos_weight": (
        lambda: nn.BCEWithLogitsLoss(pos_weight=0),
        ("BCEWithLogitsLoss: pos_weight is 0", "above 0"),
    ),
    "eps": (lambda: nn.PoissonNLLLoss(eps=0), ("PoissonNLLLoss: eps is 0", "above 0")),
    "eps of the variance": (lambda: nn.GaussianNLLLoss(eps=-1), ("GaussianNLLLoss: eps is -1", "above 0")),
    "quantile": (lambda: nn.QuantileLoss(1), ("QuantileLoss: quantile is 1", "between 0 and 1")),
    "quantile text": (lambda: nn.QuantileLoss("a"), ("QuantileLoss: quantile is 'a'",)),  # type: ignore[arg-type]
    "margin": (lambda: nn.HingeLoss(margin=NAN), ("HingeLoss: margin is nan",)),
}


@pytest.mark.parametrize("what", CONSTRUCTIONS)
def test_constructions(what: str) -> None:
    make, parts = CONSTRUCTIONS[what]
    with refused(*parts):
        make()
