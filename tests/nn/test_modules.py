"""Modules of users: registration, sharing, tying, copies, and errors that show the line of `forward`."""

import copy
import itertools
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
import backpass.nn.functional as F
from backpass import nn
from helpers.backends import once

pytestmark = once
rng = np.random.default_rng(0)
X, Y = rng.standard_normal((24, 6)), rng.standard_normal((24, 3))


class Body(nn.Module):
    """Attributes of every kind: modules, parameters, buffers, lists, and plain numbers."""

    def __init__(self, width: int = 5) -> None:
        super().__init__()
        self.first = nn.Linear(6, width)
        self.blocks = nn.ModuleList([nn.Linear(width, width) for _ in range(2)])
        self.heads = nn.ModuleDict({"last": nn.Linear(width, 3)})
        self.scale = nn.Parameter(np.full(width, 0.5))
        self.register_buffer("shift", np.arange(width) / 10)
        self.slope = 1.0

    def forward(self, x: Any) -> Any:
        h = F.relu(self.first(x)) * self.scale + self.shift
        for block in self.blocks:
            h = h + self.slope * block(h).tanh()
        return self.heads["last"](h)


def small(forward: Callable[..., Any], **parts: Any) -> bp.Model:
    """A model of a module with this forward, which is given the module and its inputs."""

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 3)
            for name, part in parts.items():
                setattr(self, name, part)

        def forward(self, x: Any) -> Any:
            return forward(self, x)

    return bp.Model(Small(), dtype="float64")


@pytest.mark.torch
def test_keys_are_those_of_torch() -> None:
    model = bp.Model(Body())
    assert [*model.state_dict()] == [
        "scale", "shift", "first.weight", "first.bias", "blocks.0.weight", "blocks.0.bias", "blocks.1.weight", "blocks.1.bias",
        "heads.last.weight", "heads.last.bias",
    ]  # fmt: skip
    assert "shift" not in dict(model.named_parameters())
    np.testing.assert_array_equal(model.net.scale, np.full(5, 0.5))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_go_on_alike(copied: Callable[[bp.Model], bp.Model]) -> None:
    model = bp.Model(Body())
    model.fit(X, Y, epochs=2, batch_size=10, progress=False)
    twin = copied(model)
    for m in (model, twin):
        m.fit(X, Y, epochs=2, batch_size=10, progress=False)
    np.testing.assert_array_equal(model.predict(X), twin.predict(X))


def test_saved_and_loaded(tmp_path: Any) -> None:
    model = bp.Model(Body(4))
    model.fit(X, Y, epochs=1, progress=False)
    model.save(tmp_path / "body.safetensors")
    loaded = bp.load(tmp_path / "body.safetensors", net=Body(4))
    np.testing.assert_array_equal(model.predict(X), loaded.predict(X))
    assert loaded.step(X, Y) == model.step(X, Y)


