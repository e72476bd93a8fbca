"""Objects that remember the arguments they were made with: what a checkpoint writes down of them."""

import functools
from collections.abc import Callable
from typing import Any


class Recorded:
    """Base of layers, losses and optimizers: `_made` holds the arguments of the constructor, (args, kwargs)."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in cls.__dict__:
            cls.__init__ = recording(cls.__init__)  # type: ignore[method-assign]


def recording(init: Callable[..., None]) -> Callable[..., None]:
    """An `__init__` that notes its arguments; of several in a chain of classes the outermost one's count."""

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        self.__dict__.setdefault("_made", (args, kwargs))
        init(self, *args, **kwargs)

    return __init__
