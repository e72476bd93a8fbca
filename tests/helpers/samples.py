"""Sample calls of every op, generated from its contract: shapes, dtypes, optional arrays and scalars."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from backpass.ops.contract import REGISTRY, Op

SIZES = (0, 1, 3, 7, 15, 16, 17, 31, 33, 129)  # around the widths of all vectors, none a multiple of a tile
FLAT = (0, 1, 17, 129, 16384, 20011)  # for what runs over one flat span: across the size of a task


def input_letters(op: Op) -> list[str]:
    """The letters that the inputs of an op fix; without `sizes` these are all."""
    arrays = [a for n, a in op.arrays.items() if n in op.inputs or op.sizes is None]
    return sorted({d for a in arrays for d in a.dims if d != "*" and not d.isdigit()})


def dimensions(op: Op) -> list[dict[str, Any]]:
    """Sizes for the letters of an op: each size once in every letter, the other letters ugly but small; or its own cases."""
    if "cases" in op.samples:
        return [*op.samples["cases"]]
    letters = input_letters(op)
    star = any("*" in a.dims for a in op.arrays.values())
    if letters in (["N"], ["N", "P"]):
        return [{"N": n, "P": max(-(-n // 16384), 1)} for n in FLAT]
    out = []
    for i, size in enumerate(SIZES):
        for turn in range(max(len(letters) + star, 1)):
            others = [(5, 3, 17)[(i + k) % 3] for k in range(len(letters) + 1)]
            dims: dict[str, Any] = {
                letter: size if k == turn else others[k] for k, letter in enumerate(letters)
            }
            lead = size if turn == len(letters) else others[-1]
            dims["*"] = (lead,) if i % 2 else (2, lead)
            out.append(dims)
    if {"N", "B"} <= set(letters):
        out = [d for d in out if d["B"] <= d["N"]]
    return [d for d in out if d.get("C", 1) or "target" not in op.arrays]  # there is no index into no classes


def scalars(op: Op) -> list[dict[str, Any]]:
    """Every sample value of every scalar at least once, defaults for the rest."""
    names = [n for n in op.scalars if isinstance(op.samples.get(n), list)]
    if not names:
        return [{}]
    values = [op.samples[n] for n in names]
    if len(list(itertools.product(*values))) <= 12:
        return [dict(zip(names, combination, strict=True)) for combination in itertools.product(*values)]
    longest = max(len(v) for v in values)
    return [{n: v[i % len(v)] for n, v in zip(names, values, strict=True)} for i in range(longest)]


def call(
    op: Op, dims: dict[str, Any], dtype: str, absent: set[str], chosen: dict[str, Any], seed: int = 0
) -> dict[str, Any]:
    """The fields of one call: inputs drawn, outputs filled with a value that must be overwritten."""
    rng = np.random.default_rng([seed, *map(ord, op.name)])
    chosen = {name: dims[name] for name in op.scalars if name in dims} | chosen
    if op.sizes is not None:
        defaults = {name: p.default for name, p in op.scalars.items() if p.default is not p.empty}
        dims = dims | op.sizes(dims, defaults | chosen)
    fields: dict[str, Any] = {}
    for name, array in op.arrays.items():
        if name in absent:
            continue
        shape = array.shape(dims)
        sample = op.samples.get(name)
        made = sample(rng, shape, dims) if callable(sample) else rng.standard_normal(shape)
        fields[name] = np.array(made, dtype if array.dtype in (None, "number") else array.dtype).reshape(
            shape
        )
        if name not in op.inputs:
            fields[name][...] = 77
    return fields | chosen


def optional_sets(op: Op) -> list[set[str]]:
    """Which optional arrays to leave out: none, all, each alone."""
    optional = [n for n, a in op.arrays.items() if a.optional]
    return [
        set(),
        *([set(optional)] if optional else []),
        *([{n} for n in optional] if len(optional) > 1 else []),
    ]


def all_calls(op: Op, dtype: str) -> Iterator[dict[str, Any]]:
    """All sample calls of one op."""
    variants = list(itertools.product(optional_sets(op), scalars(op)))
    for number, dims in enumerate(dimensions(op)):
        for k, (absent, chosen) in enumerate(variants):
            if number % len(SIZES) in (1, 6, 8) or len(variants) <= 4 or k % 3 == number % 3:
                yield call(op, dims, dtype, absent, chosen, number)


def copied(fields: dict[str, Any]) -> dict[str, Any]:
    """The same call on copies of its arrays."""
    return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in fields.items()}


def in_float64(op: Op, fields: dict[str, Any]) -> dict[str, Any]:
    """The same call with float64 arrays where the op takes the model's dtype."""
    return {
        k: v.astype(np.float64) if k in op.arrays and op.arrays[k].dtype is None else v
        for k, v in copied(fields).items()
    }


OPS = sorted(REGISTRY)
