"""Exceptions that callers may want to catch."""


class NonFiniteError(ArithmeticError):
    """A loss, activation or gradient became NaN or infinite while training; the weights of the last good step are kept.

    One case is different, and its message says so: finite gradients whose update overflows (an absurd learning rate).

    Attributes: step (number of steps completed before), layer (its name in the network, or "").
    """

    def __init__(self, message: str, step: int, layer: str) -> None:
        super().__init__(message)
        self.step = step
        self.layer = layer


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written or read; the message names the file and what is wrong with it."""


class DamagedError(CheckpointError):
    """The file is not what was written: missing, cut off, altered or unreadable (EIO). An older checkpoint may be good."""
