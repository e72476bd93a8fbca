"""bp.Model: a network, a loss and an optimizer, and everything that is done with them."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from os import PathLike
from threading import get_ident
from typing import Any

import numpy as np

from . import arguments, data, weights
from .alone import alone, computing, in_use, reading
from .backends import Backend, Executor, get_backend
from .callbacks import Callback
from .checks import flag
from .diagnosis import raise_non_finite
from .evaluation import checked_data, evaluated
from .history import History
from .losses import Loss
from .losses import by_name as loss_by_name
from .memory import aligned
from .nn import Layer
from .optim import Optimizer
from .optim import by_name as optimizer_by_name
from .program import Instruction, Parameters, call
from .programs import Programs
from .random import generator
from .runs import Asked, Run
from .steps import Plan, Spec
from .threads import get_num_threads
from .train import fit

MAX_ROWS = 512  # rows that one pass of `predict` takes


def checked_net(net: Any) -> Layer:
    """A network, not its class nor something else."""
    if not isinstance(net, Layer):
        raise TypeError(f"net is {type(net).__name__}, expected a layer such as nn.Sequential(...)")
    return net


class Model:
    """A network with its loss, optimizer and backend.

    Args:
        net: a layer from `backpass.nn`, usually a Sequential. It belongs to this model from now on.
        loss: a name ("cross_entropy", "mse", ...), a loss object, or a callable (pred, y) -> (value, gradient).
        optimizer: a name ("adam", ...) or an object from `backpass.optim`.
        backend: "auto", "native", "numba" or "numpy".
        threads: the most threads to use; None: what bp.get_num_threads() says.
        dtype: "float32" or "float64".
        seed: fixes initial weights, shuffling and dropout: the same seed gives the same bits.
    """

    def __init__(
        self,
        net: Layer,
        loss: str | Loss | Callable[..., Any] = "mse",
        optimizer: str | Optimizer = "adam",
        *,
        backend: str = "auto",
        threads: int | None = None,
        dtype: Any = "float32",
        seed: int = 0,
    ) -> None:
        self.net = checked_net(net)
        if isinstance(loss, type):
            name = loss.__name__
            raise TypeError(
                f"loss is the class {name}, expected an object such as {name}(), a name or a callable"
            )
        self.callable_loss = loss if callable(loss) and not isinstance(loss, Loss) else None
        self._loss = None if self.callable_loss else loss_by_name(loss)
        self.optimizer = optimizer_by_name(optimizer)
        chosen = get_backend(backend)
        self.threads = arguments.threads(threads)
        if threads is None:
            get_num_threads()  # tells the native backend the default, if nobody has yet
        self.dtype = arguments.dtype(dtype)
        self.seed = arguments.seed(seed)
        self.epoch = 0
        self.stop_training = False
        self.last_run: Run | None = None
        self.step_count = aligned((1,), np.int64)
        self.halt = aligned((1,), np.int64)
        self.user = 0  # the thread that uses the model: see alone.py
        self.flat = Parameters(self.dtype)
        layers = [layer for _, layer in net.walk()]
        try:
            for layer in layers:
                layer.bind(self.flat)
            self.flat.allocate()
            for number, layer in enumerate(dict.fromkeys(layers)):
                layer.initialise(generator(self.seed, number))
            self.optimizer_state = self.optimizer.state(self.flat.size, self.dtype)
        except BaseException:  # a layer is another model's, or memory runs out: all others stay free
            for layer in layers:
                if layer._flat is self.flat:
                    layer._flat = None
            raise
        self.programs = Programs(net, self._loss, chosen, self.dtype, self.seed, self.step_count, self.halt)
        self.last_pass: Plan | None = None  # of `forward` with training=True
        self._own_loss = np.zeros(1)  # what `update` was told
        self._whole_batch = any(getattr(layer, "whole_batch", False) for layer in layers)

    # -- training ---------------------------------------------------------------------------------------------------

    @alone
    def fit(
        self,
        X: Any,
        y: Any = None,
        epochs: int = 1,
        batch_size: int | None = None,
        validation_data: Any = None,
        shuffle: bool = True,
        sample_weight: Any = None,
        class_weight: Any = None,
        sampler: str | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool = False,
        resume: bool = False,
        max_seconds: float | None = None,
    ) -> History:
        """Train for `epochs` more epochs. Further runs on the same data are one long run: callbacks go on where they were.

        Args:
            X: (N, ...) numbers; a C-contiguous array of the model's dtype (a memory map, too) is not copied. Without y: a
                sequence of chunks (X, y) or (X, y, sample_weight), of arrays or paths of .npy files; anything with len() and
                [i], such as a Keras Sequence. One chunk at a time is in memory; `shuffle` mixes the chunks and the rows of each.
            y: targets, (N,) class indices or (N, C) probabilities for cross entropy, else (N, ...) like the network's output.
            batch_size: rows of a step, at most N; default 32, or N if that is less. The last batch may be smaller.
            validation_data: (X, y) or (X, y, sample_weight), evaluated after each epoch.
            shuffle: whether each epoch takes the rows in a new order.
            sample_weight: (N,) weights of the rows. class_weight: dict, (C,) weights, or "balanced".
            sampler: "balanced": the classes take turns, so that each has its share of every batch. An epoch still has N rows: all
                or some of a frequent class, those of a rare one several times, in a new order each epoch.
            callbacks: from `bp.callbacks`, or any objects with methods of theirs. progress: whether to show a progress bar.
            resume: finish the run that was interrupted (by max_seconds, Ctrl-C, or before bp.load), in mid-epoch if need be,
                to the same bits as if nothing had happened. `epochs` counts from that run's start; data and callbacks must be
                given as they were, batch_size and shuffle are taken over. Where nothing was interrupted a run begins as usual.
            max_seconds: stop after this time, at the end of a step; `resume=True` goes on from there.

        Raises:
            ValueError, TypeError: name the argument, what was given and what was expected; nothing has been trained then.
            NonFiniteError: the loss or a gradient became NaN or infinite; the weights are those of the last good step,
                unless an update itself overflowed: the message says which.
        """
        asked = Asked(
            arguments.whole("epochs", epochs, 0),
            batch_size,
            validation_data,
            flag("shuffle", shuffle),
            arguments.sampler(sampler, shuffle),
            callbacks,
            progress,
            resume,
            arguments.seconds("max_seconds", max_seconds),
        )
        if y is None and not hasattr(X, "__array__"):
            from .chunks import fit_chunks

            return fit_chunks(self, X, sample_weight, class_weight, asked)
        return fit(self, X, y, sample_weight, class_weight, asked)

    @computing
    def step(self, x: Any, y: Any) -> float:
        """One training step on one batch; returns its loss before the update."""
        x = data.features(x, self.dtype, check=False)
        if not len(x):
            raise ValueError(f"x is empty (shape {x.shape}), expected at least one row")
        if self.callable_loss:
            from .custom import step_with_callable

            return step_with_callable(self, x, y)
        y = data.targets(y, self.loss, self.output_shape(x.shape[1:]), self.dtype, len(x))
        plan = self.training_plan(x.shape, (y.shape[1:], y.dtype), weighted=False)

        def compiled() -> Executor:
            instructions = [
                *plan.forward,
                *plan.loss_part,
                *plan.backward,
                *self.update_instructions(plan.loss),
                *plan.kept,
                call("advance", **self.counters(), loss=plan.loss, count=plan.count, rows=0),
            ]
            return self.backend.compile(instructions, self.halt)

        executor = self.programs.of(plan, "step", compiled)
        assert plan.target is not None
        plan.x[...] = x
        plan.target[...] = y
        if executor.run(1, self.threads) < 1:
            data.check_finite("x", x)
            raise_non_finite(self, plan)
        return float(plan.loss[0])

    def forward(self, x: Any, training: bool = False) -> np.ndarray:
        """The network's output for one batch. With training=True (dropout, batch statistics) `backward` may follow."""
        return self._forward(x) if training else self.predict(data.features(x, self.dtype, check=False))

    @computing
    def _forward(self, x: Any) -> np.ndarray:
        x = data.features(x, self.dtype, check=False)
        if not len(x):
            raise ValueError(f"x is empty (shape {x.shape}), expected at least one row")
        plan = self.forward_plan(x.shape)
        self.last_pass = self.programs.trained = plan
        plan.x[...] = x
        forward = self.programs.of(plan, "forward", lambda: self.backend.compile([*plan.forward, *plan.kept]))
        forward.run(1, self.threads)
        return plan.out.copy()

    @property
    def mixing(self) -> tuple[float, np.ndarray] | None:
        """How nn.MixUp mixed the rows of the last `forward(x, training=True)`: share · row b + (1 - share) · row partner[b],
        as (share, partner (B,)); None without one. Targets of your own loss are to be mixed alike."""
        return self.last_pass.mixture() if self.last_pass else None

    @computing
    def backward(self, dout: Any) -> np.ndarray:
        """Backpropagate the gradient of your loss with respect to the output of the last `forward(x, training=True)`.

        Fills `gradients()` and returns the gradient with respect to x.
        """
        last = self.last_pass
        if last is None:
            raise RuntimeError("backward() needs a forward(x, training=True) before it")
        dout = data.as_array("dout", dout)
        assert last.dout is not None
        if dout.shape != last.out.shape:
            raise ValueError(
                f"dout has shape {dout.shape}, expected {last.out.shape} like the network's output"
            )
        last.dout[...] = data.quiet_cast(dout, self.dtype)
        self.programs.of(last, "backward", lambda: self.backend.compile(last.backward)).run(1, self.threads)
        return np.zeros_like(last.x) if last.dx is None else last.dx.copy()

    @computing
    def update(self, loss: float = 0.0) -> None:
        """One optimizer step with the gradients of the last `backward`; `loss` only serves the check for NaN."""
        if np.ndim(loss) or np.asarray(loss).dtype.kind not in "fiu":
            raise TypeError(f"loss is {loss!r}, expected one number")
        self._own_loss[0] = loss
        if self.programs.updating is None:
            instructions = [
                *self.update_instructions(self._own_loss),
                call("advance", **self.counters(), loss=self._own_loss, count=np.ones(1), rows=0),
            ]
            self.programs.updating = self.backend.compile(instructions, self.halt)
        if self.programs.updating.run(1, self.threads) < 1:
            raise_non_finite(self, self.last_pass)

    # -- using ------------------------------------------------------------------------------------------------------

    def predict(self, X: Any) -> np.ndarray:
        """The network's output for every row of X, as for inference: (N, ...)."""
        me, before = get_ident(), self.user  # as @computing does, but cheaper
        if before and before != me:
            raise in_use(before == -me)
        self.user = -me
        try:
            known = self.programs.inferring.get(getattr(X, "shape", None))
            if known is not None:  # a batch like one before: straight to the program
                executor, plan = known
                out = executor.infer(plan.x, plan.out, X, self.threads)
                if out is not None:
                    return out
            X = data.features(X, self.dtype, check=False)
            out = np.empty((len(X), *self.output_shape(X.shape[1:])), self.dtype)
            start = 0
            while start < len(X):  # in powers of two: few programs, and no row is computed for nothing
                left = len(X) - start
                rows = (
                    left
                    if self._whole_batch
                    else MAX_ROWS
                    if left >= MAX_ROWS
                    else 1 << (left.bit_length() - 1)
                )
                executor, plan = self.programs.inference((rows, *X.shape[1:]))
                plan.x[...] = X[start : start + rows]
                executor.run(1, self.threads)
                out[start : start + rows] = plan.out
                start += rows
            return out
        finally:
            self.user = before

    @alone
    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """The loss over all rows, and the accuracy where the targets are classes: {"loss": ..., "accuracy": ...}."""
        return evaluated(self, *checked_data(self, X, y, sample_weight))

    @property
    def loss(self) -> Loss:
        """The loss object."""
        if self._loss is None:
            raise RuntimeError("this model's loss is a callable")
        return self._loss

    @property
    def backend(self) -> Backend:
        """The backend object; set it to go on with another one."""
        return self.programs.backend

    @backend.setter
    def backend(self, backend: Backend) -> None:
        self.programs.run_on(backend)

    @property
    def lr(self) -> float:
        """The learning rate of the last step; set it to change it (a schedule sets it again at each step)."""
        return float(self.optimizer_state["lr"][0])

    @lr.setter
    def lr(self, value: float) -> None:
        self.optimizer_state["lr"][0] = self.optimizer.number("lr", value, 0, np.inf)

    # -- parameters -------------------------------------------------------------------------------------------------

    def named_parameters(self) -> list[tuple[str, np.ndarray]]:
        """Names and parameters in PyTorch's order and layout; views, so writing to one changes the network."""
        return [(name, layer.view(key)) for name, layer, key in weights.learned(self.net)]

    def parameters(self) -> list[np.ndarray]:
        """The parameters as views."""
        return [array for _, array in self.named_parameters()]

    def gradients(self) -> list[np.ndarray]:
        """The gradients of the last backward pass, like `parameters()`."""
        return [layer.view(key, gradient=True) for _, layer, key in weights.learned(self.net)]

    @reading
    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and running statistics under PyTorch's keys, in PyTorch's layout."""
        return {name: np.array(array, order="C") for name, array in weights.views(self.net)}

    @alone
    def load_state_dict(self, state: Any) -> None:
        """Take over parameters and running statistics; nothing changes if a key or a shape does not fit."""
        weights.load(self.net, state)

    @reading
    def save(self, path: str | PathLike[str]) -> None:
        """Write all that training goes on from to a safetensors file; bp.load reads it. CheckpointError: nothing changed."""
        from .checkpoint import save

        save(self, path)

    def plot_gradients(self, path: str | None = None) -> Any:
        """The norm of each layer's gradient over the steps of the last run, which a bp.GradientMonitor has to have watched.

        path: where to write a PNG as well. Returns the figure (needs matplotlib).
        """
        from .health import of_run
        from .plots import gradient_norms

        return gradient_norms(of_run(self.last_run), path)

    def summary(self) -> str:
        """A table of the layers and their parameters; printed and returned."""
        from .summary import summary

        text = summary(self)
        print(text)
        return text

    # -- programs ---------------------------------------------------------------------------------------------------

    def output_shape(self, inner: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one row of the network's output for rows of X of shape `inner`."""
        return self.programs.output_shape(inner)

    def training_plan(
        self, shape: tuple[int, ...], target: tuple[tuple[int, ...], np.dtype[Any]], weighted: bool
    ) -> Plan:
        """Forward, loss and backward for one batch shape."""
        return self.programs.plan(Spec(shape, training=True, target=target, weighted=weighted, backward=True))

    def forward_plan(self, shape: tuple[int, ...]) -> Plan:
        """Forward and backward for one batch shape, without a loss."""
        self.output_shape(shape[1:])  # says so if it does not fit
        return self.programs.plan(Spec(shape, training=True, backward=True, input_gradient=True))

    def update_instructions(self, loss: np.ndarray) -> list[Instruction]:
        """Norm, guard and optimizer step."""
        return self.optimizer.emit(
            self.flat.params, self.flat.grads, self.optimizer_state, self.step_count, loss, self.halt
        )

    def counters(self) -> dict[str, np.ndarray]:
        """What a step outside any run counts."""
        return {"step": self.step_count, "cursor": np.zeros(1, np.int64), "total": np.zeros(2)}

    @reading
    def __getstate__(self) -> Any:
        """What copy.deepcopy and pickle take along: buffers and programs are made anew, for they share memory."""
        made = {
            "net": deepcopy(self.net),
            "loss": self.callable_loss or self._loss,
            "optimizer": self.optimizer,
            "backend": self.backend.name,
            "threads": self.threads or None,
            "dtype": self.dtype.name,
            "seed": self.seed,
        }
        run = self.last_run and self.last_run.as_it_stands(self.stop_training)
        moments = {name: array.copy() for name, array in self.optimizer_state.items()}
        return made, self.state_dict(), moments, int(self.step_count[0]), self.epoch, run

    def __setstate__(self, state: Any) -> None:
        made, weights_and_statistics, optimizer_state, steps, epoch, run = state
        self.__init__(**made)  # type: ignore[misc]
        self.load_state_dict(weights_and_statistics)
        for name, array in self.optimizer_state.items():
            array[...] = optimizer_state[name]
        self.step_count[0], self.epoch, self.last_run = steps, epoch, run

    def __repr__(self) -> str:
        loss = self.callable_loss or self._loss
        return (
            f"Model({self.net!r}, loss={loss!r}, optimizer={self.optimizer!r}, backend={self.backend.name!r})"
        )
