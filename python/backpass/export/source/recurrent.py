"""Recurrent layers: all steps of a layer and direction."""

from typing import Any

from .linear import ACCUMULATE
from .source import Source, Temporary

HEAD = """
static void NAME_{name}(const float *x, const float *weight_ih, const float *weight_hh, const float *bias_ih,
                     const float *bias_hh, const float *h0, {cell}float *y, float *h, {last}float *z, int rows, int steps,
                     int inputs, int units, int reverse)
{{
    for (int b = 0; b < rows; b++, h += units) {{
        for (int u = 0; u < units; u++)
            h[u] = h0 ? h0[b * units + u] : 0.0f;{start}
        for (int s = 0; s < steps; s++) {{
            const int at = b * steps + (reverse ? steps - 1 - s : s);
{step}
            memcpy(y + at * units, h, units * sizeof(float));
        }}{end}
    }}
}}
"""
SUM = """\
            for (int k = 0; k < GATES * units; k++)
                z[k] = bias_ih ? bias_ih[k] + bias_hh[k] : 0.0f;
            NAME_accumulate(x + at * inputs, weight_ih, z, inputs, GATES * units);
            NAME_accumulate(h, weight_hh, z, units, GATES * units);
"""
RNN = "/* h = f(W_ih x + b_ih + W_hh h + b_hh). */" + HEAD
RNN_STEP = (
    SUM.replace("GATES * ", "")
    + "            for (int u = 0; u < units; u++)\n                h[u] = {formula};"
)
LSTM = "/* c = f c + i tanh(g), h = o tanh(c), with the gates i, f, g, o. */" + HEAD
LSTM_STEP = (
    SUM.replace("GATES", "4")
    + """\
            for (int u = 0; u < units; u++) {
                const float i = 1.0f / (1.0f + expf(-z[u])), f = 1.0f / (1.0f + expf(-z[units + u]));
                const float g = tanhf(z[2 * units + u]), o = 1.0f / (1.0f + expf(-z[3 * units + u]));
                c[u] = f * c[u] + i * g;
                h[u] = o * tanhf(c[u]);
            }"""
)
GRU = "/* n = tanh(x part + r (h part)), h = (1 - z) n + z h, with the gates r, z, n. */" + HEAD
GRU_STEP = """\
            float *v = z + 3 * units;
            for (int k = 0; k < 3 * units; k++) {
                z[k] = bias_ih ? bias_ih[k] : 0.0f;
                v[k] = bias_hh ? bias_hh[k] : 0.0f;
            }
            NAME_accumulate(x + at * inputs, weight_ih, z, inputs, 3 * units);
            NAME_accumulate(h, weight_hh, v, units, 3 * units);
            for (int u = 0; u < units; u++) {
                const float r = 1.0f / (1.0f + expf(-z[u] - v[u]));
                const float keep = 1.0f / (1.0f + expf(-z[units + u] - v[units + u]));
                const float n = tanhf(z[2 * units + u] + r * v[2 * units + u]);
                h[u] = n + keep * (h[u] - n);
            }"""
NOTHING = {"cell": "", "last": "", "start": "", "end": ""}
CELL = {
    "cell": "const float *c0, ", "last": "float *c, ", "end": "\n        c += units;",
    "start": "\n        for (int u = 0; u < units; u++)\n            c[u] = c0 ? c0[b * units + u] : 0.0f;",
}  # fmt: skip


def rnn(source: Source, fields: dict[str, Any]) -> None:
    """Simple recurrence with tanh or relu."""
    formula = {"tanh": "tanhf(z[u])", "relu": "z[u] < 0.0f ? 0.0f : z[u]"}[fields["activation"]]
    name = f"rnn_{fields['activation']}"
    _call(
        source, fields, name, RNN.format(name=name, step=RNN_STEP.format(formula=formula), **NOTHING), "h", 1
    )


def lstm(source: Source, fields: dict[str, Any]) -> None:
    """An LSTM."""
    _call(source, fields, "lstm", LSTM.format(name="lstm", step=LSTM_STEP, **CELL), "hc", 4)


def gru(source: Source, fields: dict[str, Any]) -> None:
    """A GRU."""
    _call(source, fields, "gru", GRU.format(name="gru", step=GRU_STEP, **NOTHING), "h", 6)


def _call(source: Source, fields: dict[str, Any], name: str, text: str, states: str, width: int) -> None:
    rows, steps, inputs = fields["x"].shape
    units = fields["y"].shape[2]
    if fields["lengths"] is not None:
        raise source.refuse("with lengths of rows, and the C file has floats alone")
    names = ["x", "weight_ih", "weight_hh", "bias_ih", "bias_hh", *(f"{s}0" for s in states), "y"]
    pointers = [source.pointer(fields[key]) for key in [*names, *(f"{s}_n" for s in states)]]
    source.need("accumulate", ACCUMULATE)
    numbers = rows, steps, inputs, units, fields["reverse"]
    source.call(name, text, *pointers, Temporary(width * units), *numbers)