def test_a_module_used_twice_and_a_tied_parameter() -> None:
    """Their gradients add up, they count once, and both names are in state_dict, as in PyTorch."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
            self.scale = nn.Parameter(np.ones(6))
            self.same = self.scale

        def forward(self, x: Any) -> Any:
            return self.out(self.a(self.a(x).tanh() * self.scale) + self.b(x) * self.same)

    model = bp.Model(Tied(), dtype="float64")
    assert bp.gradcheck(model, X[:5], Y[:5]).worst_relative_error < 1e-6
    names = [name for name, _ in model.named_parameters()]
    assert "scale" in names
    assert "same" not in names
    assert {"scale", "same"} <= {*model.state_dict()}


def test_what_is_set_acts_at_once() -> None:
    model = bp.Model(Body(), dtype="float64")
    before = model.predict(X)
    model.net.slope = 0.0
    assert not np.allclose(before, model.predict(X))
    model.net.slope = 1.0
    np.testing.assert_array_equal(before, model.predict(X))
    model.net.shift[...] = 7
    assert not np.allclose(before, model.predict(X))


def test_rows_are_predicted_alone_unless_forward_mixes_them() -> None:
    """`predict` takes rows in parts; where a row depends on the others, it takes all at once."""
    many = rng.standard_normal((700, 6))
    apart = small(lambda self, x: self.linear(x) * x.mean(dim=1, keepdim=True))
    np.testing.assert_array_equal(apart.predict(many)[5:6], apart.predict(many[5:6]))
    mixed = small(lambda self, x: self.linear(x - x.mean(dim=0)))
    expected = (many - many.mean(axis=0)) @ mixed.net.linear.weight.T + mixed.net.linear.bias
    np.testing.assert_allclose(mixed.predict(many), expected, rtol=1e-9, atol=1e-12)


def test_several_inputs_by_name_and_order() -> None:
    class FiLM(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.last = nn.Linear(2, 4), nn.Linear(4, 3)

        def forward(self, x: Any, condition: Any) -> Any:
            return self.last(x * (1 + self.scale(condition)))

    a, b = X[:, :4], X[:, 4:]
    model = bp.Model(FiLM())
    model.fit((a, b), Y, epochs=2, batch_size=7, progress=False)
    np.testing.assert_array_equal(model.predict((a, b)), model.predict({"condition": b, "x": a}))
    with pytest.raises(
        ValueError, match=r"X holds \['x', 'z'\], expected an array for each input: \['x', 'condition'\]"
    ):
        model.predict({"x": a, "z": b})


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x: x[:, 2:],
        lambda self, x: x.reshape(-1, 2, 3),
        lambda self, x: x[:, 1::2].reshape(-1, 1, 3),
        lambda self, x: (x[:, :3], x[:, 3:]),
    ],
)
def test_a_forward_may_only_show_its_input(forward: Any) -> None:
    """Parts and other shapes are views, which no op reads."""
    found = small(forward).predict(X)
    expected = forward(None, X)
    for one, other in zip(*(y if isinstance(y, tuple) else (y,) for y in (found, expected)), strict=True):
        np.testing.assert_array_equal(one, other)


DRAWS = itertools.count(1)
MISTAKES: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "if": (lambda self, x: x if x.sum() > 0 else -x, r"an `if` on a tensor: .*bp.where"),
    "item": (lambda self, x: x * x.mean().item(), "has no value yet"),
    "float": (lambda self, x: x * float(x.mean()), "has no value yet"),
    "numpy": (lambda self, x: np.tanh(x), "tanh"),
    "numpy of two": (lambda self, x: np.concatenate([x, x]), "np.concatenate on a tensor: .*bp.concatenate"),
    "write": (lambda self, x: x.__setitem__(0, 1.0), "a write into a tensor"),
    "in place": (lambda self, x: x.add_(1), r"no add_\(\), which writes into it: take x = x.add"),
    "shapes": (lambda self, x: x + x[:, :2], r"add: shapes \(\d+, 6\) and \(\d+, 2\) do not fit"),
    "sizes": (lambda self, x: self.linear(x[:, :4]), "expected 6 features last"),
    "no such method": (lambda self, x: x.frobnicate(), "no attribute 'frobnicate'"),
    "reshape": (lambda self, x: x.view(-1, 7, 7), "reshape: .* does not hold"),
    "dim": (lambda self, x: x.sum(dim=3), r"dim is 3, expected an integer in \[-2, 1\]"),
    "index": (lambda self, x: x["x"], "a tensor's index holds"),
    "indices": (lambda self, x: x[:, [0, 6]], "index holds 6, expected integers from -6 to 5"),
    "nothing": (lambda self, x: None, "returned None, expected a tensor"),
    "a scalar": (lambda self, x: self.linear(x).mean(), r"returned a tensor of shape \(\), expected the \d+ rows"),
    "a constant": (lambda self, x: self.linear.weight, "expected the|does not use its input 'x'"),
    "no use of x": (lambda self, x: self.linear.weight.sum() + bp.zeros(3, 3), "does not use its input 'x'"),
    "an empty tuple": (lambda self, x: (), "returned an empty tuple"),
    "a number among outputs": (lambda self, x: {"y": self.linear(x), "z": 3.0}, "returned 3.0, expected a tensor"),
    "an output of no rows": (lambda self, x: (self.linear(x), self.linear.weight), "returned a tensor of shape"),
    "a random number": (lambda self, x: self.linear(x) * next(DRAWS), "computes something else when it runs again"),
    "a random array": (lambda self, x: self.linear(x) + np.full(3, next(DRAWS)), "computes something else when it runs"),
    "a random choice": (
        lambda self, x: self.linear(x).relu() if next(DRAWS) % 2 else self.linear(x).exp(), "something else"
    ),
    "a random shape": (lambda self, x: self.linear(x).sum(dim=1, keepdim=True).expand(-1, next(DRAWS)), "something else"),
    "a kept tensor": (lambda self, x: _keep(self, x), "a tensor of another forward"),
}  # fmt: skip


def _keep(module: Any, x: Any) -> Any:
    kept = module.__dict__.setdefault("_kept", x)
    return module.linear(x + kept)


def use(model: bp.Model) -> None:
    model.predict(X)
    model.predict(X[:2])
    model.step(X, Y)


@pytest.mark.parametrize("name", MISTAKES)
def test_errors_show_the_line(name: str) -> None:
    forward, message = MISTAKES[name]
    model = small(forward)
    with pytest.raises((TypeError, ValueError, IndexError, AttributeError), match=message) as caught:
        use(model)
    shown = str(caught.value) + "".join(getattr(caught.value, "__notes__", ()))
    if "forward of" not in shown and "its output had" not in shown:
        assert "test_modules.py:" in shown


def test_a_forward_that_does_nothing_the_second_time() -> None:
    """There is no line of a second program without instructions."""
    drawn = itertools.count()
    model = small(lambda self, x: x if next(drawn) else x.tanh())
    with pytest.raises(ValueError, match="computes something else when it runs again"):
        use(model)


def test_other_mistakes() -> None:
    class Without(nn.Module):
        def __init__(self) -> None:
            self.linear = nn.Linear(6, 3)

    with pytest.raises(AttributeError, match=r"Without: __init__ has to call super\(\).__init__\(\) before"):
        Without()
    with pytest.raises(TypeError, match=r"net is Module\(\), which has no forward"):
        bp.Model(nn.Module())
    with pytest.raises(TypeError, match=r"Linear was called outside forward: model = bp.Model\(net\)"):
        nn.Linear(6, 3)(X)
    with pytest.raises(TypeError, match=r"Parameter: data is 'x', expected an array of numbers"):
        nn.Parameter("x")


def test_what_cannot_be_exchanged_is_refused_by_name() -> None:
    """Once a model has made the weights, another module would have none; and a tied weight lies in memory as the first does."""
    net = bp.Model(Body()).net
    for name, value in (("first", nn.Linear(6, 5)), ("scale", nn.Parameter(np.ones(5)))):
        with pytest.raises(ValueError, match=rf"{name} of .* cannot be exchanged: its weights are made"):
            setattr(net, name, value)
    with pytest.raises(ValueError, match=r"shift of .* cannot be exchanged"):
        net.register_buffer("shift", np.ones(5))
    with pytest.raises(
        ValueError,
        match=r"weight of Linear\(6, 3\) is Parameter of shape \(6, 3\), expected one that is like",
    ):
        nn.Linear(6, 3).weight = nn.Linear(3, 6).weight
    tied = nn.Linear(6, 3)
    tied.weight = (other := nn.Linear(6, 3)).weight
    model = bp.Model(nn.Sequential(tied, nn.Linear(3, 6), other))
    model.step(X, Y)
    np.testing.assert_array_equal(model.state_dict()["0.weight"], model.state_dict()["2.weight"])
    assert [name for name, _ in model.named_parameters()] == [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "2.bias",
    ]


def test_a_module_outside_the_network_is_refused() -> None:
    hidden = [nn.Linear(6, 3)]
    with pytest.raises(
        ValueError,
        match=r"Linear\(6, 3\) is no part of the model: set it as an attribute in __init__, lists as",
    ):
        small(lambda self, x: hidden[0](x)).predict(X)


def test_buffers_can_be_read_and_written_before_there_is_a_model() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 3)
            self.register_buffer("shift", np.ones(3))
            self.twice = 2 * self.shift
            self.shift = np.full(3, 5.0)

        def forward(self, x: Any) -> Any:
            return self.linear(x) + self.shift * self.twice

    model = bp.Model(Shifted(), dtype="float64")
    np.testing.assert_array_equal(model.state_dict()["shift"], np.full(3, 5.0))
    np.testing.assert_allclose(model.predict(X), X @ model.net.linear.weight.T + model.net.linear.bias + 10)


def test_layers_by_their_forward_and_by_inheritance() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: Any) -> Any:
            return 2 * super().forward(x)

    plain = bp.Model(nn.Linear(6, 3), dtype="float64")
    doubled = bp.Model(Doubled(6, 3), dtype="float64")
    np.testing.assert_allclose(doubled.predict(X), 2 * plain.predict(X))
    by_forward = small(lambda self, x: self.linear.forward(x))
    np.testing.assert_array_equal(by_forward.predict(X), small(lambda self, x: self.linear(x)).predict(X))


def test_infinities_that_mask_stay_outside() -> None:
    """-∞ beside the largest element, and logarithms of 0 beside the class, give no NaN, forward nor backward."""
    masked = small(
        lambda self, x: (
            bp.where(np.arange(3) < 2, self.linear(x), -np.inf).amax(1, keepdim=True) + self.linear(x)
        )
    )
    assert bp.gradcheck(masked, X[:5], Y[:5]).worst_relative_error < 1e-6
    model = bp.Model(
        nn.Linear(6, 3), nn.traced(lambda p, y: F.cross_entropy(bp.where(np.arange(3) < 2, p, -np.inf), y))
    )
    assert np.isfinite(model.step(X, np.arange(24) % 2))


def test_equal_largest_elements_share_the_gradient() -> None:
    """As in PyTorch's amax; the value is the largest itself, not a mean of equal ones."""
    model = small(lambda self, x: x.amax(1, keepdim=True) + 0 * self.linear(x))
    x = np.array([[0.1, 0.3, 0.3, 0.3, -1.0, 0.2]])
    assert (model.forward(x, training=True) == 0.3).all()
    np.testing.assert_allclose(model.backward(np.ones((1, 3))), [[0, 1, 1, 1, 0, 0]])


