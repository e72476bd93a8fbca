"""bp.Images: pixels of any dtype and layout train to the bits of the float array that the same formula gives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (50, 3, 6, 5)).astype(np.uint8)
Y = np.arange(50) % 4
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


class Traced(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(90, 8), nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        return self.out(self.hidden(x.flatten(1)).relu())


def layers() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(90, 8), nn.ReLU(), nn.Linear(8, 4))


def model(backend: Backend, dtype: str = "float32", make: Callable[[], nn.Module] = layers) -> bp.Model:
    made = bp.Model(make(), "cross_entropy", "adam", dtype=dtype, seed=1, backend="numpy")
    made.backend = backend
    return made


def numbers(dtype: Any, pixels: np.ndarray = PIXELS, scale: float = 1 / 255) -> np.ndarray:
    """What the network sees."""
    dtype = np.dtype(dtype)
    mean, std = (np.array(each, dtype)[:, None, None] for each in (MEAN, STD))
    return (pixels.astype(dtype) * dtype.type(scale) - mean) / std


def forms(tmp_path: Path) -> dict[str, bp.Images]:
    """The same images in memory of every kind."""
    last = np.ascontiguousarray(PIXELS.transpose(0, 2, 3, 1))
    np.save(tmp_path / "pixels.npy", PIXELS)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    return {
        "NCHW": bp.Images(PIXELS, mean=MEAN, std=STD),
        "NHWC": bp.Images(last, "NHWC", MEAN, STD),
        "a view of NHWC": bp.Images(last.transpose(0, 3, 1, 2), "NCHW", MEAN, STD),
        "a memory map": bp.Images(mapped, mean=MEAN, std=STD),
        "every second pixel of a larger array": bp.Images(PIXELS.repeat(2, 3)[..., ::2], mean=MEAN, std=STD),
        "int16": bp.Images(PIXELS.astype(">i2"), mean=MEAN, std=STD, scale=1 / 255),
        "float64": bp.Images(PIXELS.astype("f8"), mean=MEAN, std=STD, scale=1 / 255),
        "float16": bp.Images(PIXELS.astype("f2"), mean=MEAN, std=STD, scale=1 / 255),
    }


def everything(made: bp.Model, X: Any) -> list[Any]:
    """All that may be done with X, and what comes of it."""
    chunks = [(X[:20], Y[:20]), (X[20:], Y[20:])]
    weights = np.linspace(0, 1, 50)
    found: list[Any] = [
        made.fit(X, Y, epochs=2, batch_size=16, validation_split=0.2, sample_weight=weights).history,
        made.fit(X, Y, epochs=1, batch_size=16, validation_data=(X[:20], Y[:20]), shuffle=False).history,
        made.fit(chunks, epochs=2, batch_size=8, validation_data=chunks).history,
        made.step(X[:7], Y[:7]),
        made.evaluate(X, Y, weights),
        made.score(X, Y),
    ]
    out = (made.predict(X), made.forward(X[:4], training=True), made.predict_classes(X), *made.parameters())
    return [*found, *(array.tobytes() for array in out)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [layers, Traced])
def test_bits_of_the_float_array(
    make: Callable[[], nn.Module], dtype: str, backend: Backend, tmp_path: Path
) -> None:
    expected = everything(model(backend, dtype, make), numbers(dtype))
    for name, images in forms(tmp_path).items():
        assert everything(model(backend, dtype, make), images) == expected, name


def test_nothing_but_the_pixels_is_kept(tmp_path: Path) -> None:
    for name in ("NCHW", "NHWC", "a view of NHWC", "a memory map"):
        images = forms(tmp_path)[name]
        assert images.dtype == np.uint8
        assert images.pixels.base is not None or images.pixels is PIXELS, name
    assert np.shares_memory(bp.Images(PIXELS)[10:20].pixels, PIXELS)


def test_nhwc_lies_with_the_channels_last() -> None:
    made = bp.Model(layers(), "cross_entropy")
    made.fit(bp.Images(PIXELS.transpose(0, 2, 3, 1).copy(), "NHWC"), Y, epochs=1, batch_size=10)
    (plan,) = (plan for spec, plan in made.engine.plans.plans.items() if spec.training)
    assert plan.x.shape == (10, 3, 6, 5)
    assert plan.x.transpose(0, 2, 3, 1).flags.c_contiguous


def test_as_an_array() -> None:
    images = bp.Images(PIXELS, mean=MEAN, std=STD)
    assert len(images) == 50
    assert images.shape == (50, 3, 6, 5)
    assert np.array_equal(np.asarray(images), numbers("f4"))
    assert np.asarray(images, np.float64).dtype == np.float64
    assert np.array_equal(np.asarray(images[3:9]), numbers("f4")[3:9])
    assert np.array_equal(np.asarray(images[[4, 1]]), numbers("f4")[[4, 1]])
    assert np.array_equal(np.asarray(images[Y == 2]), numbers("f4")[Y == 2])
    assert repr(images) == "Images((50, 3, 6, 5), uint8, in memory NCHW)"
    assert np.array_equal(np.asarray(bp.Images(PIXELS)), PIXELS * np.float32(1 / 255))
    assert np.array_equal(np.asarray(bp.Images(PIXELS.astype("i4"))), PIXELS.astype("f4"))
    assert np.array_equal(np.asarray(bp.Images(PIXELS > 9)), (PIXELS > 9).astype("f4"))


@pytest.mark.torch
def test_as_in_torchvision() -> None:
    """ToTensor divides by 255, Normalize subtracts the mean and divides by std."""
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(PIXELS).to(torch.float32).div(255)
    x = x.sub(torch.tensor(MEAN).view(-1, 1, 1)).div(torch.tensor(STD).view(-1, 1, 1))
    assert np.abs(np.asarray(bp.Images(PIXELS, mean=MEAN, std=STD)) - x.numpy()).max() < 1e-6


def test_one_of_two_inputs(backend: Backend) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(92, 4)

        def forward(self, image: Any, more: Any) -> Any:
            return self.out(bp.cat([image.flatten(1), more], dim=1))

    more = RNG.standard_normal((50, 2)).astype(np.float32)
    losses = [
        model(backend, make=Both)
        .fit({"image": image, "more": more}, Y, epochs=2, batch_size=16)
        .history["loss"]
        for image in (numbers("f4"), bp.Images(PIXELS, mean=MEAN, std=STD))
    ]
    assert losses[0] == losses[1]


def test_a_callable_loss(backend: Backend) -> None:
    def squares(pred: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        return float(((pred - y) ** 2).mean()), 2 * (pred - y) / pred.size

    y = RNG.standard_normal((50, 4)).astype(np.float32)
    losses = []
    for X in (numbers("f4"), bp.Images(PIXELS.transpose(0, 2, 3, 1), "NHWC", MEAN, STD)):
        made = bp.Model(layers(), squares, seed=1, backend="numpy")
        made.backend = backend
        losses.append(made.fit(X, y, epochs=2, batch_size=16).history["loss"])
    assert losses[0] == losses[1]


def test_resume_knows_the_images(tmp_path: Path) -> None:
    whole = bp.Model(layers(), "cross_entropy", seed=1)
    images = bp.Images(PIXELS, mean=MEAN, std=STD)
    expected = whole.fit(images, Y, epochs=4, batch_size=16).history["loss"]
    path = tmp_path / "run.safetensors"
    made = bp.Model(layers(), "cross_entropy", seed=1)
    made.fit(images, Y, epochs=2, batch_size=16)
    made.save(path)
    for other in (bp.Images(PIXELS, mean=MEAN, std=0.5), bp.Images(PIXELS[::-1], mean=MEAN, std=STD)):
        with pytest.raises((ValueError, bp.CheckpointError), match=r"X, y, .* are not those"):
            bp.load(path).fit(other, Y, epochs=4, resume=True)
    assert bp.load(path).fit(images, Y, epochs=4, resume=True).history["loss"] == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bp.Images(PIXELS[0]), r"X has shape \(3, 6, 5\), expected images .*X\[:, None\]"),
        (lambda: bp.Images(PIXELS, "CHW"), "layout is 'CHW', expected one of"),
        (
            lambda: bp.Images(PIXELS, mean=(1, 2)),
            r"mean has shape \(2,\), expected a number or one for each of 3",
        ),
        (lambda: bp.Images(PIXELS, std=0), "std is 0, expected positive numbers"),
        (lambda: bp.Images(PIXELS, std=(1, np.nan, 1)), "std is .*, expected positive numbers"),
        (lambda: bp.Images(PIXELS, scale=0), "scale is 0, expected None or a number"),
        (lambda: bp.Images([["a"]]), "X has dtype"),
        (lambda: bp.Images(PIXELS)[3], "the index is 3, expected a slice"),
        (lambda: model(bp.get_backend("numpy")).fit(bp.Images(PIXELS)), "y"),
        (lambda: model(bp.get_backend("numpy")).fit(bp.Images(PIXELS), Y[:9]), "y has 9 rows, but X has 50"),
        (lambda: model(bp.get_backend("numpy")).fit(bp.Images(PIXELS[:0]), Y[:0]), "X is empty"),
        (lambda: model(bp.get_backend("numpy")).predict(bp.Images(PIXELS[..., 1:])), "X does not fit"),
        (
            lambda: model(bp.get_backend("numpy")).fit(bp.Images(np.full((4, 3, 6, 5), np.nan)), Y[:4]),
            "X holds nan at row 0, position",
        ),
    ],
)
def test_errors(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_predicting_floats_of_the_same_shape_first(backend: Backend) -> None:
    """What predict knows of a shape does not mistake pixels for numbers."""
    made = model(backend)
    expected = made.predict(numbers("f4")[:5])
    for images in (bp.Images(PIXELS[:5], mean=MEAN, std=STD),) * 2:
        assert np.array_equal(made.predict(images), expected)
        assert np.array_equal(made.predict(numbers("f4")[:5]), expected)


def test_step_on_images_whose_rows_get_padding(backend: Backend) -> None:
    """Rows of 1 KiB lie apart in a training plan; that of images of such rows once did not fit the batch."""
    X = RNG.standard_normal((8, 4, 8, 8)).astype(np.float32)
    made = model(backend, make=lambda: nn.Sequential(nn.Flatten(), nn.Linear(256, 4)))
    assert np.isfinite(made.step(X, Y[:8]))
    assert np.isfinite(made.fit(X, Y[:8], epochs=1, batch_size=8).history["loss"]).all()
