"""Public docstrings stand alone: every argument with its default, shapes, errors, an example that runs."""

import doctest
import inspect
import os
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import callbacks, export, losses, nn, optim
from backpass.optim import schedules
from golden.like_cases import KERAS_FILE

pytestmark = pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="docstrings know no instruction sets")
MODULES = (bp, nn, losses, optim, schedules, callbacks, export)
# Bases, which users subclass, and errors, which users catch.
BASES = (nn.Module, losses.Loss, optim.Optimizer, callbacks.Monitor, schedules.Schedule, bp.NonFiniteError)
BASES += (bp.CheckpointError, callbacks.Callback)
LONGEST = 130


def public() -> Iterator[tuple[str, Any]]:
    """Classes and functions that users call, by name, and the methods of Model."""
    found = {}
    for module in MODULES:
        for name in module.__all__:
            one = getattr(module, name)
            if inspect.isfunction(one) or (inspect.isclass(one) and one not in BASES):
                found[one] = f"{module.__name__}.{name}"
    for name, method in vars(bp.Model).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            found[method] = f"backpass.Model.{name}"
    del found[losses.by_name], found[optim.by_name]
    yield from ((name, one) for one, name in found.items())


PUBLIC = dict(public())
each = pytest.mark.parametrize("name", PUBLIC)


def met() -> Iterator[tuple[str, Any]]:
    """Classes of docs/reference that users meet without importing them, such as what a function returns."""
    pages = (Path(__file__).resolve().parents[2] / "docs" / "reference").glob("*.md")
    for name in re.findall(
        r"^\.\. autoclass:: (\S+)", "\n".join(p.read_text("utf-8") for p in sorted(pages)), re.MULTILINE
    ):
        if not name.startswith("backpass.sklearn."):  # their examples run in tests/sklearn
            one = pkgutil.resolve_name(name)
            if one not in PUBLIC.values():
                yield name, one


WITH_EXAMPLES = PUBLIC | dict(met())


def arguments(one: Callable[..., Any]) -> list[inspect.Parameter]:
    parameters = [*inspect.signature(one).parameters.values()]
    return [p for p in parameters if p.name not in ("self", "args", "kwargs")]


def text_of(name: str) -> str:
    text = inspect.getdoc(PUBLIC[name])
    assert text, f"{name} has no docstring"
    return text


def entries(name: str) -> str:
    """The section of the arguments, as one line; those of an optimizer that every optimizer has come from their base."""
    text = text_of(name)
    if inspect.isclass(PUBLIC[name]) and issubclass(PUBLIC[name], optim.Optimizer):
        text += inspect.getdoc(optim.Optimizer) or ""
    return " ".join(" ".join(re.findall(r"Args[^\n]*:\n(.*?)(?:\n\n|\Z)", text, re.DOTALL)).split())


@each
def test_every_argument_stands_there_with_its_default(name: str) -> None:
    found = entries(name)
    for parameter in arguments(PUBLIC[name]):
        entry = re.search(rf"(?<!\w)\*?{parameter.name}(, \w+)*: ([^:]*)", found)
        assert entry, f"{name}: {parameter.name} is not explained"
        if parameter.default not in (parameter.empty, None):
            said = entry[2].replace("(default)", "default").replace('"', "'")
            assert "default" in said, (
                f"{name}: the default of {parameter.name}, {parameter.default!r}, is not told"
            )


@each
def test_what_may_be_wrong_is_told(name: str) -> None:
    if arguments(PUBLIC[name]) and not name.startswith("backpass.Model."):
        assert "Raises:" in text_of(name)


@each
def test_layers_and_losses_tell_their_shapes(name: str) -> None:
    one = PUBLIC[name]
    if inspect.isclass(one) and issubclass(one, (nn.Module, losses.Loss)):
        assert "Shapes:" in text_of(name)


@each
def test_no_line_is_too_long_for_an_editor(name: str) -> None:
    assert max(map(len, text_of(name).splitlines())) <= LONGEST


# What an example needs beside backpass.
NEEDED = {
    "backpass.export.onnx": "onnx", "backpass.from_torch": "torch", "backpass.Model.to_torch": "torch",
    "backpass.from_sklearn": "sklearn", "backpass.Model.to_sklearn": "sklearn", "backpass.from_keras": "h5py",
    "backpass.load_onnx": "onnx", "backpass.callbacks.TensorBoard": "tensorboardX",
    "backpass.Model.plot_gradients": "matplotlib", "backpass.plots.find_lr.RateSweep": "matplotlib",
    "backpass.plots.loss_surface.LossSurface": "matplotlib",
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.torch if NEEDED.get(n) == "torch" else ()) for n in WITH_EXAMPLES],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_examples_run(name: str, tmp_path: Path) -> None:
    if name in NEEDED:
        pytest.importorskip(NEEDED[name])
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    threads = bp.get_num_threads()
    try:
        for test in finder.find(WITH_EXAMPLES[name], name, globs=names(tmp_path)):
            assert test.examples, f"{name} has no example"
            said: list[str] = []
            assert runner.run(test, out=said.append).failed == 0, "".join(said)
    finally:  # what examples set for the whole process
        bp.set_num_threads(threads)
        bp.set_backend("auto")
        bp.set_precision("float32")


def names(folder: Path) -> dict[str, Any]:
    """What the examples may use."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((96, 4)).astype(np.float32)

    def made(outputs: int, loss: str) -> bp.Model:
        return bp.Model(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, outputs)), loss)

    class Writer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.out = nn.GRU(3, 3), nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            return self.out(self.rnn(nn.functional.one_hot(x, 3))[0])

    forecaster = bp.Model(nn.Sequential(nn.GRU(4, 3), nn.Linear(3, 1)), "mse")
    return {
        "forecaster": forecaster, "session": forecaster.session(batch=2), "writer": bp.Model(Writer(), "cross_entropy"),
        "bp": bp, "nn": nn, "optim": optim, "np": np, "X": X, "y": X[:, 0] * X[:, 1], "labels": np.arange(96) % 3,
        "keras_file": KERAS_FILE,
        "model": made(1, "mse"), "classifier": made(3, "cross_entropy"), "folder": folder,
    }  # fmt: skip
