"""Recurrent networks in PyTorch: modules as most people write them; rows of different lengths padded, or packed."""

import itertools
from typing import Any

from backpass.cli.contestant import Contestant
from backpass.cli.sequence_workloads import SequenceWorkload

from .common import timed


def torch_sequences(workload: SequenceWorkload, threads: int, packed: bool = False) -> Contestant:
    """Autograd and a fused optimizer; packed: `pack_padded_sequence` around the recurrent layer."""
    import torch

    torch.set_num_threads(threads)
    net, lengths = workload.build(torch.nn), workload.lengths()
    X, y = (torch.from_numpy(a) for a in workload.data())
    if lengths is not None:
        counted = torch.arange(X.shape[1]) < torch.from_numpy(lengths)[:, None]
        y = torch.where(counted, y, -100)
    ends = torch.from_numpy(lengths) if lengths is not None else torch.full((len(X),), X.shape[1])
    batches = list(zip(*(a.split(workload.batch) for a in (X, y, ends)), strict=True))
    turns = itertools.cycle(batches)
    optimizer = getattr(torch.optim, workload.optimizer)(net.parameters(), fused=True)
    loss_from = {
        "mse": torch.nn.MSELoss, "bce_with_logits": torch.nn.BCEWithLogitsLoss, "cross_entropy": torch.nn.CrossEntropyLoss,
    }[workload.loss]()  # fmt: skip

    def output(x: Any, ends: Any) -> Any:
        if not packed:
            return net(x)
        rnn = torch.nn.utils.rnn
        together = rnn.pack_padded_sequence(net.embedding(x), ends, batch_first=True, enforce_sorted=False)
        states = rnn.pad_packed_sequence(net.lstm(together)[0], batch_first=True, total_length=x.shape[1])
        return net.out(states[0])

    def step() -> None:
        x, target, ends = next(turns)
        optimizer.zero_grad(set_to_none=True)
        pred = output(x, ends)
        if workload.vocabulary:
            pred, target = pred.flatten(0, 1), target.flatten()
        loss_from(pred, target).backward()
        if workload.clip_grad_norm:
            torch.nn.utils.clip_grad_norm_(net.parameters(), workload.clip_grad_norm)
        optimizer.step()

    return timed(step, workload.steps_per_epoch)
