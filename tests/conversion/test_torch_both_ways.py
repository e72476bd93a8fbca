"""Models to PyTorch and back: the same outputs, the same weights; and what has no way is refused by name."""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from helpers.exported import NETS, used
from helpers.registered import sample_layers
from helpers.torch_parity import torch_peer

pytestmark = pytest.mark.torch

# Layers that PyTorch has no counterpart of.
WITHOUT = {
    "ColorJitter", "Cutout", "FeatureTokenizer", "GaussianNoise", "MixUp", "RandomCrop", "RandomHorizontalFlip", "RandomRotation",
    "RandomShift", "RotaryPositions",
}  # fmt: skip
# A TransformerEncoder is sampled with a linear layer within, which PyTorch's does not take: NETS has one.
LAYERS = [name for name in sample_layers() if name != "TransformerEncoder"]
OWN_FORWARD = [
    name for name, (make, _) in NETS.items() if isinstance(make(), nn.Module) and name != "dilated"
]
# A net of RandomCrop, which is one of those.
TAKEN = [name for name in NETS if name not in (*OWN_FORWARD, "dilated", "cropped")]


def torch() -> Any:
    return torch_peer().torch


def theirs(module: Any, *inputs: np.ndarray) -> np.ndarray:
    """What a module of PyTorch gives."""
    out = module(*(torch().from_numpy(x) for x in inputs))
    array: np.ndarray = (out[0] if isinstance(out, tuple) else out).detach().numpy()
    return array


def there_and_back(model: bp.Model, *inputs: np.ndarray, limit: float) -> bp.Model:
    """The model that comes back, after all outputs and weights were found alike."""
    given = inputs if len(inputs) > 1 else inputs[0]
    want = model.predict(given)
    want = want[0] if isinstance(want, tuple) else want
    module = model.to_torch()
    np.testing.assert_allclose(theirs(module, *inputs), want, rtol=limit, atol=limit)
    back = bp.from_torch(module, dtype=model.dtype)
    got = back.predict(given)
    assert np.array_equal(got[0] if isinstance(got, tuple) else got, want)
    ours, again = model.state_dict(), back.state_dict()
    assert [*ours] == [*module.state_dict()] == [*again]
    assert all(np.array_equal(ours[key], again[key]) for key in ours)
    return back


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer(name: str) -> None:
    sample = sample_layers()[name]
    model = bp.Model(sample.make(), dtype="float64")
    if name in WITHOUT:
        with pytest.raises(ValueError, match=f"^to_torch: {name}.* has no counterpart in PyTorch"):
            model.to_torch()
        return
    back = there_and_back(model, *sample.data(4).values(), limit=1e-12)
    assert type(back.net).__name__ == name


@pytest.mark.parametrize("name", TAKEN)
def test_each_network(name: str) -> None:
    model, x = used(name)
    there_and_back(model, x, limit=1e-5)


@pytest.mark.parametrize("name", OWN_FORWARD)
def test_a_forward_of_its_own_is_refused(name: str) -> None:
    model, _ = used(name)
    with pytest.raises(
        ValueError, match=r"has a forward of its own: write its class with torch\.nn in place"
    ):
        bp.Model(nn.Sequential(NETS[name][0]())).to_torch() if len(model.net.takes) == 1 else model.to_torch()


