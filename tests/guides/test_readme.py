"""README.md: its Python blocks run in order, in one namespace. Of all documents: figures, links, and the files they name."""

import ast
import importlib.util
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import backpass as bp

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
MOST_LINES = 150

pytestmark = [
    pytest.mark.skipif(not README.exists(), reason="the documents are not beside the tests"),
    pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the documents know no instruction sets"),
]


def python_blocks() -> list[str]:
    """The Python blocks of the README."""
    return re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of their own, for they save files; and they come to what the text says."""
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "readme"}
    for number, block in enumerate(python_blocks(), 1):
        exec(compile(block, f"README.md, block {number}", "exec"), names)
    assert names["same"].evaluate(names["X_test"], names["y_test"])["accuracy"] > 0.95
    assert names["clf"].score(names["scale"](load_cancer().data), load_cancer().target) > 0.95
    assert names["reg"].epoch < 100  # stopped early
    assert names["model"].net[2].p == 0.3
    assert [*names["gradients"]] == [*names["model"].state_dict()]
    assert repr(names["model"].optimizer) == "SGD(lr=0.001)"


def load_cancer() -> Any:
    """The table of the first job."""
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer()


def test_the_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block that says so: cut off by max_seconds, then run again, it comes to the weights of a run that was not."""
    pytest.importorskip("sklearn")
    (block,) = (block for block in python_blocks() if "resume=True" in block)
    first = python_blocks()[0].partition("\nmodel = ")[0]
    states = []
    for cut in (False, True):
        folder = tmp_path / str(cut)
        folder.mkdir()
        monkeypatch.chdir(folder)
        names: dict[str, Any] = {}
        exec(first, names)
        if cut:
            exec(block.replace("resume=True", "resume=True, max_seconds=0"), names)
            assert names["digits"].epoch < 20
        exec(block, names)
        assert names["digits"].epoch == 20
        states.append(names["digits"].state_dict())
    for name, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][name])


def test_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= MOST_LINES


def test_what_it_says_of_defaults() -> None:
    """The line of defaults, against a model that was given none."""
    model = bp.Model(bp.nn.Linear(2, 1))
    facts = [type(model.loss).__name__, repr(model.optimizer), model.dtype.name, model.engine.seed]
    assert facts == ["MSELoss", "Adam(lr=0.001)", "float32", 0]
    model.fit(np.zeros((65, 2)), np.zeros(65))
    assert model.engine.step_count[0] == 3  # batches of 32


# ---- figures and links -----------------------------------------------------------------------------------------------


def writer() -> ModuleType:
    """benchmarks/readme.py."""
    spec = importlib.util.spec_from_file_location("readme", ROOT / "benchmarks" / "readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "document", ["README.md", "docs/benchmarks.md", "docs/sklearn.md", "docs/scaling.md"]
)
def test_figures_are_those_of_the_result_files(document: str) -> None:
    readme = writer()
    path = ROOT / document
    assert path.read_text("utf-8") == readme.replaced(path, readme.parts()[path]), (
        "run python benchmarks/readme.py"
    )


DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def anchors(text: str) -> set[str]:
    """What GitHub makes of the headings of a document."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", plain, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    """Links between the documents, with their anchors, and to files of the repository."""
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = document if not path else (document.parent / path).resolve()
        assert file.exists(), f"{document.name}: {target}"
        if anchor:
            assert anchor in anchors(file.read_text("utf-8")), f"{document.name}: {target}"


# ---- files and rooms -------------------------------------------------------------------------------------------------

# Documents whose names of files are checked; guarantees.md and sklearn.md name tests that move at present.
NAMING = [path for path in DOCUMENTS if path.name not in ("guarantees.md", "sklearn.md", "CHANGELOG.md")]
FILE = re.compile(r"`((?:[\w*.-]+/)*[\w*-]+\.(?:py|hpp|cpp|md))`")


@pytest.mark.parametrize("document", NAMING, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_named_files_exist(document: Path) -> None:
    """A path stands below the root, below the package, or beside the document; a test may be in any folder of tests."""
    missing = []
    for name in FILE.findall(document.read_text("utf-8")):
        bases = (ROOT, ROOT / "python" / "backpass", document.parent)
        found = any(path for base in bases for path in base.glob(name))
        if name.startswith("tests/"):
            found = any((ROOT / "tests").rglob(name.rpartition("/")[2]))
        if not found:
            missing.append(name)
    assert not missing


def test_the_rooms_of_contributing_are_those_of_the_house() -> None:
    """The table of rooms, top first, against ORDER of test_house.py."""
    source = next((ROOT / "tests").rglob("test_house.py")).read_text("utf-8")
    (order,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ORDER"
    )
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    table = text.partition("| room, top first |")[2].partition("\n\n")[0]
    rows = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in table.splitlines()[2:]]
    assert [set(row) for row in rows] == order
