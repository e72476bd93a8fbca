"""Convolutions of images with their channels last."""

from typing import Any

from .activation import activated
from .source import Source

CONV = """
/* y[p, q] = bias + the sum over the taps of a window of x[h, w] weight[i, j]. */
static void NAME_conv2d(const float *x, const float *weight, const float *bias, float *y, int images, int height, int width,
                        int channels, int places_h, int places_w, int outputs, int kernel_h, int kernel_w, int stride_h,
                        int stride_w, int top, int left, int dilation_h, int dilation_w, int groups)
{
    const int depth = channels / groups, part = outputs / groups;
    for (int b = 0; b < images; b++, x += height * width * channels)
        for (int p = 0; p < places_h; p++)
            for (int q = 0; q < places_w; q++, y += outputs) {
                for (int o = 0; o < outputs; o++)
                    y[o] = bias ? bias[o] : 0.0f;
                for (int i = 0; i < kernel_h; i++)
                    for (int j = 0; j < kernel_w; j++) {
                        const int h = p * stride_h + i * dilation_h - top, w = q * stride_w + j * dilation_w - left;
                        if (h < 0 || h >= height || w < 0 || w >= width)
                            continue;
                        const float *in = x + (h * width + w) * channels, *k = weight + (i * kernel_w + j) * depth * outputs;
                        for (int g = 0; g < groups; g++)
                            for (int d = 0; d < depth; d++)
                                for (int o = g * part; o < (g + 1) * part; o++)
                                    y[o] += in[g * depth + d] * k[d * outputs + o];
                    }
            }
}
"""
TRANSPOSED = """
/* y = bias, and what each x[h, w] gives to the taps of a window. */
static void NAME_conv_transpose2d(const float *x, const float *weight, const float *bias, float *y, int images, int height,
                                  int width, int channels, int places_h, int places_w, int outputs, int kernel_h,
                                  int kernel_w, int stride_h, int stride_w, int top, int left, int dilation_h,
                                  int dilation_w, int groups)
{
    const int depth = channels / groups, part = outputs / groups, pixels = places_h * places_w;
    for (int b = 0; b < images; b++, y += pixels * outputs) {
        for (int i = 0; i < pixels * outputs; i++)
            y[i] = bias ? bias[i % outputs] : 0.0f;
        for (int h = 0; h < height; h++)
            for (int w = 0; w < width; w++, x += channels)
                for (int i = 0; i < kernel_h; i++)
                    for (int j = 0; j < kernel_w; j++) {
                        const int p = h * stride_h + i * dilation_h - top, q = w * stride_w + j * dilation_w - left;
                        if (p < 0 || p >= places_h || q < 0 || q >= places_w)
                            continue;
                        const float *k = weight + (i * kernel_w + j) * part * channels;
                        float *out = y + (p * places_w + q) * outputs;
                        for (int c = 0; c < channels; c++)
                            for (int o = 0; o < part; o++)
                                out[c / depth * part + o] += x[c] * k[o * channels + c];
                    }
    }
}
"""


def conv(source: Source, fields: dict[str, Any]) -> None:
    """A convolution, and the activation behind it."""
    _call(source, fields, "conv2d", CONV)
    activated(source, fields)


def conv_transpose(source: Source, fields: dict[str, Any]) -> None:
    """A transposed convolution."""
    _call(source, fields, "conv_transpose2d", TRANSPOSED)


def _call(source: Source, fields: dict[str, Any], function: str, text: str) -> None:
    x, y = fields["x"], fields["y"]
    pointers = (source.pointer(fields[name]) for name in ("x", "weight", "bias", "y"))
    names = ("stride_h", "stride_w", "top", "left", "dilation_h", "dilation_w", "groups")
    numbers = (fields[name] for name in names)
    source.call(function, text, *pointers, *x.shape, *y.shape[1:], *fields["weight"].shape[:2], *numbers)