PIECES: dict[str, list[Any]] = {
    "rows": [
        lambda: nn.Linear(6, 6, bias=False), nn.ReLU, lambda: nn.ELU(0.5), lambda: nn.Dropout(0.2), lambda: nn.BatchNorm1d(6),
        lambda: nn.LayerNorm(6, eps=1e-3), lambda: nn.Residual(nn.Linear(6, 6), nn.GELU("tanh")), lambda: nn.Softplus(2.0),
        lambda: nn.Sequential(nn.Linear(6, 12), nn.GLU()), lambda: nn.RMSNorm(6), nn.LogSoftmax, lambda: nn.LeakyReLU(0.2),
        lambda: nn.Hardtanh(-0.5, 2.0), nn.Mish, nn.ReLU6, lambda: nn.CELU(0.4), lambda: nn.PReLU(6),
        lambda: nn.Sequential(nn.Unflatten(1, (2, 3)), nn.Flatten()),
    ],
    "images": [
        lambda: nn.Conv2d(6, 6, 3, padding="same", groups=2), lambda: nn.BatchNorm2d(6, momentum=None), nn.SiLU, nn.Hardswish,
        lambda: nn.MaxPool2d(2, padding=1, ceil_mode=True), lambda: nn.ConvTranspose2d(6, 6, (2, 3), stride=(1, 2)),
        lambda: nn.GroupNorm(3, 6), nn.PReLU, lambda: nn.SyncBatchNorm(6),
        lambda: nn.Upsample(size=(5, 7), mode="bilinear"), lambda: nn.AdaptiveAvgPool2d((3, None)),
        lambda: nn.Residual(nn.Conv2d(6, 6, 1), shortcut=nn.InstanceNorm2d(6, affine=True)), lambda: nn.Dropout2d(0.1),
        lambda: nn.Conv2d(6, 6, (1, 3), padding=(0, 1), padding_mode="reflect"), lambda: nn.AvgPool2d(2, 1, 1, False, False),
    ],
    "steps": [
        lambda: nn.LSTM(6, 3, bidirectional=True), lambda: nn.GRU(6, 6, 2, bias=False), lambda: nn.RNN(6, 6, nonlinearity="relu"),
        lambda: nn.TransformerEncoderLayer(6, 2, 12, activation=nn.SiLU(), norm_first=True, causal=True),
        lambda: nn.MultiheadAttention(6, 3, causal=True), lambda: nn.SinusoidalPositions(6), lambda: nn.PositionalEmbedding(9, 6),
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 12, activation="gelu"), 2, nn.LayerNorm(6)), nn.Tanh,
    ],
}  # fmt: skip
ROWS = {"rows": (6,), "images": (6, 9, 8), "steps": (8, 6)}
LAST = {
    "rows": list,
    "images": lambda: [nn.GlobalAvgPool()],
    "steps": lambda: [nn.GRU(6, 4, returns="last")],
}


@pytest.mark.parametrize("kind", PIECES)
def test_random_networks(kind: str) -> None:
    for seed in range(14):
        rng = np.random.default_rng(seed)
        chosen = rng.integers(0, len(PIECES[kind]), 4)
        net = nn.Sequential(*(PIECES[kind][i]() for i in chosen), *LAST[kind]())
        x = rng.standard_normal((4, *ROWS[kind]))
        model = bp.Model(net, dtype="float64", seed=seed)
        there_and_back(model, x, limit=1e-9)
        small = bp.from_torch(model.to_torch(), dtype="float32")
        np.testing.assert_allclose(small.predict(x), model.predict(x), rtol=1e-4, atol=1e-5)


def test_training_goes_on_in_pytorch() -> None:
    """Ten steps of SGD there and here, from one state."""
    x, y = np.random.default_rng(0).standard_normal((2, 8, 6))
    model = bp.Model(
        nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 6)),
        "mse",
        bp.optim.SGD(0.1),
        dtype="float64",
    )
    module = model.to_torch()
    assert not module.training
    module.train()
    optimizer = torch().optim.SGD(module.parameters(), 0.1)
    for _ in range(10):
        optimizer.zero_grad()
        loss = torch().nn.functional.mse_loss(module(torch().from_numpy(x)), torch().from_numpy(y))
        loss.backward()
        optimizer.step()
        assert model.step(x, y) == pytest.approx(loss.item(), rel=1e-12)
    trained = module.state_dict()
    for key, array in model.state_dict(as_torch=True).items():
        assert torch().allclose(array, trained[key], rtol=1e-10, atol=1e-12), key


def test_shared_tied_and_frozen_stay_so() -> None:
    shared = nn.Linear(6, 6)
    tied = nn.Linear(6, 6, bias=False)
    tied.weight = shared.weight
    frozen = nn.Linear(6, 6).requires_grad_(False)
    model = bp.Model(nn.Sequential(shared, nn.Tanh(), shared, frozen, tied), dtype="float64")
    x = np.random.default_rng(0).standard_normal((4, 6))
    module = model.to_torch()
    assert module[0] is module[2]
    assert module[4].weight is module[0].weight
    assert [p.requires_grad for p in module[3].parameters()] == [False, False]
    back = there_and_back(model, x, limit=1e-12)
    assert [name for name, _ in back.named_parameters()] == ["0.weight", "0.bias", "3.weight", "3.bias"]
    back.fit(x, x, epochs=2)
    again, before = back.state_dict(), model.state_dict()
    assert np.array_equal(again["3.weight"], before["3.weight"])
    assert not np.array_equal(again["0.weight"], before["0.weight"])
    assert np.array_equal(again["0.weight"], again["4.weight"])


def shared_layers() -> Any:
    layer = torch().nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    encoder = torch().nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    encoder.layers[2] = encoder.layers[0]
    return torch().nn.Sequential(encoder, torch().nn.Linear(4, 4))


