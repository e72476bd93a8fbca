"""bp.explain: the example of the textbooks, every kind of network, what text says, and that the model stays as it is."""

import time
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from backpass.backends import Backend
from helpers.graphs import Graph
from helpers.nets import LABELS, X, digest, net, on, shared_twice, small
from helpers.registered import sample_layers


def textbook(*layers: nn.Module) -> bp.Model:
    model = bp.Model(nn.Sequential(nn.Linear(1, 1), *layers), "mse", optim.SGD(lr=0.05), dtype="float64")
    model.net[0].weight[:], model.net[0].bias[:] = 0.5, 0.1
    return model


def test_the_example_of_the_textbooks() -> None:
    """x = 2, w = 0.5, b = 0.1, y = 1: prediction 1.1, dL/dw = 2 (1.1 - 1) 2 = 0.4, and w becomes 0.5 - 0.05 · 0.4 = 0.48."""
    step = bp.explain(textbook(nn.Identity()), [[2.0]], [1.0])
    layer, identity = step["0"], step["1"]
    assert step.loss == pytest.approx(0.01, rel=1e-12)
    numbers = {
        "input": 2, "output": 1.1, "arriving": 0.2, "leaving": 0.1, "weight": 0.5, "dweight": 0.4, "weight_update": 0.02,
        "bias": 0.1, "dbias": 0.2, "bias_update": 0.01,
    }  # fmt: skip
    assert {key: float(array.item()) for key, array in layer.items()} == pytest.approx(numbers, rel=1e-12)
    assert identity["slope"].item() == 1
    text = str(step)
    for line in ("y = x Wᵀ + b", "mean of (pred - target)²", "w after the step            0.48"):
        assert line in text
    assert "Left out" not in text
    assert repr(step) == text


def test_a_sigmoid_between() -> None:
    step = bp.explain(textbook(nn.Sigmoid()), [[2.0]], [1.0])
    a = 1 / (1 + np.exp(-1.1))
    assert step["1"]["slope"].item() == pytest.approx(a * (1 - a), rel=1e-12)
    assert step["0"]["dweight"].item() == pytest.approx(2 * (a - 1) * a * (1 - a) * 2, rel=1e-12)


def test_the_model_stays_as_it_is(backend: Backend) -> None:
    model, twin = (on(backend, bp.Model(net(), "cross_entropy", "adam", seed=3)) for _ in range(2))
    for _ in range(3):
        before = digest(model)
        bp.explain(model, X, LABELS)
        assert digest(model) == before
        assert model.step(X, LABELS) == twin.step(X, LABELS)
    assert digest(model) == digest(twin)
    assert all("emit" not in vars(layer) for _, layer in model.net.walk())


def test_the_update_is_that_of_the_optimizer() -> None:
    """With its moments, clipping, weight decay and groups."""
    optimizer = optim.AdamW(clip_grad_norm=0.1, weight_decay=0.1, lr=0.01)
    model = bp.Model(net(), "cross_entropy", optimizer)
    model.fit(X, LABELS, epochs=1)
    before, found = model.state_dict(), bp.explain(model, X, LABELS)
    model.step(X, LABELS)
    for name, after in model.named_parameters():
        layer, _, key = name.rpartition(".")
        assert np.array_equal(found[layer][f"{key}_update"], before[name] - after)


def test_dropout_has_the_mask_of_the_step() -> None:
    model = bp.Model(net(), "cross_entropy")
    slope = bp.explain(model, X, LABELS)["3"]["slope"]
    assert {*np.unique(slope).tolist()} == {0.0, float(np.float32(1 / 0.75))}
    model.step(X, LABELS)
    assert not np.array_equal(bp.explain(model, X, LABELS)["3"]["slope"], slope)


