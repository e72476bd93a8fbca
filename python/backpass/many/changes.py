"""Changes: what callbacks change of a model besides what training does, on its way from one process to another."""

from typing import Any, NamedTuple

from ..checkpoint.settings import text_of
from ..described import Adjustable
from ..engine.engine import Engine
from ..engine.weights import freeze, frozen
from ..optim import Optimizer

NOT_BROUGHT = "a callback changed {} of the model, which client= does not bring back"


class Changes(NamedTuple):
    """settings: of layers, the loss and the optimizer, by their place; optimizer: another one, or None."""

    settings: dict[int, dict[str, Any]]
    frozen: list[str]
    optimizer: Optimizer | None

    def apply(self, engine: Engine) -> None:
        """Change an engine like the one that was watched."""
        if self.optimizer is not None:
            engine.use_optimizer(self.optimizer)
        for place, settings in self.settings.items():
            part = parts(engine)[place]
            for name, value in settings.items():
                if text_of(part.settings[name]) != text_of(value):
                    setattr(part, name, value)
        if self.frozen != frozen(engine.net):
            freeze(engine.net, self.frozen)
        engine.refresh()


class Watched:
    """An engine as it is now, to tell its changes later."""

    def __init__(self, engine: Engine) -> None:
        engine.refresh()
        self.engine, self.version, self.optimizer = engine, engine.version, engine.optimizer
        self.place = engine.backend, engine.precision
        self._versions = [part.version for part in parts(engine)]

    def changes(self) -> Changes | None:
        """What was changed since, None for nothing; RuntimeError names what another process cannot take over."""
        engine = self.engine
        engine.refresh()
        if engine.version == self.version:
            return None
        if (engine.backend, engine.precision) != self.place:
            raise RuntimeError(NOT_BROUGHT.format("backend or precision"))
        other = engine.optimizer is not self.optimizer
        *layers_and_loss, optimizer = [
            part.version != before for part, before in zip(parts(engine), self._versions, strict=True)
        ]
        if engine.optimizer.grouped and (other or optimizer):
            # Its settings name the modules of this process.
            raise RuntimeError(NOT_BROUGHT.format("groups of the optimizer"))
        changed = [*layers_and_loss, optimizer and not other]
        settings = {place: part.settings for place, part in enumerate(parts(engine)) if changed[place]}
        return Changes(settings, frozen(engine.net), engine.optimizer if other else None)


def parts(engine: Engine) -> list[Adjustable]:
    """All that has settings: layers, the loss unless it is a function, the optimizer."""
    layers = [layer for _, layer in engine.net.walk()]
    return [*layers, *([engine.builtin_loss] if engine.builtin_loss else []), engine.optimizer]
