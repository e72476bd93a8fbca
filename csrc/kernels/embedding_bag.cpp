// Bags of rows of a table. An index may be forged: outside it reads NaN, and writes nothing.
#include "../ops/embedding_bag.hpp"
#include "table_rows.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

template <class T>
void embedding_bag_forward(const EmbeddingBagForward<T>& op, Range range, Scratch) {
    const Index columns = op.y.cols(), rows = op.weight.rows(), length = op.index.shape[1];
    const auto [begin, end] = covered(range, op.bags_per_task(), op.index.shape[0]);
    const vec<T> none = broadcast<T>(T(__builtin_nan("")));
    for (Index b = begin; b < end; ++b) {
        const Index* const index = op.index.data + b * op.index.stride[0];
        const Index step = op.index.stride[1];
        const auto counts = [&](Index at) BP_INLINED { return op.padding_idx < 0 || at != op.padding_idx; };
        Index counted = 0;
        for (Index l = 0; l < length; ++l) counted += counts(index[l * step]);
        const T scale = !op.mean || op.top ? T(1) : counted > 0 ? T(1) / T(counted) : T(0);
        op.scale.data[b] = scale;
        T* const y = op.y.data + b * columns;
        const auto row = [&](Index at, Index c, int n) BP_INLINED {
            return inside(at, rows) ? load_some(op.weight.data + at * columns + c, n) : none;
        };
        if (op.top) {
            Index* const top = op.top.data + b * columns;
            for (Index c = 0; c < columns; ++c) y[c] = 0, top[c] = -1;
            for (Index l = 0; l < length; ++l) {
                const Index at = index[l * step];
                if (!counts(at)) continue;
                for (Index c = 0; c < columns; ++c) {
                    const T x = inside(at, rows) ? op.weight.data[at * columns + c] : T(__builtin_nan(""));
                    // The first of the largest; the first NaN.
                    const bool takes = top[c] < 0 || x > y[c] || (x != x && y[c] == y[c]);
                    y[c] = takes ? x : y[c];
                    top[c] = takes ? l : top[c];
                }
            }
            continue;
        }
        each_vector<T>(columns, [&](Index c, int n) BP_INLINED {
            vec<T> sum{};
            for (Index l = 0; l < length; ++l)
                if (const Index at = index[l * step]; counts(at)) sum += row(at, c, n);
            store_some(y + c, scale * sum, n);
        });
    }
}

template <class T>
void embedding_bag_backward(const EmbeddingBagBackward<T>& op, Range, Scratch scratch) {
    sort_by_rows(op, scratch);
}

template <class T>
void embedding_bag_backward_weight(const EmbeddingBagBackwardWeight<T>& op, Range range, Scratch) {
    const Index columns = op.dy.cols(), bags = op.dy.rows();
    const Index length = bags > 0 ? op.order.size() / bags : 0;
    sum_rows<T>(op, range, [&](Index position, auto add) BP_INLINED {
        if (length == 0 || position < 0) return;
        const Index b = position / length, l = position % length;
        if (b >= bags) return;
        const T* const dy = op.dy.data + b * columns;
        const T scale = op.scale.data[b];
        if (!op.top) {
            add([&](Index c, int n) BP_INLINED { return scale * load_some(dy + c, n); });
            return;
        }
        const Index* const top = op.top.data + b * columns;
        add([&](Index c, int n) BP_INLINED {
            T lanes[width<T>] = {};
            for (int k = 0; k < n; ++k) lanes[k] = top[c + k] == l ? scale * dy[c + k] : T(0);
            return load(lanes);
        });
    });
}

}  // namespace

BACKPASS_KERNEL(EmbeddingBagForward, embedding_bag_forward)
BACKPASS_KERNEL(EmbeddingBagBackward, embedding_bag_backward)
BACKPASS_KERNEL(EmbeddingBagBackwardWeight, embedding_bag_backward_weight)

}  // namespace backpass::BACKPASS_ISA
