"""Sphinx: pages as notebooks, which run while the site is built, and which a reader may take along."""

import shutil
from pathlib import Path
from typing import Any

import jupytext
from myst_nb.sphinx_ import NbMetadataCollector
from nbformat import NotebookNode
from sphinx.application import Sphinx

FOLDER = "_static/notebooks"


def read(text: str) -> NotebookNode:
    """A page in jupytext's Markdown, whose blocks of Python are cells."""
    notebook = jupytext.reads(text, fmt="md")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def ran(app: Sphinx, page: str) -> bool:
    """Whether the page has code that ran."""
    return NbMetadataCollector.get_exec_data(app.env, page) is not None


def link(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """The address of a page's notebook, for _templates/notebook.html."""
    if doctree is not None and ran(app, page):
        context["notebook"] = f"{FOLDER}/{page}.ipynb"


def copy(app: Sphinx, exception: Exception | None) -> None:
    """The notebooks with their outputs, as myst-nb left them beside the site."""
    if exception is None:
        for page in filter(lambda page: ran(app, page), app.env.found_docs):
            target = Path(app.outdir) / FOLDER / f"{page}.ipynb"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(app.outdir).parent / "jupyter_execute" / f"{page}.ipynb", target)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("html-page-context", link)
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
