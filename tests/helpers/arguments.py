"""Attacks on arguments that are no arrays: every constructor and function of the public surface with odd values.

Judged: TypeError or ValueError with the argument's name in it (MemoryError where the size is absurd), or an object that works.
"""

import contextlib
import importlib.util
import inspect
import io
import math
import random
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np

import backpass as bp
from backpass import losses, nn, optim
from backpass.backends import Backend
from backpass.nn.conv import Convolution
from backpass.nn.conv_transpose import TransposedConvolution
from backpass.nn.embedding import Table
from backpass.nn.feature_tokenizer import FeatureTokenizer
from backpass.nn.image_augmentation import ImageAugmentation
from backpass.nn.pooling import Pooling
from backpass.nn.positions import Positions
from backpass.nn.recurrent import RecurrentWeights
from backpass.nn.recurrent_cells import RecurrentCell
from backpass.optim import schedules
from helpers.registered import sample_losses

ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 2**40, 2**62, 2**63, 2**70, -(2**63), 10**400, 0.0, -0.0, 0.5, 1.0, 1.5, -0.5, 1e-320,
    1e308, math.nan, math.inf, -math.inf, 1j, "", "x", "mean", "torch", "zeros", "adam", "mse", b"x", "\ud800", "\0", "1",
    (), [], {}, (1,), (0.9, 0.999), (0.9, math.nan), [0.5, "a"], {1: 0.5}, {"a": 1}, {-1: 2.0}, {0: -1.0}, np.int8(3),
    np.uint8(200), np.float32(0.5), np.float64("nan"), np.bool_(True), np.timedelta64(3, "s"), np.datetime64("2020"),
    np.array(2), np.array([0.5]), np.array([1.0, 2.0, 3.0]), np.array(["a"]), np.ma.masked, object(), int, len, Ellipsis,
    slice(3), range(3), nn.Linear, "float16", np.float16, "int32", np.dtype(">f4"),
]  # fmt: skip
GOOD: dict[str, Any] = {  # arguments without a default
    "in_features": 4, "out_features": 3, "num_features": 4, "normalized_shape": 4, "inner": nn.Identity, "in_channels": 1,
    "out_channels": 2, "kernel_size": 2, "lr": 0.01, "every": 3,
    "factor": 0.5, "total_steps": 10, "warmup_steps": 2, "factors": {3: 0.5}, "net": nn.Identity, "path": "/nowhere/x", "n": 1,
    "logdir": "/nowhere/x",
    "pixels": 1, "size": 2, "degrees": 5, "name": "numpy", "loss": "mse", "optimizer": "sgd", "limits": 1,
    "backend": bp.get_backend("numpy"), "state": {}, "num_groups": 2, "num_channels": 4, "output_size": 2,
    "num_embeddings": 5, "embedding_dim": 4, "max_len": 3, "dim": 4, "input_size": 4, "hidden_size": 3,
    "embed_dim": 4, "num_heads": 2, "d_model": 4, "nhead": 2, "num_layers": 1, "prompt": [1, 2], "steps": 2,
    "precision": "bf16",
    "encoder_layer": lambda: nn.TransformerEncoderLayer(4, 2, 8),
}  # fmt: skip
BY_NAME = {
    "schedules": ("constant", "step", "exponential", "cosine", "warmup_cosine", "one_cycle", "piecewise"),
    "bp": (
        "EarlyStopping",
        "ReduceLROnPlateau",
        "ModelCheckpoint",
        "CSVLogger",
        "GradientMonitor",
        "ProgressBar",
        "TensorBoard",
        "Images",
        "Model",
        "load",
        "gradcheck",
        "Streams",
        "set_num_threads",
        "set_precision",
        "get_backend",
        "set_backend",
    ),
    "Model": ("fit", "update", "load_state_dict", "save", "score", "session", "generate"),
    "optim": ("by_name",),
    "losses": ("by_name",),
}
PLOTS = {"Model": ("plot_gradients",), "History": ("plot",), "GradientMonitor": ("plot",)}
NOT_ATTACKED = {  # public, with arguments, and why
    "callbacks.Monitor": "the base of EarlyStopping and others, which are attacked",
    "losses.Loss": "a base class: each loss is attacked",
    "optim.Optimizer": "a base class: each optimizer is attacked",
    "optim.schedules.Schedule": "made by the functions, which are attacked",
    "nn.ModuleList": "holds modules for a forward, and is no network",
    "nn.ModuleDict": "holds modules for a forward, and is no network",
    "nn.ParameterList": "holds parameters for a forward, and is no network: tests/nn/test_modules.py",
    "nn.Parameter": "no module, but what one has: tests/nn/test_modules.py",
    "nn.traced": "TracedLoss, which is attacked",
    "bp.fit_many": "hands its arguments to Model.fit; its own: tests/many/test_fit_many.py",
    "bp.fit_each": "hands its arguments to Model.fit; its own: tests/many/test_fit_each.py",
    "bp.Ensemble": "takes models: tests/many/test_ensemble.py",
    "bp.ModelsByKey": "fit_each makes it",
    "bp.OptunaPruning": "takes a trial: tests/callbacks/test_pruning.py",
    "bp.load_onnx": "hands its arguments to bp.Model; its own: tests/export/test_onnx_files.py",
    "bp.from_keras": "takes a model of Keras or a file: tests/conversion",
    "bp.from_sklearn": "takes an estimator: tests/conversion",
    "bp.from_torch": "takes a module of PyTorch: tests/conversion",
    "bp.search": "hands its arguments to Model.fit; its own: tests/many/test_search.py",
    "bp.find_lr": "takes a model: tests/plots/test_find_lr.py",
    "bp.loss_surface": "takes a model: tests/plots/test_loss_surface.py",
    "History.append": "fit calls it",
    "Model.predict_proba": "takes what predict takes",
    "Model.predict_classes": "takes what predict takes",
    "History.expect": "fit calls it",
    "History.on_epoch_end": "fit calls it",
}
CALLABLES: dict[str, Callable[..., Any]] = {
    f"{where.__name__.split('.')[-1]}.{name}": getattr(where, name)
    for where in (losses, nn, optim)
    for name in where.__all__
    if isinstance(getattr(where, name), type) and (where is not nn or name not in losses.__all__)
}
OWNERS: dict[str, Any] = {
    "schedules": schedules, "bp": bp, "Model": bp.Model, "optim": optim, "losses": losses, "History": bp.History,
    "GradientMonitor": bp.GradientMonitor,
}  # fmt: skip
if importlib.util.find_spec("matplotlib"):
    BY_NAME |= {group: (*BY_NAME.get(group, ()), *names) for group, names in PLOTS.items()}
