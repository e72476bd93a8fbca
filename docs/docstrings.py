"""Sphinx: docstrings, which are plain text with Google's sections, as reStructuredText."""

import re
from collections.abc import Iterator
from typing import Any

from sphinx.application import Sphinx

CODE = re.compile(r"(`[^`]+`)")
# Signs of markup in reStructuredText that mean themselves in a formula.
SIGNS = re.compile(r"[\\*|]|_(?!\w)")
# "Shapes: ..." is a paragraph, whose later lines may be indented.
LABEL = re.compile(r"(Shapes|Source|Attributes|Memory|Precision): (?=\S)")
# A reference such as :ref:`accuracy <accuracy_score>`.
ROLE = re.compile(r":\w+:`([^`<]*[^`< ])[^`]*`")


def plain(line: str) -> str:
    """A line whose code is literal and whose other signs are themselves."""
    bullet = re.match(r" *[*-] ", line)
    start = bullet.end() if bullet else 0
    parts = CODE.split(line[start:])
    return line[:start] + "".join(
        f"`{part}`" if CODE.fullmatch(part) else SIGNS.sub(r"\\\g<0>", part) for part in parts
    )


def translated(lines: list[str]) -> Iterator[str]:
    """The lines of a docstring; examples stay as they are."""
    example = labelled = False
    for line in lines:
        if not line.strip():
            example = labelled = False
        example = example or line.lstrip().startswith(">>>")
        label = LABEL.match(line)
        if label:
            labelled = True
            line = f"**{label[1]}:** " + plain(line[label.end() :])
        elif labelled:
            line = plain(line.lstrip())
        elif not example:
            line = plain(line)
        yield line


def process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Before napoleon reads the sections; of what is inherited from another library the first line, without its links."""
    if (getattr(obj, "__module__", None) or "backpass").startswith("backpass"):
        lines[:] = [*translated(lines)]
        if what in ("attribute", "property"):  # napoleon reads what stands before a colon as the type
            lines[:] = [line.replace(": ", " – ") for line in lines]
    else:
        lines[:] = [ROLE.sub(r"\1", lines[0])]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", process, priority=400)
    return {"parallel_read_safe": True}
