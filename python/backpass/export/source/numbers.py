"""Numbers as C writes them."""

import numpy as np

# Numbers in a line.
WIDTH = 8


def number(value: float) -> str:
    """A float constant that reads back to the same bits; infinite where a number is beyond float32."""
    with np.errstate(over="ignore"):
        value = float(np.float32(value))
    if np.isnan(value):
        return "NAN"
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def comment(text: str, *rest: str) -> str:
    """A C comment of a quoted text, whatever letters that has, and more words."""
    quoted = f"{text!a}".replace("*/", "* /").replace("/*", "/ *")
    return f"/* {': '.join([quoted, *rest])} */"


def rows_of_numbers(array: np.ndarray) -> str:
    """The elements of an array, some in a line."""
    words = [number(value) for value in array.tolist()]
    return ",\n".join("    " + ", ".join(words[i : i + WIDTH]) for i in range(0, len(words), WIDTH))
