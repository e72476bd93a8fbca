"""The grammar of ops: `@op`, shape strings, validation and samples. Everything generated follows from REGISTRY.

An op is a short NumPy function that writes its outputs into the arrays it is given, and a shape string:

    @op("x[*,I] weight[I,O] bias[O]? -> y[*,O]")
    def linear_forward(x, weight, bias, y, activation: str = "identity"): ...

`[*,I]` any leading dimensions, then I; `[1]` exactly one; `?` may be None; `:int64` after the bracket fixes the dtype (else it
is the model's), `:number` leaves it open (NUMBERS); a name on both sides of the arrow is updated in place. Arguments that the
string does not name are scalars, typed by their annotation. `dx` always means the gradient of `x`: `foo_backward` is the gradient
of `foo_forward` by name, and `foo_backward_weight`, if there is one, follows it and may read what it wrote.

Letters that only outputs have, such as the height of a convolution's output, come from `sizes`.
"""

from __future__ import annotations  # np.random.Generator is named, not imported: it costs 20 ms

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

# letter -> size; "*" -> tuple of leading sizes
Dims = dict[str, Any]
# (generator, shape, dims) -> array
Sample = Callable[..., Any]
# (dims that the inputs fix, scalars) -> the other letters; ValueError where the sizes do not fit
Sizes = Callable[[Dims, Mapping[str, Any]], Dims]

# Elements to a partial sum over a flat vector: one cut for any number of threads and every backend.
CHUNK = 16384
# The most dimensions of an array.
MAX_DIMS = 6

