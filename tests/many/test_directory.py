"""fit_many(directory=): killed at any moment it goes on, and ends with the same table and the same bits."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import backpass as bp
from backpass import nn
from backpass.checkpoint.save import model_description
from backpass.many.progress import Progress
from backpass.many.runs import Runs
from backpass.many.work import Work
from helpers.nets import small
from helpers.processes import ENVIRONMENT, LONG
from helpers.random_models import LABELS, Counts, X


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
        return bp.fit_many(models, X, LABELS, epochs=epochs, directory=folder, callbacks=[Counts()])

    Counts.taken()
    first = run(2)
    assert Counts.taken() == 6
    assert sorted(file.name for file in folder.iterdir()) == [f"0000{n}.safetensors" for n in range(3)]
    again = run(2)
    assert Counts.taken() == 0
    assert again.rows == first.rows
    assert [int(m.engine.step_count[0]) for m in again.models] == [6, 6, 6]
    assert run(3).rows[0]["epochs"] == 3
    assert Counts.taken() == 3
    assert bp.load(folder / "00001.safetensors").epoch == 3


class Scaled(nn.Module):
    """Of a class that no file can describe."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 3)
        self.scale, self.power = scale, 1

    def forward(self, x: Any) -> Any:
        return self.inner(x) * self.scale**self.power


def off_by(epsilon: float) -> Any:
    return nn.traced(lambda pred, y: ((pred[:, 0] - y) ** 2 + epsilon).mean())


def test_another_model_of_a_class_of_your_own_is_refused(tmp_path: Path) -> None:
    def run(net: nn.Module) -> Runs:
        model = bp.Model(net, "cross_entropy")
        return bp.fit_many([model], X, LABELS, directory=tmp_path, callbacks=[Counts()])

    Counts.taken()
    first = run(Scaled(0.1))
    assert run(Scaled(0.1)).rows == first.rows
    assert Counts.taken() == 1
    powered, scaled = Scaled(0.1), Scaled(0.1)
    powered.power = 2
    scaled.scale = 5.0
    for other in (Scaled(5.0), powered, scaled):
        with pytest.warns(
            RuntimeWarning, match="holds a model with another net: give the models as they were"
        ):
            assert isinstance(run(other).errors[0], bp.CheckpointError)
    assert Counts.taken() == 0


def test_functions_are_the_same_in_every_process() -> None:
    def described() -> dict[str, Any]:
        return model_description(bp.Model(nn.Linear(6, 1), off_by(0.1)).engine)

    one, other = described(), described()
    assert "0x" not in str(one)
    assert one == other


def test_progress_counts_the_epochs_of_a_run_from_its_start(tmp_path: Path) -> None:
    lines: list[str] = []

    class Looks(bp.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any) -> None:
            lines.append(progress._line(Work(0, self.model, dict, {"epochs": 4})))

    progress = Progress(1, 1, False)
    for epochs in (2, 4):
        model = small("cross_entropy")
        bp.fit_many([model], X, LABELS, epochs=epochs, directory=tmp_path, callbacks=[[Looks()]])
    assert [line.split("  ")[1] for line in lines] == [f"epoch {n}/4" for n in (1, 2, 3, 4)]


def test_another_model_is_refused(tmp_path: Path) -> None:
    bp.fit_many([small("cross_entropy")], X, LABELS, directory=tmp_path)
    for other, what in (
        (small("cross_entropy", seed=1), "seed"),
        (small("cross_entropy", optimizer="sgd"), "optimizer"),
        (small("cross_entropy", outputs=4), "weight"),
        (small("cross_entropy", precision="bf16"), "precision"),
    ):
        with pytest.warns(RuntimeWarning, match="1 of 1 models failed"):
            runs = bp.fit_many([other], X, LABELS, directory=tmp_path)
        assert isinstance(runs.errors[0], bp.CheckpointError)
        assert what in str(runs.errors[0])
    assert "the file may also be of another version of backpass" in str(runs.errors[0])
    rounded = tmp_path / "rounded"
    bp.fit_many([small("cross_entropy", precision="bf16")], X, LABELS, directory=rounded)
    with pytest.warns(RuntimeWarning, match="holds a model with another precision"):
        bp.fit_many([small("cross_entropy")], X, LABELS, directory=rounded)
    (tmp_path / "file").write_text("")
    with pytest.raises(bp.CheckpointError, match="cannot be made"):
        bp.fit_many([small("cross_entropy")], X, LABELS, directory=tmp_path / "file")
