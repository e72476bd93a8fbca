"""ThroughTime: how much of the gradient at the last step of a recurrent layer reaches its first step."""

import numpy as np

from ..program import Instruction, call
from ..program.plan import BackwardPlan, Plan
from ..system.memory import aligned

OPS = ("rnn_backward", "lstm_backward", "gru_backward")
# What the probe leaves out: the gradients of other steps, and what only training needs.
ABSENT = ("dy", "dc_n", "dx", "dh0", "dc0")


class ThroughTime:
    """The recurrent layers of a plan of training, each with a backward pass of its own for a gradient at the last step alone.

    It goes through the states that the last batch left behind, with random signs as the gradient.
    """

    def __init__(self, plan: Plan | None) -> None:
        self.layers: list[str] = []
        # Steps of each.
        self.spans: list[int] = []
        # Whether a gradient enters at the last step alone.
        self.from_the_end: list[bool] = []
        self.instructions: list[Instruction] = []
        for instruction in plan.backward if isinstance(plan, BackwardPlan) else ():
            fields = instruction.fields
            if instruction.op.name not in OPS or fields["gates"].shape[1] < 2 or not fields["gates"].size:
                continue
            rows, steps, _, units = fields["gates"].shape
            signs = np.random.default_rng(0).choice([-1.0, 1.0], (rows, units))
            fields = {name: None if name in ABSENT else value for name, value in fields.items()}
            fields["dh_n"] = signs.astype(fields["gates"].dtype)
            fields["dpre"] = aligned(fields["gates"].shape, fields["gates"].dtype)
            fields = {name: value for name, value in fields.items() if name in instruction.op.parameters}
            self.instructions.append(call(instruction.op, **fields))
            self.layers.append(instruction.layer)
            self.spans.append(steps)
            self.from_the_end.append(instruction.fields.get("dy") is None)

    def reach(self) -> list[float]:
        """By layer the norm of the gradient at the first step over that at the last one, of rows that have all steps."""
        shares = []
        for instruction in self.instructions:
            fields = instruction.fields
            dpre, lengths = fields["dpre"], fields["lengths"]
            whole = slice(None) if lengths is None else lengths == dpre.shape[1]
            first, last = (-1, 0) if fields["reverse"] else (0, -1)
            ends = float(np.linalg.norm(dpre[whole, last]))
            shares.append(float(np.linalg.norm(dpre[whole, first])) / ends if ends else np.nan)
        return shares
