"""Wrote the checkpoints beside it with the first version of backpass (commit a1c5dfa), and what they go on to.

It is kept for the record: `bp.load` of a later version reads these files, and a resumed run ends with these bits. How it ran:

    git worktree add /tmp/first a1c5dfa && pip install /tmp/first && python make.py

One digest of each instruction set is younger: `classes` has a GELU, whose float32 Φ(z) is right further down its tail since
2026-11-30. With the formula of before, the code of that day ended with the bits of the first version as well.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import backpass as bp
from backpass import nn, optim

HERE = Path(__file__).parent
ISAS = ("avx512", "avx2", "baseline")
EPOCHS, BATCH = 5, 16


def words(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Values in [-1, 1) from the raw words of Philox, which NumPy promises never to change."""
    raw = np.random.Philox(key=seed).random_raw(int(np.prod(shape)))
    return ((raw >> np.uint64(11)) * 2.0**-52 - 1).reshape(shape)


def data(case: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X, y and the validation data of a case."""
    X, V = words((100, 6), 1).astype(np.float32), words((30, 6), 2).astype(np.float32)
    if case in ("classes", "shared"):
        return (
            X,
            (X[:, 0] * 3 + X[:, 1] > 0).astype(np.int64),
            V,
            (V[:, 0] * 3 + V[:, 1] > 0).astype(np.int64),
        )
    return X, X[:, :2] * X[:, 2:4], V, V[:, :2] * V[:, 2:4]


def model_of(case: str) -> bp.Model:
    """The model of a case, untrained."""
    if case == "classes":
        net = nn.Sequential(
            nn.Linear(6, 16, init="he_normal"),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.Dropout(0.25),
            nn.Residual(nn.Linear(16, 16), nn.GELU()),
            nn.LayerNorm(16),
            nn.Linear(16, 2),
        )
        loss = nn.CrossEntropyLoss(weight=np.array([1.0, 2.0]), label_smoothing=0.1)
        optimizer = optim.Adam(optim.schedules.warmup_cosine(1e-2, 5, 60), amsgrad=True, clip_grad_norm=1.0)
        return bp.Model(net, loss, optimizer, seed=3)
    if case == "mixed":
        net = nn.Sequential(
            nn.MixUp(0.4), nn.GaussianNoise(0.1), nn.Linear(6, 12), nn.Softplus(2.0), nn.Linear(12, 2)
        )
        optimizer = optim.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-3, clip_grad_value=0.5)
        return bp.Model(net, nn.HuberLoss(delta=0.5), optimizer, dtype="float64", seed=4)
    layer = nn.Linear(8, 8)
    net = nn.Sequential(
        nn.Linear(6, 8), layer, nn.Tanh(), layer, nn.LeakyReLU(0.2), nn.Linear(8, 2), nn.LogSoftmax()
    )
    return bp.Model(
        net, "nll", optim.NAdam(betas=(0.8, 0.99), decoupled_weight_decay=True, weight_decay=1e-2), seed=5
    )


def callbacks(case: str) -> list[bp.Callback]:
    """What goes around the run of a case."""
    stopping = bp.EarlyStopping(patience=50, restore_best=case == "classes")
    return (
        [stopping, bp.GradientMonitor("2 steps")]
        if case == "classes"
        else [stopping, bp.ReduceLROnPlateau(patience=1)]
    )


def digest(model: bp.Model) -> str:
    """SHA-256 of all weights and running statistics."""
    return hashlib.sha256(b"".join(v.tobytes() for v in model.state_dict().values())).hexdigest()


def make(case: str, path: Path) -> None:
    """A run that writes every 5 steps; what stays is the file of step 20, which is within the third epoch."""
    X, y, V, v = data(case)
    model = model_of(case)
    writer = bp.ModelCheckpoint(path, every="5 steps", keep=100)
    model.fit(
        X, y, epochs=EPOCHS, batch_size=BATCH, validation_data=(V, v), callbacks=[*callbacks(case), writer]
    )
    for file in path.parent.glob(path.name + "*"):
        if int(bp.load(file).engine.step_count[0]) == 20:
            file.replace(path.with_name("kept"))
    for file in path.parent.glob(path.name + "*"):
        file.unlink()
    path.with_name("kept").replace(path)


def resumed(case: str, path: Path) -> str:
    """What the run goes on to."""
    X, y, V, v = data(case)
    model = bp.load(path)
    model.fit(
        X, y, epochs=EPOCHS, batch_size=BATCH, validation_data=(V, v), callbacks=callbacks(case), resume=True
    )
    return digest(model)


def main() -> None:
    cases = ("classes", "mixed", "shared")
    if len(sys.argv) > 1:  # one instruction set, in a process of its own
        print(json.dumps({case: resumed(case, HERE / f"{case}.safetensors") for case in cases}))
        return
    for case in cases:
        make(case, HERE / f"{case}.safetensors")
    found = {}
    for isa in ISAS:
        done = subprocess.run(
            [sys.executable, __file__, "one"],
            env=os.environ | {"BACKPASS_ISA": isa},
            check=True,
            capture_output=True,
        )
        found[isa] = json.loads(done.stdout)
    (HERE / "digests.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
