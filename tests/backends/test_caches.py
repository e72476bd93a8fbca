"""Sizes of caches decide blocks, copies and chains, and no bit; what the environment says of them is checked."""

import subprocess
import sys

import pytest

from helpers.backends import needs_native
from helpers.processes import ENVIRONMENT

pytestmark = needs_native
# Rows that crowd into one set, a weight larger than the small caches, float64, bfloat16, and convolutions in chains.
TRAIN = """
import hashlib, os
import numpy as np, backpass as bp
from backpass import nn
rng = np.random.default_rng(0)
def bits(net, X, y, **options):
    model = bp.Model(net, "cross_entropy", seed=0, threads=2, **options)
    model.fit(X, y, epochs=2, batch_size=120, shuffle=False)
    print(hashlib.sha256(b"".join(a.tobytes() for a in model.state_dict().values())).hexdigest())
def wide():
    return nn.Sequential(nn.Linear(512, 512), nn.Tanh(), nn.Linear(512, 300), nn.ReLU(), nn.Linear(300, 4))
X, y = rng.standard_normal((240, 512)), rng.integers(0, 4, 240)
bits(wide(), X.astype(np.float32), y)
for unit in ("emulation", "amx_emulation"):
    os.environ["BACKPASS_UNIT"] = unit
    net = nn.Sequential(nn.Linear(512, 70), nn.ReLU(), nn.Linear(70, 300), nn.ReLU(), nn.Linear(300, 4))
    bits(net, X[:120].astype(np.float32), y[:120], precision="bf16x3")
bits(wide(), X, y, dtype="float64")
images = rng.standard_normal((240, 3, 20, 20)).astype(np.float32)
bits(nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 40, 3, padding=1), nn.ReLU(),
                   nn.GlobalAvgPool(), nn.Linear(40, 4)), images, y)
"""


def run(code: str, caches: str) -> subprocess.CompletedProcess[str]:
    environment = ENVIRONMENT | {"BACKPASS_CACHES": caches}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300
    )


def test_same_bits_on_other_caches() -> None:
    found = [run(TRAIN, caches) for caches in ("", "16K,16,64K", "128K,8,16M")]
    assert all(done.returncode == 0 for done in found), "\n".join(done.stderr for done in found)
    here, small, large = (done.stdout.split() for done in found)
    assert len(here) == 5
    assert here == small
    assert here == large


def test_the_environment_is_said_to_the_user() -> None:
    done = run("import backpass as bp; print(bp.show_config())", "48K,12,2M")
    assert "L1 48 KiB in 12 ways, L2 2048 KiB" in done.stdout
    assert "BACKPASS_CACHES=48K,12,2M" in done.stdout


@pytest.mark.parametrize("wrong", ["32K", "32K,7,1M", "32K,8,1 MB"])
def test_what_is_no_size_is_refused(wrong: str) -> None:
    done = run("import backpass.backends as b; b.get_backend('native')", wrong)
    last = done.stderr.strip().splitlines()[-1]
    assert f"ValueError: BACKPASS_CACHES is '{wrong}', expected" in last
    assert "32K,8,1M" in last
