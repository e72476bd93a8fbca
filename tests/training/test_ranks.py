"""fit(comm=): ranks under a real mpiexec train what one process trains, agree on everything, and end together."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from helpers.processes import ENVIRONMENT, TESTS
from helpers.together import WEIGHT, X, Y, dense, measured, normalised, synchronized, traced, train, wide

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:{ENVIRONMENT.get('PATH', '')}")
pytest.importorskip("mpi4py", reason="mpi4py is not installed")
pytestmark = pytest.mark.skipif(MPIEXEC is None, reason="there is no mpiexec: pip install mpich")

COUNTS = [1, 2, 4]


def mpiexec(ranks: int, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        str(MPIEXEC),
        "-n",
        str(ranks),
        sys.executable,
        str(TESTS / "helpers" / "together.py"),
        str(folder),
    ]
    return subprocess.run(
        [*command, *arguments], env=ENVIRONMENT, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """What each rank found, by the number of ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    model = dense()
    model.fit(X, Y, sample_weight=WEIGHT, epochs=15, batch_size=32, max_seconds=0.0)
    model.save(folder / "interrupted.safetensors")
    for ranks in COUNTS:
        done = mpiexec(ranks, folder)
        assert done.returncode == 0, done.stderr
    assert len([*folder.glob("*.csv")]) == len(COUNTS)
    return {n: [json.loads((folder / f"{n}.{r}.json").read_text()) for r in range(n)] for n in COUNTS}


@pytest.mark.parametrize("ranks", COUNTS)
def test_the_weights_of_one_process(found: dict[int, list[dict[str, Any]]], ranks: int) -> None:
    alone, history = train()
    assert alone.engine.step_count[0] == 105
    for one in found[ranks]:
        np.testing.assert_allclose(one["weights"], alone.engine.flat.params, rtol=0, atol=1e-10)
        np.testing.assert_allclose(one["resumed"], alone.engine.flat.params, rtol=0, atol=1e-10)
        assert one["weights"] == found[ranks][0]["weights"]
        for name, values in history.history.items():
            np.testing.assert_allclose(one["history"][name], values, rtol=1e-9)


@pytest.mark.parametrize("ranks", COUNTS)
def test_metrics_are_those_of_all_rows(found: dict[int, list[dict[str, Any]]], ranks: int) -> None:
    alone = measured()
    assert [*alone] == [
        "loss",
        "accuracy",
        "f1",
        "top_2",
        "confidence",
        "val_loss",
        "val_accuracy",
        "val_f1",
        "val_top_2",
        "val_confidence",
        "lr",
    ]
    for one in found[ranks]:
        assert [*one["metrics"]] == [*alone]
        for name, values in alone.items():
            np.testing.assert_allclose(one["metrics"][name], values, rtol=1e-9)
        assert one["metrics"] == found[ranks][0]["metrics"]
        assert one["exact metrics"] == found[1][0]["exact metrics"]


