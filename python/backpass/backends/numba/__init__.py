"""The Numba backend: every hot op as loops that Numba compiles at first use and keeps in its cache."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from ...ops import REGISTRY
from ..base import Backend, Call, Executor, guard_of
from . import (
    accuracy,
    attention,
    avg_pool,
    batch,
    batch_norm,
    batch_norm_rows,
    class_loss,
    clip,
    conv,
    dropout,
    elementwise,
    embedding_bag,
    group_norm,
    image_transforms,
    indexing,
    layer_norm,
    linear,
    max_pool,
    penalty,
    pointwise_loss,
    recurrent,
    resize,
    rms_norm,
    softmax,
    table_rows,
    update,
)
from .compiler import Bound

MODULES = (
    accuracy, attention, avg_pool, batch, batch_norm, batch_norm_rows, class_loss, clip, conv, dropout, elementwise,
    embedding_bag, group_norm, image_transforms, indexing, layer_norm, linear, max_pool, penalty, pointwise_loss,
    recurrent, resize, rms_norm, softmax, table_rows, update,
)  # fmt: skip
# A binder bears the name of its op: it takes the op's fields, and gives the compiled kernel with the arguments that it wants.
BINDERS: dict[str, Callable[..., Bound]] = {
    name: binder for module in MODULES for name, binder in vars(module).items() if name in REGISTRY
}


def _run(bind: Callable[..., Bound], **fields: Any) -> None:
    kernel, arguments = bind(**fields)
    kernel(*arguments)


class NumbaBackend(Backend):
    """Compiled loops and NumPy's BLAS; the first use of each kernel compiles it, later processes load it from the cache."""

    name = "numba"
    functions: Mapping[str, Callable[..., None]] = MappingProxyType(
        {k: partial(_run, v) for k, v in BINDERS.items()}
    )

    def unit(self, precision: str) -> str:
        return "float32"

    def compile(self, instructions: Sequence[Call], halt: np.ndarray | None = None) -> Executor:
        """Choose kernels and reshape arrays here, once: a step then only calls."""
        return Executor(
            [self._bound(i.op.name, i.fields) for i in instructions], halt, guard_of(instructions, halt)
        )

    def _bound(self, name: str, fields: dict[str, Any]) -> tuple[Callable[..., None], dict[str, Any]]:
        if name not in BINDERS:
            return self.function(name), fields
        kernel, arguments = BINDERS[name](**fields)
        return partial(kernel, *arguments), {}
