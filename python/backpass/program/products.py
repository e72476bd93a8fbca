"""Matrix products of tensors."""

import numpy as np

from ..ops import matmul_forward
from .builder import Builder
from .tensor import Tensor
from .views import expand, part


def matmul(builder: Builder, a: Tensor, b: Tensor) -> Tensor:
    """a @ b as in NumPy: matrices over any leading dimensions, which are broadcast; one dimension is a row, or a column of b."""
    if len(a.shape) == 1:
        row = matmul(builder, part(builder, a, (None, slice(None))), b)
        return builder.reshape(row, (*row.shape[:-2], row.shape[-1]))
    if len(b.shape) == 1:
        column = matmul(builder, a, part(builder, b, (slice(None), None)))
        return builder.reshape(column, column.shape[:-1])
    if len(b.shape) == 2 and len(a.shape) > 2 and a.array.flags.c_contiguous:
        # One product of all rows is faster than many small ones.
        rows = builder.reshape(a, (-1, a.shape[-1]))
        return builder.reshape(matmul(builder, rows, b), (*a.shape[:-1], b.shape[-1]))
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = expand(builder, a, (*lead, *a.shape[-2:])), expand(builder, b, (*lead, *b.shape[-2:]))
    return builder.emit(matmul_forward, a=a, b=b)
