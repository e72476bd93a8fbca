"""Activations, fused or by themselves: a function of one float, applied in place."""

from typing import Any

from .numbers import number
from .source import Source

# f(v) by name, with a for alpha; the formulas are those of ops/formulas.py.
FORMULAS = {
    "relu": "v < 0.0f ? 0.0f : v",
    "leaky_relu": "v < 0.0f ? a * v : v",
    "tanh": "tanhf(v)",
    "sigmoid": "1.0f / (1.0f + expf(-v))",
    "elu": "v > 0.0f ? v : a * expm1f(v)",
    "softplus": "a * v > 20.0f ? v : (fmaxf(a * v, 0.0f) + log1pf(expf(-fabsf(a * v)))) / a",
    "gelu": "0.5f * v * (1.0f + erff(v * 0.707106781f))",
    "gelu_tanh": "0.5f * v * (1.0f + tanhf(0.797884561f * (v + 0.044715f * v * v * v)))",
    "silu": "v / (1.0f + expf(-v))",
}
LOOP = """
static void NAME_{name}(const float *x, float *y, int n{alpha})
{{
    for (int i = 0; i < n; i++) {{
        const float v = x[i];
        y[i] = {formula};
    }}
}}
"""


def activation(source: Source, fields: dict[str, Any]) -> None:
    """An activation by itself."""
    if fields["activation"] == "identity":
        x, y = source.pointer(fields["x"]), source.pointer(fields["y"])
        source.line(f"memcpy({y}, {x}, {fields['y'].size} * sizeof(float));")
    else:
        _apply(source, fields, fields["x"])


def activated(source: Source, fields: dict[str, Any]) -> None:
    """The activation of an op, of its output in place."""
    if fields["activation"] != "identity":
        _apply(source, fields, fields["y"])


def _apply(source: Source, fields: dict[str, Any], x: Any) -> None:
    name, y = fields["activation"], fields["y"]
    formula = FORMULAS[name]
    takes_alpha = "a * v" in formula or "a * e" in formula
    text = LOOP.format(name=name, formula=formula, alpha=", float a" if takes_alpha else "")
    alpha = [number(fields["alpha"])] if takes_alpha else []
    source.call(name, text, source.pointer(x), source.pointer(y), y.size, *alpha)
