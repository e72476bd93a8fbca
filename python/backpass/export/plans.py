"""What an exporter reads: the inputs of a model, and plans of inference for so many rows."""

from pathlib import Path
from typing import Any

from ..checks import as_path
from ..engine.engine import Engine
from ..engine.plans import of_rows
from ..program import InputSpec, Instruction, Plan, Spec, build_plan
from ..system.whole_files import replacing

UNKNOWN = (
    "nothing tells which shape a row of X has, expected a model that has predicted: model.predict(X[:1])"
)


def engine_of(function: str, model: Any) -> Engine:
    """The engine of a model; TypeError for anything else."""
    engine = getattr(model, "engine", None)
    if not isinstance(engine, Engine):
        described = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        raise TypeError(f"{function}: model is {described}, expected a bp.Model")
    engine.refresh()
    return engine


def inputs_of(function: str, engine: Engine) -> tuple[InputSpec, ...]:
    """The inputs that the model was used with last, else what its first layer expects; each is dense, with one row."""
    used = engine.plans.used_inputs()
    if not used:
        raise ValueError(f"{function}: {UNKNOWN}")
    return of_rows(tuple(spec._replace(in_place=False, channels_last=False) for spec in used[0]), 1)


def plan_of(engine: Engine, inputs: tuple[InputSpec, ...], rows: int, apart: bool) -> Plan:
    """The plan of inference for so many rows; apart: whether each buffer has memory of its own."""
    spec = Spec(of_rows(inputs, rows), apart=apart)
    return build_plan(engine.net, None, engine.dtype, engine.seed, engine.step_count, spec)


def refused(function: str, instruction: Instruction, why: str) -> ValueError:
    """What an exporter says of an instruction that it cannot translate."""
    layer = f"layer {instruction.layer!r}" if instruction.layer else "the network"
    return ValueError(f"{function}: {layer} needs the op {instruction.op.name}, {why}")


def written(path: Any, data: bytes) -> None:
    """Write a file as a whole: what was there stays until then; OSError where that cannot be."""
    with replacing(Path(as_path("path", path))) as file:
        file.write(data)
