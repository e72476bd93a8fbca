"""Writes trajectories.json with PyTorch. How to run, from the top of the repository:

    pip install ".[test]" torch==2.13.0 && python tests/golden/make.py

The values change only if a case does (or PyTorch's arithmetic, in the last digits).
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

import backpass as bp
from golden.cases import GOLDEN, TRAJECTORIES, model_of
from helpers import torch_peer


def main() -> None:
    made = {}
    for name, case in GOLDEN.items():
        run = torch_peer.train(
            case, model_of(case, bp.get_backend("numpy"), "float64").state_dict(), "float64"
        )
        made[name] = {"losses": run.losses, "predictions": run.predictions[:2].tolist()}
        print(f"{name}: loss {run.losses[0]:.6f} to {run.losses[-1]:.6f} in {case.steps} steps")
    lines = [f"  {json.dumps(name)}: {json.dumps(values)}" for name, values in made.items()]
    origin = f"float64 on PyTorch {torch.__version__}, by tests/golden/make.py"
    TRAJECTORIES.write_text(f'{{\n  "made": {json.dumps(origin)},\n' + ",\n".join(lines) + "\n}\n", "utf-8")
    print(f"wrote {TRAJECTORIES}")


if __name__ == "__main__":
    print(__doc__)
    main()
