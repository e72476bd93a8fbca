// Mixup. The bits are those of NumPy, because each product is rounded before the sum.
#include "../ops/mixup.hpp"
#include "kernel.hpp"
#include "vector/loops.hpp"
#include "vector/philox.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// own a + other b, with both products rounded
template <class T>
struct Mixture {
    T own, other;

    BP_INLINE explicit Mixture(double share) : own(T(share)), other(T(1 - share)) {}
    BP_INLINE vec<T> operator()(vec<T> a, vec<T> b) const { return rounded(own * a) + rounded(other * b); }
};

// share = a random quantile; partner[b] = (s - b) mod B
void mixup_draw(const MixupDraw& op, Range, Scratch) {
    Word words[kDrawBlock];
    draw(words, 0, std::uint64_t(op.step.data[0]), std::uint64_t(op.stream), std::uint64_t(op.seed));
    const auto below = [&](int word, Index count) BP_INLINED {
        return Index(std::uint64_t(words[word]) * std::uint64_t(count) >> 32);
    };
    const Index rows = op.partner.size(), s = below(1, rows);
    if (op.quantiles.size() > 0) op.share.data[0] = op.quantiles.data[below(0, op.quantiles.size())];
    for (Index b = 0; b < rows; ++b) op.partner.data[b] = s < b ? s - b + rows : s - b;
}

// to[b] = share from[b] + (1 - share) from[partner[b]]. A row whose partner is outside stays as it is.
template <class T>
void mixup(const Mixup<T>& op, Range range, Scratch) {
    const Mixture<T> mixture(op.share.data[0]);
    const Index rows = op.from.shape[0], cols = op.from.cols();
    const auto [begin, end] = covered(range, op.rows_per_task(), rows);
    for (Index b = begin; b < end; ++b) {
        const Index partner = op.partner.data[b];
        if (std::uint64_t(partner) >= std::uint64_t(rows)) continue;
        const T *own = op.from.data + b * cols, *other = op.from.data + partner * cols;
        T* to = op.to.data + b * cols;
        each_vector<T>(cols, [&](Index i, int n) BP_INLINED {
            store_some(to + i, mixture(load_some(own + i, n), load_some(other + i, n)), n);
        });
    }
}

// loss = share loss_a + (1 - share) loss_b; gradient and count are mixed alike.
template <class T>
void mixed_loss(const MixedLoss<T>& op, Range range, Scratch) {
    const double own = op.share.data[0], other = 1 - own;
    if (range.begin == 0) {
        op.loss.data[0] = own * op.loss_a.data[0] + other * op.loss_b.data[0];
        op.count.data[0] = own * op.count_a.data[0] + other * op.count_b.data[0];
    }
    const Mixture<T> mixture(own);
    each_vector<T>(covered(range, kElementPiece, op.gradient.size()), [&](Index i, int n) BP_INLINED {
        store_some(op.gradient.data + i,
                   mixture(load_some(op.dpred_a.data + i, n), load_some(op.dpred_b.data + i, n)), n);
    });
}

}  // namespace

BACKPASS_KERNEL_UNTYPED(MixupDraw, mixup_draw)
BACKPASS_KERNEL(MixupForward, mixup)
BACKPASS_KERNEL(MixupBackward, mixup)
BACKPASS_KERNEL(MixedLoss, mixed_loss)

}  // namespace backpass::BACKPASS_ISA
