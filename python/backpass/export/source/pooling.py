"""Pooling of images with their channels last."""

from typing import Any

from .source import Source

MAX = """
/* y = the maximum of a window; NaN counts as the largest. */
static void NAME_max_pool2d(const float *x, float *y, int images, int height, int width, int channels, int places_h,
                            int places_w, int kernel_h, int kernel_w, int stride_h, int stride_w, int padding_h,
                            int padding_w, int dilation_h, int dilation_w)
{
    for (int b = 0; b < images; b++, x += height * width * channels)
        for (int p = 0; p < places_h; p++)
            for (int q = 0; q < places_w; q++, y += channels)
                for (int c = 0; c < channels; c++) {
                    float top = -INFINITY;
                    for (int i = 0; i < kernel_h; i++)
                        for (int j = 0; j < kernel_w; j++) {
                            const int h = p * stride_h + i * dilation_h - padding_h;
                            const int w = q * stride_w + j * dilation_w - padding_w;
                            if (h < 0 || h >= height || w < 0 || w >= width)
                                continue;
                            const float v = x[(h * width + w) * channels + c];
                            if (v > top || v != v)
                                top = v;
                        }
                    y[c] = top;
                }
}
"""
MEAN = """
/* y = the sum of a window / divisor: `override` unless that is 0, else the places covered, with the padding if `padded`. */
static void NAME_avg_pool2d(const float *x, float *y, int images, int height, int width, int channels, int places_h,
                            int places_w, int kernel_h, int kernel_w, int stride_h, int stride_w, int padding_h,
                            int padding_w, int padded, int override)
{
    for (int b = 0; b < images; b++, x += height * width * channels)
        for (int p = 0; p < places_h; p++)
            for (int q = 0; q < places_w; q++, y += channels) {
                const int h = p * stride_h - padding_h, w = q * stride_w - padding_w;
                const int up = h < 0 ? 0 : h, down = h + kernel_h < height ? h + kernel_h : height;
                const int left = w < 0 ? 0 : w, right = w + kernel_w < width ? w + kernel_w : width;
                const int rows = (h + kernel_h < height + padding_h ? h + kernel_h : height + padding_h) - h;
                const int columns = (w + kernel_w < width + padding_w ? w + kernel_w : width + padding_w) - w;
                const int inside = down > up && right > left ? (down - up) * (right - left) : 0;
                const int covered = padded ? rows * columns : inside;
                for (int c = 0; c < channels; c++) {
                    float sum = 0.0f;
                    for (int i = up; i < down; i++)
                        for (int j = left; j < right; j++)
                            sum += x[(i * width + j) * channels + c];
                    y[c] = sum / (float)(override ? override : covered ? covered : 1);
                }
            }
}
"""
ADAPTIVE = """
/* y = the {what} of the rows p H / P to (p + 1) H / P rounded up, and such columns. */
static void NAME_adaptive_{name}_pool2d(const float *x, float *y, int images, int height, int width, int channels,
                                     int places_h, int places_w)
{{
    for (int b = 0; b < images; b++, x += height * width * channels)
        for (int p = 0; p < places_h; p++)
            for (int q = 0; q < places_w; q++, y += channels)
                for (int c = 0; c < channels; c++) {{
                    const int up = p * height / places_h, down = ((p + 1) * height + places_h - 1) / places_h;
                    const int left = q * width / places_w, right = ((q + 1) * width + places_w - 1) / places_w;
                    float y_c = {start};
                    for (int i = up; i < down; i++)
                        for (int j = left; j < right; j++) {{
                            const float v = x[(i * width + j) * channels + c];
                            {step}
                        }}
                    y[c] = {end};
                }}
}}
"""
WINDOW = ("kernel_h", "kernel_w", "stride_h", "stride_w", "padding_h", "padding_w")


def max_pool(source: Source, fields: dict[str, Any]) -> None:
    """The maximum of a window that slides."""
    _call(source, fields, "max_pool2d", MAX, *WINDOW, "dilation_h", "dilation_w")


def avg_pool(source: Source, fields: dict[str, Any]) -> None:
    """The mean of a window that slides."""
    _call(source, fields, "avg_pool2d", MEAN, *WINDOW, "count_include_pad", "divisor_override")


def adaptive_max_pool(source: Source, fields: dict[str, Any]) -> None:
    """The maximum of parts of an image."""
    step = "if (v > y_c || v != v)\n                                y_c = v;"
    text = ADAPTIVE.format(name="max", what="maximum", start="-INFINITY", step=step, end="y_c")
    _call(source, fields, "adaptive_max_pool2d", text)


def adaptive_avg_pool(source: Source, fields: dict[str, Any]) -> None:
    """The mean of parts of an image."""
    mean = "y_c / (float)((down - up) * (right - left))"
    text = ADAPTIVE.format(name="avg", what="mean", start="0.0f", step="y_c += v;", end=mean)
    _call(source, fields, "adaptive_avg_pool2d", text)


def _call(source: Source, fields: dict[str, Any], function: str, text: str, *names: str) -> None:
    x, y = fields["x"], fields["y"]
    numbers = (fields[name] for name in names)
    source.call(function, text, source.pointer(x), source.pointer(y), *x.shape, *y.shape[1:3], *numbers)
