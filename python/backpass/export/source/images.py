"""What layers of augmentation do to images outside training."""

from typing import Any

from .source import Source

CROP = """
/* y = places_h x places_w pixels of each image from (top, left) on; around the image is 0. */
static void NAME_crop(const float *x, float *y, int images, int height, int width, int channels, int places_h, int places_w,
                      int top, int left)
{
    for (int b = 0; b < images; b++, x += height * width * channels)
        for (int p = top; p < top + places_h; p++)
            for (int q = left; q < left + places_w; q++, y += channels)
                for (int c = 0; c < channels; c++)
                    y[c] = p < 0 || p >= height || q < 0 || q >= width ? 0.0f : x[(p * width + q) * channels + c];
}
"""


def crop(source: Source, fields: dict[str, Any]) -> None:
    """A part of each image."""
    if fields["down"] * fields["right"] > 1:
        raise source.refuse("at a random place")
    x, y = fields["x"], fields["y"]
    images, planes, *sizes = x.shape
    numbers = images * planes, *sizes, *y.shape[2:4], fields["top"], fields["left"]
    source.call("crop", CROP, source.pointer(x), source.pointer(y), *numbers)
