"""Random crops, rotations and color jitter: what they do to images, beside torch, and in both orders of memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from backpass.ops.augment import WORDS
from backpass.ops.philox import draw

RNG = np.random.default_rng(0)
X = RNG.uniform(1, 2, (40, 3, 6, 5))
Y = np.arange(40) % 3
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "shift": lambda: nn.RandomShift(2),
    "flip": nn.RandomHorizontalFlip,
    "cutout": lambda: nn.Cutout(3),
    "crop": lambda: nn.RandomCrop((4, 3)),
    "padded crop": lambda: nn.RandomCrop((6, 5), padding=(2, 1)),
    "jitter": lambda: nn.ColorJitter(0.4, 0.3),
    "rotation": lambda: nn.RandomRotation(20),
}


def uniform(word: int) -> np.ndarray:
    """The numbers in [0, 1) that the images are drawn by: seed 3, first step, first layer."""
    return draw(WORDS * 40, 0, 1, 3).reshape(40, WORDS)[:, word] * 2.0**-32


def seen(layer: nn.Module, backend: Backend, x: np.ndarray = X) -> np.ndarray:
    """What comes out of a layer while training."""
    model = bp.Model(nn.Sequential(layer), seed=3, dtype="float64")
    model.backend = backend
    return model.forward(x, training=True)


def test_crop_shows_a_part(backend: Backend) -> None:
    out = seen(nn.RandomCrop((4, 3)), backend)
    places = set()
    for x, y in zip(X, out, strict=True):
        fits = [(i, j) for i in range(3) for j in range(3) if np.array_equal(x[:, i : i + 4, j : j + 3], y)]
        assert len(fits) == 1
        places.add(fits[0])
    assert len(places) > 6, "all places are equally likely"


def test_padded_crop_begins_outside(backend: Backend) -> None:
    places = set()
    for x, y in zip(X, seen(nn.RandomCrop(6, padding=1), backend), strict=True):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        fits = [
            (i, j) for i in range(3) for j in range(2) if np.array_equal(padded[:, i : i + 6, j : j + 6], y)
        ]
        assert len(fits) == 1
        places.add(fits[0])
    assert len(places) == 6


@pytest.mark.parametrize(
    ("size", "padding"), [((3, 2), 0), ((6, 5), 2), ((1, 4), 0), ((8, 7), 1), ((5, 5), 1)]
)
def test_the_centre_in_inference(size: tuple[int, int], padding: int, backend: Backend) -> None:
    """The place that torchvision's CenterCrop takes: half of the spare pixels, rounded to an even number."""
    model = bp.Model(nn.Sequential(nn.RandomCrop(size, padding)), dtype="float64")
    model.backend = backend
    padded = np.pad(X, ((0, 0), (0, 0), (4, 4), (4, 4)))
    top, left = 4 + round((6 - size[0]) / 2), 4 + round((5 - size[1]) / 2)
    assert np.array_equal(model.predict(X), padded[:, :, top : top + size[0], left : left + size[1]])


def test_jitter(backend: Backend) -> None:
    bright, factor = 0.6 + 0.8 * uniform(0), 0.7 + 0.6 * uniform(1)
    mean = (X * np.array([0.2989, 0.587, 0.114])[:, None, None]).sum(1).mean((1, 2))
    b, c, m = (each[:, None, None, None] for each in (bright, factor, mean))
    assert seen(nn.ColorJitter(0.4, 0.3), backend) == pytest.approx(b * (c * X + (1 - c) * m), abs=1e-12)
    grey = X[:, :2]
    m = grey.mean((1, 2, 3), keepdims=True)
    assert seen(nn.ColorJitter(0.4, 0.3), backend, grey) == pytest.approx(
        b * (c * grey + (1 - c) * m), abs=1e-12
    )
    assert np.array_equal(seen(nn.ColorJitter(), backend), X)
    factors = seen(nn.ColorJitter(brightness=3), backend) / X
    assert factors.min() >= 0, "not below max(0, 1 - brightness)"
    assert factors.max() > 3


@pytest.mark.torch
def test_rotation_as_grid_sample(backend: Backend) -> None:
    """torchvision's rotate samples by this function, with the grid that torch makes of the same matrix."""
    torch = pytest.importorskip("torch")
    angle = np.deg2rad(-25 + 65 * uniform(0))
    height, width = X.shape[2:]
    # From pixels to the coordinates of the grid, which go from -1 to 1 over the whole image.
    cosine, sine = np.cos(angle), np.sin(angle)
    zero = np.zeros_like(angle)
    rows = [[cosine, -sine * height / width, zero], [sine * width / height, cosine, zero]]
    theta = torch.from_numpy(np.array(rows).transpose(2, 0, 1))
    x = torch.from_numpy(X).requires_grad_()
    F = torch.nn.functional
    grid = F.affine_grid(theta, X.shape, align_corners=False)
    y = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    model = bp.Model(nn.Sequential(nn.RandomRotation((-25, 40))), seed=3, dtype="float64")
    model.backend = backend
    assert model.forward(X, training=True) == pytest.approx(y.detach().numpy(), abs=1e-10)
    dy = RNG.standard_normal(X.shape)
    y.backward(torch.from_numpy(dy))
    assert model.backward(dy) == pytest.approx(x.grad.numpy(), abs=1e-10)


