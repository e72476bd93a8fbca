# The compiled module, as `nox -s stubs` reads it; generated, never edited.
import collections.abc
import typing

import numpy
import numpy.typing

chunk: int
compiler: str
max_dims: int

class Program:
    def __init__(
        self,
        calls: collections.abc.Sequence[tuple[str, dict]],
        isa: str = ...,
        halt: numpy.typing.NDArray[numpy.int64] | None = ...,
    ) -> None: ...
    def costs(self) -> list[tuple[str, float, float]]: ...
    def infer(
        self,
        input: numpy.ndarray,
        output: numpy.ndarray,
        x: object,
        threads: typing.SupportsInt | typing.SupportsIndex,
    ) -> numpy.ndarray | None: ...
    def profile(
        self,
        steps: typing.SupportsInt | typing.SupportsIndex,
        threads: typing.SupportsInt | typing.SupportsIndex = ...,
    ) -> list[float]: ...
    def run(
        self,
        steps: typing.SupportsInt | typing.SupportsIndex = ...,
        threads: typing.SupportsInt | typing.SupportsIndex = ...,
    ) -> int: ...

def activations() -> list[tuple[str, bool]]: ...
def available_isas() -> list[str]: ...
def choose_isa(name: str = ...) -> str: ...
def get_num_threads() -> int: ...
def ops() -> list[str]: ...
def pointwise() -> list[str]: ...
def reductions() -> list[str]: ...
def set_num_threads(threads: typing.SupportsInt | typing.SupportsIndex) -> None: ...
