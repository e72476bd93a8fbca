"""The update of tables of which a step trains some rows: these are copied out, updated as everything else is, and copied back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops import gather_rows, gradient_norm, scatter_rows
from ..ops.clip import partial_sums
from ..program import Instruction, call
from ..system.memory import aligned

if TYPE_CHECKING:
    from .optimizer import Optimizer


@dataclass(frozen=True, eq=False, repr=False)
class TableRows:
    """A table, the group of the optimizer that trains it, and the gradient of the rows that occur."""

    group: int
    # Of the flat vectors.
    part: slice
    rows: np.ndarray
    count: np.ndarray
    drows: np.ndarray


def norms(
    grads: np.ndarray, tables: Sequence[TableRows], apart: Sequence[slice]
) -> tuple[list[Instruction], np.ndarray]:
    """The sums of squares of all gradients, and what computes them. apart: the parts of `grads` that are those of tables."""
    ends = [part.start for part in apart] + [grads.size]
    spans = zip([0, *(part.stop for part in apart)], ends, strict=True)
    pieces = [grads[start:end] for start, end in spans if end > start]
    pieces += [table.drows.reshape(-1) for table in tables]
    counts = [len(partial_sums(piece.size)) for piece in pieces]
    partials = np.zeros(max(sum(counts), 1))
    places = np.split(partials, np.cumsum(counts)[:-1]) if counts else []
    return [call(gradient_norm, grads=g, partials=p) for g, p in zip(pieces, places, strict=True)], partials


def row_updates(
    optimizer: "Optimizer",
    params: np.ndarray,
    state: dict[str, Any],
    step: np.ndarray,
    table: TableRows,
) -> list[Instruction]:
    """The update of the rows that occur."""
    shape = table.drows.shape
    flats = {"params": params} | {slot: state[slot] for slot in optimizer.slots}
    whole = {name: flat[table.part].reshape(-1, shape[1]) for name, flat in flats.items()}
    chosen = {name: aligned(shape, params.dtype) for name in flats}
    moments = {slot: chosen[slot].reshape(-1) for slot in optimizer.slots}
    found = {"rows": table.rows, "count": table.count}
    return [
        *(call(gather_rows, table=whole[name], chosen=chosen[name], **found) for name in flats),
        optimizer.update(
            chosen["params"].reshape(-1), table.drows.reshape(-1), state | moments, step, slice(None)
        ),
        *(call(scatter_rows, chosen=chosen[name], table=whole[name], **found) for name in flats),
    ]
