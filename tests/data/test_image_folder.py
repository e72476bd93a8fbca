"""bp.Images.from_folder: PNG and JPEG, .npy files, classes, chunks that threads read ahead."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (30, 6, 5, 3)).astype(np.uint8)
NAMES = ("cat", "dog", "eel")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Thirty PNG files in three folders; a hidden file and a text beside them."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    for number, pixels in enumerate(PIXELS):
        folder = tmp_path / "pictures" / NAMES[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        image.fromarray(pixels).save(folder / f"{number:02}.png")
    (tmp_path / "pictures" / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "pictures" / "dog" / ".hidden.png").write_text("no image")
    return tmp_path / "pictures"


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    """The same as .npy files: stacks, and one image alone."""
    for label, name in enumerate(NAMES):
        folder = tmp_path / "arrays" / name
        folder.mkdir(parents=True)
        own = PIXELS[label::3]
        np.save(folder / "stack.npy", own[:-1])
        np.save(folder / "the_last.npy", own[-1])
    return tmp_path / "arrays"


def gathered(folder: Any) -> tuple[np.ndarray, np.ndarray]:
    """All pixels and labels, in the order of the labels and then of the pixels."""
    pixels = np.concatenate([chunk.pixels for chunk, _ in folder])
    labels = np.concatenate([labels for _, labels in folder])
    order = sorted(range(len(labels)), key=lambda i: (labels[i], pixels[i].tobytes()))
    return pixels[order], labels[order]


def expected() -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(30) % 3
    order = sorted(range(30), key=lambda i: (labels[i], PIXELS[i].tobytes()))
    return PIXELS[order], labels[order]


def check(folder: Any) -> None:
    assert len(folder) == 5
    assert folder.classes == [*NAMES]
    assert len(folder.labels) == len(folder.paths) == 30
    assert {
        path.parent.name for path, label in zip(folder.paths, folder.labels, strict=True) if label == 1
    } == {"dog"}
    assert len(set(folder[0][1].tolist())) > 1, "a chunk has images of several classes"
    for got, want in zip(gathered(folder), expected(), strict=True):
        assert np.array_equal(got, want)
    assert np.array_equal(folder[-1][1], folder[4][1])


def test_pictures(pictures: Path) -> None:
    check(bp.Images.from_folder(pictures, chunk_size=7, threads=3))


def test_arrays(arrays: Path) -> None:
    check(bp.Images.from_folder(arrays, layout="NHWC", chunk_size=7))


def test_arrays_with_the_channels_first(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "stack.npy", PIXELS.transpose(0, 3, 1, 2))
    chunk, _ = bp.Images.from_folder(tmp_path, chunk_size=7)[0]
    assert chunk.shape == (7, 3, 6, 5)
    assert not chunk.channels_last


def test_sizes_and_grey(pictures: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    folder = bp.Images.from_folder(str(pictures), size=(4, 3), channels=1, chunk_size=30, mean=0.5, std=0.25)
    chunk, _ = folder[0]
    assert chunk.shape == (30, 1, 4, 3)
    with image.open(folder.paths[3]) as opened:
        small = np.asarray(opened.convert("L").resize((3, 4), image.Resampling.BILINEAR))
    assert np.array_equal(chunk.pixels[3, :, :, 0], small)
    want = (small * np.float32(1 / 255) - np.float32(0.5)) / np.float32(0.25)
    assert np.array_equal(np.asarray(chunk)[3, 0], want)


def test_a_seed_is_an_order(arrays: Path) -> None:
    orders = [bp.Images.from_folder(arrays, layout="NHWC", seed=seed).labels.tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("threads", [1, 4])
def test_trains_as_chunks_in_memory_do(pictures: Path, threads: int) -> None:
    folder = bp.Images.from_folder(pictures, chunk_size=8, mean=0.5, std=0.25, threads=threads)
    chunks = [folder[i] for i in range(len(folder))]
    losses = []
    for data in (chunks, folder):
        model = bp.Model(nn.Sequential(nn.Flatten(), nn.Linear(90, 3)), "cross_entropy", seed=1)
        history = model.fit(data, epochs=3, batch_size=4, validation_data=data).history
        losses.append((history["loss"], history["val_loss"], model.evaluate(data)))
    assert losses[0] == losses[1]
    assert len(folder._ahead) <= 2


def test_pickled_and_copied(arrays: Path) -> None:
    folder = bp.Images.from_folder(arrays, layout="NHWC", chunk_size=7)
    folder.prefetch(1)
    check(pickle.loads(pickle.dumps(folder)))


def test_without_pillow(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"Pillow: pip install 'backpass\[images\]'"):
        bp.Images.from_folder(pictures)


def test_damaged_files_are_named(pictures: Path, arrays: Path) -> None:
    path = pictures / "cat" / "00.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match=r"00\.png cannot be read as an image"):
        [*bp.Images.from_folder(pictures, chunk_size=4)]
    (arrays / "cat" / "stack.npy").write_bytes(b"no array")
    with pytest.raises(ValueError, match=r"stack\.npy cannot be read"):
        bp.Images.from_folder(arrays, layout="NHWC")


def test_files_that_change_meanwhile(arrays: Path) -> None:
    folder = bp.Images.from_folder(arrays, layout="NHWC")
    np.save(arrays / "cat" / "stack.npy", np.zeros((1, 1, 1, 3), np.uint8))
    with pytest.raises(ValueError, match=r"stack\.npy has changed since the folder was read"):
        folder[0]


def test_headers_are_parsed_once(arrays: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """np.load parses them by `ast`, which in two threads at once was a SystemError in Python 3.11."""
    np.save(arrays / "cat" / "in_the_order_of_fortran.npy", np.asfortranarray(PIXELS[:2]))
    folder = bp.Images.from_folder(arrays, layout="NHWC", chunk_size=4, threads=8)
    monkeypatch.setattr(np, "load", None)
    assert sum(len(labels) for _, labels in folder) == 32
    by_path = [pixels for chunk, _ in folder for pixels in chunk.pixels]
    shown = [
        pixels.tobytes()
        for pixels, path in zip(by_path, folder.paths, strict=True)
        if path.name == "in_the_order_of_fortran.npy"
    ]
    assert sorted(shown) == sorted(pixels.tobytes() for pixels in PIXELS[:2])


def test_images_of_several_sizes(arrays: Path) -> None:
    np.save(arrays / "eel" / "larger.npy", np.zeros((7, 7, 3), np.uint8))
    with pytest.raises(ValueError, match=r"an image of shape .*, but .*size=\(height, width\)"):
        [*bp.Images.from_folder(arrays, layout="NHWC", chunk_size=4)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size is 0"),
        ({"size": (3, 3, 3)}, r"size is \(3, 3, 3\)"),
        ({"channels": 4}, "channels is 4, expected 3 or 1"),
        ({"layout": "HWC"}, "layout is 'HWC'"),
        ({"chunk_size": 0}, "chunk_size is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_errors(arrays: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bp.Images.from_folder(arrays, **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: bp.Images.from_folder(path / "nowhere"), "which is no folder"),
        (lambda path: bp.Images.from_folder(path), "has no subfolders"),
        (lambda path: bp.Images.from_folder(path.parent), "holds no images"),
        (lambda path: bp.Images.from_folder(5), "path is 5"),
    ],
)
def test_folders_without_images(make: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        make(tmp_path / "empty")


def test_targets_of_a_folder_without_subfolders(arrays: Path) -> None:
    y = np.arange(10) * 0.5
    folder = bp.Images.from_folder(arrays / "cat", layout="NHWC", chunk_size=4, y=y)
    assert folder.classes == []
    for chunk, targets in folder:
        for pixels, target in zip(chunk.pixels, targets, strict=True):
            assert np.array_equal(pixels, PIXELS[3 * int(2 * target)]), "stack.npy comes before the_last.npy"
    with pytest.raises(ValueError, match=r"y has shape \(9,\), but there are 10 images"):
        bp.Images.from_folder(arrays / "cat", layout="NHWC", y=y[1:])


def test_no_such_chunk(arrays: Path) -> None:
    folder = bp.Images.from_folder(arrays, layout="NHWC")
    with pytest.raises(IndexError, match="the index is 1, but there are 1 chunks"):
        folder[1]
    with pytest.raises(TypeError, match="expected the number of a chunk"):
        folder["x"]  # type: ignore[index]
