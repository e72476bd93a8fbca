"""Linear layers and matrix products."""

from typing import Any

from .activation import activated
from .source import Source, elements

LINEAR = """
/* y = x weight + bias: rows of x with `inputs` numbers, of y with `outputs`. */
static void NAME_linear(const float *x, const float *weight, const float *bias, float *y, int rows, int inputs, int outputs)
{
    for (int r = 0; r < rows; r++, x += inputs, y += outputs) {
        for (int o = 0; o < outputs; o++)
            y[o] = bias ? bias[o] : 0.0f;
        for (int i = 0; i < inputs; i++) {
            const float v = x[i], *w = weight + (long)i * outputs;
            for (int o = 0; o < outputs; o++)
                y[o] += v * w[o];
        }
    }
}
"""


def linear(source: Source, fields: dict[str, Any]) -> None:
    """A product, a bias, and the activation behind them."""
    x, weight, bias, y = (source.pointer(fields[name]) for name in ("x", "weight", "bias", "y"))
    inputs, outputs = fields["weight"].shape
    source.call(
        "linear", LINEAR, x, weight, bias, y, elements(fields["y"]) // max(outputs, 1), inputs, outputs
    )
    activated(source, fields)
