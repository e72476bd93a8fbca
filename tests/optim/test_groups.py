"""Parameter groups: each part trains with its own settings, as in PyTorch; clipping is over all."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((16, 4)), rng.standard_normal((16, 1))


def network(nn: Any) -> Any:
    class Net(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 1)

        def forward(self, x: Any) -> Any:
            return self.head(self.body(x).relu())

    return Net()


def grouped(**settings: Any) -> bp.Model:
    net = network(nn)
    groups = [{"params": net.head, "lr": 1e-2, "weight_decay": 0.1}, {"params": net.body.parameters()}]
    return bp.Model(net, "mse", optim.Adam(groups, **settings), dtype="float64")


@pytest.mark.torch
@pytest.mark.parametrize(
    ("kind", "of_body", "tolerance"),
    [
        ("SGD", {"momentum": 0.5}, 1e-10),
        ("Adam", {"betas": (0.8, 0.99)}, 1e-10),
        ("AdamW", {"amsgrad": True}, 1e-10),
        ("RMSprop", {}, 1e-10),
        ("Adagrad", {}, 1e-10),
        # PyTorch keeps the product of the momenta in float32
        ("NAdam", {}, 1e-7),
    ],
)
def test_trains_as_in_torch(
    kind: str, of_body: dict[str, Any], tolerance: float, backend: Backend, tmp_path: Path
) -> None:
    """With a rate that changes, a checkpoint and copies on the way."""
    torch = pytest.importorskip("torch")
    net, peer = network(nn), network(torch.nn).double()

    def groups(net: Any) -> list[dict[str, Any]]:
        head = {"params": net.head.parameters(), "lr": 1e-2, "weight_decay": 0.1}
        return [head, {"params": net.body.parameters(), **of_body}]

    optimizer = getattr(optim, kind)(groups(net), 1e-3, clip_grad_norm=0.5)
    model = bp.Model(net, "mse", optimizer, dtype="float64")
    model.backend = backend
    peer.load_state_dict({key: torch.from_numpy(value) for key, value in model.state_dict().items()})
    theirs = getattr(torch.optim, kind)(groups(peer), 1e-3)
    for step in range(30):
        if step == 10:
            model.save(tmp_path / "model.safetensors")
            model = copy.deepcopy(bp.load(tmp_path / "model.safetensors", net=network(nn)))
            model.backend = backend
        if step == 20:
            model.optimizer.groups[0].lr = theirs.param_groups[0]["lr"] = 5e-3
        theirs.zero_grad()
        loss = torch.nn.functional.mse_loss(peer(torch.from_numpy(X)), torch.from_numpy(Y))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(peer.parameters(), 0.5)
        theirs.step()
        assert model.step(X, Y) == pytest.approx(loss.item(), rel=tolerance)


def test_one_group_is_the_optimizer_itself(backend: Backend) -> None:
    made = [
        bp.Model(network(nn), "mse", optimizer, seed=1)
        for optimizer in (
            optim.Adam(1e-2),
            optim.Adam([{"params": ""}], 1e-2),
            optim.Adam([{"params": ["body", "head"]}], 1e-2),
        )
    ]
    for model in made:
        model.backend = backend
        model.fit(X, Y, epochs=3, batch_size=5, progress=False)
    assert len({model.predict(X).tobytes() for model in made}) == 1


def test_lr_of_all_groups_changes_in_proportion() -> None:
    model = grouped(lr=1e-3)
    assert model.lr == 1e-2
    model.lr = 1e-3
    assert [float(rate[0]) for rate in model.engine._rates] == pytest.approx([1e-3, 1e-4])
    model.fit(X, Y, epochs=4, progress=False, validation_data=(X, Y), callbacks=[
        bp.ReduceLROnPlateau(patience=0, min_delta=1e9, factor=0.5, monitor="val_loss")
    ])  # fmt: skip
    assert [float(rate[0]) for rate in model.engine._rates] == pytest.approx([1e-3 / 8, 1e-4 / 8])
    with pytest.raises(AttributeError, match="that of each group"):
        model.optimizer.lr = 1e-3


def test_a_schedule_in_one_group() -> None:
    net = network(nn)
    rate = optim.schedules.step(1e-2, every=2, factor=0.1)
    model = bp.Model(net, "mse", optim.SGD([{"params": net.head, "lr": rate}, {"params": net.body}], 1e-3))
    for _ in range(3):
        model.step(X, Y)
    assert [float(rate[0]) for rate in model.engine._rates] == pytest.approx([1e-3, 1e-3])
    twin = copy.deepcopy(model)
    assert twin.step(X, Y) == model.step(X, Y)
    assert twin.optimizer.schedule is not None


def test_a_file_describes_groups(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    rate = optim.schedules.step(1e-2, every=2, factor=0.1)
    model = bp.Model(
        net, "mse", optim.Lion([{"params": net[0], "lr": rate}, {"params": [net[2].bias, "2.weight"]}])
    )
    model.step(X, Y)
    model.save(tmp_path / "model.safetensors")
    again = bp.load(tmp_path / "model.safetensors")
    assert repr(again.optimizer) == repr(model.optimizer)
    assert [again.step(X, Y) for _ in range(3)] == [model.step(X, Y) for _ in range(3)]


def test_frozen_parameters_need_no_group() -> None:
    net = network(nn)
    net.body.requires_grad_(False)
    model = bp.Model(net, "mse", optim.SGD([{"params": net.head}], 1e-1))
    before = model.state_dict()
    model.step(X, Y)
    after = model.state_dict()
    assert [np.array_equal(before[key], after[key]) for key in ("body.weight", "head.weight")] == [
        True,
        False,
    ]
    net.body.requires_grad_(True)
    with pytest.raises(ValueError, match=r"'body.weight' is in no group"):
        model.step(X, Y)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([{"params": "head"}], r"'body.weight' is in no group of the optimizer"),
        ([{"params": "head"}, {"params": ["body", "head.bias"]}], r"'head.bias' is in groups 0 and 1"),
        ([{"params": "tail"}], r"group 0: the network has no parameter 'tail'"),
        ([{"params": nn.Linear(2, 2)}], r"group 0: Linear\(2, 2\) is no part of the network"),
        ([{"lr": 1e-3}], r"group 0 is {'lr': 0.001}, expected a dict such as"),
        ([{"params": ""}, 3], r"group 1 is 3, expected a dict"),
        ([{"params": "", "clip_grad_norm": 1.0}], r"clip_grad_norm is given, expected it beside the groups"),
        ([{"params": "", "rate": 1.0}], r"Adam has no argument 'rate'"),
        ([{"params": [3]}], r"group 0: params holds 3, expected modules"),
    ],
)
def test_groups_that_do_not_fit(groups: list[Any], message: str) -> None:
    net = network(nn)
    with pytest.raises((ValueError, TypeError), match=message):
        bp.Model(net, "mse", optim.Adam(groups))
    bp.Model(net, "mse").step(X, Y)  # it is free again


def test_groups_stay_as_they_were_made() -> None:
    """An exchanged group would train nothing."""
    optimizer = grouped().optimizer
    with pytest.raises(TypeError):
        optimizer.groups[0] = optim.Adam(1.0)
    with pytest.raises(AttributeError, match="or make new groups"):
        optimizer.groups = [optim.Adam(1.0)] * 2
