"""Transformers and embeddings in PyTorch: modules as most people write them; large tables sparse with SparseAdam, or dense."""

import itertools
from dataclasses import replace
from typing import Any

from backpass.cli.contestant import Contestant
from backpass.cli.token_workloads import TokenWorkload, recommender

from .common import timed


def torch_tokens(workload: TokenWorkload, threads: int, dense: bool = False) -> Contestant:
    """Autograd and fused optimizers; dense: the whole table has a gradient."""
    import torch

    torch.set_num_threads(threads)
    if dense:
        workload = replace(workload, build=recommender(50_000, 32, 64, sparse=False))
    net, (X, y) = workload.build(torch.nn), workload.data()
    inputs = [torch.from_numpy(x) for x in (X if isinstance(X, tuple) else (X,))]
    batches = list(zip(*(a.split(workload.batch) for a in (*inputs, torch.from_numpy(y))), strict=True))
    turns = itertools.cycle(batches)
    sparse = [m.weight for m in net.modules() if getattr(m, "sparse", False)]
    others = [p for p in net.parameters() if all(p is not s for s in sparse)]
    optimizers = [getattr(torch.optim, workload.optimizer)(others, fused=True)]
    optimizers += [torch.optim.SparseAdam(sparse)] if sparse else []
    loss_from: Any = torch.nn.CrossEntropyLoss() if workload.text else torch.nn.BCEWithLogitsLoss()

    def step() -> None:
        *x, target = next(turns)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        pred = net(*x)
        if workload.text:
            pred, target = pred.flatten(0, 1), target.flatten()
        loss_from(pred, target).backward()
        if workload.clip_grad_norm:
            torch.nn.utils.clip_grad_norm_(net.parameters(), workload.clip_grad_norm)
        for optimizer in optimizers:
            optimizer.step()

    return timed(step, workload.steps_per_epoch)
