"""Convolutional networks in PyTorch: NCHW, channels last, compiled."""

import itertools
from typing import Any

from backpass.cli.contestant import Contestant
from backpass.cli.image_workloads import ImageWorkload

from .common import timed


def torch_images(
    workload: ImageWorkload, threads: int, channels_last: bool = False, compiled: bool = False
) -> Contestant:
    """nn.Sequential, autograd, fused Adam. channels_last: weights and images; compiled: forward and backward."""
    import torch

    torch.set_num_threads(threads)
    net = workload.build(torch.nn)
    X, y = (torch.from_numpy(a) for a in workload.data())
    batches = list(zip(X.split(workload.batch), y.split(workload.batch), strict=True))
    if channels_last:
        net = net.to(memory_format=torch.channels_last)
        batches = [(x.contiguous(memory_format=torch.channels_last), t) for x, t in batches]
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    turns, loss_from = itertools.cycle(batches), torch.nn.CrossEntropyLoss()

    def loss_of(x: Any, target: Any) -> Any:
        return loss_from(net(x), target)

    loss = torch.compile(loss_of) if compiled else loss_of

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(*next(turns)).backward()
        optimizer.step()

    return timed(step, workload.steps_per_epoch)
