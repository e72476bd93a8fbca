"""Tables of constructor parameters: signature, check and documentation of an estimator follow from its table."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from ..backends import KNOWN
from ..backends.threads import MOST
from ..ops.precision import PRECISIONS
from .compat import Interval, StrOptions


@dataclass(frozen=True)
class Parameter:
    """One constructor parameter of an estimator.

    Attributes:
        name, annotation, default: as they stand in the signature; the annotation is its text.
        doc: what the parameter is, a phrase. meaning: what its default stands for. details: sentences that follow.
        constraint: what scikit-learn's check lets through; None where the estimator has a check of its own.
        positional: whether the parameter may be given without its name.
    """

    name: str
    annotation: str
    default: Any
    constraint: list[Any] | None
    doc: str
    details: str = ""
    meaning: str = ""
    positional: bool = False

    @property
    def literal(self) -> str:
        """The default as Python source."""
        return f'"{self.default}"' if isinstance(self.default, str) else repr(self.default)


# Those that the MLPs and the extreme learning machines have in common.
CLASS_WEIGHT = Parameter(
    "class_weight", "Any", None, [None, StrOptions({"balanced"}), dict, list],
    'weights of the classes: "balanced", {class: weight}, or (several labels a row) a list of one dict for each label',
    "The weight of a row's class is multiplied with its sample_weight; a class that a dict leaves out weighs 1. Balanced classes"
    " weigh the same in sum; rows count with their sample_weight.",
)  # fmt: skip
N_THREADS = Parameter(
    "n_threads", "int | None", None, [None, Interval(Integral, 1, MOST, closed="both")],
    "most threads to use; results do not depend on it", meaning="what bp.get_num_threads() says",
)  # fmt: skip
BACKEND = Parameter(
    "backend", "str", "auto", [StrOptions({"auto", *KNOWN})],
    'kernels: "auto" (the fastest that work here), "native", "numba" or "numpy"',
)  # fmt: skip

PRECISION = Parameter(
    "precision", "str | None", None, [None, StrOptions({*PRECISIONS})],
    'how products read float32: "float32" (as it is), "bf16x6", "bf16x3" or "bf16" (rounded to bfloat16)',
    meaning="what bp.get_precision() says",
)  # fmt: skip


def constraints(parameters: Iterable[Parameter]) -> dict[str, list[Any]]:
    """Constraints that scikit-learn checks, by name."""
    return {p.name: p.constraint for p in parameters if p.constraint is not None}


def documentation(parameters: Iterable[Parameter]) -> str:
    """Entries of a docstring's `Args:`, each with its default."""
    wrapped = textwrap.TextWrapper(
        126, initial_indent=" " * 8, subsequent_indent=" " * 12, break_on_hyphens=False
    )
    return "\n".join(wrapped.fill(_entry(p)) for p in parameters).lstrip()


def _entry(parameter: Parameter) -> str:
    default = f"{parameter.literal} ({parameter.meaning})" if parameter.meaning else parameter.literal
    return f"{parameter.name}: {parameter.doc}, default {default}. {parameter.details}"


def keep_parameters(estimator: Any, arguments: dict[str, Any]) -> None:
    """Keep each parameter as the attribute of its name, of a subclass too. arguments: the constructor's `locals()`."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)
