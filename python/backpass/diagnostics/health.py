"""The health of a run in words: what its gradients, updates and activations say, and what to do about it.

The limits are rules of thumb, wide enough that a network that learns is called healthy.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

# Exploding: the norm of the gradient, over the median of all samples before.
GROWN = 100.0
# Exploding: samples of which that is the median, and that have to come before.
LASTING = 3
# Exploding: a step's update, over the weights it changes.
REPLACED = 1.0
# Exploding, vanishing: how gradients (root mean square) of two layers differ.
DEEPER = 1e4
# Through time: what reaches the first step of a sequence, over what comes in at the last one.
FAINT = 1e-4
# Dead, saturated: the share of a layer's units.
IDLE = 0.75

ADVICE = {
    "exploding": "Set clip_grad_norm=1.0 and a lower learning rate; give layers before a ReLU init='he_normal'; standardise the"
    " inputs; put nn.LayerNorm or nn.BatchNorm1d between layers, in deep networks inside nn.Residual.",
    "dead units": "Lower the learning rate; take nn.LeakyReLU or nn.GELU instead of nn.ReLU; give the layers init='he_normal';"
    " put nn.LayerNorm or nn.BatchNorm1d before the activation.",
    "saturated units": "Standardise the inputs; give the layers init='xavier_normal'; lower the learning rate; put nn.LayerNorm"
    " or nn.BatchNorm1d before the activation; or take nn.ReLU.",
    "vanishing": "Take nn.ReLU or nn.GELU instead of sigmoid or tanh, with init='he_normal'; put nn.LayerNorm or nn.BatchNorm1d"
    " behind each activation; wrap layers of equal width in nn.Residual; or take fewer layers.",
    "vanishing through time": "Where early steps matter, take nn.LSTM or nn.GRU instead of nn.RNN, or init='orthogonal'; or let"
    " the loss see every step instead of the last one alone.",
    "exploding through time": "Set clip_grad_norm=1.0; take nn.LSTM or nn.GRU instead of nn.RNN, or init='orthogonal'; or a lower"
    " learning rate.",
    "healthy": "Nothing needs to be done.",
}


class Verdict(NamedTuple):
    """One of the keys of ADVICE, and where or since when."""

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.detail}".strip()


@dataclass(eq=False, repr=False)
class Records:
    """What was measured at some steps (T), for layers with weights (L) and activations that can die or saturate (A).

    Norms are of the gradient before clipping; updates are one step's change over the weights after it (Euclidean norms), NaN
    where it was not measured. Layers and activations are in the order of the forward pass.
    """

    layers: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)  # the layers as they print
    sizes: list[int] = field(default_factory=list)  # weights of each layer
    activations: list[str] = field(default_factory=list)  # the layers that compute them
    kinds: list[str] = field(default_factory=list)  # "dead" or "saturated": what each can be
    steps: list[int] = field(default_factory=list)
    norms: list[list[float]] = field(default_factory=list)  # T of L
    updates: list[list[float]] = field(default_factory=list)  # T of L
    idle: list[list[float]] = field(default_factory=list)  # T of A: shares
    recurrent: list[str] = field(
        default_factory=list
    )  # recurrent layers (R), with the steps of their sequences
    spans: list[int] = field(default_factory=list)
    from_the_end: list[bool] = field(
        default_factory=list
    )  # whether the loss sees the last step of each alone
    reach: list[list[float]] = field(
        default_factory=list
    )  # T of R: what of the gradient at the last step reaches the first

    def name(self, layer: str) -> str:
        """A layer as messages call it."""
        layer_text = dict(zip(self.layers, self.shown, strict=True)).get(layer, "")
        return f"layer {layer}" + (f" ({layer_text})" if layer_text else "")

    def late(self, values: list[list[float]]) -> np.ndarray:
        """The medians over the later half of the samples."""
        half = np.array(values[len(values) // 2 :], np.float64)
        out: np.ndarray = np.median(half, axis=0)
        return out

    def rms(self) -> np.ndarray:
        """The root mean square of each layer's gradient, at every step: (T, L)."""
        out: np.ndarray = np.array(self.norms) / np.sqrt(self.sizes)
        return out

    def total(self) -> np.ndarray:
        """The norm of the whole gradient, at every step: (T,)."""
        with np.errstate(over="ignore"):
            out: np.ndarray = np.linalg.norm(np.array(self.norms), axis=1)
        return out


def judge(records: Records) -> Verdict:
    """The first of these that holds: exploding, dead units, saturated units, vanishing, healthy."""
    for verdict in (
        *_exploding(records),
        *_idle(records, "dead"),
        *_idle(records, "saturated"),
        *_vanishing(records),
        *_through_time(records),
    ):
        return verdict
    return Verdict("healthy")


