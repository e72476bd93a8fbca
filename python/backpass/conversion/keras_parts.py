"""What a layer of Keras becomes, and how its arguments are read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..nn import Module

Arrays = Sequence[np.ndarray]
# Settings that do not change what a layer computes here, or that its arrays tell as well.
HARMLESS = (
    "name", "trainable", "dtype", "seed", "units", "filters", "input_dim", "output_dim", "unroll", "zero_output_for_mask",
    "unit_forget_bias", "renorm_momentum",
)  # fmt: skip
# What settings that nobody reads have to be; None where they are not here.
PLAIN = {"data_format": "channels_last", "renorm": False, "rms_scaling": False}


class Config(Mapping[str, Any]):
    """The configuration of a layer, which knows what nobody has read."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings, self._unread = settings, {*settings}

    def __getitem__(self, name: str) -> Any:
        self._unread.discard(name)
        return self._settings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    def __len__(self) -> int:
        return len(self._settings)

    def inner(self, name: str) -> tuple[str, "Config"]:
        """The class and the configuration of a layer that this one holds."""
        layer = self[name]
        config = Config(layer["config"])
        if self.get("trainable", True) and not config.get("trainable", True):
            raise ValueError(f"trainable of its {name} is False, expected True as of the layer around it")
        return layer["class_name"], config

    def telling(self) -> dict[str, Any]:
        """The settings that say what a layer computes."""
        return {name: value for name, value in self._settings.items() if not _is_harmless(name)}

    def finish(self) -> None:
        """ValueError for a setting that nobody has read, and that is not at its default."""
        for name, value in self.telling().items():
            if name in self._unread and value != PLAIN.get(name):
                raise ValueError(f"{name} is {value!r:.80}, expected {PLAIN.get(name)!r}")


def _is_harmless(name: str) -> bool:
    return name in HARMLESS or name.endswith("_initializer")


class Converted(NamedTuple):
    """A layer, its arrays by their names, those of them that Keras does not train, and what it wants and gives.

    first: whether the channels of its input come before its positions, which Keras has last; None where either will do.
    rank: the dimensions of its output.
    """

    layer: Module | None
    rank: int
    state: Mapping[str, np.ndarray] = {}
    still: Sequence[str] = ()
    first: bool | None = False


def expect(config: Config, **wanted: Any) -> None:
    """ValueError where an argument of Keras's has a value that has no counterpart here."""
    for name, value in wanted.items():
        given = config.get(name, value)
        if (tuple(given) if isinstance(given, list) else given) != value:
            raise ValueError(f"{name} is {given!r:.80}, expected {value!r}")


def size(sizes: Any) -> Any:
    """One number for equal ones."""
    listed = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    return listed[0] if len({*listed}) == 1 else listed
