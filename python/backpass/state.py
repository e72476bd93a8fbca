"""What training changes, and what it is made of: network, parameters, moments, counters; read, set and copied."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from . import arguments, weights
from .alone import alone, reading
from .backends import Backend, get_backend
from .losses import Loss
from .losses import by_name as loss_by_name
from .memory import aligned
from .nn import Layer
from .optim import Optimizer
from .optim import by_name as optimizer_by_name
from .program import Parameters
from .programs import Programs
from .random import generator
from .runs import Run
from .steps import Plan
from .threads import get_num_threads


class ModelState:
    """A network with its loss, optimizer and backend, and everything that goes into a checkpoint or a copy."""

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
        self.net = arguments.net(net)
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
                layer.release(self.flat)
            raise
        self.programs = Programs(net, self._loss, chosen, self.dtype, self.seed, self.step_count, self.halt)
        self.last_pass: Plan | None = None  # of `forward` with training=True

    @property
    def loss(self) -> Loss:
        """The loss object."""
        if self._loss is None:
            raise RuntimeError("this model's loss is a callable")
        return self._loss

    @property
    def backend(self) -> Backend:
        """The backend object; set it, to a name or an object, to go on with another one."""
        return self.programs.backend

    @backend.setter
    def backend(self, backend: Backend | str) -> None:
        chosen = get_backend(backend) if isinstance(backend, str) else backend
        if not isinstance(chosen, Backend):
            raise TypeError(
                f"backend is {backend!r:.80}, expected a name such as 'numpy' or a backend object"
            )
        self.programs.run_on(chosen)

    @property
    def lr(self) -> float:
        """The learning rate of the last step; set it to change it (a schedule sets it again at each step)."""
        return float(self.optimizer_state["lr"][0])

    @lr.setter
    def lr(self, value: float) -> None:
        self.optimizer_state["lr"][0] = self.optimizer.number("lr", value, 0, np.inf)

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
    def __getstate__(self) -> Any:
        """What copy.deepcopy and pickle take along: buffers and programs are made anew, for they share memory."""
        made = {
            "net": deepcopy(self.net),
            "loss": self.callable_loss or self.loss,
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