def test_parameters_that_nothing_uses_are_named() -> None:
    model = small(lambda self, x: self.linear(x), spare=nn.Linear(2, 2))
    with pytest.warns(
        UserWarning, match=r"no gradient reaches spare\.weight, spare\.bias: forward does not use them"
    ):
        model.step(X, Y)
    model.net.spare.requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.step(X, Y)


def test_load_state_dict_in_part() -> None:
    """PyTorch's strict=False: keys that fit are taken, the others are named; a shape that does not fit changes nothing."""
    model = bp.Model(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1)), "mse")
    before = model.state_dict()
    part = {"0.weight": np.ones((2, 3)), "2.weight": np.ones(1)}
    with pytest.raises(KeyError, match="missing keys"):
        model.load_state_dict(part)
    left = model.load_state_dict(part, strict=False)
    assert left.missing_keys == ["0.bias", "1.bias", "1.weight"]
    assert left.unexpected_keys == ["2.weight"]
    assert (model.state_dict()["0.weight"] == 1).all()
    assert np.array_equal(model.state_dict()["1.weight"], before["1.weight"])
    with pytest.raises(ValueError, match=r"state\['1.weight'\] has shape \(2, 2\)"):
        model.load_state_dict({"0.weight": np.zeros((2, 3)), "1.weight": np.ones((2, 2))}, strict=False)
    assert (model.state_dict()["0.weight"] == 1).all()


