"""Normalisation, and softmax."""

from typing import Any

from .numbers import number
from .source import Source

SOFTMAX = """
/* y = e^x / the sum of e^x in each row, or its logarithm. */
static void NAME_softmax(const float *x, float *y, int rows, int n, int logarithm)
{
    for (int r = 0; r < rows; r++, x += n, y += n) {
        float top = -INFINITY, sum = 0.0f;
        for (int i = 0; i < n; i++)
            if (x[i] > top)
                top = x[i];
        for (int i = 0; i < n; i++)
            sum += expf(x[i] - top);
        for (int i = 0; i < n; i++)
            y[i] = logarithm ? x[i] - top - logf(sum) : expf(x[i] - top) / sum;
    }
}
"""
LAYER = """
/* y = (x - mean) / sqrt(var + eps) weight + bias in each row; without `centred` the mean counts as 0. */
static void NAME_normalise(const float *x, const float *weight, const float *bias, float *y, int rows, int n, int centred,
                           float eps)
{
    for (int r = 0; r < rows; r++, x += n, y += n) {
        float mean = 0.0f, square = 0.0f;
        for (int i = 0; centred && i < n; i++)
            mean += x[i];
        mean /= (float)n;
        for (int i = 0; i < n; i++)
            square += (x[i] - mean) * (x[i] - mean);
        const float scale = 1.0f / sqrtf(square / (float)n + eps);
        for (int i = 0; i < n; i++)
            y[i] = (x[i] - mean) * scale * (weight ? weight[i] : 1.0f) + (bias ? bias[i] : 0.0f);
    }
}
"""
GROUP = """
/* y = (x - mean) / sqrt(var + eps) weight + bias over the places and channels of each group. */
static void NAME_group_norm(const float *x, const float *weight, const float *bias, float *y, int images, int places, int groups,
                            int part, float eps)
{
    const int channels = groups * part;
    for (int b = 0; b < images; b++, x += places * channels, y += places * channels)
        for (int g = 0; g < groups; g++) {
            float mean = 0.0f, square = 0.0f;
            for (int i = 0; i < places; i++)
                for (int c = g * part; c < (g + 1) * part; c++)
                    mean += x[i * channels + c];
            mean /= (float)(places * part);
            for (int i = 0; i < places; i++)
                for (int c = g * part; c < (g + 1) * part; c++)
                    square += (x[i * channels + c] - mean) * (x[i * channels + c] - mean);
            const float scale = 1.0f / sqrtf(square / (float)(places * part) + eps);
            for (int i = 0; i < places; i++)
                for (int c = g * part; c < (g + 1) * part; c++) {
                    const float v = (x[i * channels + c] - mean) * scale;
                    y[i * channels + c] = v * (weight ? weight[c] : 1.0f) + (bias ? bias[c] : 0.0f);
                }
        }
}
"""
BATCH = """
/* y = (x - mean) / sqrt(var + eps) weight + bias of each channel, by the running statistics. */
static void NAME_batch_norm(const float *x, const float *weight, const float *bias, const float *mean, const float *var,
                            float *y, int images, int channels, int length, float eps)
{
    for (int b = 0; b < images; b++)
        for (int c = 0; c < channels; c++, x += length, y += length) {
            const float scale = 1.0f / sqrtf(var[c] + eps);
            for (int i = 0; i < length; i++)
                y[i] = (x[i] - mean[c]) * scale * (weight ? weight[c] : 1.0f) + (bias ? bias[c] : 0.0f);
        }
}
"""


def softmax(source: Source, fields: dict[str, Any]) -> None:
    """Softmax of each row."""
    n = fields["x"].shape[-1]
    rows = fields["x"].size // max(n, 1)
    source.call("softmax", SOFTMAX, *_pointers(source, fields, "x", "y"), rows, n, fields["log"])


def layer_norm(source: Source, fields: dict[str, Any]) -> None:
    """Each row to mean 0 and variance 1."""
    _rows(source, fields, True)


def rms_norm(source: Source, fields: dict[str, Any]) -> None:
    """Each row to mean square 1."""
    _rows(source, fields | {"bias": None}, False)


def _rows(source: Source, fields: dict[str, Any], centred: bool) -> None:
    n = fields["x"].shape[-1]
    pointers = _pointers(source, fields, "x", "weight", "bias", "y")
    rows = fields["x"].size // max(n, 1)
    source.call("normalise", LAYER, *pointers, rows, n, centred, number(fields["eps"]))


def group_norm(source: Source, fields: dict[str, Any]) -> None:
    """Each group of channels to mean 0 and variance 1."""
    pointers = _pointers(source, fields, "x", "weight", "bias", "y")
    source.call("group_norm", GROUP, *pointers, *fields["x"].shape, number(fields["eps"]))


def batch_norm(source: Source, fields: dict[str, Any]) -> None:
    """Each channel by its running statistics."""
    pointers = _pointers(source, fields, "x", "weight", "bias", "running_mean", "running_var", "y")
    source.call("batch_norm", BATCH, *pointers, *fields["x"].shape, number(fields["eps"]))


def _pointers(source: Source, fields: dict[str, Any], *names: str) -> list[str]:
    return [source.pointer(fields[name]) for name in names]
