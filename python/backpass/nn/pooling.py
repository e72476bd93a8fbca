"""What the pooling layers share: arguments and the check of the input."""

from typing import Any, ClassVar

from ..ops import Op
from ..program import Builder, Tensor
from ..program.channels import channels_last
from .window import PLACES, WindowLayer


class Pooling(WindowLayer):
    """Base of the pooling layers: the last `spatial` dimensions of (N, C, L) or (N, C, H, W) become smaller."""

    def expect_images(self, x: Tensor) -> None:
        """Check the dimensions of the input."""
        if len(x.shape) != self.spatial + 2:
            raise self.unfit_places(x, PLACES[self.spatial])

    def unfit_places(self, x: Tensor, places: str) -> ValueError:
        """The error for an input with other dimensions behind its channels."""
        return self.unfit(x, f"(batch, channels, {places}); of one row give x[None]")

    def pooled(self, builder: Builder, x: Tensor, op: Op, **arguments: Any) -> Tensor:
        """Emit an op of pooling."""
        # What the gradient of a maximum needs to know.
        want = ("index",) if "index" in op.outputs and builder.training and x.requires_grad else ()
        return self.on_images(builder, channels_last(builder, x), len(x.shape), op, want, **arguments)

    def refuse_indices(self, return_indices: Any) -> None:
        """PyTorch's argument that adds an output."""
        if self.flag("return_indices", return_indices):
            raise ValueError(
                f"{type(self).__name__}: return_indices is True, expected False: a layer has one output here"
            )


class SlidingPooling(Pooling):
    """Base of MaxPool and AvgPool: a window of kernel_size slides over the image, `stride` further each time."""

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]

    def set_window(self, kernel_size: Any, stride: Any, padding: Any, ceil_mode: Any) -> None:
        """Check what all sliding windows have."""
        self.kernel_size = self.sizes("kernel_size", kernel_size, self.spatial)
        self.stride = self.kernel_size if stride is None else self.sizes("stride", stride, self.spatial)
        self.padding = self.sizes("padding", padding, self.spatial, least=0)
        if any(p > k // 2 for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(
                f"{type(self).__name__}: padding is {padding!r}, expected at most half of kernel_size {kernel_size!r}"
            )
        self.ceil_mode = self.flag("ceil_mode", ceil_mode)

    def window(self) -> dict[str, Any]:
        """The scalars of the op: of a sequence, those of an image of height 1."""
        sizes = self.by_side(
            kernel=(1, *self.kernel_size), stride=(1, *self.stride), padding=(0, *self.padding)
        )
        return sizes | {"ceil_mode": self.ceil_mode}

    def pooled_rows(
        self, builder: Builder, x: Tensor, op: Op, around: float, refused: str = "", **arguments: Any
    ) -> Tensor:
        """Emit an op of sliding windows; around: what stands behind the end of a row that has a length, as in the padding."""
        lengths = self.lengths(builder, x, "ceil_mode=True" if self.ceil_mode else refused)
        if lengths is None:
            return self.pooled(builder, x, op, **arguments)
        from ..program.masks import filled_behind  # here: `import backpass` is to be quick

        y = self.pooled(builder, filled_behind(builder, x, lengths, around), op, **arguments)
        span = arguments.get("dilation_w", 1) * (self.kernel_size[-1] - 1) + 1
        self.tell_lengths(builder, x, y, 2 * self.padding[-1] - span, self.stride[-1])
        # Windows behind the end hold no number.
        ends = builder.lengths_by_steps[y.shape[2]]
        return filled_behind(builder, y, ends, 0.0) if around else y


class AdaptivePooling(Pooling):
    """Base of the pooling layers that are told the size of their output."""

    op: ClassVar[Op]

    def __init__(self, output_size: int | tuple[int | None, ...] | None) -> None:
        super().__init__()
        each = output_size if isinstance(output_size, tuple | list) else (output_size,) * self.spatial
        # None keeps a size.
        known = self.sizes("output_size", tuple(1 if size is None else size for size in each), self.spatial)
        self.output_sizes = tuple(None if size is None else n for size, n in zip(each, known, strict=True))

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        self.expect_images(x)
        self.lengths(
            builder, x, "windows whose sizes depend on the length; nn.GlobalAvgPool and nn.GlobalMaxPool do"
        )
        given, wanted = (1, *x.shape[2:])[-2:], (None, *self.output_sizes)[-2:]
        output_h, output_w = (
            size if want is None else want for want, size in zip(wanted, given, strict=True)
        )
        return self.pooled(builder, x, self.op, output_h=output_h, output_w=output_w)
