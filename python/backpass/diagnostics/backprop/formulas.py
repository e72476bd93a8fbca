"""The formulas of layers, losses and ops, as their docstrings have them."""

import inspect
import re
from collections.abc import Sequence
from typing import Any

from ...program import Instruction

# A formula, such as "y[n,c] = ..."; and who wrote what, at the end of a sentence.
FORMULA = re.compile(r"\w[\w, '\[\]{}-]* = ")
SOURCE = re.compile(r"( \([^()]*(\d{4}|PyTorch)[^()]*\))?\.?$")
# Operations that are named one by one.
MOST = 3
SIGNS = {"add": "+", "sub": "-", "mul": "·", "div": "/"}


def formula_of(one: Any) -> str:
    """The formula in the docstring of a layer or a loss; of others what the first line says, "" where there is none."""
    text = inspect.getdoc(type(one)) if type(one).__doc__ else ""
    if not text:
        return ""
    # Of each line the first sentence: "Name: formula (who, when)."
    first, *rest = (SOURCE.sub("", re.split(r"\. (?=[A-Z])", line)[0]) for line in text.splitlines())
    name, colon, said = first.partition(": ")
    for line in (said, *rest):
        if FORMULA.match(line):
            return line.rstrip(".,")
    return said if colon else name


def formula_of_ops(instructions: Sequence[Instruction]) -> str:
    """What a few instructions compute, one behind the other."""
    said = [_formula_of_op(instruction) for instruction in instructions]
    more = f"; and {len(said) - MOST} more" if len(said) > MOST else ""
    return "; ".join(said[:MOST]) + more


def _formula_of_op(instruction: Instruction) -> str:
    steps = instruction.fields.get("steps")
    if isinstance(steps, str):
        return "; ".join(_step(*part.split()) for part in steps.split(";"))
    doc = inspect.getdoc(instruction.op.function) or instruction.op.name
    return doc.splitlines()[0].partition(". ")[0].rstrip(".")


def _step(to: str, equals: str, function: str, *operands: str) -> str:
    """A step of an expression, such as "y = mul a b", as y = a · b."""
    if function == "copy":
        return f"{to} = {operands[0]}"
    if function in SIGNS:
        return f"{to} = {f' {SIGNS[function]} '.join(operands)}"
    return f"{to} = {function}({', '.join(operands)})"
