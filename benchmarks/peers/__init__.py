"""The same training step in other libraries, each in its best forms, for `python -m backpass bench --peers` in a checkout.

Every peer gets what favours it: batches that lie ready in order (no shuffling, no gathering), weights and data already in its own
arrays, everything compiled and warmed up before the clock starts. A contestant trains a number of epochs and returns the seconds.
"""

import importlib.util
from collections.abc import Callable
from typing import Any

from backpass.cli.contestant import Contestant, backend
from backpass.cli.image_workloads import ImageWorkload
from backpass.cli.network_workload import NetworkWorkload
from backpass.cli.sequence_workloads import SequenceWorkload
from backpass.cli.token_workloads import TokenWorkload
from backpass.cli.workloads import Workload

from .apart import AVX512_BLAS, apart
from .images_in_jax import jax_images
from .images_in_tensorflow import tensorflow_images
from .images_in_torch import torch_images
from .sequences_in_jax import jax_sequences
from .sequences_in_torch import torch_sequences
from .tokens_in_jax import jax_tokens
from .tokens_in_torch import torch_tokens
from .with_jax import jax_jit, jax_scan
from .with_sklearn import scikit_learn
from .with_tensorflow import tensorflow_graph
from .with_torch import torch_by_hand, torch_compiled, torch_eager

Make = Callable[[Any, int], Contestant]


__all__ = ["PEERS", "Make", "available"]


def available(name: str) -> bool:
    """Whether a library can be imported here."""
    return importlib.util.find_spec(name) is not None


def _plain(workload: Workload) -> bool:
    return _any(workload) and workload.plain


def _wide(workload: Workload) -> bool:
    """Products take long enough for their precision to be worth a row."""
    return workload.name in ("mnist", "medium", "large")


def _unclipped(workload: Workload) -> bool:
    return _plain(workload) and workload.clip_grad_norm is None


def _any(workload: Workload) -> bool:
    return not isinstance(workload, NetworkWorkload)


def _images(workload: Workload) -> bool:
    return isinstance(workload, ImageWorkload)


def _sequences(workload: Workload) -> bool:
    return isinstance(workload, SequenceWorkload)


def _tokens(workload: Workload) -> bool:
    return isinstance(workload, TokenWorkload)


def _sparse(workload: Workload) -> bool:
    return workload.name == "embedrec"


def _ragged(workload: Workload) -> bool:
    return isinstance(workload, SequenceWorkload) and workload.ragged


def _with_height(workload: Workload) -> bool:
    """PyTorch has no channels last for sequences."""
    return isinstance(workload, ImageWorkload) and len(workload.shape) == 3


# name -> library, maker, the workloads that it can take
PEERS: dict[str, tuple[str, Make, Callable[[Workload], bool]]] = {
    "jax scan": ("jax", jax_scan, _any),
    "jax jit": ("jax", jax_jit, _any),
    "native, bf16": ("backpass", lambda w, threads: backend(w, "native", threads, "bf16"), _wide),
    "torch by hand": ("torch", torch_by_hand, _plain),
    "torch by hand, medium": ("torch", lambda w, threads: torch_by_hand(w, threads, "medium"), _plain),
    "torch eager": ("torch", torch_eager, _any),
    "torch eager, medium": ("torch", lambda w, threads: torch_eager(w, threads, "medium"), _any),
    "torch eager, autocast": (
        "torch",
        lambda w, threads: torch_eager(w, threads, autocast=True),
        _wide,
    ),
    "torch compiled": ("torch", torch_compiled, _any),
    "torch compiled, medium": ("torch", lambda w, threads: torch_compiled(w, threads, "medium"), _any),
    "tensorflow graph": ("tensorflow", tensorflow_graph, _any),
    "tensorflow graph, XLA": ("tensorflow", lambda w, threads: tensorflow_graph(w, threads, xla=True), _any),
    "scikit-learn": ("sklearn", scikit_learn, _unclipped),
    "scikit-learn, BLAS AVX-512": (
        "sklearn",
        lambda w, threads: apart("scikit-learn", w, threads, AVX512_BLAS),
        _unclipped,
    ),
    "numpy, BLAS AVX-512": ("numpy", lambda w, threads: apart("numpy", w, threads, AVX512_BLAS), _any),
    "jax step": ("jax", jax_images, _images),
    "torch NCHW": ("torch", torch_images, _images),
    "torch channels last": (
        "torch",
        lambda w, threads: torch_images(w, threads, channels_last=True),
        _with_height,
    ),
    "tensorflow step": ("tensorflow", tensorflow_images, _images),
    "torch modules": ("torch", torch_sequences, _sequences),
    "torch packed": ("torch", lambda w, threads: torch_sequences(w, threads, packed=True), _ragged),
    "torch tokens": ("torch", torch_tokens, _tokens),
    "torch tokens, dense table": ("torch", lambda w, threads: torch_tokens(w, threads, dense=True), _sparse),
    "jax scan of steps": ("jax", jax_sequences, _sequences),
    "jax scan of steps, tokens": ("jax", jax_tokens, _tokens),
}