if not importlib.util.find_spec("tensorboardX"):
    BY_NAME["bp"] = tuple(name for name in BY_NAME["bp"] if name != "TensorBoard")
    NOT_ATTACKED["bp.TensorBoard"] = "needs tensorboardX, which is not installed"
for group, names in BY_NAME.items():
    CALLABLES |= {f"{group}.{name}": getattr(OWNERS[group], name) for name in names}


X = np.random.default_rng(0).standard_normal((6, 4))
LOSSES = {type(sample.make()): sample for sample in sample_losses().values()}


def set_lr(lr: Any) -> None:
    small().lr = lr


def set_model_backend(backend: Any) -> None:
    model = small()
    model.backend = backend
    model.predict(X)


def use_backend(name: Any) -> None:
    with bp.use_backend(name):
        bp.Model(nn.Linear(4, 2), "mse").predict(X)


def threadpool_limits(limits: Any) -> None:
    """As threadpoolctl sets them."""
    from threadpoolctl import ThreadpoolController

    bp.get_num_threads()
    for found in ThreadpoolController().select(user_api="backpass").lib_controllers:
        try:
            found.set_num_threads(limits)
        except TypeError as error:
            raise TypeError(f"limits is {limits!r:.80}: {error}") from error
    bp.set_num_threads(bp.get_num_threads())  # it is a number that can be set


def estimators() -> dict[str, Callable[..., Any]]:
    """Each estimator as a function of its constructor's parameters, which are checked by fit."""
    from backpass import sklearn

    def trained(made: Any) -> Callable[..., None]:
        y = np.arange(12) % 3 if issubclass(made, ClassifierMixin) else X.sum(axis=1)

        def fit(**parameters: Any) -> None:
            # Images or sequences.
            rows = X.reshape(6, 2, 2) if "network" in known else X
            made(**SHORT | parameters if "max_iter" in known else parameters).fit(
                np.concatenate([rows, rows]), np.resize(y, 12)
            ).predict(rows)

        known = inspect.signature(made).parameters
        fit.__signature__ = inspect.Signature([p for p in known.values() if p.name not in ("verbose",)])  # type: ignore[attr-defined]
        return fit

    from sklearn.base import ClassifierMixin

    return {f"sklearn.{name}": trained(getattr(sklearn, name)) for name in sklearn.__all__}