@pytest.mark.parametrize("ranks", COUNTS)
def test_a_metric_that_fails_ends_all(found: dict[int, list[dict[str, Any]]], ranks: int) -> None:
    for rank, one in enumerate(found[ranks]):
        assert one["a metric fails"] == (
            "OSError: no more" if not rank else "RuntimeError: rank 0 failed: OSError: no more"
        )
        interrupted = one["metrics within an epoch"]
        assert interrupted.startswith(
            "ValueError: metrics is ['f1'], but the run was interrupted within an epoch"
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_reproducible_is_the_same_bits_for_any_number_of_ranks(
    found: dict[int, list[dict[str, Any]]], dtype: str
) -> None:
    assert len({one[f"bits {dtype}"] for n in COUNTS for one in found[n]}) == 1


@pytest.mark.parametrize("ranks", [2, 4])
def test_gradients_are_sent_while_the_backward_pass_goes_on(
    found: dict[int, list[dict[str, Any]]], ranks: int
) -> None:
    alone = wide().engine.flat.params[::97]
    for rank, one in enumerate(found[ranks]):
        ahead = one["sent ahead"]
        assert ahead["messages"] == 3
        np.testing.assert_allclose(ahead["weights"], alone, rtol=0, atol=1e-10)
        assert ahead["digest"] == found[ranks][0]["sent ahead"]["digest"]
        mine, heard = "OSError: no more", f"RuntimeError: rank {ranks - 1} failed: OSError: no more"
        assert ahead["error"] == (mine if rank == ranks - 1 else heard)


@pytest.mark.parametrize("ranks", COUNTS)
@pytest.mark.parametrize("kind", ["dense", "images"])
def test_synchronized_statistics_are_those_of_the_whole_batch(
    found: dict[int, list[dict[str, Any]]], kind: str, ranks: int
) -> None:
    alone = synchronized(None, kind)
    for one in found[ranks]:
        for array, other in zip(one[f"synchronized {kind}"], alone, strict=True):
            np.testing.assert_allclose(array, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("ranks", [2, 4])
def test_synchronized_statistics_fail_together(found: dict[int, list[dict[str, Any]]], ranks: int) -> None:
    for rank, one in enumerate(found[ranks]):
        mine, heard = "OSError: no more", f"RuntimeError: rank {ranks - 1} failed: OSError: no more"
        epoch, batch, single, reproducible = one["synchronized errors"]
        assert epoch == batch == (mine if rank == ranks - 1 else heard)
        assert "cannot train on a batch with one value per channel" in single
        assert "reproducible is True, but a layer of the network has synchronized=True" in reproducible


def test_synchronized_alone_is_the_batch_as_it_is() -> None:
    (one, rows), (other, _) = normalised("images"), normalised("images", synchronized=False)
    for model in (one, other):
        model.fit(rows, Y[:99], batch_size=33)
    assert one.engine.flat.params.tobytes() == other.engine.flat.params.tobytes()


@pytest.mark.parametrize("ranks", [2, 4])
def test_rows_of_its_own(found: dict[int, list[dict[str, Any]]], ranks: int) -> None:
    alone = dense()
    alone.fit(X[:200], Y[:200], batch_size=200, epochs=4)
    for one in found[ranks]:
        np.testing.assert_allclose(one["own rows"], alone.engine.flat.params, rtol=0, atol=1e-10)


@pytest.mark.parametrize("ranks", COUNTS)
def test_a_loss_that_is_a_function(found: dict[int, list[dict[str, Any]]], ranks: int) -> None:
    alone = traced()
    alone.fit(X, X[:, :3], batch_size=32, epochs=2)
    for one in found[ranks]:
        np.testing.assert_allclose(one["traced"], alone.engine.flat.params, rtol=0, atol=1e-10)


@pytest.mark.parametrize("ranks", COUNTS)
def test_rows_that_are_computed_from_each_other_are_refused(
    found: dict[int, list[dict[str, Any]]], ranks: int
) -> None:
    for one in found[ranks]:
        assert one["rows mixed"].count("comm is given, but the network or the loss computes rows") == 2 * (
            ranks > 1
        )


@pytest.mark.parametrize("ranks", [2, 4])
def test_all_ranks_end_together(found: dict[int, list[dict[str, Any]]], ranks: int) -> None:
    for name in ("stopped", "one stops", "one is late"):
        assert all(one[name] == found[ranks][0][name] for one in found[ranks]), name
    assert 1 < found[ranks][0]["stopped"][0] < 40
    assert found[ranks][0]["one stops"] == 2
    assert found[ranks][0]["one is late"][0] > 1


FAILURES = {
    "error": ("OSError", "no more", "RuntimeError", "rank {} failed: OSError: no more"),
    "interrupt": ("KeyboardInterrupt", "", "RuntimeError", "rank {} failed: KeyboardInterrupt"),
    "at the end": ("OSError", "no more", "RuntimeError", "rank {} failed: OSError: no more"),
    "nan": ("ValueError", "nan", "RuntimeError", "rank {} failed: ValueError: X"),
    "columns": ("ValueError", "X does not fit the network", "RuntimeError", "rank {} failed: ValueError: X does not fit"),
    "epochs": ("ValueError", "epochs is -1", "RuntimeError", "rank {} failed: ValueError: epochs is -1"),
    "rows": ("ValueError", "the number of rows of X is 200 on rank {} and 203 on rank 0", "ValueError", "is 200 on rank {}"),
    "batch_size": ("ValueError", "batch_size is 16 on rank {} and 32 on rank 0", "ValueError", "batch_size is 16 on rank {}"),
    "seed": ("ValueError", "seed is 5 on rank {} and 4 on rank 0", "ValueError", "seed is 5 on rank {}"),
    "class_weight": ("ValueError", "class_weight is '{{0: 1.0, 1: 3.0, 2: 1.0}}' on rank {}", "ValueError", "class_weight is"),
}  # fmt: skip


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("name", FAILURES)
def test_a_rank_that_fails_ends_all(found: dict[int, list[dict[str, Any]]], name: str, ranks: int) -> None:
    own, message, others, heard = FAILURES[name]
    for rank, one in enumerate(found[ranks]):
        last = rank == ranks - 1
        kind, text, took = one[name]
        assert kind == (own if last else others), text
        assert (message if last else heard).format(ranks - 1) in text
        assert took < 5


@pytest.mark.parametrize("ranks", [2, 4])
def test_a_number_that_is_not_finite_is_told_by_the_rank_that_has_it(
    found: dict[int, list[dict[str, Any]]], ranks: int
) -> None:
    for rank, one in enumerate(found[ranks]):
        whose = "" if rank == ranks - 1 else f"rank {ranks - 1}: "
        assert one["overflow"].startswith(f"{whose}step 0: layer "), one["overflow"]


@pytest.mark.skipif(sys.platform != "linux", reason="kills")
def test_a_rank_that_is_killed_ends_all(tmp_path: Path) -> None:
    start = time.perf_counter()
    done = mpiexec(2, tmp_path, "kill")
    assert done.returncode
    assert time.perf_counter() - start < 30  # imports on a busy machine
    assert "signal 9" in done.stdout + done.stderr


class Comm:
    """A communicator of so many ranks, as far as `fit` looks before it meets anybody."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: {"Get_rank": 0, "Get_size": self.size}.get(name, self)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"comm": 3}, "comm is 3, expected a communicator"),
        ({"comm": Comm}, "comm is <class"),
        ({"reproducible": True}, "reproducible is True and comm is None"),
        ({"comm": Comm(3), "reproducible": True}, "reproducible is True and comm has 3 ranks"),
        ({"comm": Comm(2), "reproducible": "yes"}, "reproducible is 'yes'"),
    ],
)
def test_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        dense().fit(X, Y, **options)


def test_what_ranks_cannot_train_is_refused() -> None:
    from mpi4py import MPI

    def own(pred: Any, y: Any) -> tuple[float, Any]:
        return 0.0, 0 * pred

    outputs = bp.nn.Linear(6, 3)
    for model, data, message in (
        (dense(), ([(X, Y)],), "comm is given, but X are chunks"),
        (bp.Model(outputs, own), (X, Y), "comm is given, but the loss is a callable"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(*data, comm=MPI.COMM_SELF)
