"""EmbeddingBag: several rows of a learned table as one."""

from typing import ClassVar, Literal

from ..program import Builder, Tensor
from ..program.gathers import bags
from .embedding import NOT_HERE, Table

Mode = Literal["mean", "sum", "max"]
MODES = ("mean", "sum", "max")


class EmbeddingBag(Table):
    """Embedding bag: the mean, sum or maximum of the rows of a learned table that a row of indices chooses.

    y_n = mean_l weight[x_nl], without the (N, L, E) in between (PyTorch's `nn.EmbeddingBag` on two dimensions). An index that is
    padding_idx does not count, nor for the mean; a bag without any that count gives 0.

    Args:
        num_embeddings: V, rows of the table, at least 1.
        embedding_dim: E, size of a row, at least 1.
        mode: "mean" (default), "sum" or "max".
        padding_idx: an index that fills bags up; below 0 it counts from the end; default None.
        sparse: whether a step moves only the rows that occur in it, as in Embedding; default False.

    Shapes: input (N, L) of integers from 0 to V - 1, output (N, E), `weight` (V, E), drawn from N(0, 1).

    Raises:
        ValueError: an argument out of range; an index outside the table, before anything is computed.
        TypeError: an input that holds no integers.

    Example:
        >>> nn.EmbeddingBag(1000, 16, mode="sum", padding_idx=0)
        EmbeddingBag(1000, 16, mode='sum', padding_idx=0)
    """

    instead: ClassVar = {
        **Table.instead,
        "include_last_offset": f"{NOT_HERE}: a bag is a row of indices, filled up by padding_idx",
        "offsets": "a bag is a row of indices, filled up by padding_idx",
    }

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        mode: Mode = "mean",
        padding_idx: int | None = None,
        *,
        sparse: bool = False,
    ) -> None:
        super().__init__()
        self.mode = self.one_of("mode", mode, MODES)
        self.make_table(num_embeddings, embedding_dim, padding_idx, sparse)

    def emit(self, builder: Builder, x: Tensor) -> Tensor:
        if len(x.shape) != 2:
            raise self.unfit(x, "(batch, indices)")
        return bags(
            builder, self.table(builder), x, self.mode, self.padding_row, self.learned["weight"].sparse
        )