SHORT = {"max_iter": 2, "hidden_layer_sizes": (3,), "batch_size": 4}
CALLABLES |= {"Model.lr": set_lr, "Model.backend": set_model_backend, "bp.use_backend": use_backend}
if importlib.util.find_spec("threadpoolctl"):
    CALLABLES["threadpool_limits"] = threadpool_limits
if importlib.util.find_spec("sklearn"):
    CALLABLES |= estimators()
for abstract in (
    "nn.Module",
    "nn.ModuleList",
    "nn.ModuleDict",
    "nn.ParameterList",
    "nn.Parameter",
    "losses.Loss",
    "optim.Optimizer",
):
    CALLABLES.pop(abstract, None)


def public() -> Iterator[tuple[str, Any]]:
    """Every public name that can be called with arguments."""
    seen: list[Any] = []
    modules = {"bp": bp, "nn": nn, "losses": losses, "optim": optim, "callbacks": bp.callbacks}
    found = {f"{m}.{name}": getattr(module, name) for m, module in modules.items() for name in module.__all__}
    found |= {
        f"optim.schedules.{k}": v
        for k, v in vars(schedules).items()
        if getattr(v, "__module__", "") == schedules.__name__
    }
    for owner in (bp.Model, bp.History, bp.GradientMonitor):
        found |= {f"{owner.__name__}.{name}": getattr(owner, name) for name in dir(owner)}
    for name, value in found.items():
        group, last = name.rsplit(".", 1)
        if last.startswith("_") or not (inspect.isroutine(value) or inspect.isclass(value)):
            continue
        if inspect.isclass(value) and issubclass(value, BaseException):
            continue
        if (group == "GradientMonitor" and hasattr(bp.Callback, last)) or last.endswith("_schedule"):
            continue  # called by fit; an op, whose calls long/programs.py forges
        if any(key != "self" for key in inspect.signature(value).parameters) and value not in seen:
            seen.append(value)
            yield name, value


def watched() -> tuple[bp.Model, bp.GradientMonitor]:
    """A model after a run, and what watched it."""
    model, monitor = small(), bp.GradientMonitor()
    model.fit(X, X[:, :2], callbacks=[monitor])
    model.backward(model.forward(X, training=True))
    return model, monitor


SELF: dict[str, Callable[[], Any]] = {
    "Model": lambda: watched()[0], "GradientMonitor": lambda: watched()[1],
    "History": lambda: small().fit(X, X[:, :2]),
}  # fmt: skip


def small() -> bp.Model:
    """A model for the methods."""
    return bp.Model(nn.Linear(4, 2), "mse", backend="numpy")


def writer() -> bp.Model:
    """A network that goes on with integers."""
    return bp.Model(
        nn.Sequential(nn.Embedding(5, 4), nn.GRU(4, 3), nn.Linear(3, 5)), "cross_entropy", backend="numpy"
    )


def attack(chance: random.Random, backend: Backend) -> str:
    """One case: a callable with one or two odd arguments. Returns what it came to; AssertionError says what is wrong."""
    name = chance.choice([*CALLABLES])
    fields, free = arguments(name)
    odd = {key: chance.choice(ODD) for key in chance.sample(free, min(len(free), chance.choice([1, 1, 2])))}
    return judge(name, fields, odd, backend)


def single() -> Iterator[tuple[str, str, Any]]:
    """Every callable with every odd value for every argument."""
    for name in CALLABLES:
        for key in arguments(name)[1]:
            for value in ODD:
                yield name, key, value


def judge(name: str, good: dict[str, Any], odd: dict[str, Any], backend: Backend) -> str:
    """Call it; AssertionError where that does what it must not."""
    function, fields = CALLABLES[name], good | odd
    what = f"{name}({', '.join(f'{k}={v!r:.60}' for k, v in fields.items() if k in odd)})"
    threads = bp.get_num_threads()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            self = [fields.pop("self")] if "self" in fields else []
            made = function(*self, **fields)
            if isinstance(made, nn.Module | losses.Loss | optim.Optimizer | schedules.Schedule | bp.Callback):
                use(made, backend)
    except (TypeError, ValueError) as error:
        if name.startswith("sklearn.") and any(
            callable(odd.get(k)) for k in ("loss", "lr_schedule", "eval_metric")
        ):
            return "raised by what it was given"
        text = str(error)
        if not any(n in text for n in [*odd, "X ", "y has", "y holds", "backend is", "Solver produced"]):
            raise AssertionError(f"{what}: names nothing: {error!r}") from error
        return f"refused with {type(error).__name__}"
    except (bp.NonFiniteError, MemoryError, bp.CheckpointError, KeyError) as error:
        return f"refused with {type(error).__name__}"
    except OSError as error:  # of a file that cannot be written
        if "path" not in fields:
            raise AssertionError(f"{what}: {error!r}") from error
        return f"refused with {type(error).__name__}"
    except Exception as error:
        raise AssertionError(f"{what}: {error!r}") from error
    finally:
        bp.set_num_threads(threads)
        bp.set_backend("auto")
        bp.set_precision("float32")
    return "works"


