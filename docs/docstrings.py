"""mkdocstrings: docstrings as the parser of the Google style expects them."""

import re
from typing import Any

from griffe import Extension, Object

# The parser knows a section of examples by its plural.
EXAMPLE = re.compile(r"^(\s*)Example:$", re.MULTILINE)


class Examples(Extension):
    """Reads "Example:" as a section of examples, so that what it prints is code and no link."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Change the docstring of everything that has one."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(r"\1Examples:", obj.docstring.value)
