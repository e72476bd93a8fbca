"""bp.export.c: a model as one file of C99."""

import re
from os import PathLike
from typing import Any

import numpy as np

from .._version import __version__
from ..engine import weights
from ..engine.engine import Engine, HasEngine
from ..program import InputSpec
from ..system.exclusive import computing
from .batches import DIFFERS, ROWS, check_numbers, outline
from .plans import engine_of, inputs_of, plan_of, written
from .source.numbers import comment
from .source.source import FUNCTION, Source
from .source.writers import WRITERS

FILE = """\
/* {name}_predict: a network of backpass {version}, as for inference, of one row.
 *
 *     void {name}_predict(const float *x, float *y);
 *
 * x: {inputs} floats, {input_shape}. y: {outputs} floats, {output_shape}. They must not overlap.
 * The weights are {weights} bytes of constants. One static scratch memory of {macro}_SCRATCH_BYTES bytes serves all calls:
 * one thread at a time may call.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#define {macro}_INPUTS {inputs}
#define {macro}_OUTPUTS {outputs}
#define {macro}_SCRATCH_BYTES {scratch}

void {name}_predict(const float *x, float *y);

{parts}

void {name}_predict(const float *x, float *y)
{{
{lines}
}}
"""


def c(model: HasEngine, path: str | PathLike[str], name: str = "model") -> None:
    """C99 file of a model, as for inference: weights, `void NAME_predict(const float *x, float *y)`, no allocation.

    It needs math.h and string.h alone. Macros say its sizes: NAME_INPUTS and NAME_OUTPUTS in floats, NAME_SCRATCH_BYTES of
    static memory, in upper case.

    Args:
        model: a float32 bp.Model of one input and one output, that has predicted or whose first layer knows the shape of a row.
        path: the file, written as a whole; `~` is the home folder.
        name: what its names begin with, default "model": ASCII letters, digits and underscores, a letter first.

    Shapes: x and y are one row each, in C order, of the shape that the model was used with last. dtype: float32, whatever the
    precision of the model is.

    Raises:
        TypeError: model is no bp.Model, or path is none. OSError: the file cannot be written.
        ValueError: a name that C does not take; a layer that has no C here, by name; a float64 model; several inputs or outputs.

    Source: ISO/IEC 9899:1999.

    Example:
        >>> bp.export.c(model, folder / "model.c", name="iris")
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name, re.ASCII):
        raise ValueError(
            f"{FUNCTION}: name is {name!r:.80}, expected a C identifier: letters, digits, _, a letter first"
        )
    engine_of(FUNCTION, model)
    written(path, _text(model, name).encode("ascii"))


@computing
def _text(model: HasEngine, name: str) -> str:
    engine = model.engine
    if engine.dtype != np.float32:
        raise ValueError(f"{FUNCTION}: model has dtype {engine.dtype}, expected float32")
    inputs = inputs_of(FUNCTION, engine)
    if len(inputs) != 1 or inputs[0].dtype != engine.dtype:
        kinds = ", ".join(f"{spec.name}: {spec.dtype}" for spec in inputs)
        raise ValueError(f"{FUNCTION}: the network takes {kinds}, expected one input of float32")
    plan = plan_of(engine, inputs, 1, apart=False)
    if plan.whole_batch or engine.plans.whole_batch:
        raise ValueError(
            f"{FUNCTION}: a row of the output depends on the other rows, expected a model that predicts each by itself"
        )
    if not isinstance(plan.out, np.ndarray):
        raise ValueError(f"{FUNCTION}: the network gives {plan.out.kind()}, expected one output")
    parameters = dict(weights.views(engine.net))
    _check(engine, inputs, [*parameters.values()])
    source = Source(name, plan, parameters)
    for instruction in plan.forward:
        source.instruction = instruction
        writer = WRITERS.get(instruction.op)
        if writer is None:
            raise source.refuse("which has no C here")
        source.line(comment(instruction.layer, instruction.op.name))
        writer(source, instruction.fields)
    source.finish()
    return _file(source, plan.x, plan.out)


def _check(engine: Engine, inputs: tuple[InputSpec, ...], parameters: list[np.ndarray]) -> None:
    """ValueError where a row alone is computed with other numbers than rows of a batch."""
    single, few, more = (plan_of(engine, inputs, rows, apart=True) for rows in (1, *ROWS))
    # Of a single row some copies are views, so that its ops may be others.
    pairs = [(few, more)] + ([(single, few)] if outline(single) == outline(few) else [])
    for pair in pairs:
        if outline(pair[0]) != outline(pair[1]):
            raise ValueError(f"{FUNCTION}: {DIFFERS}")
        check_numbers(FUNCTION, pair, parameters)


def _file(source: Source, x: np.ndarray, y: np.ndarray) -> str:
    scratch = f"static float {source.name}_scratch[{source.scratch}];"
    parts: list[Any] = [scratch] if source.scratch else []
    return FILE.format(
        name=source.name, macro=source.name.upper(), version=__version__, inputs=x.size, outputs=y.size,
        input_shape=x.shape[1:], output_shape=y.shape[1:], scratch=4 * source.scratch, weights=4 * source.stored,
        parts="\n\n".join([*parts, *source.constants.values(), *source.functions.values()]), lines="\n".join(source.lines),
    )  # fmt: skip
