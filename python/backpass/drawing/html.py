"""Tables and small curves as HTML for notebooks: text of their own, escaped, that needs nothing else."""

import math
from collections.abc import Mapping, Sequence
from html import escape

# Colours that also differ in lightness; the text has the colour of the page.
COLOURS = ("#1f77b4", "#ff7f0e")
CELL = "text-align:{};padding:2px 10px;white-space:pre"
WIDTH, HEIGHT, EDGE = 260, 90, 4


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 0) -> str:
    """A table; the first `left` columns are set left, all others right."""

    def line(tag: str, cells: Sequence[str]) -> str:
        aligned = (("left" if place < left else "right", cell) for place, cell in enumerate(cells))
        return "".join(f'<{tag} style="{CELL.format(side)}">{escape(cell)}</{tag}>' for side, cell in aligned)

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{line('th', head)}</tr></thead><tbody>{body}</tbody></table>"


def boxed(*parts: str) -> str:
    """Parts below each other."""
    return f'<div style="overflow-x:auto;max-width:100%">{"".join(parts)}</div>'


def line_of(text: str) -> str:
    """A line of text."""
    return f'<div style="padding:2px 10px">{escape(text)}</div>'


def curves(series: Mapping[str, Sequence[float]]) -> str:
    """Up to two curves over the epochs as a small SVG, the second dashed; "" where there is nothing to draw."""
    finite = [value for values in series.values() for value in values if math.isfinite(value)]
    longest = max(map(len, series.values()), default=0)
    if len(finite) < 2 or longest < 2:
        return ""
    low, high = min(finite), max(finite)
    parts = []
    for number, (name, values) in enumerate(series.items()):
        points = " ".join(
            f"{EDGE + (WIDTH - 2 * EDGE) * place / (longest - 1):.1f},"
            f"{HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (value - low) / ((high - low) or 1):.1f}"
            for place, value in enumerate(values)
            if math.isfinite(value)
        )
        dashes = ' stroke-dasharray="5 3"' if number else ""
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{COLOURS[number % 2]}" stroke-width="1.8"{dashes}>'
            f"<title>{escape(name)}</title></polyline>"
        )
    legend = ", ".join(
        f'<span style="color:{COLOURS[number % 2]}">{"╌" if number else "─"}</span> {escape(name)}'
        for number, name in enumerate(series)
    )
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(", ".join(series))}">{"".join(parts)}</svg>'
        f'<div style="padding:2px 10px">{legend}, from {low:.4g} to {high:.4g}</div>'
    )
