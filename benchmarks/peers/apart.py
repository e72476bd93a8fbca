"""A contestant in a process of its own: for settings that a library reads when it is loaded.

The child (`main` with the arguments NAME WORKLOAD THREADS) reads numbers of epochs and answers with seconds, a line each.
"""

import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence

from backpass.cli.contestant import Contestant, backend
from backpass.cli.workloads import WORKLOADS, Workload

from .with_sklearn import scikit_learn

AVX512_BLAS = {"OPENBLAS_CORETYPE": "SkylakeX"}  # OpenBLAS takes AMD's for AVX2 cores
MAKERS = {
    "numpy": lambda workload, threads: backend(workload, "numpy", threads),
    "scikit-learn": scikit_learn,
}


def apart(name: str, workload: Workload, threads: int, settings: Mapping[str, str]) -> Contestant:
    """MAKERS[name] in a process with these environment variables, which ends when the contestant is dropped."""
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    environment = {**os.environ, **settings, **path, "OPENBLAS_NUM_THREADS": str(threads)}
    start = f"from {__name__} import main; main()"
    command = [sys.executable, "-c", start, name, workload.name, str(threads)]
    ask = process(name, command, environment)
    return lambda epochs: float(ask(f"{epochs}\n"))


def process(name: str, command: Sequence[str], environment: Mapping[str, str]) -> Callable[[str], str]:
    """A new process, as a function that gives it some text and returns its next line; it ends when this is dropped."""
    child = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    to, from_ = child.stdin, child.stdout
    assert to is not None
    assert from_ is not None

    def ask(text: str) -> str:
        to.write(text)
        to.flush()
        answer = from_.readline()
        if not answer:
            raise RuntimeError(f"{name} in a process of its own ended with {child.wait()}")
        return answer

    weakref.finalize(
        ask, child.__exit__, None, None, None
    )  # else Python keeps it, and its pipe open, to the end
    return ask


def main() -> None:
    """The child."""
    name, workload, threads = sys.argv[1:]
    train = MAKERS[name](WORKLOADS[workload], int(threads))
    for line in sys.stdin:
        print(train(int(line)), flush=True)
