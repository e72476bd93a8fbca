"""SECURITY.md, sentence by sentence: what a run opens, parses and executes, as Python's audit hooks see it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import backpass
from children import ENVIRONMENT
from conftest import once

pytestmark = once
WATCHED = """
import sys, os
import numpy as np, backpass as bp
from children import ENVIRONMENT
from backpass import nn
path, events = sys.argv[1], []
X, y = np.random.default_rng(0).standard_normal((60, 4)), np.arange(60) % 3
def model():
    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.1), nn.Linear(5, 3))
    return bp.Model(net, "cross_entropy", backend=sys.argv[2])
def work():
    made = model()
    callbacks = [bp.ModelCheckpoint(path, keep=2), bp.EarlyStopping("loss", patience=5)]
    made.fit(X, y, epochs=2, callbacks=callbacks, validation_data=(X, y))
    made.evaluate(X, y), made.predict(X), made.step(X, y), made.save(path)
work(), bp.load(path, backend=sys.argv[2])  # all is imported now
sys.addaudithook(lambda name, arguments: events.append((name, arguments)))
work()
bp.load(path, backend=sys.argv[2])
names = sorted({name for name, _ in events})
programs = ("subprocess.", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.system")
print("forbidden:", [name for name in names if name.startswith(("socket.", "pickle.", "urllib.", *programs))])
print("executed:", [name for name in names if name in ("exec", "compile", "import", "code.__new__", "ctypes.dlopen")])
touched = [a[0] for name, a in events if name == "open" and not isinstance(a[0], int)]
folder = os.path.realpath(os.path.dirname(path))
print("opened", len(touched) > 0, "elsewhere:", [p for p in touched if not os.path.realpath(p).startswith(folder)])
"""


@pytest.mark.parametrize("name", [n for n in backpass.available_backends() if n != "numba"])
def test_what_a_run_does(name: str, tmp_path: Path) -> None:
    """Train, check point, predict, load: no socket, no program, no code from elsewhere, no file outside the given folder."""
    command = [sys.executable, "-c", WATCHED, str(tmp_path / "run.safetensors"), name]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["forbidden: []", "executed: []", "opened True elsewhere: []"], (
        done.stdout + done.stderr
    )


def test_what_the_sources_never_call() -> None:
    found = []
    for file in Path(backpass.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("eval", "exec", "compile", "__import__")
            ):
                found.append(f"{file.name}:{node.lineno}: {node.func.id}")
            names = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            bad = {
                "pickle",
                "marshal",
                "shelve",
                "socket",
                "subprocess",
                "urllib",
                "http",
                "ctypes",
                "requests",
            }
            found += [f"{file.name}:{node.lineno}: imports {n}" for n in names if n.split(".")[0] in bad]
    # but for `python -m backpass bench --peers`, as SECURITY.md says
    assert [f for f in found if not (f.startswith("apart.py:") and f.endswith(": imports subprocess"))] == []
