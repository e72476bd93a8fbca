"""bp.Model: what users call to train, evaluate, predict, save and look at a network; and bp.load."""

from __future__ import annotations  # ArrayLike is named, not imported: it costs 1 ms

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import checks
from .backends import Backend, get_backend, get_num_threads
from .backends.precision import Precision
from .backends.threads import checked_threads
from .callbacks import Callback
from .checks import flag
from .data.inputs import with_lengths, with_targets
from .described import explained
from .engine import advice, passes, weights
from .engine.engine import Engine, LossFunction, checked_net
from .engine.generate import generate
from .engine.history import History
from .engine.session import Session
from .errors import did_you_mean
from .losses import Loss, LossName
from .nn import Module
from .optim import Optimizer, OptimizerName
from .system.exclusive import computing, reading, reentrant
from .training import fit as training
from .training.evaluate import classes, evaluate, probabilities, score
from .training.ranks import Ranks
from .training.resume import FitOptions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# A loss, or one for each of several outputs.
OneLoss = LossName | Loss | LossFunction
AnyLoss = OneLoss | Sequence[LossName | Loss] | Mapping[str, LossName | Loss]
# Names, functions (y, pred) -> number and pairs (name, function); or such lists by output.
AnyMetrics = Sequence[Any] | Mapping[str, Sequence[Any]]
# What other libraries have in the place of arguments and attributes.
INSTEAD = {
    "metrics": "give it to bp.Model(net, metrics=[...]), or assign model.metrics",
    "lr": "give it to the optimizer: optim.Adam(lr=1e-3)",
    "learning_rate": "it is called lr: model.lr, or optim.Adam(lr=1e-3)",
    "device": "backpass trains on the CPU",
    "batch_size": "give it to fit",
    "epochs": "give it to fit",
    "random_state": "it is called seed",
    "criterion": "it is called loss",
    "steps_per_epoch": "an epoch takes every row once",
    "compile": "a Model needs none: loss and optimizer are given to bp.Model",
    "layers": "they are in model.net",
    "train": "model.fit trains; model.forward(x, training=True) is a pass as in training",
    "eval": "model.predict and model.evaluate compute as for inference",
    "zero_grad": "backward overwrites the gradients",
    "to": "backpass trains on the CPU; the dtype is given to bp.Model",
    "get_weights": "it is called state_dict",
    "set_weights": "it is called load_state_dict",
    "history": "fit returns it",
    "num_threads": "it is called threads",
    "flat": "it is model.engine.flat",
    "programs": "it is model.engine.plans",
    "step_count": "it is model.engine.step_count",
    "optimizer_state": "it is model.engine.optimizer_state",
    "last_run": "it is model.engine.last_run",
}