def _exploding(records: Records) -> Iterator[Verdict]:
    total, updates = records.total(), np.array(records.updates)
    for number, step in enumerate(records.steps):
        if not np.isfinite(total[number]):
            yield Verdict("exploding", f"from step {step}: the gradient is not finite")
        median_before = np.median(total[:number]) if number >= LASTING else np.inf
        lasts = (
            np.median(total[number : number + LASTING]) > GROWN * median_before
        )  # one odd batch is no explosion
        if lasts or (total[number] > GROWN * median_before and any(_idle(records, "dead"))):
            growth = f"{total[number] / median_before:.2g}" if median_before else "infinitely many"
            yield Verdict("exploding", f"from step {step}: the gradient is {growth} times its median before")
        if number and (updates[number] > REPLACED).any():
            layer = records.layers[int(np.nanargmax(updates[number]))]
            yield Verdict(
                "exploding",
                f"from step {step}: an update is larger than the weights of {records.name(layer)}",
            )
    rms = records.late(records.rms().tolist())
    largest, last_layer = int(np.argmax(rms)), len(rms) - 1
    if largest < last_layer and rms[largest] > DEEPER * rms[last_layer] > 0:
        growth = f"{rms[largest] / rms[last_layer]:.2g} times larger than at {records.name(records.layers[last_layer])}"
        yield Verdict("exploding", f"at {records.name(records.layers[largest])}: the gradient is {growth}")


def _idle(records: Records, kind: str) -> Iterator[Verdict]:
    if not records.activations:
        return
    shares = np.array(records.idle[-1]) if kind == "dead" else records.late(records.idle)
    for layer, its_kind, share in zip(records.activations, records.kinds, shares, strict=True):
        if its_kind == kind and share >= IDLE:
            yield Verdict(f"{kind} units", f"at {records.name(layer)}: {share:.0%}")


def _vanishing(records: Records) -> Iterator[Verdict]:
    rms = records.late(records.rms().tolist())
    largest = int(np.argmax(rms))
    faint = [layer for layer in range(largest) if DEEPER * rms[layer] < rms[largest]]
    if faint:
        others = f" and {len(faint) - 1} more" if len(faint) > 1 else ""
        share = f"{rms[faint].max() / rms[largest]:.1g} of that at {records.name(records.layers[largest])}"
        yield Verdict(
            "vanishing",
            f"at {records.name(records.layers[faint[-1]])}{others}: the gradient is at most {share}",
        )


def _through_time(records: Records) -> Iterator[Verdict]:
    for number, (only_the_end, share) in enumerate(zip(records.from_the_end, _reach(records), strict=True)):
        if share > 1 / FAINT or (only_the_end and share < FAINT):
            kind = "vanishing" if share < 1 else "exploding"
            yield Verdict(f"{kind} through time", f"at {_reaching(records, number, share)}")


def _reach(records: Records) -> np.ndarray:
    return records.late(records.reach) if records.recurrent else np.zeros(0)


def _reaching(records: Records, number: int, share: float) -> str:
    steps = records.spans[number] - 1
    return f"{records.name(records.recurrent[number])}: {share:.1g} of the gradient at step {steps} reaches step 0"


def report(records: Records) -> str:
    """The verdict, what to do, and a table of the last sample."""
    verdict = judge(records)
    idle = dict(zip(records.activations, zip(records.kinds, records.idle[-1], strict=True), strict=True))
    layer_texts = dict(zip(records.layers, records.shown, strict=True))
    rows = [("layer", "", "gradient norm", "update / weight", "dead", "saturated")]
    for layer in [*records.layers, *(a for a in records.activations if a not in layer_texts)]:
        norm = update = ""
        if layer in layer_texts:
            place = records.layers.index(layer)
            size, change = records.norms[-1][place], records.updates[-1][place]
            norm, update = f"{size:.3g}", "" if np.isnan(change) else f"{change:.3g}"
        kind, share = idle.get(layer, ("", 0.0))
        dead, saturated = (
            f"{share:.0%}" if kind == column_kind else "" for column_kind in ("dead", "saturated")
        )
        rows.append((layer, layer_texts.get(layer, ""), norm, update, dead, saturated))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    through = [
        f"gradient through time, {_reaching(records, number, share)}"
        for number, share in enumerate(records.reach[-1] if records.recurrent else ())
    ]
    return "\n".join([f"{verdict}", ADVICE[verdict.kind], "", f"step {records.steps[-1]}", *table, *through])