@pytest.mark.torch
def test_modules_and_parameters_as_in_torch() -> None:
    shared = nn.Linear(2, 2)
    net = nn.Sequential(shared, nn.ReLU(), shared)
    assert [name for name, _ in net.named_modules()] == ["", "0", "1"]
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias"]
    assert sum(parameter.numel() for parameter in net.parameters()) == 6
    assert [*net.children()] == [shared, net[1], shared]


def test_a_summary_knows_the_shapes_within_forward() -> None:
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 6)

        def forward(self, x: Any) -> Any:
            return self.first(x).relu(), x

    model = bp.Model(Inner(), ["mse", "mse"])
    model.predict(np.ones((2, 4)))
    assert "(6,)" in str(model.summary())


def test_a_forward_without_inputs() -> None:
    class Nothing(nn.Module):
        def forward(self) -> Any:
            return bp.zeros(3)

    with pytest.raises(TypeError, match=r"forward of Nothing takes no input, expected forward\(self, x\)"):
        bp.Model(Nothing())


def test_what_forward_notes_makes_no_new_program() -> None:
    """As a network that keeps its attention for a look; what it says of the last `forward` stays for `backward`."""

    def forward(self: Any, x: Any) -> Any:
        self.seen, self.calls = x * 2, getattr(self, "calls", 0) + 1
        return self.linear(x)

    model = small(forward)
    model.step(X, Y)
    calls, plans = model.net.calls, [*model.engine.plans.plans.values()]
    for _ in range(3):
        model.step(X, Y)
    assert model.net.calls == calls
    assert [*model.engine.plans.plans.values()] == plans
    model.forward(X, training=True)
    model.backward(Y)


