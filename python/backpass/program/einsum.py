"""Sums of products by Einstein's rule: two operands at a time, by matrix products."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from .operands import builder_of, constant
from .symbolic import SymbolicTensor


def einsum(equation: str, *operands: Any) -> SymbolicTensor:
    """Sum of products by Einstein's rule, such as "bij,jk->bik"; two operands at a time, by matrix products."""
    builder = builder_of(*operands)
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    match = re.fullmatch(r"([a-zA-Z]+(?:,[a-zA-Z]+)*)(?:->([a-zA-Z]*))?", equation.replace(" ", ""))
    if not match:
        raise ValueError(f"einsum: equation is {equation!r}, expected letters such as 'bij,jk->bik'")
    terms = match[1].split(",")
    if len(terms) != len(operands):
        raise ValueError(f"einsum: {equation!r} has {len(terms)} terms for {len(operands)} operands")
    output = match[2]
    if output is None:
        output = "".join(sorted(c for c in {*match[1]} - {","} if match[1].count(c) == 1))
    values = [v if isinstance(v, SymbolicTensor) else constant(builder, v) for v in operands]
    sizes: dict[str, int] = {}
    for term, value in zip(terms, values, strict=True):
        if len({*term}) != len(term):
            raise ValueError(f"einsum: {term!r} names a dimension twice, which is not available")
        if len(term) != value.ndim:
            raise ValueError(f"einsum: {term!r} for a tensor of shape {value.shape}")
        for letter, size in zip(term, value.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise ValueError(f"einsum: {letter!r} is {sizes[letter]} and {size}")
    term, value = terms[0], values[0]
    for i in range(1, len(terms)):
        later = {*output}.union(*terms[i + 1 :])
        term, value = _contracted(term, value, terms[i], values[i], later)
    gone = [axis for axis, letter in enumerate(term) if letter not in output]
    if gone:
        term, value = "".join(c for c in term if c in output), value.sum(gone)
    if {*term} != {*output} or len(term) != len(output):
        raise ValueError(f"einsum: the output of {equation!r} has letters that no term has, or one twice")
    return value.permute([term.index(letter) for letter in output])


def _contracted(
    a_term: str, a: SymbolicTensor, b_term: str, b: SymbolicTensor, later: set[str]
) -> tuple[str, SymbolicTensor]:
    """The product of two terms, summed over the letters that nothing needs later: one matrix product over their batch."""
    for_a = [axis for axis, c in enumerate(a_term) if c not in later and c not in b_term]
    for_b = [axis for axis, c in enumerate(b_term) if c not in later and c not in a_term]
    a = a.sum(for_a) if for_a else a
    b = b.sum(for_b) if for_b else b
    a_term = "".join(c for c in a_term if c in later or c in b_term)
    b_term = "".join(c for c in b_term if c in later or c in a_term)
    batch = [c for c in a_term if c in b_term and c in later]
    inner = [c for c in a_term if c in b_term and c not in later]
    rows, columns = [c for c in a_term if c not in b_term], [c for c in b_term if c not in a_term]
    sizes = dict(zip(a_term, a.shape, strict=True)) | dict(zip(b_term, b.shape, strict=True))

    def grouped(x: SymbolicTensor, term: str, groups: Sequence[list[str]]) -> SymbolicTensor:
        ordered = x.permute([term.index(c) for group in groups for c in group])
        lead = [sizes[c] for c in groups[0]]
        return ordered.reshape([*lead, *(int(np.prod([sizes[c] for c in g], initial=1)) for g in groups[1:])])

    left = grouped(a, a_term, [batch, rows, inner])
    right = grouped(b, b_term, [batch, inner, columns])
    letters = [*batch, *rows, *columns]
    return "".join(letters), (left @ right).reshape([sizes[c] for c in letters])
