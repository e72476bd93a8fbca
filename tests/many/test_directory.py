"""fit_many(directory=): killed at any moment it goes on, and ends with the same table and the same bits."""

import subprocess
import sys
from pathlib import Path

import pytest

import backpass as bp
from backpass.many.runs import Runs
from helpers.nets import small
from helpers.processes import ENVIRONMENT, LONG
from helpers.random_models import LABELS, X


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_killed_it_goes_on() -> None:
    command = [
        sys.executable,
        "-W",
        "ignore",
        LONG / "many.py",
        "--models",
        "2",
        "--kills",
        "6",
        "--seed",
        "1",
    ]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "ended with the same table" in done.stdout


def test_what_is_done_is_not_trained_again(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "runs"

    def run(epochs: int) -> Runs:
        models = [small("cross_entropy", seed=s) for s in range(3)]
        return bp.fit_many(models, X, LABELS, epochs=epochs, directory=folder)

    first = run(2)
    assert sorted(file.name for file in folder.iterdir()) == [f"0000{n}.safetensors" for n in range(3)]
    again = run(2)
    assert again.rows == first.rows
    assert [int(m.engine.step_count[0]) for m in again.models] == [6, 6, 6]
    assert run(3).rows[0]["epochs"] == 3
    assert bp.load(folder / "00001.safetensors").epoch == 3


def test_another_model_is_refused(tmp_path: Path) -> None:
    bp.fit_many([small("cross_entropy")], X, LABELS, directory=tmp_path)
    for other, what in (
        (small("cross_entropy", seed=1), "seed"),
        (small("cross_entropy", optimizer="sgd"), "optimizer"),
        (small("cross_entropy", outputs=4), "weight"),
    ):
        with pytest.warns(RuntimeWarning, match="1 of 1 models failed"):
            runs = bp.fit_many([other], X, LABELS, directory=tmp_path)
        assert isinstance(runs.errors[0], bp.CheckpointError)
        assert what in str(runs.errors[0])
    (tmp_path / "file").write_text("")
    with pytest.raises(bp.CheckpointError, match="cannot be made"):
        bp.fit_many([small("cross_entropy")], X, LABELS, directory=tmp_path / "file")
