"""What GradientMonitor measures: norms of parts of flat vectors, and units that are dead or saturated in a batch."""

import math

import numpy as np

from ..steps import Plan, address

WINDOW = 5  # a ReLU is dead if it gave 0 for every row of this many batches
FLAT = 0.05  # a unit is saturated where its slope is below this share of the largest


class Units:
    """The activations of a network that can die or saturate, and which ReLUs fired of late."""

    def __init__(self) -> None:
        self.layers: list[str] = []  # that compute them, in the order of the forward pass
        self.kinds: list[str] = []  # "dead" or "saturated"
        self._fired: dict[
            int, np.ndarray
        ] = {}  # for each ReLU layer: the last sample at which a unit gave more than 0
        self._samples = 0

    def measure(self, plan: Plan | None) -> list[float]:
        """The share of units of each activation that are idle, as the step that this plan made last left them."""
        shares: list[float] = []
        self.layers, self.kinds = [], []
        for instruction in plan.forward if plan else ():
            activation = instruction.fields.get("activation")
            if activation not in ("relu", "sigmoid", "tanh"):
                continue
            y: np.ndarray = instruction.fields["y"]
            if activation == "relu":
                shares.append(self._dead(len(shares), y.reshape(-1, y.shape[-1])))
            elif plan is None or address(y) == address(plan.out):  # an output may well be sure of itself
                continue
            else:
                shares.append(saturated(y, activation))
            self.layers.append(instruction.layer)
            self.kinds.append("dead" if activation == "relu" else "saturated")
        self._samples += 1
        return shares

    def _dead(self, which: int, y: np.ndarray) -> float:
        fired = self._fired.setdefault(which, np.full(y.shape[1], self._samples - 1))
        fired[y.max(axis=0) > 0] = self._samples
        return float(np.mean(self._samples - fired >= min(WINDOW, self._samples + 1)))


def norm(x: np.ndarray) -> float:
    """The Euclidean norm, also where the squares leave the range of float32."""
    square = float(np.dot(x, x))
    if 1e-30 < square < 1e38:
        return math.sqrt(square)
    largest = float(np.abs(x).max())
    if largest in (0.0, math.inf) or math.isnan(largest):
        return largest
    x = x / largest
    return largest * math.sqrt(np.dot(x, x))


def ratio(update: float, weights: float) -> float:
    """update / weights; 0 where nothing changed."""
    return update / weights if weights else 0.0 if not update else math.inf


def saturated(y: np.ndarray, activation: str) -> float:
    """The share of outputs where the slope is flat: y (1 - y) below FLAT / 4 for a sigmoid, 1 - y² below FLAT for a tanh."""
    reach = math.sqrt(1 - FLAT)
    far = np.abs(y - 0.5) > reach / 2 if activation == "sigmoid" else np.abs(y) > reach
    return float(np.count_nonzero(far) / far.size)
