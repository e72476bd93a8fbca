"""SECURITY.md, sentence by sentence: what a run opens, parses and executes, as Python's audit hooks see it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import backpass
from helpers.backends import once
from helpers.processes import ENVIRONMENT

pytestmark = once
WATCHED = """
import sys, os
import numpy as np, backpass as bp
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


LOOKED_AT = """
import os, sys, sysconfig
import backpass as bp
events = []
sys.addaudithook(lambda name, arguments: events.append((name, arguments)))
bp.get_num_threads(), bp.show_config()
names = {name for name, _ in events}
opened = [os.path.realpath(a[0]) for name, a in events if name == "open" and isinstance(a[0], str)]
places = {*sys.path, sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"), os.environ.get("NUMBA_CACHE_DIR")}
own = [os.path.realpath(p) for p in places if p]
known = (*own, os.path.realpath(sys.executable), "/proc/cpuinfo", "/proc/self/cgroup", "/sys/fs/cgroup/")
known += (f"/proc/{os.getpid()}/cgroup",)  # where the link leads
print("RESULT", [p for p in opened if not p.startswith(known)], any(p.startswith("/proc") for p in opened))
programs = ("socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.fork", "os.system")
print("RESULT", [n for n in names if n.startswith(programs)])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the paths are Linux's")
def test_what_is_looked_at_to_count_cpus_and_to_show_the_configuration() -> None:
    command = [sys.executable, "-c", LOOKED_AT]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert lines == ["RESULT [] True", "RESULT []"], done.stdout + done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="rights as POSIX knows them")
def test_the_rights_of_the_file_before_are_kept(tmp_path: Path) -> None:
    model, path = backpass.Model(backpass.nn.Linear(2, 1)), tmp_path / "run"
    model.save(path)
    for rights in (0o600, 0o640):
        path.chmod(rights)
        model.save(path)
        assert path.stat().st_mode & 0o777 == rights


def test_environment_variables_are_those_of_the_readme() -> None:
    """Every upper-case word of the sources that looks like one, against README's table and SECURITY.md."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "SECURITY.md").exists():
        pytest.skip("the documents are not beside the tests")
    known = (root / "README.md").read_text("utf-8") + (root / "SECURITY.md").read_text("utf-8")
    name = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
    found = set()
    for file in Path(backpass.__file__).parent.rglob("*.py"):
        text = file.read_text("utf-8")
        if "environ" in text or "BLAS_VARIABLES" in text or "settings" in text or "VARIABLES" in text:
            for node in ast.walk(ast.parse(text)):
                if (
                    isinstance(node, ast.Constant)
                    and isinstance(node.value, str)
                    and name.fullmatch(node.value)
                ):
                    found.add(node.value)
    assert {"BACKPASS_BACKEND", "BACKPASS_NUM_THREADS", "BACKPASS_ISA"} <= found
    assert {each for each in found if f"`{each}`" not in known} == set()


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
