"""What users pass as X: one source of rows for each input that the network takes, by name."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..nn import Module
from ..nn.module import Kind
from ..program import InputSpec
from . import arrays
from .image_rows import ImageRows
from .images import Images
from .known_categories import KnownCategories, has_categories
from .ragged import is_ragged, padded, padded_targets
from .sparse import SparseRows, is_sparse

# The name of the input with the number of steps of each row.
LENGTHS = "lengths"
# Where rows come from: an array (N, ...); a matrix whose rows the layers read in place; images, normalised on the way.
Source = np.ndarray | SparseRows | ImageRows
# How numbers are checked: arrays.stored, as a run reads them; arrays.readable, as they are; arrays.features, converted.
Take = Callable[[Any, Any, str], np.ndarray]
# What finds the inputs with indices: (inputs of all rows, whether they are columns of a frame) -> their names.
Indexed = Callable[[tuple[InputSpec, ...], bool], set[str]]


class Inputs:
    """Sources by name, and whether each holds numbers or indices. All have the same number of rows."""

    def __init__(self, sources: dict[str, Source], kinds: Mapping[str, Kind]) -> None:
        self.sources, self.kinds = sources, kinds
        # Rows of a batch, each of which goes on in the next one; 0: rows have nothing to do with each other.
        self.streams = 0
        self.rows = len(next(iter(sources.values())))

    def specs(self, rows: int, dtype: np.dtype[Any]) -> tuple[InputSpec, ...]:
        """The inputs of a plan for batches of so many rows; dtype: that of numbers."""
        return tuple(
            InputSpec(
                name,
                (rows, *source.shape[1:]),
                dtype if self.kinds[name] == "number" else np.dtype(np.int64),
                isinstance(source, SparseRows),
                self.kinds[name] == "length",
                isinstance(source, ImageRows) and source.channels_last,
            )
            for name, source in self.sources.items()
        )

    @property
    def lengths(self) -> np.ndarray | None:
        """How many steps of each row count, where rows have lengths."""
        return self.array(LENGTHS) if self.kinds.get(LENGTHS) == "length" else None

    def array(self, name: str) -> np.ndarray:
        """A source that is an array."""
        source = self.sources[name]
        assert isinstance(source, np.ndarray)
        return source

    def part(self, rows: slice) -> "Inputs":
        """Some consecutive rows of every source."""
        return Inputs({name: source[rows] for name, source in self.sources.items()}, self.kinds)

    def batch(self, rows: Any) -> dict[str, np.ndarray]:
        """Some rows of every source but a sparse matrix, as the network sees them."""
        return {
            name: source.numbers(rows) if isinstance(source, ImageRows) else source[rows]
            for name, source in self.sources.items()
            if not isinstance(source, SparseRows)
        }


def checked_inputs(
    X: Any,
    net: Module,
    dtype: np.dtype[Any],
    take: Take,
    indexed: Indexed | None = None,
    known: KnownCategories | None = None,
) -> Inputs:
    """X as the network takes it: one array, for several inputs a tuple, dict or frame; a SciPy matrix where it reads one.

    indexed: what finds the inputs with indices among those with integers, of a network that says so by what it computes. A row
    of its inputs may be a single number. known: by what labels columns of categories are read, where they are indices.
    """
    takes = net.takes
    if is_sparse(X):
        return Inputs({next(iter(takes)): _sparse(X, net, dtype)}, takes)
    lengths = lengths_of(X, net)
    if lengths is not None:
        X = {name: value for name, value in X.items() if name != LENGTHS}
    given, columns = _by_name(X, [*takes]), len(takes) > 1 and hasattr(X, "columns")
    single = len(takes) == 1
    arguments = {name: "X" if single else f"X[{name!r}]" for name in takes}
    tables = {name: value for name, value in given.items() if has_categories(value)}
    if indexed is not None:
        given = {
            name: _room(value, columns) if name in tables else _plain(arguments[name], value, columns)
            for name, value in given.items()
        }
        specs = tuple(
            InputSpec(name, np.shape(given[name]), np.dtype(np.int64) if _whole(given[name]) else dtype)
            for name in takes
        )
        takes = {**takes, **dict.fromkeys(indexed(specs, columns), "index")}
    sources: dict[str, Source] = {}
    for name, kind in takes.items():
        value = given[name]
        if name in tables and kind == "index":
            sources[name] = (known or KnownCategories()).ids(arguments[name], name, tables[name])
            continue
        if name in tables and indexed is not None:
            value = _plain(arguments[name], tables[name], columns)
        if isinstance(value, Images):
            sources[name] = _images(value, dtype, take, kind, arguments[name])
        elif kind == "index":
            sources[name] = arrays.indices(value[:, 0] if columns else value, arguments[name])
        elif indexed is not None and np.ndim(value) == 1:
            sources[name] = take(value[:, None], dtype, arguments[name])[:, 0]
        else:
            sources[name] = take(value, dtype, arguments[name])
    if lengths is not None:
        if lengths.shape[1:]:
            raise ValueError(f"{LENGTHS} has shape {lengths.shape}, expected ({len(lengths)},)")
        sources[LENGTHS] = lengths
        takes = {**takes, LENGTHS: "length"}
    if len(sources) > 1 and len({len(source) for source in sources.values()}) > 1:
        rows = {name: len(source) for name, source in sources.items()}
        raise ValueError(f"the inputs in X have {rows} rows, expected the same number")
    return Inputs(sources, takes)


def _images(images: Images, dtype: np.dtype[Any], take: Take, kind: Kind, argument: str) -> ImageRows:
    if kind == "index":
        raise TypeError(f"{argument} is Images, but the network takes it as indices: expected integers")
    return images.of(take(images.pixels, dtype, argument)).rows(dtype)


def lengths_of(X: Any, net: Module) -> np.ndarray | None:
    """The lengths of the rows in X, where they are no input of the network; None where X has none."""
    given = isinstance(X, dict) and LENGTHS in X and LENGTHS not in net.takes
    return arrays.indices(X[LENGTHS], LENGTHS) if given else None


def with_lengths(X: Any, lengths: Any, net: Module, chunks: bool = False) -> Any:
    """X and the lengths of its rows, as one dict of inputs; chunks: whether X has to be a sequence of such.

    Of a list of arrays that differ in length the rows are padded, and their lengths known.
    """
    names = [name for name in net.takes if name != LENGTHS]
    if not chunks and len(names) == 1 and is_ragged(X):
        X, ends = padded("X", X)
        if lengths is not None and not np.array_equal(lengths, ends):
            raise ValueError("lengths is given, but X is a list of arrays that are not as long; leave it out")
        lengths = ends
    if lengths is None:
        return X
    if chunks:
        raise ValueError(
            "lengths is given, but y is None: chunks hold them, as ({'x': X, 'lengths': lengths}, y)"
        )
    if isinstance(X, dict) and LENGTHS in X:
        raise ValueError("lengths is given, and X holds 'lengths' as well, expected one of them")
    return {**_by_name(X, names), LENGTHS: lengths}


def with_targets(X: Any, y: Any, lengths: Any, net: Module) -> tuple[Any, Any]:
    """X with the lengths of its rows, see `with_lengths`, and y; targets for each step of rows that are a list are padded too."""
    inputs = with_lengths(X, lengths, net, y is None)
    return inputs, padded_targets(y, lengths_of(inputs, net)) if is_ragged(y) else y


def _plain(argument: str, value: Any, column: bool) -> Any:
    """An array; a column of a frame as (N, 1); a frame of numbers as it is, with the names of its columns; images."""
    if isinstance(value, Images):
        return value
    if hasattr(value, "columns") and not _whole(arrays.as_array(argument, value[:1])):
        return value
    array = arrays.as_array(argument, value)
    return array[:, None] if column else array


def _room(value: Any, column: bool) -> np.ndarray:
    """Integers in the shape of what holds categories."""
    return np.zeros((len(value), 1) if column else value.shape, np.int64)


def _whole(value: Any) -> bool:
    """Whether an array holds integers, which may be indices."""
    return (
        not hasattr(value, "columns")
        and not isinstance(value, Images)
        and value.dtype.kind in "iu"
        and value.ndim > 0
    )


def _by_name(X: Any, names: list[str]) -> dict[str, Any]:
    """The part of X for each input."""
    if len(names) > 1 and hasattr(X, "columns"):
        X = {name: X[name] for name in X.columns}
    if len(names) == 1 and not isinstance(X, dict):
        return {names[0]: X}
    if isinstance(X, dict):
        if {*X} != {*names}:
            raise ValueError(f"X holds {sorted(map(str, X))}, expected an array for each input: {names}")
        return X
    if not isinstance(X, tuple | list) or len(X) != len(names):
        described = f"{len(X)} arrays" if isinstance(X, tuple | list) else f"a {type(X).__name__}"
        raise ValueError(f"X is {described}, expected a tuple or dict with an array for each input: {names}")
    return dict(zip(names, X, strict=True))


def _sparse(X: Any, net: Module, dtype: np.dtype[Any]) -> SparseRows:
    if not net.reads_sparse:
        first_layer = next(layer for _, layer in net.walk() if next(layer.named_children(), None) is None)
        raise TypeError(
            f"X is a {type(X).__name__}, but {first_layer!r} comes first and reads dense arrays: expected X.toarray()"
        )
    if 0 in X.shape:
        raise ValueError(f"X is empty (shape {X.shape}), expected at least one row and one feature")
    rows = X.tocsr()
    finite = np.isfinite(rows.data)
    if not finite.all():
        entry, entries = int(finite.argmin()), rows.tocoo()
        place = f"row {int(entries.row[entry])}, column {int(entries.col[entry])}"
        raise ValueError(f"X holds {entries.data[entry]} at {place}, expected finite numbers")
    return SparseRows(rows, dtype)
