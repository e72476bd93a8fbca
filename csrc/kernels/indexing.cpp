// Elements chosen by index. An index may be forged: outside it reads NaN, and writes nothing.
#include "kernel.hpp"
#include "vector/strides.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

BP_INLINE bool inside(Index at, Index size) { return std::uint64_t(at) < std::uint64_t(size); }

template <class T>
void embedding_forward(const EmbeddingForward<T>& op, Range range, Scratch) {
    const Index columns = op.y.cols(), rows = op.weight.rows();
    const auto [begin, end] = covered(range, op.rows_per_task(), op.index.size());
    const vec<T> none = broadcast<T>(T(__builtin_nan("")));
    Walk<const Index> index(op.index, begin, op.index.ndim);
    for (Index i = begin; i < end; ++i, index.next()) {
        const Index at = op.index.data[index.offset];
        const T* const from = inside(at, rows) ? op.weight.data + at * columns : nullptr;
        T* const to = op.y.data + i * columns;
        each_vector<T>(columns, [&](Index c, int n) BP_INLINED {
            store_some(to + c, from ? load_some(from + c, n) : none, n);
        });
    }
}

// to += columns elements of dy, which are `step` apart.
template <class T>
BP_INLINE void add_row(T* to, const T* dy, Index step, Index columns) {
    if (step == 1) {
        each_vector<T>(columns, [&](Index c, int n) BP_INLINED {
            store_some(to + c, load_some(to + c, n) + load_some(dy + c, n), n);
        });
    } else {
        for (Index c = 0; c < columns; ++c) to[c] += dy[c * step];
    }
}

template <class T>
void embedding_backward(const EmbeddingBackward<T>& op, Range range, Scratch) {
    const Index columns = op.dweight.cols(), lead = op.index.ndim, indices = op.index.size();
    if (op.dweight.size() == 0) return;
    const auto [begin, end] = covered(range, op.rows_per_task(), op.dweight.rows());
    T* const dweight = op.dweight.data + begin * columns;
    __builtin_memset(dweight, 0, sizeof(T) * std::uint64_t((end - begin) * columns));
    // The last dimension of index, by strides: a step of `Walk` for each would cost more than the look at most of them.
    const Index run = lead > 0 ? op.index.shape[lead - 1] : 1;
    const Index index_step = lead > 0 ? op.index.stride[lead - 1] : 0;
    const Index dy_step = lead > 0 ? op.dy.stride[lead - 1] : 0;
    Walk<const Index> index(op.index, 0, int(lead));
    Walk<const T> dy(op.dy, 0, int(lead));
    for (Index i = 0; i < indices; i += run, index.next(run), dy.next(run))
        for (Index k = 0; k < run; ++k) {
            const Index at = op.index.data[index.offset + k * index_step];
            if (at < begin || at >= end || at == op.padding_idx) continue;
            add_row(dweight + (at - begin) * columns, op.dy.data + dy.offset + k * dy_step,
                    op.dy.stride[lead], columns);
        }
}

template <class T>
void gather_forward(const GatherForward<T>& op, Range range, Scratch) {
    const int last = op.x.ndim - 1;
    const auto [begin, end] = covered(range, kElementPiece, op.y.size());
    if (begin >= end) return;
    const Index columns = op.y.cols(), size = op.x.shape[last];
    const Index step = op.x.stride[last], index_step = op.index.stride[last];
    Walk<const T> x(op.x, begin / columns, last);
    Walk<const Index> index(op.index, begin, last + 1);
    for (Index i = begin; i < end; x.next()) {
        const Index left = columns - i % columns, n = left < end - i ? left : end - i;
        for (Index k = 0; k < n; ++k) {
            const Index at = op.index.data[index.offset + k * index_step];
            op.y.data[i + k] = inside(at, size) ? op.x.data[x.offset + at * step] : T(__builtin_nan(""));
        }
        index.next(n);
        i += n;
    }
}

template <class T>
void gather_backward(const GatherBackward<T>& op, Range range, Scratch) {
    const int last = op.dy.ndim - 1;
    const Index columns = op.index.shape[last], size = op.dx.cols();
    const auto [begin, end] = covered(range, op.rows_per_task(), op.dx.rows());
    const Index step = op.dy.stride[last], index_step = op.index.stride[last];
    Walk<const T> dy(op.dy, begin, last);
    Walk<const Index> index(op.index, begin, last);
    for (Index i = begin; i < end; ++i, dy.next(), index.next()) {
        T* const dx = op.dx.data + i * size;
        __builtin_memset(dx, 0, sizeof(T) * std::uint64_t(size));
        for (Index k = 0; k < columns; ++k) {
            const Index at = op.index.data[index.offset + k * index_step];
            if (inside(at, size)) dx[at] += op.dy.data[dy.offset + k * step];
        }
    }
}

}  // namespace

BACKPASS_KERNEL(EmbeddingForward, embedding_forward)
BACKPASS_KERNEL(EmbeddingBackward, embedding_backward)
BACKPASS_KERNEL(GatherForward, gather_forward)
BACKPASS_KERNEL(GatherBackward, gather_backward)

}  // namespace backpass::BACKPASS_ISA
