// Elements chosen by index. An index may be forged: outside it reads NaN, and writes nothing.
#include "../ops/indexing.hpp"
#include "table_rows.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

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

template <class T>
void embedding_backward(const EmbeddingBackward<T>& op, Range, Scratch scratch) {
    sort_by_rows(op, scratch);
}

template <class T>
void embedding_backward_weight(const EmbeddingBackwardWeight<T>& op, Range range, Scratch) {
    const int lead = op.dy.ndim - 1;
    const Index columns = op.dy.shape[lead], step = op.dy.stride[lead];
    Index positions = 1;
    for (int i = 0; i < lead; ++i) positions *= op.dy.shape[i];
    const bool one_after_another = op.dy.contiguous();
    sum_rows<T>(op, range, [&](Index position, auto add) BP_INLINED {
        if (!inside(position, positions)) return;
        const Index offset =
            one_after_another ? position * columns : Walk<const T>(op.dy, position, lead).offset;
        const T* const dy = op.dy.data + offset;
        if (step == 1 || columns < 2)
            add([&](Index c, int n) BP_INLINED { return load_some(dy + c, n); });
        else
            add([&](Index c, int n) BP_INLINED {
                T lanes[width<T>] = {};
                for (int k = 0; k < n; ++k) lanes[k] = dy[(c + k) * step];
                return load(lanes);
            });
    });
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
BACKPASS_KERNEL(EmbeddingBackwardWeight, embedding_backward_weight)
BACKPASS_KERNEL(GatherForward, gather_forward)
BACKPASS_KERNEL(GatherBackward, gather_backward)

}  // namespace backpass::BACKPASS_ISA