NUMBERS = (*map(np.dtype, ("float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "int64")),)
FLOATING = (np.dtype("float32"), np.dtype("float64"))
FIXED = ("int64", "float64", "int32", "uint8", "number")


@dataclass(frozen=True)
class Array:
    """One array argument of an op."""

    name: str
    dims: tuple[str, ...]
    dtype: str | None  # None: the model's dtype; "number": any of NUMBERS
    optional: bool

    @cached_property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """The dtypes that the array may have, where the model's dtype does not matter."""
        return NUMBERS if self.dtype == "number" else (np.dtype(self.dtype),)

    @cached_property
    def leading(self) -> bool:
        """Whether any number of dimensions may stand in front."""
        return "*" in self.dims

    @cached_property
    def inner(self) -> tuple[int | str, ...]:
        """The dimensions behind those, sizes as numbers."""
        return tuple(int(dim) if dim.isdigit() else dim for dim in self.dims if dim != "*")

    def shape(self, dims: Mapping[str, Any]) -> tuple[int, ...]:
        """The shape for known dimensions."""
        out: list[int] = []
        for dim in self.dims:
            if dim == "*":
                out += dims["*"]
            else:
                out.append(int(dim) if dim.isdigit() else dims[dim])
        return tuple(out)

    def matches(self, shape: tuple[int, ...], dims: Dims) -> bool:
        """Whether a shape fits; unknown letters are added to `dims`."""
        inner = self.inner
        lead = len(shape) - len(inner)
        if self.leading:
            if lead < 0 or dims.setdefault("*", shape[:lead]) != shape[:lead]:
                return False
            shape = shape[lead:]
        elif lead:
            return False
        for dim, size in zip(inner, shape, strict=True):
            if (dims.setdefault(dim, size) if isinstance(dim, str) else dim) != size:
                return False
        return True


@dataclass(frozen=True, eq=False)
class Op:
    """A registered op: its reference function, arrays by name, and scalars by name. Calling it calls the function."""

    name: str
    function: Callable[..., None]
    signature: str
    arrays: dict[str, Array]
    parameters: tuple[str, ...]  # all names, in the order of the function's signature
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scalars: dict[str, inspect.Parameter]
    samples: Mapping[str, Any] = field(default_factory=dict)
    alias_gradient: Mapping[str, str] = field(default_factory=dict)
    padded: frozenset[str] = frozenset()
    strided: frozenset[str] = frozenset()
    layout: Callable[[np.ndarray], bool] | None = None
    sizes: Sizes | None = None
    activates: bool = False

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        self.function(*args, **kwargs)

    def __reduce__(self) -> Any:
        return _registered, (self.name,)

    @property
    def gradients(self) -> list[Op]:
        """The ops that compute the gradient of this one, in their order."""
        stem = self.name.removesuffix("_forward")
        names = (f"{stem}_backward", f"{stem}_backward_weight")
        return [REGISTRY[name] for name in names if name in REGISTRY]

    def takes(self, name: str, array: np.ndarray) -> bool:
        """Whether the strides of a view fit."""
        strided = name in self.strided and (self.layout is None or self.layout(array))
        return strided or bool(array.flags.c_contiguous)

    def infer(self, shapes: Mapping[str, tuple[int, ...]], scalars: Mapping[str, Any]) -> Dims:
        """The dimensions that `shapes` and `sizes` fix; ValueError names the argument that does not fit."""
        if self.sizes is None:
            return {**_dims_of(self, tuple(shapes.items()))}
        return self._infer(shapes, scalars)

    def _infer(self, shapes: Mapping[str, tuple[int, ...]], scalars: Mapping[str, Any]) -> Dims:
        dims: Dims = {}
        self._match([name for name in self.inputs if name in shapes], shapes, dims)
        if self.sizes is not None:
            defaults = {name: p.default for name, p in self.scalars.items() if p.default is not p.empty}
            sizes = self.sizes(dims, defaults | dict(scalars))
            for letter, size in sizes.items():
                if dims.setdefault(letter, size) != size:
                    raise ValueError(
                        f"{self.name}: {letter} is {dims[letter]}, expected {size} in {self.signature}"
                    )
        self._match([name for name in self.outputs if name in shapes], shapes, dims)
        return dims

    def _match(self, names: Sequence[str], shapes: Mapping[str, tuple[int, ...]], dims: Dims) -> None:
        arrays = self.arrays
        for name in names:
            known = len(dims)
            if not arrays[name].matches(shapes[name], dims):
                listing = ", ".join(f"{k}={v}" for k, v in [*dims.items()][:known]) or "nothing yet"
                raise ValueError(
                    f"{self.name}: {name} has shape {tuple(shapes[name])}, expected [{','.join(arrays[name].dims)}]"
                    f" (known: {listing}) in {self.signature}"
                )

    @cached_property
    def _arguments(self) -> frozenset[str]:
        return frozenset(self.parameters)

    def check(self, fields: Mapping[str, Any], shapes_fit: bool = False) -> None:
        """Names, presence, dtypes and shapes of one call; raises TypeError or ValueError.

        shapes_fit: whether `infer` has checked the shapes that were given, and has made the others.
        """
        if not fields.keys() <= self._arguments:
            unknown, expected = sorted(fields.keys() - self._arguments), [*self.arrays, *self.scalars]
            raise TypeError(f"{self.name}: unknown argument {unknown}, expected {expected}")
        shapes: dict[str, tuple[int, ...]] = {}
        floating = None
        for name, array in self.arrays.items():
            value = fields.get(name)
            if value is None:
                if not array.optional:
                    raise TypeError(
                        f"{self.name}: {name} is missing, expected an array [{','.join(array.dims)}]"
                    )
                continue
            if not isinstance(value, np.ndarray):
                raise TypeError(f"{self.name}: {name} is {type(value).__name__}, expected a NumPy array")
            dtype = value.dtype
            if array.dtype is None:
                floating = floating or dtype
                if dtype != floating or floating not in FLOATING:
                    raise TypeError(
                        f"{self.name}: {name} is {dtype}, expected "
                        + ("float32 or float64" if dtype == floating else f"{floating} like the others")
                    )
            elif dtype not in array.dtypes:
                raise TypeError(
                    f"{self.name}: {name} is {dtype}, expected {' or '.join(map(str, array.dtypes))}"
                )
            if name in self.outputs and not value.flags.writeable:
                raise ValueError(f"{self.name}: {name} is read-only, but the op writes to it")
            shapes[name] = value.shape
        if not shapes_fit:
            self.infer(shapes, {name: fields[name] for name in self.scalars if name in fields})
        for name in self._required:
            if name not in fields:
                raise TypeError(f"{self.name}: {name} is missing")

    @cached_property
    def _required(self) -> list[str]:
        """The scalars without a default."""
        return [name for name, parameter in self.scalars.items() if parameter.default is parameter.empty]

    @cached_property
    def _absent(self) -> dict[str, Any]:
        """What stands for an argument that is absent, in the order of the signature."""
        return {
            name: self.scalars[name].default if name in self.scalars else None for name in self.parameters
        }

    def complete(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """`fields` with None for absent arrays and defaults for absent scalars, in the order of the signature."""
        return self._absent | dict(fields)


REGISTRY: dict[str, Op] = {}


@lru_cache(1024)
def _dims_of(op: Op, shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> Dims:
    """`infer`, once for the layers and the models that are alike."""
    return op._infer(dict(shapes), {})


def _registered(name: str) -> Op:
    """The op of this name: what a pickle of an op is."""
    return REGISTRY[name]


def op(
    signature: str,
    *,
    samples: Mapping[str, Any] | None = None,
    alias_gradient: Mapping[str, str] | None = None,
    padded: Sequence[str] = (),
    strided: Sequence[str] = (),
    layout: Callable[[np.ndarray], bool] | None = None,
    sizes: Sizes | None = None,
    activates: bool = False,
) -> Callable[[Callable[..., None]], Op]:
    """Register a reference function as the op of its name.

    Args:
        samples: for tests, name -> list of values of a scalar, or a function (rng, shape, dims) -> array. Without one, an array
            is standard normal. Where sizes depend on each other, "cases" has sizes and scalars that fit, the first eight of
            them small, and "large" has work for several threads.
        alias_gradient: input -> name of an output whose gradient is passed on as it is (`add`).
        padded: matrices whose rows may have padding between them (program/layout.py); all other arrays are C-contiguous.
        strided: arrays whose strides may be any multiples of their items, such as those of a transposed or a broadcast view.
        layout: which strides of those arrays the op takes, if not all.
        sizes: the letters that only outputs have, from those of the inputs and the scalars.
        activates: whether the op takes `activation`, `alpha` and `slope`, so that an activation beside it fuses with it.
    """
    left, right = (side.split() for side in signature.split("->"))

    def register(function: Any) -> Op:
        arrays: dict[str, Array] = {}
        for text in left + right:
            name, bracket, rest = text.partition("[")
            if bracket:
                inner, _, suffix = rest.partition("]")
                dtype = suffix.removesuffix("?").removeprefix(":") or None
                dims = tuple(inner.split(","))
                readable = dims.count("*") <= 1 and name.isidentifier() and name not in arrays
                readable &= all(dim == "*" or dim.isdigit() or dim.isidentifier() for dim in dims)
                # What was read says the text again, or it says something else.
                optional = "?" if suffix.endswith("?") else ""
                again = f"{name}[{inner}]{f':{dtype}' if dtype else ''}{optional}"
                if not readable or again != text or dtype not in (None, *FIXED):
                    raise ValueError(f"{function.__name__}: cannot read {text!r} in {signature!r}")
                arrays[name] = Array(name, dims, dtype, bool(optional))
            elif text not in arrays:
                raise ValueError(f"{function.__name__}: cannot read {text!r} in {signature!r}")
        # by hand: inspect.signature of every op costs `import backpass` 1 ms
        parameters = function.__code__.co_varnames[: function.__code__.co_argcount]
        defaults = dict(zip(reversed(parameters), reversed(function.__defaults__ or ()), strict=False))
        registered = REGISTRY.get(function.__name__)
        if registered and registered.function.__module__ != function.__module__:
            raise ValueError(
                f"{function.__name__}: there is an op of this name already, in {registered.function.__module__}"
            )
        if missing := set(arrays) - set(parameters):
            raise ValueError(f"{function.__name__}: {missing} is in the shape string but is no argument")
        new_op = REGISTRY[function.__name__] = Op(
            name=function.__name__,
            function=function,
            signature=signature,
            arrays={name: arrays[name] for name in parameters if name in arrays},
            parameters=parameters,
            inputs=tuple(text.partition("[")[0] for text in left),
            outputs=tuple(text.partition("[")[0] for text in right),
            scalars={
                name: inspect.Parameter(
                    name,
                    inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=defaults.get(name, inspect.Parameter.empty),
                    annotation=function.__annotations__.get(name, inspect.Parameter.empty),
                )
                for name in parameters
                if name not in arrays
            },
            samples=samples or {},
            alias_gradient=alias_gradient or {},
            padded=frozenset(padded),
            strided=frozenset(strided),
            layout=layout,
            sizes=sizes,
            activates=activates,
        )
        return new_op

    return register


def as_rows(x: np.ndarray, inner: int = 1) -> np.ndarray:
    """x with all but its last `inner` dimensions as one: what reshape(-1, ...) means, for empty arrays too."""
    lead = x.ndim - inner
    return x.reshape(math.prod(x.shape[:lead]), *x.shape[lead:])


def index(letter: str) -> Sample:
    """A sample of class indices below the size of dimension `letter`."""
    return lambda rng, shape, dims: rng.integers(0, max(dims[letter], 1), shape)


def positive(rng: np.random.Generator, shape: tuple[int, ...], dims: Dims) -> Any:
    """A sample of values in [0.1, 2)."""
    return rng.uniform(0.1, 2.0, shape)


def constant(value: float) -> Sample:
    """A sample that is `value` everywhere."""
    return lambda rng, shape, dims: np.full(shape, value)
