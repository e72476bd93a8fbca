"""Module: what every layer is. It declares parameters and state, and emits its calls into a Builder."""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

import inspect
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np

from ..described import Adjustable
from ..program import Builder, Parameters, Tensor
from ..program.trace import current
from ..system.memory import aligned
from .argument_checks import ArgumentChecks
from .parameter import Parameter
from .tree import Tree

# What a layer wants an input to be: numbers of the model's dtype, or int64 indices. Lengths go beside the inputs.
Kind = Literal["number", "index", "length"]


# What each module holds of its own, beside the methods and properties of the class.
HELD = ("learned", "starts", "state")


@cache
def own_names() -> frozenset[str]:
    """The names that a network of one's own cannot give its attributes, because the module needs them itself."""
    members = {name: value for kind in (Module, Tree) for name, value in vars(kind).items()}
    needed = {name for name, value in members.items() if callable(value) or isinstance(value, property)}
    return frozenset(HELD) | {name for name in needed if not name.startswith("_")} - {"forward", "emit"}


@cache
def _arguments(module: Any) -> Mapping[str, Kind]:
    """What `forward` has to be given."""
    parameters = [*inspect.signature(module.forward).parameters.values()][1:]
    return {p.name: "number" for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD}


class Module(Tree, ArgumentChecks):
    """Base of all layers and of networks of your own (PyTorch's `nn.Module`).

    A subclass has modules, `nn.Parameter` and buffers as attributes, and says in `forward` what it computes of symbolic tensors.
    A layer of this package, or one of yours that knows ops, defines `emit` instead.

    Shapes: `forward` gets the inputs (N, ...) by its arguments, and returns a tensor (N, ...), or a tuple or dict of such.

    Attributes:
        takes: the names of the inputs, in the order of `emit`, and what each is: "number" or "index".
        whole_batch: whether a row of the output depends on the other rows, for inference too.
        reads_sparse: whether the rows of the input may be those of a sparse matrix, read in place.
        has_positions: whether it has positions for `max_len` steps and no more.
        gives: what the output is, where a loss may care: "logits", "probabilities" or "log probabilities".

    Raises:
        ValueError, TypeError: what `forward` does that tensors cannot, with its line; when the network first meets its input.

    Example:
        >>> class Skip(nn.Module):
        ...     def __init__(self, width):
        ...         super().__init__()
        ...         self.inner = nn.Linear(width, width)
        ...     def forward(self, x):
        ...         return x + self.inner(x).relu()
        >>> bp.Model(nn.Sequential(Skip(4), nn.Linear(4, 1))).predict(np.ones((2, 4))).shape
        (2, 1)
    """

    whole_batch: bool = False
    # Where it computes with the rows of all ranks: the most numbers that they add up for it at once.
    numbers_shared: int = 0
    reads_sparse: bool = False
    # Of a layer with a table the row without a gradient; -1 for none.
    padding_row: int = -1
    has_positions: ClassVar[bool] = False
    gives: ClassVar[str] = ""
    # Parameters that may be tied to one that is stored in another layout.
    reads_any_layout: ClassVar[tuple[str, ...]] = ()
    # Settings that only act before a model has made the weights.
    structural: ClassVar[tuple[str, ...]] = ("init",)
    instead: ClassVar[Mapping[str, str]] = {
        "requires_grad": "it is a method: layer.requires_grad_(False) freezes",
        "trainable": "layer.requires_grad_(False) freezes",
        "activation": "put an activation such as nn.ReLU() behind it",
        "input_shape": "shapes follow from in_features and out_features",
        "units": "give in_features and out_features",
        "rate": "it is called p",
        "state_dict": "it is the model's: model.state_dict()",
        "load_state_dict": "it is the model's: model.load_state_dict(state)",
        "device": "backpass trains on the CPU",
        "dtype": "the dtype is the model's: bp.Model(..., dtype='float64')",
        "train": "leave it out: model.fit trains, and model.predict does not",
        "eval": "leave it out: model.predict does not train",
        "zero_grad": "leave it out: each step has gradients of its own",
        "to": "leave it out: backpass trains on the CPU",
        "cpu": "leave it out: backpass trains on the CPU",
        "cuda": "leave it out: backpass trains on the CPU",
        "float": "the dtype is the model's: bp.Model(..., dtype='float32')",
        "double": "the dtype is the model's: bp.Model(..., dtype='float64')",
    }

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "forward" in cls.__dict__ and "emit" not in cls.__dict__:
            cls.emit = Module.emit  # type: ignore[method-assign]

    def __init__(self) -> None:
        self.learned: dict[str, Parameter] = {}
        # State that is not learned: shape and first value.
        self.starts: dict[str, tuple[tuple[int, ...], Any]] = {}
        self.state: dict[str, np.ndarray] = {}
        self._flat: Parameters | None = None

    @property
    def takes(self) -> Mapping[str, Kind]:
        cls: Any = type(self)
        return _arguments(cls) if self.has_forward else {"x": "number"}

    @property
    def has_forward(self) -> bool:
        """Whether `forward` says what this module computes."""
        return type(self).emit is Module.emit

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        """The shape of one row of the input, if the layer knows it."""
        return None

    @classmethod
    def own_emit(cls) -> Callable[..., Tensor] | None:
        """The `emit` of a layer that has one of its own; None where `forward` alone says what is computed."""
        emits = (base.__dict__["emit"] for base in cls.__mro__ if "emit" in base.__dict__)
        return next((emit for emit in emits if emit is not Module.emit), None)

    @property
    def training(self) -> bool:
        """Within `forward`, whether it becomes a training step; False outside."""
        trace = current()
        return trace is not None and trace.builder.training

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What a module of yours computes, of symbolic tensors: it runs once for each shape, and becomes the program."""
        from .tracing import emitted  # here and below: `import backpass` is to be quick

        return emitted(self, inputs, named)

    def emit(self, builder: Builder, *inputs: Any, **options: Any) -> Any:
        """Emit this module's calls on the inputs that `takes` names; returns its output: by default what `forward` says."""
        from .tracing import traced

        return traced(self, builder, inputs)

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Within `forward`: the output for symbolic tensors."""
        from .tracing import called

        return called(self, inputs, named)

    def register_buffer(self, name: str, array: Any) -> None:
        """Declare an array that is no parameter, but belongs to `state_dict`; in `forward` it is a tensor without a gradient."""
        values = np.array(array)
        if values.dtype.kind not in "fiub":
            raise TypeError(f"register_buffer: array is {array!r:.80}, expected an array of numbers")
        self._expect_no_model(name)
        self.starts[name] = (values.shape, values)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Set a parameter as an attribute; None leaves it out."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"register_parameter: param is {param!r:.60}, expected an nn.Parameter or None")
        setattr(self, name, param)

    def add_module(self, name: str, module: Module) -> None:
        """Set a module as an attribute."""
        if not isinstance(module, Module):
            raise TypeError(f"add_module: module is {module!r:.60}, expected a module")
        setattr(self, name, module)

    def parameter(
        self,
        name: str,
        shape: tuple[int, ...],
        draw: Callable[[np.random.Generator, tuple[int, ...], int], Any],
        fan_in: int | None = None,
        axes: tuple[int, ...] | None = None,
        shown: tuple[int, ...] | None = None,
    ) -> None:
        """Declare a learned array; users see it transposed by `axes` (PyTorch: (out, in)) or reshaped to `shown`."""
        self.learned[name] = Parameter.declared(shape, draw, fan_in or shape[0], shown, axes)

    def bind(self, flat: Parameters) -> None:
        """Reserve the parameters in a model's flat vector."""
        if self._flat is not None and self._flat is not flat:
            raise ValueError(
                f"net: {self!r} already belongs to another model; build a new layer or copy.deepcopy it"
            )
        if self._flat is None:
            self._flat = flat
            for parameter in self.learned.values():
                if parameter.home is None or parameter.home._flat is not flat or parameter.home is self:
                    parameter.number, parameter.home = flat.add(parameter.stored), self
                    if not parameter.requires_grad:
                        flat.frozen.add(parameter.number)
                    if parameter.sparse:
                        flat.sparse.add(parameter.number)
            for name, (shape, start) in self.starts.items():
                whole = np.asarray(start).dtype.kind in "iub"
                self.state[name] = aligned(shape, np.int64 if whole else flat.dtype)
                self.state[name][...] = start

    def release(self, flat: Parameters) -> None:
        """Belong to no model again, if it was the one with this flat vector."""
        if self._flat is flat:
            self._flat = None

    def initialise(self, rng: np.random.Generator) -> None:
        """Draw the initial values of the parameters."""
        assert self._flat is not None
        for parameter in self.learned.values():
            assert parameter.number is not None
            if parameter.home is self:  # a tied one has its values from there
                values = parameter.draw(rng, parameter.stored, parameter.fan_in)
                self._flat.tensor(parameter.number).array[...] = values

    def tensor(self, name: str) -> Tensor | None:
        """A parameter as a tensor of the graph; None if this layer was made without it."""
        if name not in self.learned:
            return None
        number = self.learned[name].number
        if self._flat is None or number is None:
            raise AttributeError(f"{self!r} has no {name} yet: bp.Model(...) makes the weights")
        if not self.learned[name].requires_grad:
            return Tensor(self._flat.view(number, self._flat.params))
        return self._flat.tensor(number)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Freeze all parameters within (False), or train them again (True); acts at the next step. Returns the module."""
        chosen = self.flag("requires_grad", requires_grad)
        for _, module in self.walk():
            for name in module.learned:
                module.learned[name].requires_grad = chosen
        return self

    def hear_of_frozen(self, parameter: Parameter) -> None:
        """One of its parameters is trained no longer, or is again."""
        if self._flat is not None and parameter.number is not None:
            (self._flat.frozen.discard if parameter.requires_grad else self._flat.frozen.add)(
                parameter.number
            )
            object.__setattr__(self, "version", self.version + 1)
            Adjustable.changes[0] += 1

    def view(self, name: str, gradient: bool = False) -> np.ndarray:
        """A parameter (or its gradient) as the user sees it: in PyTorch's layout, writable, no copy."""
        tensor = self.tensor(name)
        assert tensor is not None
        if gradient and tensor.gradient is None:  # frozen
            return np.zeros(self.learned[name].shape, tensor.array.dtype)
        array = tensor.gradient if gradient else tensor.array
        assert array is not None
        return self.learned[name].as_shown(array)

    def gradient_of(self, name: str) -> np.ndarray:
        """The gradient of a parameter as it is stored, frozen or not."""
        number = self.learned[name].number
        assert self._flat is not None and number is not None  # noqa: PT018 one thing: it has a model
        return self._flat.view(number, self._flat.grads)

    def view_of(self, name: str, flat: np.ndarray) -> np.ndarray:
        """The part of another flat vector, such as a moment, that belongs to a parameter, as the user sees the parameter."""
        parameter = self.learned[name]
        assert self._flat is not None and parameter.number is not None  # noqa: PT018 one thing: it has a model
        return parameter.as_shown(self._flat.view(parameter.number, flat))

    def adopt(self, twin: Module, name: str) -> None:
        """Take over a changed setting; once a model has made the weights, one that changes them is refused."""
        if self._flat is None:
            super().adopt(twin, name)
            return
        shapes = {key: parameter.stored for key, parameter in self.learned.items()}
        if (
            shapes != {key: parameter.stored for key, parameter in twin.learned.items()}
            or self.starts != twin.starts
        ):
            raise ValueError(f"{name} of {self!r} cannot change: its weights are made; build a new network")
        if name in self.structural:
            raise ValueError(f"{name} of {self!r} acts when bp.Model makes the weights; build a new network")
        kept = ("learned", "starts", "state", "_flat", "version")
        self.__dict__.update({key: value for key, value in vars(twin).items() if key not in kept})

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            if name in self.__dict__.get("learned", ()):
                if self._flat is None:
                    return self.learned[name]
                return self._in_forward(name) if current() else self.view(name)
            if name in self.__dict__.get("state", ()):
                return self._in_forward(name) if current() else self.state[name]
            if name in self.__dict__.get("starts", ()) and self.has_forward:
                return self.starts[name][1]
            if name in ("weight", "bias") and "learned" in self.__dict__:
                return None
        return super().__getattr__(name)

    def _in_forward(self, name: str) -> Any:
        """A parameter or a buffer as a symbolic tensor."""
        from .tracing import buffer, shown

        return shown(self, name) if name in self.learned else buffer(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if self.has_forward and name in own_names() and (name not in HELD or name in self.__dict__):
            raise AttributeError(
                f"{type(self).__name__}: {name} is a name that nn.Module has itself; expected another one"
            )
        if isinstance(value, Module | Parameter):
            if "learned" not in self.__dict__:
                raise AttributeError(
                    f"{type(self).__name__}: __init__ has to call super().__init__() before it sets {name}"
                )
            self._expect_no_model(name)
        if isinstance(value, Parameter):
            declared = self.learned.get(name, value)
            alike = (declared.stored, declared.axes) == (value.stored, value.axes)
            if not alike and (name not in self.reads_any_layout or declared.shape != value.shape):
                stored = "" if declared.shape != value.shape else " and stored alike"
                raise ValueError(
                    f"{name} of {self!r} is {value!r}, expected one that is like {declared!r}{stored}"
                )
            self.__dict__.pop(name, None)
            self.learned[name] = value
        elif name in self.__dict__.get("learned", ()):
            self._write(name, self.view(name), value)
        elif name in self.__dict__.get("state", ()) and current():
            from .tracing import assign

            assign(self, name, value)
        elif name in self.__dict__.get("state", ()):
            self._write(name, self.state[name], value)
        elif name in self.__dict__.get("starts", ()) and self.has_forward:
            self.register_buffer(name, value)
        elif self.has_forward:  # a user's module: its attributes are its own
            object.__setattr__(self, name, value)
            # Not what forward notes, which is nothing that the next one may depend on.
            if "_built" in self.__dict__ and not name.startswith("_") and current() is None:
                object.__setattr__(self, "version", self.version + 1)
                Adjustable.changes[0] += 1
        else:
            super().__setattr__(name, value)

    def _expect_no_model(self, name: str) -> None:
        """Refuse another module, parameter or buffer once a model has made the weights."""
        if self.__dict__.get("_flat") is not None:
            raise ValueError(
                f"{name} of {self!r} cannot be exchanged: its weights are made; write into it, or build a new network"
            )

    def _write(self, name: str, array: np.ndarray, value: Any) -> None:
        """Numbers into a weight or a running statistic; NumPy alone would take None for NaN."""
        if np.asarray(value).dtype.kind not in "fiub":
            raise TypeError(f"{name} of {self!r} is {value!r:.80}, expected numbers of shape {array.shape}")
        array[...] = value

    def __dir__(self) -> list[str]:
        attributes = self.__dict__
        return sorted({*super().__dir__(), *attributes.get("learned", ()), *attributes.get("starts", ())})

    def __deepcopy__(self, memo: dict[int, Any]) -> Module:
        """A layer of the same description that belongs to no model yet."""
        new = object.__new__(type(self))
        memo[id(self)] = new
        for key, value in self.__dict__.items():
            new.__dict__[key] = None if key == "_flat" else deepcopy(value, memo)
        new.__dict__["state"] = {}
        for parameter in new.learned.values():
            parameter.number = parameter.home = None
        return new
