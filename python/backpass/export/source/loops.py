"""Loops over arrays of any strides: expressions, sums, maxima and products of views."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...ops.expression import INPUTS, OUTPUTS, parsed
from .numbers import number
from .source import Source

# C of the functions of an expression, with {0}, {1} and {2} for the operands.
FUNCTIONS = {
    "copy": "{0}", "neg": "-{0}", "abs": "fabsf({0})", "sign": "{0} > 0.0f ? 1.0f : {0} < 0.0f ? -1.0f : {0}",
    "sqrt": "sqrtf({0})", "exp": "expf({0})", "expm1": "expm1f({0})", "log": "logf({0})", "log1p": "log1pf({0})",
    "sin": "sinf({0})", "cos": "cosf({0})", "erf": "erff({0})", "relu": "{0} < 0.0f ? 0.0f : {0}",
    "sigmoid": "1.0f / (1.0f + expf(-{0}))", "tanh": "tanhf({0})",
    "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "{0} / {1}", "pow": "powf({0}, {1})",
    "minimum": "{0} < {1} || {0} != {0} ? {0} : {1}", "maximum": "{0} > {1} || {0} != {0} ? {0} : {1}",
    "lt": "{0} < {1} ? 1.0f : 0.0f", "le": "{0} <= {1} ? 1.0f : 0.0f", "gt": "{0} > {1} ? 1.0f : 0.0f",
    "ge": "{0} >= {1} ? 1.0f : 0.0f", "eq": "{0} == {1} ? 1.0f : 0.0f", "ne": "{0} != {1} ? 1.0f : 0.0f",
    "where": "{0} != 0.0f ? {1} : {2}",
}  # fmt: skip

MATMUL = """
/* y = a b for matrices (m, k) and (k, n), of which a row and a column are so many floats apart. */
static void NAME_matmul(const float *a, int a_row, int a_column, const float *b, int b_row, int b_column, float *y, int m,
                        int k, int n)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float sum = 0.0f;
            for (int l = 0; l < k; l++)
                sum += a[i * a_row + l * a_column] * b[l * b_row + j * b_column];
            y[i * n + j] = sum;
        }
}
"""


def expression(source: Source, fields: dict[str, Any]) -> None:
    """A few element-wise steps in one loop."""
    steps = parsed(fields["steps"])
    arrays = {name: fields[name] for name in (*INPUTS, *OUTPUTS) if fields[name] is not None}
    used = {operand for step in steps for operand in step.operands}
    body = [f"const float n_{name} = {{{name}}};" for name in INPUTS if name in arrays and name in used]
    body += [f"const float n_{name} = 0.0f;" for name in INPUTS if name not in arrays and name in used]
    known: set[str] = set()
    for step in steps:
        operands = [f"n_{o}" if isinstance(o, str) else f"({number(o)})" for o in step.operands]
        kind = "" if step.to in known else "float "
        known.add(step.to)
        body.append(f"{kind}n_{step.to} = {FUNCTIONS[step.function].format(*operands)};")
    body += [f"{{{name}}} = n_{name};" for name in OUTPUTS if name in arrays and name in known]
    loops(source, fields["y"].shape, {name: arrays[name] for name in arrays if name in used | known}, body)


def add(source: Source, fields: dict[str, Any]) -> None:
    """The sum of two tensors."""
    loops(source, fields["y"].shape, {name: fields[name] for name in "aby"}, ["{y} = {a} + {b};"])


def reduce_sum(source: Source, fields: dict[str, Any]) -> None:
    """A sum over the last dimension, times the scale."""
    x, y = fields["x"], fields["y"]
    body = ["float sum = 0.0f;", *_along(x, "sum += {x};"), f"{{y}} = sum * {number(fields['scale'])};"]
    loops(source, y.shape, {"x": x, "y": y}, body)


def maximum(source: Source, fields: dict[str, Any]) -> None:
    """A maximum over the last dimension; NaN counts as the largest."""
    x, y = fields["x"], fields["y"]
    body = [
        "float top = -INFINITY;",
        *_along(x, "if ({x} > top || {x} != {x})", "    top = {x};"),
        "{y} = top;",
    ]
    loops(source, y.shape, {"x": x, "y": y}, body)


def matmul(source: Source, fields: dict[str, Any]) -> None:
    """Products of matrices, over all leading dimensions."""
    a, b, y = (fields[name] for name in "aby")
    source.need("matmul", MATMUL)
    rows = {name: [s // 4 for s in array.strides[-2:]] for name, array in (("a", a), ("b", b))}
    numbers = (*rows["a"], "&{b}", *rows["b"], "&{y}", a.shape[-2], *b.shape[-2:])
    line = f"{source.name}_matmul(&{{a}}, {', '.join(map(str, numbers))});"
    loops(source, y.shape[:-2], {"a": a, "b": b, "y": y}, [line])


def loops(
    source: Source, shape: Sequence[int], arrays: Mapping[str, np.ndarray], body: Sequence[str]
) -> None:
    """A loop for each dimension of a shape; in the body {name} is the element of an array there.

    Arrays may have further dimensions, at whose start the element is.
    """
    axes = _merged([(n, [a.strides[k] // 4 for a in arrays.values()]) for k, n in enumerate(shape) if n != 1])
    elements = {}
    for place, (name, array) in enumerate(arrays.items()):
        terms = [f"i{k} * {strides[place]}" for k, (_, strides) in enumerate(axes) if strides[place]]
        elements[name] = f"({source.pointer(array)})[{' + '.join(terms) or 0}]"
    indent = ""
    for k, (n, _) in enumerate(axes):
        source.line(f"{indent}for (int i{k} = 0; i{k} < {n}; i{k}++) {{")
        indent += "    "
    if not axes:
        source.line("{")
        indent = "    "
    for line in body:
        source.line(indent + line.format_map(elements))
    while indent:
        indent = indent[4:]
        source.line(indent + "}")


def _along(x: np.ndarray, *lines: str) -> list[str]:
    """A loop over the last dimension of x, of which {x} is the first element."""
    element = "(&{x})[r * " + str(x.strides[-1] // 4) + "]"
    inner = ["    " + line.replace("{x}", element) for line in lines]
    return [f"for (int r = 0; r < {x.shape[-1]}; r++)", *inner]


def _merged(axes: Sequence[tuple[int, list[int]]]) -> list[tuple[int, list[int]]]:
    """Neighbouring dimensions as one, where all arrays go on from one to the next."""
    merged: list[tuple[int, list[int]]] = []
    for n, strides in axes:
        if merged and all(outer == n * inner for outer, inner in zip(merged[-1][1], strides, strict=True)):
            merged[-1] = merged[-1][0] * n, strides
        else:
            merged.append((n, strides))
    return merged