class Model:
    """A network with its loss, optimizer and backend.

    Args:
        net: a layer from `backpass.nn`, usually a Sequential. It belongs to this model from now on.
        loss: a name ("cross_entropy", "bce_with_logits", "mae", ...), a loss object from `nn`, or a callable
            (pred, y) -> (value, gradient); default "mse". Of several outputs a list or a dict of such: their weighted sum.
        optimizer: a name ("sgd", "adamw", ...) or an object from `backpass.optim`; default "adam" with its lr of 1e-3.
        backend: "auto" (default: the fastest that works here), "native", "numba" or "numpy".
        threads: the most threads to use; default None: what bp.get_num_threads() says. No bit depends on it.
        dtype: "float32" (default) or "float64": of the weights, and of what X is converted to.
        seed: an integer of at least 0, default 0. It fixes initial weights, shuffling and dropout: the same bits each time.
        like: "torch" (what the defaults are), "keras" or "sklearn": initial weights, settings of normalisations, optimizers and
            losses as that library has them, wherever none is given; default None. Of a loss or an optimizer that is given the
            model then holds a copy, where something follows: `model.optimizer`. [Numerical conventions](../numerics.md).
        loss_weights: of several outputs what each loss counts, arranged like `loss`; default None: 1 each.
        metrics: what `fit` and `evaluate` compute besides the loss, default nothing (accuracy is there where y are classes).
            "mae", "mse", "rmse", "r2" of numbers; "auc", "f1", "precision", "recall" (of the second of two classes, else the mean
            over the classes; "f1_macro" is always that mean), "top_5" of classes; or functions (y, pred) -> number, which get
            what `predict` gives; (name, function) names one. Of several outputs a list for all, or a dict or list of lists.
        precision: how the products of linear layers read float32: "float32" as it is; "bf16" rounded to bfloat16, of 8 bits;
            "bf16x3" as a sum of two of these, of 16 bits; "bf16x6" of three, of 24. Weights, gradients, moments and sums are
            float32 in all. Default None: what bp.get_precision() says. float64 models take "float32" alone.

    Attributes:
        net, loss, optimizer, backend, threads, dtype, seed, metrics, like, precision: as given. Settings of layers, loss and
            optimizer may change, as in `model.optimizer.lr = 1e-4`, and act at the next step; another optimizer starts with fresh
            moments, and counts its steps anew. So may precision, backend and threads.
        lr: the learning rate of the last step; set it to change it. The optimizer keeps the one that it was made with.
        epoch: how many epochs have been trained.
        stop_training: set it to True in a callback to end the run.
        engine: what trains, for tools; its parts may change between versions.

    One model serves one call at a time: calls from several threads wait for each other.

    Raises:
        TypeError, ValueError: name the argument, what was given and what was expected.

    Example:
        >>> model = bp.Model(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), loss="cross_entropy")
        >>> history = model.fit(X, labels, epochs=3)
    """

    @explained(INSTEAD)
    def __init__(
        self,
        net: Module,
        loss: AnyLoss = "mse",
        optimizer: OptimizerName | Optimizer = "adam",
        *,
        backend: Literal["auto", "native", "numba", "numpy"] = "auto",
        threads: int | None = None,
        dtype: Literal["float32", "float64"] | type | np.dtype[Any] = "float32",
        seed: int = 0,
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
        metrics: AnyMetrics = (),
        like: Literal["torch", "keras", "sklearn"] | None = None,
        precision: Precision | None = None,
    ) -> None:
        self.__dict__["engine"] = Engine(
            net,
            loss,
            optimizer,
            backend=backend,
            threads=threads,
            dtype=dtype,
            seed=seed,
            loss_weights=loss_weights,
            metrics=metrics,
            like=like,
            precision=precision,
        )
        advice.of_network(self.engine.net, self.engine.builtin_loss)

    engine: Engine

    # -- what it is made of -------------------------------------------------------------------------------------------

    @property
    def net(self) -> Module:
        """The network."""
        return self.engine.net

    @property
    def loss(self) -> Loss | LossFunction:
        """The loss object, or the function that was given."""
        return self.engine.loss_function or self.engine.loss

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer; assign another one, a name or an object, to go on with that and fresh moments."""
        return self.engine.optimizer

    @optimizer.setter
    def optimizer(self, optimizer: OptimizerName | Optimizer) -> None:
        self.engine.use_optimizer(optimizer)

    @property
    def backend(self) -> Backend:
        """The backend object; assign another one, a name or an object, to go on with that."""
        return self.engine.backend

    @backend.setter
    def backend(self, backend: Backend | str) -> None:
        self.engine.use_backend(backend)

    @property
    def threads(self) -> int:
        """The most threads that it uses; assign None for what bp.get_num_threads() says."""
        return self.engine.threads or get_num_threads()

    @threads.setter
    def threads(self, threads: int | None) -> None:
        self.engine.threads = checked_threads(threads)

    @property
    def precision(self) -> str:
        """How products of linear layers read float32; assign another, or None for what bp.get_precision() says."""
        return self.engine.precision

    @precision.setter
    def precision(self, precision: Precision | None) -> None:
        self.engine.precision = precision

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.engine.dtype

    @property
    def seed(self) -> int:
        """What fixes all that is random."""
        return self.engine.seed

    @property
    def metrics(self) -> AnyMetrics:
        """What is computed besides the loss; assign other metrics for the next fit and evaluate."""
        metrics: AnyMetrics = self.engine.metrics.given if self.engine.metrics else []
        return metrics

    @metrics.setter
    def metrics(self, metrics: AnyMetrics) -> None:
        self.engine.use_metrics(metrics)

    @property
    def like(self) -> str | None:
        """The library whose conventions it follows; an optimizer that is assigned follows them too."""
        return self.engine.like

    @property
    def lr(self) -> float:
        """The learning rate of the last step; set it to change it, unless a schedule sets it at every step."""
        return self.engine.lr

    @lr.setter
    def lr(self, value: float) -> None:
        if self.optimizer.schedule is not None:
            raise ValueError(
                f"lr is {value!r:.80}, but {self.optimizer.schedule!r} sets it at every step: assign model.optimizer.lr"
            )
        self.engine.lr = value

    @property
    def epoch(self) -> int:
        """How many epochs have been trained."""
        return self.engine.epoch

    @property
    def stop_training(self) -> bool:
        """Whether the run is to end: callbacks set it to True."""
        return self.engine.stop_training

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        self.engine.stop_training = flag("stop_training", value)

    # -- training -----------------------------------------------------------------------------------------------------

    @reentrant
    @explained(INSTEAD)
    def fit(
        self,
        X: ArrayLike | Any,
        y: ArrayLike | Any = None,
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        validation_data: Any = None,
        validation_split: float = 0.0,
        shuffle: bool = True,
        sample_weight: ArrayLike | None = None,
        class_weight: dict[int, float] | ArrayLike | Literal["balanced"] | None = None,
        sampler: Literal["balanced"] | None = None,
        drop_last: bool = False,
        callbacks: Sequence[Callback] = (),
        progress: bool = False,
        verbose: Literal[0, 1, 2, "auto"] | bool | None = None,
        resume: bool = False,
        max_seconds: float | None = None,
        lengths: ArrayLike | None = None,
        group_by_length: bool = False,
        comm: Any = None,
        reproducible: bool = False,
    ) -> History:
        """Train for `epochs` more epochs. Each call is a run of its own, with its own callbacks; `resume=True` finishes one.

        Args:
            X: (N, ...) numbers. A C-contiguous array of the model's dtype, of bool, int8 to int32, uint8 or uint16 (for float64
                also int64 and float32) is not copied, nor is a memory map of any of these: each step converts its rows. Any
                other is copied. A SciPy sparse matrix is read as it is by a network that begins with nn.Linear. For a network
                of several inputs a tuple or a dict of arrays, or a frame with a column for each. Columns of categories (category
                of pandas, Categorical and Enum of polars) are ids where the network takes indices: the places of their labels in
                the first fit. Later frames are read by label, and the labels are saved with the model.
                Without y: a sequence of chunks (X, y) or (X, y, sample_weight), of arrays or paths of .npy files; anything with
                len() and [i], such as a Keras Sequence. One chunk at a time is in memory; `shuffle` mixes the chunks and the rows
                of each.
            y: targets, (N,) class indices, one-hot or (N, C) probabilities for cross entropy, else (N, ...) like the output.
            epochs: how often each row is seen, default 1.
            batch_size: rows of a step, default 32; at most N. The last batch may be smaller.
            validation_data: (X, y), (X, y, sample_weight) or (X, y, sample_weight, lengths), evaluated after each epoch; or a
                sequence of chunks. Beside `lengths` it has some as well; sample_weight may be None.
            validation_split: the share of the rows, the last ones, that are held out and evaluated instead; default 0.
            shuffle: whether each epoch takes the rows in a new order, default True.
            sample_weight: (N,) weights of the rows, none below 0; a row of weight 2 counts like two.
            class_weight: the weights of the classes, a dict or (C,) numbers, or "balanced": N / (classes · rows of the class).
                Targets are class indices, or 0 and 1 for a network with one output.
            sampler: "balanced": the classes take turns, so that each has its share of every batch. An epoch still has N rows: all
                or some of a frequent class, those of a rare one several times, in a new order each epoch.
            drop_last: leave out the last batch of an epoch where it is smaller than the others, default False.
            callbacks: from `bp.callbacks`, or any objects with methods of theirs, default none.
            progress: whether to show a progress bar, default False.
            verbose: Keras's word: 0 or False nothing, 1, True or "auto" the progress bar, 2 a line for each epoch; default 0.
            resume: default False; True finishes the run that was interrupted (by max_seconds, Ctrl-C, or before bp.load), in
                mid-epoch if need be, to the same bits as if nothing had happened. `epochs` counts from that run's start, and
                may be more than it had; data and callbacks must be given as they were, batch_size and shuffle are taken over.
                Where nothing was interrupted a run begins as usual.
            max_seconds: stop after this time, at the end of a step; `resume=True` goes on from there.
            lengths: (N,) integers: how many steps of each row of X (N, steps, ...) count. Layers that look along the steps read
                it, and losses where the output has steps; a callable loss gets it in y. X may also be a dict that holds
                "lengths", as in chunks. A list of arrays (T_i, ...) that differ in length has its lengths in itself; then
                y is a list as well where each step has a target.
            group_by_length: whether the rows of a batch are about as long as each other, so that few steps are computed for
                nothing, and batches still in a new order each epoch; default False.
            comm: default None; an MPI communicator such as mpi4py's `MPI.COMM_WORLD`: its ranks train one model, and end with the
                same weights. batch_size is that of all ranks. Given the same data, each rank computes its part of every batch of
                one order; given data of their own, as many rows each, every rank adds its rows. The loss is a mean or a sum over
                rows. Refused are a `forward` that computes rows from each other, and an nn.traced loss that gives one
                number for all rows. BatchNorm normalises by a rank's own rows, or with synchronized=True by those of all; running
                statistics are means over the ranks. Rank 0 validates, writes checkpoints and shows progress.
            reproducible: with comm, default False; True: the same bits for 1, 2 and 4 ranks. Of each batch 4 parts are computed
                one by one, and added in a fixed order.

        Returns a History: `history.history["loss"]` has a value for each epoch.

        Raises:
            ValueError, TypeError: name the argument, what was given and what was expected; nothing has been trained then.
            RuntimeError: another rank of comm failed; it has the message of that rank.
            NonFiniteError: the loss or a gradient became NaN or infinite; the weights are those of the last good step,
                unless an update itself overflowed: the message says which.

        Example:
            >>> history = model.fit(X, y, epochs=5, batch_size=64, validation_split=0.2)
            >>> history.history["val_loss"]
            [...]
        """
        if comm is None and flag("reproducible", reproducible):
            raise ValueError("reproducible is True and comm is None, expected a communicator")
        with nullcontext() if comm is None else Ranks(comm, flag("reproducible", reproducible)) as ranks:
            options = FitOptions(
                self,
                checks.whole("epochs", epochs, 0),
                batch_size,
                validation_data,
                checks.fraction("validation_split", validation_split),
                flag("shuffle", shuffle),
                checks.sampler(sampler, shuffle),
                flag("drop_last", drop_last),
                callbacks,
                checks.progress(progress, verbose),
                flag("resume", resume),
                checks.seconds("max_seconds", max_seconds),
                ranks,
            )
            if flag("group_by_length", group_by_length):
                if sampler is not None or not shuffle:
                    given = f"sampler is {sampler!r}" if sampler is not None else "shuffle is False"
                    raise ValueError(f"group_by_length is True and {given}; it has an order of its own")
                options = options._replace(sampler=checks.BY_LENGTH)
            if validation_data is not None and options.validation_split:
                raise ValueError("validation_data and validation_split are both given, expected one of them")
            X, y = with_targets(X, y, lengths, self.net)
            return training.fit(self.engine, X, y, sample_weight, class_weight, options)

    @computing
    def step(self, x: ArrayLike | Any, y: ArrayLike | Any, lengths: ArrayLike | None = None) -> float:
        """One training step on one batch.

        Args:
            x: (B, ...) rows, at least one. y: their targets, as in `fit`. lengths: (B,) as in `fit`.

        Returns the loss of the batch before the update.

        Raises:
            ValueError, TypeError: name the argument; nothing has been trained then. NonFiniteError: as in `fit`.

        Example:
            >>> model.step(X[:32], y[:32])
            0...
        """
        return passes.train_step(self.engine, *with_targets(x, y, lengths, self.net))

    @reentrant
    @explained(INSTEAD)
    def evaluate(
        self,
        X: ArrayLike | Any,
        y: ArrayLike | Any = None,
        sample_weight: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        metrics: AnyMetrics | None = None,
    ) -> dict[str, float]:
        """Loss over all rows, the accuracy where the targets are classes, and the metrics of the model.

        Args:
            X: (N, ...) as in `fit`, or without y a sequence of chunks (X, y). y: targets as in `fit`.
            sample_weight: (N,) weights of the rows, default all 1. lengths: (N,) as in `fit`.
            metrics: others in their place, as `bp.Model` takes them, default None.

        Returns {"loss": ..., "accuracy": ..., ...}.

        Raises:
            ValueError, TypeError: name the argument, what was given and what was expected.

        Example:
            >>> model.evaluate(X, y)
            {'loss': ...}
        """
        return evaluate(self.engine, *with_targets(X, y, lengths, self.net), sample_weight, metrics)

    # -- predictions --------------------------------------------------------------------------------------------------

    def predict(self, X: ArrayLike | Any, lengths: ArrayLike | None = None) -> Any:
        """The network's output for every row of X, as for inference: logits, where the loss takes logits.

        Args:
            X: (N, ...) as in `fit`. lengths: (N,) as in `fit`.

        Returns an array (N, ...) of the model's dtype, of several outputs a tuple or dict of such; a row does not depend on the
            others, to the bit.

        Raises:
            ValueError, TypeError: X does not fit the network.

        Example:
            >>> model.predict(X).shape
            (96, 1)
        """
        if lengths is not None or isinstance(X, list):
            X = with_lengths(X, lengths, self.net)
        return passes.predict(self.engine, X)

    def predict_proba(self, X: ArrayLike | Any, lengths: ArrayLike | None = None) -> np.ndarray:
        """Probabilities of the classes: softmax or sigmoid of `predict(X)`, whichever the loss implies.

        Args:
            X: (N, ...) as in `fit`. lengths: (N,) as in `fit`.

        Returns (N, C), of one output for two classes (N, 2), of several labels a row (N, K).

        Raises:
            RuntimeError: the loss is not one of classes. ValueError, TypeError: X does not fit the network.

        Example:
            >>> classifier.predict_proba(X).shape
            (96, 3)
        """
        return probabilities(self.engine, self.predict(X, lengths))

    def predict_classes(self, X: ArrayLike | Any, lengths: ArrayLike | None = None) -> np.ndarray:
        """The most probable class of every row of X.

        Args:
            X: (N, ...) as in `fit`. lengths: (N,) as in `fit`.

        Returns class indices (N,); of several labels a row 0 and 1 (N, K).

        Raises:
            RuntimeError: the loss is not one of classes. ValueError, TypeError: X does not fit the network.

        Example:
            >>> classifier.predict_classes(X)[:3]
            array([...])
        """
        return classes(self.engine, self.predict(X, lengths))

    @reentrant
    def score(
        self,
        X: ArrayLike | Any,
        y: ArrayLike | Any,
        sample_weight: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> float:
        """Score as scikit-learn's estimators give it: accuracy where the targets are classes, else R².

        Args:
            X: (N, ...) as in `fit`. y: targets as in `fit`.
            sample_weight: (N,) weights of the rows, default all 1. lengths: (N,) as in `fit`.

        Returns a number, 1 at best.

        Raises:
            RuntimeError: the loss is a callable. ValueError, TypeError: name the argument.

        Example:
            >>> classifier.score(X, labels)
            0...
        """
        return score(self.engine, *with_targets(X, y, lengths, self.net), sample_weight, self.evaluate)

    # -- along time ---------------------------------------------------------------------------------------------------

    def session(self, batch: int = 1, window: int | None = None) -> Session:
        """A session: the network is fed step by step, and keeps in between what it has to know of earlier steps.

        Recurrent layers keep their state, causal attentions their keys and values; positions count on. A step then costs one
        step, and gives what `predict` gives at that place of the whole sequence.

        Args:
            batch: sequences side by side, default 1.
            window: the most steps of a sequence, for which an attention keeps keys and values; default those for which layers
                have positions. A network of recurrent layers needs none.

        Returns a Session with `step(x)`, `read(x)`, `reset()` and `fork()`; all sessions of a model share its weights.

        Raises:
            ValueError: a batch or a window below 1; a network with several inputs. At the first step: a network in which an
                output depends on later steps, or on the weights of an attention; an attention without a window.

        Example:
            >>> session = forecaster.session()
            >>> session.step(np.zeros((1, 4))).shape
            (1, 1)
        """
        return Session(self.engine, batch, window)

    @reentrant
    def generate(
        self,
        prompt: ArrayLike | Any,
        steps: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        window: int | None = None,
        stride: int = 1,
    ) -> np.ndarray:
        """Go on with a sequence of integers, such as characters: each next one is drawn from softmax(output / temperature).

        A network that a session takes reads each integer once; a window that is full is read anew, without the `stride` oldest
        integers. Any other network reads what came before again at each step.

        Args:
            prompt: (T,) integers, or (batch, T). steps: how many to add.
            temperature: below 1 likelier ones are drawn more often, 0 takes the likeliest; default 1.
            top_k: draw among the k likeliest; default None, all. top_p: among the likeliest whose probabilities add up to p, in
                (0, 1]; default None, all.
            seed: of the draws, default 0; the same seed gives the same integers.
            window: the most steps that a network reads, default those for which it has positions, else all; one of recurrent
                layers alone reads no step again.
            stride: integers that a full window leaves behind, default 1: each integer is drawn from a full window. With half the
                window it is from half of it at least, and a small part of the work.

        Returns integers (T + steps,), or (batch, T + steps), the prompt included.

        Raises:
            ValueError, TypeError: an argument out of range; a network that gives no numbers for each integer.

        Example:
            >>> writer.generate([0, 1], 3, temperature=0).shape
            (5,)
        """
        return generate(self.engine, prompt, steps, temperature, top_k, top_p, seed, window, stride)

    # -- one pass at a time -------------------------------------------------------------------------------------------

    def forward(self, x: ArrayLike | Any, training: bool = False, lengths: ArrayLike | None = None) -> Any:
        """The network's output for one batch; with training=True (dropout, batch statistics) `backward` may follow.

        Args:
            x: (B, ...) rows. training: whether layers act as in training, default False. lengths: (B,) as in `fit`.

        Returns the output (B, ...), a copy; several as a tuple or a dict.

        Raises:
            ValueError, TypeError: x does not fit the network.

        Example:
            >>> model.forward(X[:32], training=True).shape
            (32, 1)
        """
        x = with_lengths(x, lengths, self.net)
        return self._forward(x) if training else self.predict(x)

    @computing
    def _forward(self, x: Any) -> Any:
        return passes.forward(self.engine, x)

    @computing
    def backward(self, dout: ArrayLike | Any) -> Any:
        """Backpropagation of the gradient of your loss with respect to the output of the last `forward(x, training=True)`.

        Args:
            dout: (B, ...) like that output; of several a tuple or a dict, arranged like them.

        Returns the gradient with respect to x; `gradients()` has those of the parameters.

        Raises:
            RuntimeError: no such forward came before. ValueError, TypeError: dout does not fit.

        Example:
            >>> out = model.forward(X[:32], training=True)
            >>> model.backward(2 * (out - y[:32, None]) / 32).shape
            (32, 4)
        """
        return passes.backward(self.engine, dout)

    @computing
    def update(self, loss: float = 0.0) -> None:
        """One optimizer step with the gradients of the last `backward`: clipping, update, running statistics.

        Args:
            loss: the value of your loss, default 0; it only serves the check for NaN.

        Raises:
            RuntimeError: no backward came before. NonFiniteError: loss or gradient is not finite; nothing has changed.

        Example:
            >>> dx = model.backward(model.forward(X[:32], training=True) - y[:32, None])
            >>> model.update()
        """
        passes.apply_update(self.engine, loss)

    @property
    def mixing(self) -> tuple[float, np.ndarray] | None:
        """How nn.MixUp mixed the rows of the last `forward(x, training=True)`: share · row b + (1 - share) · row partner[b],
        as (share, partner (B,)); None without one. Targets of your own loss are to be mixed alike."""
        plan = self.engine.last_pass
        mixture: tuple[float, np.ndarray] | None = plan.targets[0].drawn() if plan and plan.targets else None
        return mixture

    # -- weights ------------------------------------------------------------------------------------------------------

    def named_parameters(self) -> list[tuple[str, np.ndarray]]:
        """Names and parameters in PyTorch's order and layout; views, so writing to one changes the network.

        Example:
            >>> [name for name, array in model.named_parameters()][:2]
            ['0.weight', '0.bias']
        """
        return [(name, layer.view(key)) for name, layer, key in weights.learned(self.net)]

    def parameters(self) -> list[np.ndarray]:
        """The parameters as views, in the order of `named_parameters()`.

        Example:
            >>> model.parameters()[0].shape
            (8, 4)
        """
        return [array for _, array in self.named_parameters()]

    def gradients(self) -> list[np.ndarray]:
        """The gradients of the last backward pass, in the order of `named_parameters()`.

        Example:
            >>> {name: g for (name, _), g in zip(model.named_parameters(), model.gradients())}
            {'0.weight': ...
        """
        self.engine.fill_tables()
        return [layer.view(key, gradient=True) for _, layer, key in weights.learned(self.net)]

    @reading
    def state_dict(self, as_torch: bool = False) -> dict[str, Any]:
        """Copies of all parameters and running statistics under PyTorch's keys, in PyTorch's layout.

        Args:
            as_torch: whether they are tensors of PyTorch in the place of arrays, default False.

        Raises:
            ImportError: as_torch, and PyTorch is missing.

        Example:
            >>> sorted(model.state_dict())[:2]
            ['0.bias', '0.weight']
        """
        state = weights.state_dict(self.net)
        if not flag("as_torch", as_torch):
            return state
        from .export.torch.module import tensors

        return tensors(state, "state_dict(as_torch=True)")

    @reentrant
    def load_state_dict(self, state: Any, strict: bool = True) -> weights.Loaded:
        """Take over parameters and running statistics; nothing changes if a shape, or with strict a key, does not fit.

        Args:
            state: a dict of arrays such as `state_dict()` gives, here or in PyTorch.
            strict: whether every key has to be there and known, default True; else the others are left as they are.

        Returns (missing_keys, unexpected_keys): what the state lacks, and what the network does not have.

        Raises:
            KeyError: keys are missing or unknown. ValueError, TypeError: an array does not fit.

        Example:
            >>> model.load_state_dict(model.state_dict())
            Loaded(missing_keys=[], unexpected_keys=[])
        """
        return weights.load(self.net, state, flag("strict", strict))

    # -- files and looks ----------------------------------------------------------------------------------------------

    @reading
    def save(self, path: str | PathLike[str]) -> None:
        """Write all that training goes on from to a safetensors file; bp.load reads it.

        Args:
            path: the file, written atomically; `~` is the home folder.

        Raises:
            CheckpointError: the file could not be written; what was there has not changed.

        Example:
            >>> model.save(folder / "model.safetensors")
        """
        from .checkpoint.save import save  # here, as below: `import backpass` is to be quick

        save(self.engine, path)

    @reading
    def to_torch(self) -> Any:
        """The network as a module of PyTorch: the same outputs and weights, on memory of its own, in `eval()` mode.

        A Sequential becomes a torch.nn.Sequential, and every layer its namesake. Recurrent layers and attentions give one tensor
        there, as they do here; layers that PyTorch lacks, such as nn.Residual, are small modules under `backpass.export.torch`.
        It computes in the model's dtype, whatever `precision` is.

        Returns a torch.nn.Module; `bp.from_torch` takes it back.

        Raises:
            ValueError: a layer without a counterpart, a module with a forward of its own, by name.
            ImportError: PyTorch is missing.

        Example:
            >>> model.to_torch()[0]
            Linear(in_features=4, out_features=8, bias=True)
        """
        from .export.torch.module import to_torch

        return to_torch(self.engine)

    @reading
    def to_sklearn(self) -> Any:
        """The network as a fitted estimator of scikit-learn: an MLPClassifier where the loss is of classes, else an MLPRegressor.

        Its weights are copies, its classes the indices 0, 1, ...; `partial_fit` goes on with fresh moments. It predicts what
        this model predicts, in its dtype whatever `precision` is. Dropout is left out. `bp.from_sklearn` takes it back.

        Returns the estimator, with the solver and the learning rate of an SGD or Adam.

        Raises:
            ValueError: a network that is more than linear layers with biases and one kind of activation.
            ImportError: scikit-learn is missing.

        Example:
            >>> model.to_sklearn().coefs_[0].shape
            (4, 8)
        """
        from .export.sklearn_estimator import to_sklearn

        return to_sklearn(self.engine)

    def plot_gradients(self, path: str | PathLike[str] | None = None) -> Any:
        """Plot of the norm of each layer's gradient over the steps of the last run, which a bp.GradientMonitor has watched.

        Args:
            path: where to write the picture as well (PNG, PDF, SVG by its ending), default nowhere.

        Returns the matplotlib figure.

        Raises:
            ValueError: nothing was recorded. ImportError: matplotlib is missing.

        Example:
            >>> history = model.fit(X, y, callbacks=[bp.GradientMonitor()])
            >>> figure = model.plot_gradients()
        """
        from .callbacks.gradients import records_of
        from .drawing.curves import gradient_norms

        return gradient_norms(vars(records_of(self.engine.last_run)), path)

    @reentrant
    def summary(self) -> str:
        """Table of the layers, the shapes they give and their parameters.

        Returns a string that a notebook and an interactive Python show as a table; a script prints it.

        Example:
            >>> print(model.summary())
            name ...
        """
        from .diagnostics.summary import summary

        return summary(self.engine)

    @reentrant
    def _repr_html_(self) -> str:
        """For notebooks: the table of `summary()`."""
        from .diagnostics.summary import summary_html

        return summary_html(self.engine)

    def __repr__(self) -> str:
        engine = self.engine
        told = f"precision={engine.precision!r}, computed by {engine.unit}"
        precision = "" if engine.precision == "float32" else f", {told}"
        return f"Model({self.net!r}, loss={self.loss!r}, optimizer={self.optimizer!r}, backend={self.backend.name!r}{precision})"

    # -- names that are not there -------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(self._unknown(name))

    def __setattr__(self, name: str, value: Any) -> None:
        if (
            not name.startswith("_")
            and not hasattr(type(self), name)
            and name not in type(self).__annotations__
        ):
            raise AttributeError(self._unknown(name))
        attribute = getattr(type(self), name, None)
        if isinstance(attribute, property) and attribute.fset is None:
            hint = "; net, loss, dtype, seed and like are given to bp.Model, settings of layers and loss may change"
            raise AttributeError(f"Model.{name} is read-only{hint}")
        super().__setattr__(name, value)

    def _unknown(self, name: str) -> str:
        message = f"{type(self).__name__} has no attribute {name!r}"
        if name in INSTEAD:
            return f"{message}: {INSTEAD[name]}"
        return message + did_you_mean(
            name, [attribute for attribute in dir(type(self)) if not attribute.startswith("_")]
        )

    def __getstate__(self) -> Any:
        return self._engine_state()

    @reading
    def _engine_state(self) -> Any:
        return {"engine": self.engine}


def load(
    path: str | PathLike[str],
    backend: Literal["auto", "native", "numba", "numpy"] = "auto",
    threads: int | None = None,
    *,
    net: Module | None = None,
    loss: AnyLoss | None = None,
    optimizer: OptimizerName | Optimizer | None = None,
    metrics: AnyMetrics | None = None,
) -> Model:
    """The model in a file of `Model.save` or `ModelCheckpoint`; training goes on to the same bits as if it had never stopped.

    That holds on the same backend and instruction set, with any number of threads; on others results differ by rounding.
    Where the file is missing or damaged, the newest good one of path.1, path.2, ... is taken, with a warning.

    Args:
        path: the file. Nothing in it is executed.
        backend: "auto" (default), "native", "numba" or "numpy"; it is not part of the file.
        threads: the most threads to use, default None: what bp.get_num_threads() says; not part of the file either.
        net: only needed where the file cannot describe the network, because it is made of classes of your own: the same as
            when it was written, newly made. The weights come from the file.
        loss: only needed where it is a class or a function of your own.
        optimizer: only needed where it is a class of your own. The learning rate and the moments come from the file.
        metrics: only needed where functions are among them; default None, the names in the file.

    Raises:
        FileNotFoundError: there is no such file. CheckpointError: names the file and what is wrong with it.
        MemoryError: the model needs more memory than there is.

    Example:
        >>> model.save(folder / "model.safetensors")
        >>> model = bp.load(folder / "model.safetensors")
    """
    from .checkpoint.load import read  # here: `import backpass` is to be quick

    get_backend(backend)  # if it is missing, that is what to say
    checkpoint = read(path, None if net is None else checked_net(net), loss, optimizer, metrics)
    model = Model(**checkpoint.arguments, backend=backend, threads=threads)
    checkpoint.restore(model.engine)
    return model


def load_onnx(
    path: str | PathLike[str],
    loss: AnyLoss = "mse",
    optimizer: OptimizerName | Optimizer = "adam",
    *,
    outputs: str | Sequence[str] | None = None,
    backend: Literal["auto", "native", "numba", "numpy"] = "auto",
    threads: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Model:
    """The network of an ONNX file as a model that goes on training; needs `pip install "backpass[onnx]"`.

    Arrays of the file that are weights become parameters under their names; running statistics are followed again. Dropout acts
    while training. Only operators count that the outputs need. A file of bp.export.onnx says which arrays are weights. Of others
    they are those of products, normalisations and tables, and further arrays of several numbers. Not so: settings such as limits;
    what is subtracted from an input, or divides or scales it, before anything else; arrays in Constant nodes beside the first.

    Args:
        path: the file, of opset 13 or newer. Nothing in it is executed, and nothing outside it is read.
        loss: a name, a loss or a callable, as of bp.Model, default "mse".
        optimizer: a name or an optimizer, default "adam".
        outputs: the name of the output that the model gives, or several, default None: all.
        backend: "auto" (default), "native", "numba" or "numpy".
        threads: the most threads to use, default None: what bp.get_num_threads() says.
        seed: of what is random in training, default 0.
        options: other arguments of bp.Model: metrics, like, loss_weights, precision; dtype by default that of the file.

    Shapes: inputs and outputs are those of the file, of any number of rows, which come first. dtype: float64 where the file's
    numbers have it, else float32.

    Raises:
        ImportError: onnx is missing. FileNotFoundError: there is no such file. CheckpointError: names the file and what is wrong
            with it: damage, numbers in other files, an operator that backpass has not, with its node.

    Source: https://onnx.ai/onnx/operators.

    Example:
        >>> bp.export.onnx(model, folder / "model.onnx")
        >>> model = bp.load_onnx(folder / "model.onnx")
    """
    from .export.reading.load import check, network  # here: `import backpass` is to be quick

    get_backend(backend)  # if it is missing, that is what to say
    place, net, dtype = network(path, outputs)
    options = {"dtype": np.dtype(dtype), **options}
    model = Model(net, loss, optimizer, backend=backend, threads=threads, seed=seed, **options)
    check(place, model.engine)
    return model