def test_rotation_by_a_quarter(backend: Backend) -> None:
    square = X[..., :5, :]
    turned = seen(nn.RandomRotation((90, 90)), backend, square)
    assert turned == pytest.approx(np.rot90(square, axes=(2, 3)), abs=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", LAYERS)
def test_both_orders_of_memory_give_the_same_bits(kind: str, dtype: str, backend: Backend) -> None:
    class Turned(nn.Module):
        """The same layer on images that lie with the channels last."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = LAYERS[kind]()

        def forward(self, x: Any) -> Any:
            last = (x.permute(0, 2, 3, 1) * 1.0).reshape(*x.shape[:1], *x.shape[2:], x.shape[1])
            return self.layer(last.permute(0, 3, 1, 2))

    results = []
    for net in (LAYERS[kind](), Turned()):
        model = bp.Model(nn.Sequential(net), seed=3, dtype=dtype)
        model.backend = backend
        y = model.forward(X, training=True)
        dx = model.backward(y)
        results.append((y, dx, model.predict(X)))
    for first, last in zip(*results, strict=True):
        assert np.array_equal(first, last)


@pytest.mark.parametrize("kind", LAYERS)
def test_images_with_the_channels_last_are_not_copied(kind: str) -> None:
    """From the gathered batch to the flattened rows there is one copy, that of Flatten."""
    for X_, layout in ((X, "NCHW"), (X.transpose(0, 2, 3, 1).copy(), "NHWC")):
        model = bp.Model(nn.Sequential(LAYERS[kind](), nn.Flatten()), "mse")
        pixels = bp.Images(X_.astype(np.float32), layout)  # type: ignore[arg-type]
        model.fit(pixels, np.zeros_like(model.predict(pixels)), epochs=1, batch_size=40)
        plans = [plan for spec, plan in model.engine.plans.plans.items() if spec.training]
        copies = [i for i in plans[-1].forward if i.op.name == "expression"]
        assert len(copies) == (layout == "NHWC")


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_behind_a_layer_with_weights(kind: str) -> None:
    """The layer stands behind a linear map of the channels, so that a gradient flows through it."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.layer, self.out = nn.Linear(3, 2), LAYERS[kind](), nn.Linear(2, 1)

        def forward(self, x: Any) -> Any:
            x = self.mix(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            return self.out(self.layer(x).mean(dim=(2, 3)))

    model = bp.Model(Net(), "mse", dtype="float64")
    assert bp.gradcheck(model, X[:5], RNG.standard_normal((5, 1))).worst_relative_error < 1e-6


def test_draws_are_those_of_seed_and_step(backend: Backend) -> None:
    model = bp.Model(
        nn.Sequential(
            nn.RandomCrop(4), nn.ColorJitter(0.5), nn.RandomRotation(30), nn.Flatten(), nn.Linear(48, 3)
        ),
        "cross_entropy",
        seed=3,
    )
    model.backend = backend
    first, again = model.forward(X, training=True), model.forward(X, training=True)
    assert np.array_equal(first, again)
    losses = [
        bp.Model(model.net.__deepcopy__({}), "cross_entropy", seed=3, threads=threads)
        .fit(X, Y, epochs=3)
        .history["loss"]
        for threads in (1, 3)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.RandomCrop(0), "size is 0"),
        (lambda: nn.RandomCrop((3, 3, 3)), r"size is \(3, 3, 3\)"),
        (lambda: nn.RandomCrop(3, -1), "padding is -1"),
        (lambda: nn.RandomCrop(10**9), "size is 1000000000"),
        (lambda: nn.RandomCrop(3, pad_if_needed=True), "no argument 'pad_if_needed': give padding"),
        (lambda: nn.ColorJitter(-0.1), "brightness is -0.1"),
        (lambda: nn.ColorJitter(contrast=np.nan), "contrast is nan"),
        (lambda: nn.ColorJitter(saturation=0.1), "no argument 'saturation': brightness and contrast"),
        (lambda: nn.ColorJitter(hue=0.1), "no argument 'hue': brightness and contrast"),
        (lambda: nn.RandomRotation(-3), "degrees is -3"),
        (lambda: nn.RandomRotation("x"), "degrees is 'x'"),
        (lambda: nn.RandomRotation((20, 10)), r"degrees is \(20, 10\)"),
        (lambda: nn.RandomRotation(3, expand=True), "no argument 'expand': the size stays"),
        (
            lambda: bp.Model(nn.Sequential(nn.RandomCrop(7))).predict(X),
            r"images are \(6, 5\), expected at least \(7, 7\)",
        ),
        (lambda: bp.Model(nn.Sequential(nn.RandomRotation(7))).predict(X[0]), r"expected \(N, C, H, W\)"),
    ],
)
def test_errors(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()