def tied_within() -> Any:
    lstm = torch().nn.LSTM(4, 4, 2, batch_first=True)
    lstm.weight_hh_l1 = lstm.weight_ih_l1
    lstm.bias_ih_l1 = lstm.bias_ih_l0
    return lstm


def tied_to_a_part() -> Any:
    layer = torch().nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0, batch_first=True)
    layer.linear2.weight = layer.linear1.weight
    head = torch().nn.Linear(4, 4)
    head.weight = layer.self_attn.out_proj.weight
    return torch().nn.Sequential(layer, head)


@pytest.mark.parametrize(("make", "gone"), [(shared_layers, 12), (tied_within, 2), (tied_to_a_part, 2)])
def test_what_is_shared_within_a_layer_trains_as_one(make: Callable[[], Any], gone: int) -> None:
    """Three steps of SGD there and here."""
    module = make().double()
    x, y = np.random.default_rng(0).standard_normal((2, 5, 3, 4))
    model = bp.from_torch(module, "mse", bp.optim.SGD(0.1))
    assert len(model.state_dict()) - len(model.named_parameters()) == gone
    optimizer = torch().optim.SGD(module.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        out = module(torch().from_numpy(x))
        out = out[0] if isinstance(out, tuple) else out
        loss = torch().nn.functional.mse_loss(out, torch().from_numpy(y))
        loss.backward()
        optimizer.step()
        assert model.step(x, y) == pytest.approx(loss.item(), rel=1e-10)


def test_shared_layers_that_are_frozen() -> None:
    module = shared_layers()
    module[0].requires_grad_(False)
    model = bp.from_torch(module)
    before = model.state_dict()
    model.fit(*np.random.default_rng(0).standard_normal((2, 5, 3, 4)), epochs=2)
    moved = {key for key, array in model.state_dict().items() if not np.array_equal(array, before[key])}
    assert moved == {"1.weight", "1.bias"}


def test_named_sequentials_and_memory_of_its_own() -> None:
    module = torch().nn.Sequential()
    module.add_module("body", torch().nn.Sequential(torch().nn.Linear(3, 4), torch().nn.ReLU(inplace=True)))
    module.add_module("head", torch().nn.Linear(4, 1).requires_grad_(False))
    model = bp.from_torch(module.bfloat16(), "mae", bp.optim.SGD(0.1))
    assert repr(model.net) == "Sequential({'body': Sequential(Linear(3, 4), ReLU()), 'head': Linear(4, 1)})"
    assert [*model.state_dict()] == [*module.state_dict()] == [*model.to_torch().state_dict()]
    before = module.body[0].weight.float().tolist()
    model.parameters()[0][:] += 1
    assert module.body[0].weight.float().tolist() == before
    assert bp.from_torch(module.double()).dtype == np.float64


def test_statistics_of_all_ranks() -> None:
    layer = torch().nn.SyncBatchNorm.convert_sync_batchnorm(torch().nn.BatchNorm2d(4, momentum=0.3))
    model = bp.from_torch(layer)
    assert repr(model.net) == "SyncBatchNorm(4, momentum=0.3)"
    with pytest.raises(AttributeError, match="SyncBatchNorm has no attribute 'synchronized'"):
        model.net.synchronized = False
    there_and_back(model, np.ones((2, 4, 3, 3), np.float32), limit=1e-6)
    for here in (nn.BatchNorm1d(4, synchronized=True), nn.SyncBatchNorm(4)):
        assert type(bp.Model(here).to_torch()).__name__ == "SyncBatchNorm"


def test_names_that_mean_something_else_are_left_out() -> None:
    for names in (("layers", "head"), ("1", "0"), ("_a", "b")):
        module = torch().nn.Sequential(OrderedDict((name, torch().nn.Linear(3, 3)) for name in names))
        model = bp.from_torch(module)
        named = names == ("1", "0")
        assert [*model.state_dict()] == [
            f"{n}.{w}" for n in (names if named else "01") for w in ("weight", "bias")
        ]
        x = np.ones((2, 3), np.float32)
        np.testing.assert_allclose(model.predict(x), theirs(module, x), rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="to_torch: layer '' cannot have such a name in PyTorch"):
        bp.Model(nn.Sequential({"append": nn.Linear(3, 3)})).to_torch()


def test_a_module_can_be_pickled_and_describes_itself() -> None:
    model = bp.Model(nn.Sequential(nn.Residual(nn.Linear(4, 4)), nn.Linear(4, 2)))
    x = np.ones((2, 4), np.float32)
    again = pickle.loads(pickle.dumps(model.to_torch()))
    np.testing.assert_allclose(theirs(again, x), model.predict(x), rtol=1e-5, atol=1e-6)


def own_forward() -> Any:
    class Net(torch().nn.Module):
        def forward(self, x: Any) -> Any:
            return x

    return torch().nn.Sequential(Net())


def hooked() -> Any:
    layer = torch().nn.Linear(2, 2)
    layer.register_forward_hook(lambda *_: None)
    return layer


def set_forward() -> Any:
    layer = torch().nn.Linear(2, 2)
    layer.forward = lambda x: x
    return torch().nn.Sequential(layer)


def buffered() -> Any:
    layer = torch().nn.Linear(2, 2)
    layer.register_buffer("scale", torch().ones(2))
    return torch().nn.Sequential(layer)


def transformer(**parts: Any) -> Any:
    """A layer of which parts are others than it was made with."""
    layer = torch().nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    for name, value in parts.items():
        *path, key = name.split("__")
        setattr(layer.get_submodule(".".join(path)), key, value)
    return layer


REFUSED = {
    "own forward": (own_forward, r"module '0', Net, has a forward of its own: put `from backpass import nn`"),
    "unknown": (lambda: torch().nn.Sequential(torch().nn.Conv3d(1, 1, 1)), "module '0', Conv3d, has no counterpart"),
    "hooks": (hooked, "Linear has hooks, which no layer here calls"),
    "time first": (lambda: torch().nn.GRU(2, 3), "GRU cannot be taken over: .*batch_first is False"),
    "projection": (
        lambda: torch().nn.LSTM(2, 3, proj_size=1, batch_first=True), "LSTM cannot be taken over: proj_size is 1, expected 0",
    ),
    "max_norm": (lambda: torch().nn.Embedding(3, 2, max_norm=1.0), r"Embedding cannot .*: max_norm is 1\.0, expected None"),
    "batch norm": (lambda: torch().nn.BatchNorm1d(3, bias=False), "BatchNorm1d cannot .*: bias is False, expected True"),
    "activation": (
        lambda: torch().nn.TransformerEncoderLayer(4, 2, 8, activation=torch().tanh, batch_first=True),
        "TransformerEncoderLayer cannot be taken over: activation is .*, expected 'relu', 'gelu' or a module",
    ),
    "weight norm": (
        lambda: torch().nn.utils.parametrizations.weight_norm(torch().nn.Linear(2, 2)),
        "ParametrizedLinear has parametrizations: .*remove_parametrizations first",
    ),
    "a forward that was set": (set_forward, "module '0', Linear, has a forward that was set on it"),
    "a buffer": (buffered, r"module '0', Linear, has 'scale', which Linear\(2, 2\) does not have"),
    "another eps": (lambda: transformer(norm2__eps=0.1), r"TransformerEncoderLayer .*: norm2 is .*eps=0.1\), expected LayerNorm"),
    "another dropout": (lambda: transformer(dropout1__p=0.7), r"TransformerEncoderLayer .*: dropout1 is Dropout\(p?=?0.7\)"),
    "a dropout within": (lambda: transformer(self_attn__dropout=0.3), r".*: self_attn is .*dropout=0.3.*, expected Multihead"),
    "no norm": (lambda: transformer(norm1=torch().nn.Identity()), r"TransformerEncoderLayer cannot be taken over: .*'eps'"),
    "another norm": (lambda: transformer(norm1=torch().nn.RMSNorm(4, 1e-5)), r"TransformerEncoderLayer .*: norm1 is RMSNorm"),
    "an inner forward": (
        lambda: transformer(linear1__forward=lambda x: x), "module 'linear1', Linear, has a forward that was set"
    ),
    "meta": (lambda: torch().nn.Linear(2, 2, device="meta"), "weight is on the device meta"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(ValueError, match=f"^from_torch: {message}"):
        bp.from_torch(make())


def test_what_is_no_module() -> None:
    with pytest.raises(TypeError, match=r"from_torch: module is dict, expected a torch\.nn\.Module"):
        bp.from_torch({})
    with pytest.raises(TypeError, match="from_torch: module is the class Linear"):
        bp.from_torch(torch().nn.Linear)


def test_an_activation_that_is_a_function() -> None:
    model = bp.Model(nn.TransformerEncoderLayer(4, 2, 8, activation=lambda x: x.relu()))
    with pytest.raises(ValueError, match=r"to_torch: TransformerEncoderLayer.*activation is a function"):
        model.to_torch()
