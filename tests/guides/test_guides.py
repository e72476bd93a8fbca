"""The documentation: the code blocks of every page run in order, in one namespace a page; the reference is complete."""

import importlib.util
import os
import re
from pathlib import Path
from typing import Any

import pytest

import backpass as bp

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```python[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if BLOCK.search(page.read_text("utf-8"))]
# What a page needs beside the test extra, by what stands in it.
NEEDED = {
    "import optuna": "optuna",
    "dask.distributed": "distributed",
    "import torch": "torch",
    "import keras": "keras",
    "bp.TensorBoard": "tensorboardX",
}


def case(page: Path) -> Any:
    """A page as a case; the site runs those without PyTorch."""
    mark = pytest.mark.torch if "import torch" in page.read_text("utf-8") else pytest.mark.pages
    return pytest.param(page, marks=mark, id=page.relative_to(DOCS).with_suffix("").as_posix())


pytestmark = [
    pytest.mark.skipif(not DOCS.exists(), reason="the documents are not beside the tests"),
    pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the documents know no instruction sets"),
]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
# Keras's, of its own backend.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("page", map(case, PAGES))
def test_page(page: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(pyplot, "show", lambda: None)
    text = page.read_text("utf-8")
    for line, module in NEEDED.items():
        if line in text:
            pytest.importorskip(module)
    if "BACKPASS_DATA" in text:
        request.getfixturevalue("data_dir")
        pytest.importorskip("pandas")
    if "bp.export.onnx" in text:
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    names: dict[str, Any] = {"__name__": page.stem}
    for number, block in enumerate(BLOCK.findall(text), 1):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)
    pyplot.close("all")


@pytest.mark.parametrize(
    ("folder", "map_of_it", "link"),
    [("guides", "index.md", "(guides/{}.md)"), ("course", "course/index.md", "\n{}\n")],
)
def test_every_page_can_be_reached(folder: str, map_of_it: str, link: str) -> None:
    """docs/index.md has a row for each guide, and the course's index a line for each page."""
    text = (DOCS / map_of_it).read_text("utf-8")
    pages = {page.stem for page in (DOCS / folder).glob("*.md")} - {"index"}
    assert {page for page in pages if link.format(page) not in text} == set()


def test_no_block_of_a_shell_is_a_cell() -> None:
    """In jupytext's Markdown a block of sh or bash is a cell of a notebook and would run: it is "console" here."""
    for page in DOCS.rglob("*.md"):
        assert not re.search(r"^```(sh|bash|perl|ruby|R)$", page.read_text("utf-8"), re.MULTILINE), page.name


def test_the_page_of_ops_is_current() -> None:
    spec = importlib.util.spec_from_file_location("make", DOCS / "reference" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    current = (DOCS / "reference" / "ops.md").read_text("utf-8") == make.page()
    assert current, "run python docs/reference/make.py"


def public() -> dict[str, object]:
    """The public classes and functions by name."""
    found: dict[str, object] = {}
    for module in (bp, bp.nn, bp.optim, bp.callbacks, bp.export):
        for name in module.__all__:
            found.setdefault(name, getattr(module, name))
    schedules = bp.optim.schedules
    own = (
        name
        for name, value in vars(schedules).items()
        if getattr(value, "__module__", "") == schedules.__name__
    )
    found |= {name: getattr(schedules, name) for name in own if not name.startswith("_")}
    return {name: value for name, value in found.items() if callable(value)}


# Machinery in public modules: bases of what users take, a type, and what names of optimizers go through.
WITHOUT_PAGE = {"Logs", "Loss", "Monitor", "Optimizer", "Schedule", "by_name"}


def test_the_reference_is_complete() -> None:
    """Every public class and function has an entry in docs/reference."""
    pages = "\n".join(page.read_text("utf-8") for page in (DOCS / "reference").glob("*.md"))
    entries = {
        entry.rpartition(".")[2] for entry in re.findall(r"^\.\. auto\w+:: (\S+)", pages, re.MULTILINE)
    }
    assert {*public()} - WITHOUT_PAGE - entries == set()


def test_the_map_names_every_class() -> None:
    """The table "What is in it" of docs/index.md, against the lists of the packages."""
    named = set(re.findall(r"`([A-Za-z0-9]+)`", (DOCS / "index.md").read_text("utf-8")))
    classes = {name for name, value in public().items() if isinstance(value, type)}
    errors = {name for name in classes if name.endswith("Error")}
    assert classes - errors - WITHOUT_PAGE - {"History", "Module", "Model"} - named == set()
