"""Ops in a row: the Builder that layers emit into, and the plan of one shape of batch that comes of it."""

from .build import build_plan, index_inputs, indices_of, outputs_along, steps_along
from .builder import Builder, EmitLoss, Instruction, OwnLoss, TargetTransform, call
from .plan import BackwardPlan, InputSpec, OwnLossPlan, Plan, Rows, Spec, Target, TrainingPlan
from .several import Several, as_given, on_each, parts_of
from .tensor import Parameters, Tensor, address

__all__ = [
    "BackwardPlan", "Builder", "EmitLoss", "InputSpec", "Instruction", "OwnLoss", "OwnLossPlan", "Parameters", "Plan", "Rows",
    "Several", "Spec", "Target", "TargetTransform", "Tensor", "TrainingPlan",
    "address", "as_given", "build_plan", "call", "index_inputs", "indices_of", "on_each", "outputs_along", "parts_of",
    "steps_along",
]  # fmt: skip
