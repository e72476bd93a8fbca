"""bp.load_onnx of what PyTorch's two exporters, scikit-learn's and Keras's write: tests/export/foreign/make.py made the files."""

from pathlib import Path

import numpy as np
import pytest

import backpass as bp

pytest.importorskip("onnx", reason="onnx is not installed")
HERE = Path(__file__).parent / "foreign"
FILES = {path.stem: path for path in sorted(HERE.glob("*.onnx"))}
# Of a classifier the labels are of no use to a loss.
OUTPUTS = {"sklearn_classifier": "probabilities"}
# Numbers that are learned, of networks of which the exporter has put no weights together.
LEARNED = {
    "torch_script_mlp": 4 * 8 + 8 + 8 * 3 + 3, "torch_script_words": 9 * 4 + 3 * 3 * (4 + 3) + 2 * 3 * 3 + 3 * 2 + 2,
    "torch_script_lstm": 2 * 4 * (4 * (3 + 4 + 2) + 4 * (8 + 4 + 2)) + 8 * 2 + 2, "sklearn_classifier": 4 * 6 + 6 + 6 * 3 + 3,
    "sklearn_regressor": 4 * 6 + 6 + 6 + 1, "keras_mlp": 4 * 6 + 6 + 6 * 3 + 3, "keras_lstm": 4 * 5 * (3 + 5 + 1) + 5 * 2 + 2,
}  # fmt: skip


def test_there_are_files_of_all() -> None:
    kinds = {name.split("_")[0] for name in FILES}
    assert kinds == {"torch", "sklearn", "keras"}
    assert {*LEARNED, *OUTPUTS} <= {*FILES}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_library_computes_the_same(name: str) -> None:
    data = np.load(FILES[name].with_suffix(".npz"))
    model = bp.load_onnx(FILES[name], outputs=OUTPUTS.get(name))
    for rows in (4, 1, 3):
        found = model.predict(data["x"][:rows])
        np.testing.assert_allclose(found, data["y"][:rows], rtol=1e-5, atol=1e-5, strict=True)
    if name in LEARNED:
        assert sum(array.size for array in model.state_dict().values()) == LEARNED[name]


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_library_trains(name: str) -> None:
    data = np.load(FILES[name].with_suffix(".npz"))
    model = bp.load_onnx(FILES[name], "mse", bp.optim.Adam(0.01), outputs=OUTPUTS.get(name))
    before, y = model.state_dict(), data["y"][::-1]
    first = model.evaluate(data["x"], y)["loss"]
    model.fit(data["x"], y, epochs=30, batch_size=4)
    assert model.evaluate(data["x"], y)["loss"] < 0.9 * first
    same = {key for key, array in model.state_dict().items() if np.array_equal(array, before[key])}
    # The last step of the direction that reads from the end has no step before.
    assert all(key.endswith("weight_hh_reverse") for key in same), same
    assert len(same) == ("lstm" in name and "torch" in name)
