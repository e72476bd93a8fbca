"""Augmentation: what the layers do to data, and that a run with them repeats itself."""

from pathlib import Path

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from backpass.backends import Backend
from backpass.ops.augment import normal
from backpass.ops.philox import draw

IMAGES = np.random.default_rng(0).uniform(1, 2, (40, 2, 6, 5)).astype(np.float32)


def seen(layer: nn.Module, backend: Backend, x: np.ndarray = IMAGES) -> np.ndarray:
    """What comes out of a layer while training."""
    model = bp.Model(nn.Sequential(layer), seed=3)
    model.backend = backend
    assert np.array_equal(model.predict(x), x), "inference leaves the data alone"
    return model.forward(x, training=True)


def test_normal_is_standard_normal() -> None:
    x = normal(draw(200_000, 1, 2, 3), np.dtype(np.float64))
    assert abs(x.mean()) < 0.01
    assert abs(x.std() - 1) < 0.01
    assert abs((x**4).mean() - 3) < 0.1
    probabilities = np.array([0.001, 0.025, 0.5, 0.9, 0.9999])
    assert np.quantile(x, probabilities) == pytest.approx([-3.0902, -1.96, 0, 1.2816, 3.719], abs=0.15)
    assert np.isfinite(normal(np.array([0, 2**32 - 1], np.uint32), np.dtype(np.float32))).all()


def test_noise(backend: Backend) -> None:
    noise = seen(nn.GaussianNoise(0.5), backend) - IMAGES
    assert abs(noise.mean()) < 0.05
    assert noise.std() == pytest.approx(0.5, abs=0.03)


def test_shift_moves_whole_images(backend: Backend) -> None:
    out = seen(nn.RandomShift(2), backend)
    moves = set()
    for x, y in zip(IMAGES, out, strict=True):
        padded = np.pad(x, ((0, 0), (2, 2), (2, 2)))
        fits = [
            (i, j) for i in range(5) for j in range(5) if np.array_equal(padded[:, i : i + 6, j : j + 5], y)
        ]
        assert len(fits) == 1
        moves.add(fits[0])
    assert len(moves) > 12, "all 25 moves are equally likely"


def test_flip(backend: Backend) -> None:
    mirrored = [
        np.array_equal(y, x[:, :, ::-1])
        for x, y in zip(IMAGES, seen(nn.RandomHorizontalFlip(), backend), strict=True)
    ]
    assert 8 < sum(mirrored) < 32
    assert np.array_equal(seen(nn.RandomHorizontalFlip(1.0), backend), IMAGES[..., ::-1])
    assert np.array_equal(seen(nn.RandomHorizontalFlip(0.0), backend), IMAGES)


def test_cutout(backend: Backend) -> None:
    out = seen(nn.Cutout(3), backend)
    blank = out == 0
    assert np.array_equal(out[~blank], IMAGES[~blank])
    assert np.array_equal(blank[:, 0], blank[:, 1]), "all channels alike"
    sizes = {int(image.sum()) for image in blank[:, 0]}
    assert max(sizes) == 9
    assert sizes <= {4, 6, 9}, "a square, or what the edge leaves of it"


def test_a_run_repeats_itself_on_every_backend(backend: Backend) -> None:
    net = nn.Sequential(
        nn.RandomShift(1),
        nn.RandomHorizontalFlip(),
        nn.Cutout(2),
        nn.Flatten(),
        nn.GaussianNoise(0.1),
        nn.Linear(60, 3),
    )
    y = np.arange(40) % 3
    losses = []
    for threads in (1, 3):
        model = bp.Model(net.__deepcopy__({}), "cross_entropy", threads=threads)
        model.backend = backend
        losses.append(model.fit(IMAGES, y, epochs=3, batch_size=16).history["loss"])
    assert losses[0] == losses[1]
    reference = bp.Model(net.__deepcopy__({}), "cross_entropy", backend="numpy")
    assert losses[0] == pytest.approx(
        reference.fit(IMAGES, y, epochs=3, batch_size=16).history["loss"], rel=1e-4
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_maps_and_chunks_change_no_bit(dtype: str, backend: Backend, tmp_path: Path) -> None:
    """All augmentation at once, on batches that are worth a second thread where there is one."""
    side = 32 if backend.name == "native" else 8
    images = np.random.default_rng(1).uniform(size=(200, 3, side, side)).astype(np.float32)
    y = np.arange(200) % 5
    np.save(tmp_path / "x.npy", images)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    chunks = [(mapped[i : i + 80], y[i : i + 80]) for i in range(0, 200, 80)]
    before = bp.get_num_threads()
    bp.set_num_threads(8)
    try:
        for shuffle in (True, False):
            found = []
            for threads, data in ((1, images), (2, images), (3, mapped), (8, images), (8, chunks)):
                front = (
                    nn.RandomShift(2),
                    nn.RandomHorizontalFlip(),
                    nn.Cutout(5),
                    nn.GaussianNoise(0.1),
                    nn.MixUp(),
                )
                net = nn.Sequential(
                    *front, nn.Flatten(), nn.Linear(3 * side * side, 16), nn.ReLU(), nn.Linear(16, 5)
                )
                model = bp.Model(net, "cross_entropy", dtype=dtype, seed=3, threads=threads)
                model.backend = backend
                if data is not chunks:
                    model.fit(data, y, epochs=2, batch_size=64, shuffle=shuffle)
                elif not shuffle:  # else in another order
                    model.fit(data, epochs=2, batch_size=64, shuffle=False)
                else:
                    continue
                found.append([p.tobytes() for p in model.parameters()])
            assert all(one == found[0] for one in found)
    finally:
        bp.set_num_threads(before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.RandomShift(-1), "pixels is -1"),
        (lambda: nn.Cutout(1.5), "size is 1.5"),
        (lambda: nn.RandomHorizontalFlip(2), "p is 2"),
        (lambda: nn.GaussianNoise(float("nan")), "std is nan"),
        (lambda: bp.Model(nn.Sequential(nn.Cutout(2))).predict(np.ones((3, 4))), r"expected \(N, C, H, W\)"),
    ],
)
def test_errors(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_saved_and_loaded(tmp_path: Path) -> None:
    net = nn.Sequential(
        nn.RandomShift(1), nn.RandomHorizontalFlip(0.3), nn.Cutout(2), nn.Flatten(), nn.GaussianNoise(0.1)
    )
    model = bp.Model(nn.Sequential(net, nn.Linear(60, 3)), "cross_entropy")
    model.save(tmp_path / "run.safetensors")
    assert repr(bp.load(tmp_path / "run.safetensors").net) == repr(model.net)
