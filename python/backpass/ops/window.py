"""Windows that slide over an image: how many places there are. Shared by convolutions and pooling."""


def places(
    name: str,
    size: int,
    kernel: int,
    stride: int,
    before: int,
    after: int,
    dilation: int = 1,
    ceil: bool = False,
) -> int:
    """⌊(size + before + after - dilation (kernel - 1) - 1) / stride⌋ + 1; ValueError where the kernel is larger than the input.

    name: of the dimension, for the message. ceil: rounded up, but every window begins within the input or in front of it.
    """
    padded, extent = size + before + after, dilation * (kernel - 1) + 1
    if extent > padded or size == 0:
        padding = f" with a padding of {before} and {after}" if before or after else ""
        spread = f", spread over {extent} by the dilation" if dilation > 1 else ""
        raise ValueError(f"kernel_size is {kernel}{spread}, but the input has {name} {size}{padding}")
    count = (padded - extent + (stride - 1 if ceil else 0)) // stride + 1
    if ceil and (count - 1) * stride >= size + before:
        count -= 1
    return count