def arguments(name: str) -> tuple[dict[str, Any], list[str]]:
    """Good arguments for all that has no default, and the names of those that may be odd."""
    fields: dict[str, Any] = {}
    parameters = inspect.signature(CALLABLES[name]).parameters
    for key, parameter in parameters.items():
        if key == "self":
            fields[key] = writer() if name == "Model.generate" else SELF[name.split(".")[0]]()
        elif key in ("X", "y", "model"):
            fields[key] = {"X": X, "y": X[:, :2], "model": small()}[key]
            if name == "bp.Images":
                fields[key] = X.reshape(6, 1, 2, 2)
        elif (
            parameter.default is parameter.empty
            and parameter.kind is not parameter.VAR_POSITIONAL
            and key in GOOD
        ):
            fields[key] = GOOD[key]() if callable(GOOD[key]) else GOOD[key]
        elif (name, key) == ("nn.Upsample", "size"):  # one of two has to be given
            fields[key] = 5
        elif name == "bp.Streams" and key in ("batch", "steps"):
            fields[key] = 2
        elif key == "max_seconds":
            fields[key] = 0.05  # for 2⁴⁰ epochs
    return fields, [
        k
        for k, p in parameters.items()
        if k not in ("self", "X", "y", "model", "progress", "known") and p.kind is not p.VAR_POSITIONAL
    ]


ON_IMAGES = (nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d, nn.Dropout2d, nn.Upsample)
ON_SEQUENCES = (nn.InstanceNorm1d, nn.Dropout1d)


def use(made: Any, backend: Backend) -> None:
    """Train with whatever was made."""
    net: Any = nn.Linear(4, 3)
    x = X
    loss, optimizer, callbacks = "mse", "adam", []
    y: Any = np.abs(X[:, :3])
    if isinstance(made, nn.Module):
        net = made
        if isinstance(made, ImageAugmentation):
            x = X.reshape(6, 1, 2, 2)
        elif isinstance(made, Convolution | TransposedConvolution):
            x = X.reshape(6, 1, 4) if made.spatial == 1 else X.reshape(6, 1, 2, 2)
        elif isinstance(made, ON_IMAGES):
            x = X[:, :, None, None] * np.arange(1.0, 7.0).reshape(2, 3)
        elif isinstance(made, ON_SEQUENCES):
            x = X[:, :, None] * np.arange(1.0, 4.0)
        elif isinstance(made, RecurrentWeights):
            x = X if isinstance(made, RecurrentCell) else X.reshape(6, 1, 4)
        elif isinstance(made, nn.MultiheadAttention | nn.TransformerEncoderLayer | nn.TransformerEncoder):
            x = X.reshape(6, 1, 4)
        elif isinstance(made, Table):
            x = np.zeros((6, 4), np.int64)
        elif isinstance(made, FeatureTokenizer):
            x = {
                name: X[:, :4] if name == "x" else np.zeros((6, len(made.tables)), int) for name in made.takes
            }
        elif isinstance(made, Positions):
            x = X.reshape(6, 1, 4)
        elif isinstance(made, Pooling):
            x = X.reshape(6, 1, 4) if type(made).__name__.endswith("1d") else X.reshape(6, 1, 2, 2)
        y = np.ones(bp.Model(deepcopy(made), backend="numpy").predict(x).shape)
    if isinstance(made, losses.Loss):
        loss, sample = made, LOSSES[type(made)]
        net, y = sample.net(nn.Linear(4, sample.outputs)), sample.y[:6]
    elif isinstance(made, optim.Optimizer):
        optimizer = made
    elif isinstance(made, schedules.Schedule):
        optimizer = optim.SGD(made)
    elif isinstance(made, bp.Callback):
        callbacks = [made]
    model = bp.Model(net, loss, optimizer, backend="numpy")
    model.backend = backend
    model.fit(x, y, epochs=2, callbacks=callbacks, validation_data=(x, y))
    model.summary()
