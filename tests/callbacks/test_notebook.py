"""In a Jupyter kernel: the progress bar is a widget where ipywidgets are installed, else a line of text; plots are pictures."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import backpass as bp
from helpers.backends import once

for package in ("tqdm", "ipykernel", "ipywidgets", "nbclient"):
    pytest.importorskip(package, reason=f"{package} is not installed")

pytestmark = once
TRAIN = """
import numpy as np, backpass as bp
X = np.zeros((60, 3), np.float32)
bp.Model(bp.nn.Linear(3, 1)).fit(X, X[:, :1], epochs=3, batch_size=10, progress=True)
"""
WATCH = """
import numpy as np, backpass as bp
X = np.zeros((60, 3), np.float32)
m = bp.Model(bp.nn.Linear(3, 1))
h = m.fit(X, X[:, :1], epochs=3, batch_size=10, callbacks=[bp.GradientMonitor("1 step")])
"""
# In a process of its own: the client of a kernel leaves sockets and an event loop behind.
EXECUTE = """
import json, sys
import nbformat
from nbclient import NotebookClient
cells = [nbformat.v4.new_code_cell(source) for source in json.loads(sys.argv[1])]
notebook = nbformat.v4.new_notebook(cells=cells)
NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
print(json.dumps(notebook))
"""


def executed(tmp_path: Path, *cells: str) -> tuple[list[list[dict[str, Any]]], list[dict[str, Any]]]:
    """The outputs of each cell, and the state of all widgets, of a notebook run by this Python."""
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    spec = {"argv": argv, "display_name": "this Python", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec), "utf-8")
    environment = os.environ | {
        "JUPYTER_PATH": str(tmp_path),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "PYTHONPATH": str(Path(bp.__file__).parent.parent),
    }
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, json.dumps(cells)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    notebook = json.loads(done.stdout)
    widgets = notebook["metadata"].get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    return [cell["outputs"] for cell in notebook["cells"]], [
        one["state"] for one in widgets.get("state", {}).values()
    ]


def test_a_widget_shows_progress(tmp_path: Path) -> None:
    [outputs], widgets = executed(tmp_path, TRAIN)
    assert any("application/vnd.jupyter.widget-view+json" in one.get("data", {}) for one in outputs)
    bars = [one for one in widgets if one.get("_model_name") == "FloatProgressModel"]
    assert [(bar["value"], bar["max"], bar["bar_style"]) for bar in bars] == [(18.0, 18.0, "success")]
    text = " ".join(one["value"] for one in widgets if one.get("_model_name") == "HTMLModel")
    text = text.replace("\N{FIGURE SPACE}", " ")
    assert "epoch 3" in text
    assert "18/18" in text
    assert "loss=" in text
    assert not any(one["output_type"] == "stream" for one in outputs), "no text beside it"


def test_without_widgets_it_is_text(tmp_path: Path) -> None:
    [_, outputs], widgets = executed(tmp_path, "import sys; sys.modules['ipywidgets'] = None", TRAIN)
    assert not widgets
    text = "".join(one["text"] for one in outputs if one["output_type"] == "stream")
    assert "18/18" in text
    assert "epoch 3" in text


@pytest.mark.parametrize("before", ["", "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.close()\n"])
def test_plots_are_shown(before: str, tmp_path: Path) -> None:
    """Once, whether or not pyplot has drawn before; each of the two is the first of a notebook."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    lines = ("m.plot_gradients()", "h.plot()") if before else ("h.plot()", "m.plot_gradients()")
    [_, *plots], _ = executed(tmp_path, before + WATCH, *lines)
    for outputs in plots:
        pictures = [one["data"]["image/png"] for one in outputs if "image/png" in one.get("data", {})]
        assert len(pictures) == 1
        assert len(pictures[0]) > 5000
