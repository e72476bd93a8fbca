"""Sphinx: the documentation as a site. `nox -s docs` builds it from all Markdown of the repository; every warning is an error."""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
# CI asks for files alone; pages show their pictures.
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
os.environ["MATPLOTLIBRC"] = str(HERE / "matplotlibrc")
# Guides train for a few epochs; what an estimator says of that would stand on the page.
os.environ["PYTHONWARNINGS"] = "ignore:Stochastic Optimizer"

project = "backpass"
author = "backpass contributors"
copyright = f"{author}, BSD-3-Clause"
release = version = re.findall(r'"(.+)"', (HERE.parent / "python/backpass/_version.py").read_text("utf-8"))[0]

extensions = [
    "myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "docstrings", "gallery", "notebooks",
]  # fmt: skip
root_doc = "docs/index"
# Links lead from page to page in the site as they do in the repository, so the sources of the site are the repository.
include_patterns = ["docs/*.md", "docs/*/*.md", "*.md", "csrc/README.md", "benchmarks/LOG.md"]
exclude_patterns = ["README.md"]
nitpicky = True
highlight_language = "none"

# Pages are notebooks in jupytext's Markdown: a block of Python is a cell, which runs, and shows what it gave.
nb_custom_formats = {".md": ["notebooks.read", {}, False]}
nb_execution_mode = "auto"
nb_execution_excludepatterns = ["CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "csrc/*", "benchmarks/*"]
missing = [f"import {name}" for name in ("torch", "keras") if not find_spec(name)]
if not find_spec("distributed"):
    missing.append("dask.distributed")
if not os.environ.get("BACKPASS_DATA"):
    missing.append("BACKPASS_DATA")
nb_execution_excludepatterns += [
    page.name
    for page in HERE.glob("guides/*.md")
    if any(needed in page.read_text("utf-8") for needed in missing)
]
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_in_temp = True
nb_merge_streams = True
nb_output_stderr = "error"
myst_heading_anchors = 3

autodoc_typehints = "none"
autodoc_member_order = "bysource"
# An entry may be of several names, "kdim, vdim: ...", which only this style leaves alone.
napoleon_custom_sections = [(name, "params_style") for name in ("Args", "Attributes", "Raises")]
add_module_names = False
python_display_short_literal_types = True
maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "backpass"
html_static_path = ["_static"]
html_css_files = ["site.css"]
templates_path = ["_templates"]
html_additional_pages = {"index": "redirect.html"}
# Pages that stand alone in their section.
html_sidebars = {
    f"docs/{page}": []
    for page in (
        "index",
        "start",
        "gallery",
        "benchmarks",
        "guarantees",
        "numerics",
        "how_it_works",
        "platforms",
        "scaling",
    )
}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "header_links_before_dropdown": 5,
    "navigation_with_keys": False,
    "show_nav_level": 2,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc", "notebook"],
    "navbar_persistent": [],
    "navbar_end": ["search-button", "theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
