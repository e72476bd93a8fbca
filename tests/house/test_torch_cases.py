"""Whatever PyTorch has as well has a case of live parity with it (tests/*/test_torch_*.py), or stands here with the reason.

The cases are written by hand; that none is missing is not left to memory. What a case covers is read from its programs.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from inspect import isfunction

import numpy as np
import pytest

import backpass as bp
from backpass import losses, nn, optim
from backpass.backends.base import Call, Executor
from backpass.backends.numpy import NumPyBackend
from backpass.ops import REGISTRY
from backpass.ops.formulas import ACTIVATIONS, POINTWISE
from backpass.optim import schedules
from golden.cases import GOLDEN, Case, batches, model_of, rows
from helpers.registered import layer_classes
from losses.test_torch_losses import CASES as LOSSES
from nn.test_torch_attention import CASES as ATTENTION
from nn.test_torch_channels import CASES as CHANNELS
from nn.test_torch_conv import CASES as CONVOLUTIONS
from nn.test_torch_embedding import CASES as EMBEDDINGS
from nn.test_torch_layers import CASES as LAYERS
from nn.test_torch_modules import OURS as MODULES
from nn.test_torch_modules import batches as module_batches
from nn.test_torch_pooling import CASES as POOLING
from nn.test_torch_recurrent import CASES as RECURRENT
from nn.test_torch_transformers import CASES as TRANSFORMERS
from optim.test_torch_optimizers import CASES as OPTIMIZERS

CASES: dict[str, Case] = {
    **GOLDEN,
    **LAYERS,
    **CHANNELS,
    **POOLING,
    **CONVOLUTIONS,
    **RECURRENT,
    **ATTENTION,
    **EMBEDDINGS,
    **TRANSFORMERS,
    **LOSSES,
    **OPTIMIZERS,
}


class Recorder(NumPyBackend):
    """Notes every op that a program has, with the words among its scalars."""

    def __init__(self) -> None:
        self.seen: dict[str, set[str]] = {}

    def compile(self, instructions: Sequence[Call], halt: np.ndarray | None = None) -> Executor:
        for instruction in instructions:
            words = self.seen.setdefault(instruction.op.name, set())
            words.update(value for value in instruction.fields.values() if isinstance(value, str))
        return super().compile(instructions, halt)


@cache
def covered() -> dict[str, set[str]]:
    """What all cases together run: op -> words."""
    recorder = Recorder()
    for case in CASES.values():
        model = model_of(case, recorder, "float64")
        model.step(*next(batches(case, "float64")))
        model.evaluate(*rows(case, "float64"))
    for make, shape in MODULES.values():
        network = bp.Model(make(), "cross_entropy", backend="numpy", dtype="float64")
        network.backend = recorder
        network.step(*next(module_batches(shape)))
    return recorder.seen


# What has no case, and why.
OPS = {
    "mean_loss": "the end of every traced loss: test_torch_traced",
    "attention_step": "attention over what a session keeps: tests/engine/test_attending_sessions.py",
    "append_labels": "what an epoch is measured by: tests/training/test_metrics_of_runs.py",
    "append_rows": "what an epoch is measured by: tests/training/test_metrics_of_runs.py",
    "gather": "the batches of fit: test_torch_loops",
    "gather_labels": "the batches of fit: test_torch_loops",
    "index_function": "beside PyTorch in tests/nn/test_index_arithmetic.py",
    "index_where": "beside PyTorch in tests/nn/test_index_arithmetic.py",
    "to_index": "beside PyTorch in tests/nn/test_index_arithmetic.py",
    "gather_rows": "tables with sparse=True: tests/nn/test_sparse_tables.py",
    "scatter_rows": "tables with sparse=True: tests/nn/test_sparse_tables.py",
    "shuffle": "an order of its own",
    "dropout_forward": "random numbers of its own",
    "dropout_backward": "random numbers of its own",
    "channel_dropout_forward": "random numbers of its own",
    "channel_dropout_backward": "random numbers of its own",
    "gaussian_noise": "no such layer",
    "augment_images_forward": "no such layer",
    "augment_images_backward": "no such layer",
    "gather_images": "the batches of fit: tests/data/test_images.py",
    "crop_images_forward": "no such layer",
    "crop_images_backward": "no such layer",
    "jitter_images_forward": "no such layer",
    "jitter_images_backward": "no such layer",
    "rotate_images_forward": "no such layer; beside grid_sample in tests/nn/test_image_transforms.py",
    "rotate_images_backward": "no such layer; beside grid_sample in tests/nn/test_image_transforms.py",
    "mixup_draw": "no such layer",
    "mixup_forward": "no such layer",
    "mixup_backward": "no such layer",
    "mixed_loss": "no such layer",
    "sum_losses": "of several outputs, which no case here has: tests/training/test_several_outputs.py",
    "sparse_linear_forward": "a sparse X: the bits of a dense one (test_sparse)",
    "sparse_linear_backward": "a sparse X: the bits of a dense one (test_sparse)",
    "l2_loss": "the penalty of scikit-learn's estimators",
    "l2_gradient": "the penalty of scikit-learn's estimators",
    "part_norms": "what a monitor measures",
    "dead_units": "what a monitor measures",
    "saturated_units": "what a monitor measures",
    "multiply_add": "what the benchmark measures",
}
LAYER_CLASSES = {
    "Dropout": "random numbers of its own",
    "Dropout1d": "random numbers of its own",
    "GaussianNoise": "no such layer",
    "RandomShift": "no such layer",
    "RandomHorizontalFlip": "no such layer",
    "Cutout": "no such layer",
    "RandomCrop": "no such layer",
    "RandomRotation": "no such layer",
    "ColorJitter": "no such layer",
    "MixUp": "no such layer",
}
FUNCTIONS = {"constant": "a number as lr"}


def compare(what: str, known: Iterable[str], covered: Iterable[str], without: Mapping[str, str]) -> None:
    known, covered = {*known}, {*covered}
    missing = sorted(known - covered - {*without})
    assert not missing, (
        f"{what} without a case of live parity with PyTorch: {missing}. Write one in tests/*/test_torch_*.py or, where PyTorch"
        f" has no such thing, say so in {__name__}."
    )
    stale = sorted({*without} & covered | {*without} - known)
    assert not stale, f"{what} that are said to have no case, but have one or are gone: {stale}"


def test_ops() -> None:
    compare("ops", REGISTRY, covered(), OPS)


def test_activations() -> None:
    compare("activations", ACTIVATIONS, set().union(*covered().values()), {})


def test_pointwise_losses() -> None:
    compare("pointwise losses", POINTWISE, covered()["pointwise_loss"], {})


def test_layers() -> None:
    layers = [layer for case in CASES.values() for _, layer in case.net(nn).walk()]
    # That of a transformer drops nothing here.
    found = {type(layer).__name__ for layer in layers if type(layer) is not nn.Dropout or layer.p}
    compare("layers", (cls.__name__ for cls in layer_classes()), found, LAYER_CLASSES)


def test_losses() -> None:
    known = {type(losses.by_name(name)).__name__ for name in losses.NAMES}
    compare("losses", known, {type(case.loss(nn)).__name__ for case in CASES.values()}, {})


def test_optimizers() -> None:
    known = {cls.__name__ for cls in optim.NAMES.values()}
    compare("optimizers", known, {case.optimizer for case in CASES.values()}, {})


def test_schedules() -> None:
    known = {
        name
        for name, value in vars(schedules).items()
        if isfunction(value) and value.__module__ == schedules.__name__
    }
    found = {case.schedule[0] for case in CASES.values() if case.schedule}
    compare("schedules", (name for name in known if not name.startswith("_")), found, FUNCTIONS)


def test_it_sees_what_is_missing() -> None:
    with pytest.raises(AssertionError, match=r"ops without a case .*: \['conv'\]"):
        compare("ops", ["add", "conv", "gather"], ["add"], {"gather": "none"})
    with pytest.raises(AssertionError, match=r"but have one or are gone: \['add', 'old'\]"):
        compare("ops", ["add"], ["add"], {"add": "none", "old": "gone"})