class Two(nn.Module):
    """Two inputs, a weight that is used twice, and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.shared = nn.Linear(6, 4), nn.Linear(3, 4), nn.Linear(4, 4)

    def forward(self, x: Any, z: Any) -> Any:
        both = self.shared(self.first(x)) * self.second(z)
        return {"a": both, "b": self.shared(both).mean(1, keepdim=True)}


def test_several_inputs_and_outputs() -> None:
    model = bp.Model(Two(), {"a": "mse", "b": "mae"}, dtype="float64")
    given = {"x": X, "z": X[:, :3]}
    y = {"a": X[:, :4], "b": X[:, :1]}
    step = bp.explain(model, given, y)
    names = [node.name for node in step.nodes]
    assert names == ["x", "z", "first", "shared", "second", "net", "shared#2", "net#2", "loss"]
    sources = {node.name: [names[s] for s in node.sources] for node in step.nodes}
    assert sources["net"] == ["shared", "second"]
    assert sources["shared#2"] == ["net"]
    assert sources["loss"] == ["net", "net#2"]
    assert {"input['a']", "input['b']", "target['a']", "leaving['b']"} < {*step["loss"]}
    gradients = bp.gradients(model, given, y)
    assert all(np.array_equal(step[n]["dweight"], gradients["shared.weight"]) for n in ("shared", "shared#2"))
    # What the loss of the first output hands on directly comes on top.
    direct = 2 * (step["net"]["output"] - X[:, :4]) / (70 * 4)
    assert np.allclose(step["net"]["arriving"], step["shared#2"]["leaving"] + direct, atol=1e-12)


@pytest.mark.parametrize("returns", ["last", "sequence"])
def test_recurrent_layers_are_summed_up(returns: str) -> None:
    head = [nn.Flatten(), nn.Linear(40, 3)] if returns == "sequence" else [nn.Linear(8, 3)]
    model = bp.Model(nn.Sequential(nn.LSTM(6, 8, returns=returns), *head), "cross_entropy")
    step = bp.explain(model, np.repeat(X[:, None], 5, 1), LABELS)
    assert {"weight_ih_l0", "dweight_hh_l0", "bias_ih_l0_update", "arriving", "leaving"} < {*step["0"]}
    text = str(step)
    assert "32 × 6: mean" in text
    assert "numbers of" in text


def test_attention_and_tables_show_all_parameters() -> None:
    net = nn.Sequential(
        nn.Embedding(9, 8), nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), nn.Flatten(), nn.Linear(40, 3)
    )
    model = bp.Model(net, "cross_entropy")
    tokens = np.random.default_rng(0).integers(0, 9, (7, 5))
    step = bp.explain(model, tokens, LABELS[:7])
    shown = [array for node in step.nodes for key, (array, *_) in node.weights.items()]
    assert sum(array.size for array in shown) == sum(p.size for p in model.parameters())
    assert "arriving" in step["0"]
    assert "leaving" not in step["0"]  # indices have none


@pytest.mark.parametrize("name", sample_layers())
def test_every_layer(name: str) -> None:
    """All parameters are shown, gradients arrive everywhere, and the bits are those of a step of the improved program."""
    sample = sample_layers()[name]
    data = sample.data(4)
    x = data if len(data) > 1 else next(iter(data.values()))
    model = bp.Model(sample.make(), "mse", dtype="float64", backend="numpy")
    y = np.zeros_like(model.predict(x))
    step, gradients = bp.explain(model, x, y), bp.gradients(model, x, y)
    check_complete(step, model)
    model.step(x, y)
    assert all(np.array_equal(a, b) for a, b in zip(model.gradients(), gradients.values(), strict=True))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_forwards_of_many_operations(seed: int) -> None:
    graph = Graph(seed)
    model = bp.Model(graph, "mse", dtype="float64", backend="numpy")
    x = np.random.default_rng(seed).standard_normal((3, *graph.row))
    step, gradients = bp.explain(model, x, np.zeros((3, 2))), bp.gradients(model, x, np.zeros((3, 2)))
    check_complete(step, model)
    model.step(x, np.zeros((3, 2)))
    assert all(
        np.allclose(a, b, rtol=1e-12, atol=1e-14)
        for a, b in zip(model.gradients(), gradients.values(), strict=True)
    )


def check_complete(step: Any, model: bp.Model) -> None:
    """Each parameter stands somewhere; nodes have sources, and gradients but for what no gradient reaches."""
    shown = {id(weight.value): weight.value.size for node in step.nodes for weight in node.weights.values()}
    assert sum(shown.values()) == sum(p.size for p in model.parameters())
    assert all(node.formula for node in step.nodes if node.kind != "input")
    assert all(source >= 0 for node in step.nodes for source in node.sources)
    assert all(node.sources for node in step.nodes if node.kind in ("layer", "loss"))
    assert step["loss"]["leaving"].shape == step["loss"]["input"].shape
    assert str(step)
    assert step.to_html()


def test_a_tie_a_frozen_layer_and_a_loss_of_your_own() -> None:
    model = bp.Model(shared_twice(), lambda pred, y: (float((pred**2).sum() / 2), pred))
    model.net[0].requires_grad_(False)
    step = bp.explain(model, X, LABELS)
    assert "dweight" not in step["0"]
    assert not step["0"]["weight_update"].any()
    assert "none: frozen" in str(step)
    assert np.array_equal(step["1"]["dweight"], step["5.inner"]["dweight"])
    assert np.array_equal(step["loss"]["leaving"], step["loss"]["input"])


def test_layers_with_the_names_of_other_nodes() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.x, self.net, self.loss = nn.Linear(6, 4), nn.Linear(4, 4), nn.Linear(4, 3)
            self.own = nn.Parameter(np.ones((1, 3)))

        def forward(self, z: Any) -> Any:
            return self.loss((self.net(self.x(z)) * 0.5).tanh()) * self.own

    model = bp.Model(Odd(), "mse")
    step = bp.explain(model, X, X[:, :3])
    assert [node.name for node in step.nodes] == ["z", "x", "net", "net#2", "loss", "net#3", "loss#2"]
    weights = {node.name: [*node.weights] for node in step.nodes if node.weights}
    both = ["weight", "bias"]
    assert weights == {"x": both, "net": both, "loss": both, "net#3": ["own"]}
    assert step["loss#2"]["output"][0] == step.loss


def test_rows_of_different_lengths() -> None:
    model = bp.Model(nn.Sequential(nn.GRU(6, 4), nn.Linear(4, 3)), "mse", dtype="float64")
    rows = [X[:5], X[5:7], X[7:15]]
    step = bp.explain(model, rows, [row[:, :3] for row in rows])
    assert step.loss == pytest.approx(model.evaluate(rows, [row[:, :3] for row in rows])["loss"], rel=1e-12)
    assert not step["0"]["arriving"][1, 2:].any()


def test_what_is_no_batch_is_refused() -> None:
    model = bp.Model(nn.Linear(6, 3), "mse")
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"x is a sparse matrix, expected a dense batch: x.toarray\(\)"):
        bp.explain(model, sparse.csr_matrix(X), X[:, :3])
    with pytest.raises(TypeError, match="x are Streams, expected the rows of one batch"):
        bp.explain(model, bp.Streams(X, X[:, :3], batch=2, steps=5), None)
    with pytest.raises(ValueError, match="empty"):
        bp.gradients(model, X[:0], X[:0, :3])


def test_detail() -> None:
    model = small()
    numbers, summary = (str(bp.explain(model, X, X[:, :3], detail=d)) for d in ("numbers", "summary"))
    assert "Left out" not in numbers
    assert len(numbers.splitlines()) > 400
    assert "70 × 8: mean" in summary
    assert "Left out: " in summary
    with pytest.raises(ValueError, match="detail is 'all', expected one of"):
        bp.explain(model, X, X[:, :3], detail="all")  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="'9', expected one of"):
        bp.explain(model, X, X[:, :3])["9"]
    with pytest.raises(ValueError, match="X does not fit the network"):
        bp.explain(model, X[:, :5], X[:, :3])
    with pytest.raises(bp.NonFiniteError):
        bp.explain(bp.Model(nn.Linear(6, 3), "mse"), X, np.full((70, 3), 1e30))


def test_ten_million_parameters_answer_at_once() -> None:
    """It takes 0.7 s on two quiet cores; the limit is that of the issue."""
    net = nn.Sequential(
        nn.Linear(1000, 3000), nn.ReLU(), nn.Linear(3000, 2300), nn.ReLU(), nn.Linear(2300, 10)
    )
    model = bp.Model(net, "cross_entropy")
    x, y = np.ones((32, 1000), np.float32), np.arange(32) % 10
    start = time.process_time()
    step = bp.explain(model, x, y)
    text, page = str(step), step.to_html()
    assert time.process_time() - start < 2
    assert "Left out: 4" in text
    assert "Left out: " in page
    assert len(page) < 200_000
