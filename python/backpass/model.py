"""bp.Model: a network, a loss and an optimizer that train, evaluate, save and tell of themselves. Its bases: passes and state."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

from . import arguments, data
from .alone import alone, computing, reading
from .backends import Executor
from .callbacks import Callback
from .checks import flag
from .diagnosis import raise_non_finite
from .evaluation import checked_data, evaluated
from .history import History
from .passes import Passes
from .program import call
from .runs import Asked
from .train import fit


class Model(Passes):
    """A network with its loss, optimizer and backend.

    Args:
        net: a layer from `backpass.nn`, usually a Sequential. It belongs to this model from now on.
        loss: a name ("cross_entropy", "mse", ...), a loss object, or a callable (pred, y) -> (value, gradient).
        optimizer: a name ("adam", ...) or an object from `backpass.optim`.
        backend: "auto", "native", "numba" or "numpy".
        threads: the most threads to use; None: what bp.get_num_threads() says.
        dtype: "float32" or "float64".
        seed: fixes initial weights, shuffling and dropout: the same seed gives the same bits.
    """

    @alone
    def fit(
        self,
        X: Any,
        y: Any = None,
        epochs: int = 1,
        batch_size: int | None = None,
        validation_data: Any = None,
        shuffle: bool = True,
        sample_weight: Any = None,
        class_weight: Any = None,
        sampler: str | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool = False,
        resume: bool = False,
        max_seconds: float | None = None,
    ) -> History:
        """Train for `epochs` more epochs. Further runs on the same data are one long run: callbacks go on where they were.

        Args:
            X: (N, ...) numbers. A C-contiguous array of the model's dtype, of bool, int8 to int32, uint8 or uint16 (for float64
                also int64 and float32) is not copied, nor is a memory map of any of these: each step converts its rows. Any
                other is copied.
                Without y: a sequence of chunks (X, y) or (X, y, sample_weight), of arrays or paths of .npy files; anything with
                len() and [i], such as a Keras Sequence. One chunk at a time is in memory; `shuffle` mixes the chunks and the rows
                of each.
            y: targets, (N,) class indices or (N, C) probabilities for cross entropy, else (N, ...) like the network's output.
            batch_size: rows of a step, at most N; default 32, or N if that is less. The last batch may be smaller.
            validation_data: (X, y) or (X, y, sample_weight), evaluated after each epoch.
            shuffle: whether each epoch takes the rows in a new order.
            sample_weight: (N,) weights of the rows, none below 0; a row of weight 2 counts like two.
            class_weight: the weights of the classes, a dict or (C,) numbers, or "balanced": N / (classes · rows of the class).
                Targets are class indices, or 0 and 1 for a network with one output.
            sampler: "balanced": the classes take turns, so that each has its share of every batch. An epoch still has N rows: all
                or some of a frequent class, those of a rare one several times, in a new order each epoch.
            callbacks: from `bp.callbacks`, or any objects with methods of theirs. progress: whether to show a progress bar.
            resume: finish the run that was interrupted (by max_seconds, Ctrl-C, or before bp.load), in mid-epoch if need be,
                to the same bits as if nothing had happened. `epochs` counts from that run's start; data and callbacks must be
                given as they were, batch_size and shuffle are taken over. Where nothing was interrupted a run begins as usual.
            max_seconds: stop after this time, at the end of a step; `resume=True` goes on from there.

        Raises:
            ValueError, TypeError: name the argument, what was given and what was expected; nothing has been trained then.
            NonFiniteError: the loss or a gradient became NaN or infinite; the weights are those of the last good step,
                unless an update itself overflowed: the message says which.
        """
        asked = Asked(
            arguments.whole("epochs", epochs, 0),
            batch_size,
            validation_data,
            flag("shuffle", shuffle),
            arguments.sampler(sampler, shuffle),
            callbacks,
            progress,
            flag("resume", resume),
            arguments.seconds("max_seconds", max_seconds),
        )
        if y is None and not hasattr(X, "__array__"):
            from .chunks import fit_chunks

            return fit_chunks(self, X, sample_weight, class_weight, asked)
        return fit(self, X, y, sample_weight, class_weight, asked)

    @computing
    def step(self, x: Any, y: Any) -> float:
        """One training step on one batch; returns its loss before the update."""
        x = self._batch(x)
        if self.callable_loss:
            from .custom import step_with_callable

            return step_with_callable(self, x, y)
        y = data.targets(y, self.loss, self.programs.output_shape(x.shape[1:]), self.dtype, len(x))
        plan = self.training_plan(x.shape, (y.shape[1:], y.dtype), weighted=False)

        def compiled() -> Executor:
            instructions = [
                *plan.forward,
                *plan.loss_part,
                *plan.backward,
                *self.update_instructions(plan.loss),
                *plan.kept,
                call("advance", **self.counters(), loss=plan.loss, count=plan.count, rows=0),
            ]
            return self.backend.compile(instructions, self.halt)

        executor = self.programs.of(plan, "step", compiled)
        assert plan.target is not None
        plan.x[...] = x
        plan.target[...] = y
        if executor.run(1, self.threads) < 1:
            data.check_finite("x", x)
            raise_non_finite(self, plan)
        return float(plan.loss[0])

    @alone
    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """The loss over all rows, and the accuracy where the targets are classes: {"loss": ..., "accuracy": ...}."""
        return evaluated(self, *checked_data(self, X, y, sample_weight, take=data.readable))

    @reading
    def save(self, path: str | PathLike[str]) -> None:
        """Write all that training goes on from to a safetensors file; bp.load reads it. CheckpointError: nothing changed."""
        from .checkpoint import save

        save(self, path)

    def plot_gradients(self, path: str | PathLike[str] | None = None) -> Any:
        """The norm of each layer's gradient over the steps of the last run, which a bp.GradientMonitor has to have watched.

        path: where to write the picture as well (PNG, PDF, SVG by its ending). Returns the figure (needs matplotlib).
        """
        from .health import of_run
        from .plots import gradient_norms

        return gradient_norms(of_run(self.last_run), path)

    def summary(self) -> str:
        """A table of the layers and their parameters; printed and returned."""
        from .summary import summary

        text = summary(self)
        print(text)
        return text

    def __repr__(self) -> str:
        loss = self.callable_loss or self.loss
        return (
            f"Model({self.net!r}, loss={loss!r}, optimizer={self.optimizer!r}, backend={self.backend.name!r})"
        )
