"""Linear layers."""

from typing import Any

from .activation import activated
from .source import Source

ACCUMULATE = """
/* y += x weight. */
static void NAME_accumulate(const float *x, const float *weight, float *y, int inputs, int outputs)
{
    for (int i = 0; i < inputs; i++, weight += outputs)
        for (int o = 0; o < outputs; o++)
            y[o] += x[i] * weight[o];
}
"""
LINEAR = """
/* y = x weight + bias: rows of x with `inputs` numbers, of y with `outputs`. */
static void NAME_linear(const float *x, const float *weight, const float *bias, float *y, int rows, int inputs, int outputs)
{
    for (int r = 0; r < rows; r++, x += inputs, y += outputs) {
        for (int o = 0; o < outputs; o++)
            y[o] = bias ? bias[o] : 0.0f;
        NAME_accumulate(x, weight, y, inputs, outputs);
    }
}
"""


def linear(source: Source, fields: dict[str, Any]) -> None:
    """A product, a bias, and the activation behind them."""
    x, weight, bias, y = (source.pointer(fields[name]) for name in ("x", "weight", "bias", "y"))
    inputs, outputs = fields["weight"].shape
    source.need("accumulate", ACCUMULATE)
    source.call("linear", LINEAR, x, weight, bias, y, fields["y"].size // max(outputs, 1), inputs, outputs)
    activated(source, fields)
