"""Metrics: those of a model, by output; their names in the logs, and what they refuse."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..losses import Loss
from ..program import Several
from .choice import Metric, chosen

# Names in the logs that mean something else.
TAKEN = ("loss", "lr", "epoch")


class Metrics:
    """The metrics of a model; `outputs` has (prefix, name of the output, its loss, its metrics), of one output a single entry."""

    def __init__(self, given: Any, loss: Loss | None) -> None:
        self._given = _copied(given)
        several = loss.of_outputs() if loss else []
        if not several:
            self.outputs: list[tuple[str, str, Loss | None, list[Metric]]] = [
                ("", "", loss, _of_one("metrics", given, loss))
            ]
            return
        arranged = _arranged(given, loss)
        self.outputs = [
            (f"{prefix}_", name, one, _of_one(arranged[name][0], arranged[name][1], one))
            for prefix, name, one in several
        ]

    @property
    def given(self) -> Any:
        """What was given: a copy, for what is computed changes only where other metrics are assigned."""
        return _copied(self._given)

    @property
    def better(self) -> dict[str, str]:
        """What of each name is better, "min" or "max"; "" where that is not known."""
        return {
            f"{prefix}{metric.name}": metric.better
            for prefix, _, _, chosen in self.outputs
            for metric in chosen
        }

    def named(self) -> tuple[Any, list[str]]:
        """What was given without the functions, as JSON takes it, and their names."""
        functions = {f"{prefix}{m.name}" for prefix, _, _, found in self.outputs for m in found if m.own}

        def names(given: Any) -> Any:
            if isinstance(given, Mapping):
                return {name: names(entries) for name, entries in given.items()}
            return [names(e) if isinstance(e, list) else e for e in given if isinstance(e, list | str)]

        return names(self.given), sorted(functions)

    def check(self, output: Any, along: Any, target: Any, weighted: str, lengths: bool) -> None:
        """ValueError where data do not fit: before the first step.

        output: the shape of a row of the network's output, or Several. along: the dimension of its outputs, 0 if unknown, or
        Several. target: shape and dtype of a row of y, or Several. weighted: the argument that weighs rows, "" for none.
        """
        for prefix, name, loss, metrics in self.outputs:
            shape, at, of_y = (part.parts[name] if name else part for part in (output, along, target))
            for metric in metrics:
                label = f"metrics has {prefix + metric.name!r}"
                if weighted and not metric.weighs:
                    raise ValueError(
                        f"{label}, a function without an argument sample_weight, but {weighted} is given"
                    )
                if lengths and (loss is None or loss.weighs_rows):
                    raise ValueError(
                        f"{label} and lengths is given, but the loss does not say which steps count: expected one of nn"
                    )
                if metric.apart and not isinstance(shape, Several) and len(shape) > 1 and not at:
                    raise ValueError(
                        f"{label}, but which dimension of the network's output {shape} holds its outputs is not known: expected"
                        " channels of a convolution, (N, steps, outputs), or a function (y, pred)"
                    )
                if metric.least and not isinstance(shape, Several) and shape[-1] < metric.least:
                    raise ValueError(f"{label}, but the network has {shape[-1]} outputs")
                if metric.compares and (
                    isinstance(shape, Several) or isinstance(of_y, Several) or of_y[0] != shape
                ):
                    described = of_y.kind() if isinstance(of_y, Several) else of_y[0]
                    raise ValueError(
                        f"{label}, but a row of y is {described} and one of the network's output"
                        f" {shape.kind() if isinstance(shape, Several) else shape}, expected one shape"
                    )


def _copied(given: Any) -> Any:
    """Lists, tuples and dicts anew, with the same names and functions."""
    if isinstance(given, Mapping):
        return {name: _copied(entries) for name, entries in given.items()}
    if isinstance(given, list | tuple):
        return [*map(_copied, given)] if isinstance(given, list) else tuple(map(_copied, given))
    return given


def _of_one(argument: str, given: Any, loss: Loss | None) -> list[Metric]:
    """The metrics of one output, each name once."""
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise TypeError(f"{argument} is {given!r:.80}, expected a list such as ['mae']")
    found: dict[str, Metric] = {}
    for number, entry in enumerate(given):
        metric = chosen(f"{argument}[{number}]", entry, loss)
        if metric is None:
            continue
        if (
            metric.name in TAKEN
            or metric.name in found
            or metric.name.startswith("val_")
            or (loss and metric.name == loss.metric)
        ):
            raise ValueError(f"{argument}[{number}] is called {metric.name!r}, which is taken in the logs")
        found[metric.name] = metric
    return [*found.values()]


def _arranged(given: Any, loss: Any) -> dict[str, tuple[str, Any]]:
    """For each output (argument, its metrics): a list holds for all, a dict or a list of lists for each its own."""
    names, outputs = [name for _, name, _ in loss.of_outputs()], loss.losses
    lists = isinstance(given, list | tuple) and len(given) > 0 and all(isinstance(e, list) for e in given)
    if not isinstance(given, Mapping) and not lists:
        return dict.fromkeys(names, ("metrics", given))
    several = Several.of(given)
    if {*several.parts} - {*names} or several.named != outputs.named:
        raise ValueError(
            f"metrics is {given!r:.80}, expected a list for all outputs, or {outputs.kind()}: a list for each"
        )
    return {name: (f"metrics{outputs.label(name)}", several.parts.get(name, [])) for name in names}