def test_noise_that_a_training_step_would_repeat() -> None:
    draws = np.random.default_rng(0)

    def forward(self: Any, x: Any) -> Any:
        return self.linear(x + draws.standard_normal(6) if self.training else x)

    model = small(forward)
    before = model.predict(X)
    for call in (model.step, model.fit):
        with pytest.raises(ValueError, match=r"runs again for the same shapes(.|\n)*draws.standard_normal"):
            call(X, Y)
    with pytest.raises(ValueError, match="runs again for the same shapes"):
        model.forward(X, training=True)
    assert np.array_equal(model.predict(X), before)


@pytest.mark.parametrize("name", ["learned", "state", "view", "modules", "training", "parameters", "walk"])
def test_a_name_that_every_module_has_is_refused(name: str) -> None:
    class Taken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            setattr(self, name, nn.Linear(2, 2))

        def forward(self, x: Any) -> Any:
            return x

    with pytest.raises(AttributeError, match=f"Taken: {name} is a name that nn.Module has itself"):
        Taken()


def test_names_that_only_arguments_of_layers_need_are_free() -> None:
    class Free(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sizes, self.flag = [2, 3], True
            self.inner = nn.Linear(2, 3)

        def forward(self, x: Any) -> Any:
            return self.inner(x)

    assert bp.Model(Free(), "mse").predict(np.ones((4, 2))).shape == (4, 3)


@once
def test_a_list_of_parameters() -> None:
    weights = nn.ParameterList([np.ones(2)])
    weights.append(nn.Parameter(np.zeros((2, 3)))).extend([np.ones(1)])
    assert [p.shape for p in weights] == [(2,), (2, 3), (1,)]
    assert weights[-1] is weights[2]
    assert weights[1:] == [weights[1], weights[2]]
    with pytest.raises(IndexError, match="ParameterList: index is 3, expected one of 3 parameters"):
        weights[3]
    with pytest.raises(TypeError, match="data is 'a', expected an array of numbers"):
        nn.ParameterList(["a"])


@once
def test_what_bodies_of_pytorch_write() -> None:
    class Body(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module("cell", nn.GRUCell(3, 4))
            self.register_parameter("scale", nn.Parameter(bp.ones(4, dtype=bp.float32, device="cpu")))
            self.register_parameter("shift", None)

        def forward(self, x: Any) -> Any:
            h = bp.zeros(x.size(0), 4, device=x.device, dtype=x.dtype)
            for t in range(x.size(1)):
                h = self.cell(x[:, t], h)
            assert self.shift is None
            return (self.scale * h + x.new_zeros(4) + x.new_ones(1)).type_as(x)

    model = bp.Model(Body(), "mse")
    assert {"scale", "cell.weight_ih"} <= {*model.state_dict()}
    assert model.fit(np.ones((5, 2, 3)), np.ones((5, 4)), epochs=1).history["loss"][0] > 0


@once
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Linear(2, 2).add_module("a", 3), "add_module: module is 3"),
        (lambda: nn.Linear(2, 2).register_parameter("a", np.ones(3)), "register_parameter: param is"),
        (lambda: bp.zeros(2, device="cuda"), "device is 'cuda', expected 'cpu'"),
        *(
            (
                lambda name=name: nn.Sequential({name: nn.ReLU()}),
                f"name is {name!r}, expected a text without a dot",
            )
            for name in ("a.b", "", "_flat", 1)
        ),
        (lambda: nn.Sequential({"emit": nn.ReLU()}), "name is 'emit', which nn.Module has itself"),
        (lambda: nn.Sequential({"layers": nn.ReLU()}), "name is 'layers', which nn.Module has itself"),
        (lambda: nn.Sequential({"act": nn.ReLU}), "layer act is the class ReLU, expected"),
        (lambda: setattr(nn.Sequential({"act": nn.ReLU()}), "act", nn.Tanh()), "layer 'act' is fixed"),
    ],
)
def test_what_is_refused_by_name(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()


@once
@pytest.mark.parametrize("name", ["train", "eval", "to", "cuda", "zero_grad", "double"])
def test_what_training_loops_call(name: str) -> None:
    with pytest.raises(
        AttributeError, match=f"no attribute '{name}': (leave it out|the dtype is the model's)"
    ):
        getattr(nn.Linear(2, 2), name)
