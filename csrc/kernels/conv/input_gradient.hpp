// dx by columns: what the places of a row of dy give to all taps is one product, which stays in the cache; then the elements of dx add what they
// were given. It has full vectors whatever the channels, and no work above and below that comes to nothing.
#pragma once
#include "../../ops/conv.hpp"
#include "../matmul/pack.hpp"
#include "../vector/loops.hpp"
#include "correlate.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

template <class T>
class ColumnGradient {
  public:
    BP_INLINE ColumnGradient(const Conv2dBackward<T>& op, Scratch scratch)
        : op_(op),
          packed_(static_cast<T*>(scratch.data)),
          columns_(packed_ + kPackedWeights<T>),
          sums_(columns_ + kPatch<T> / 2),
          down_(op.window.down(op.weight.shape[0])),
          across_(op.window.across(op.weight.shape[1])),
          H_(op.x.shape[1]),
          W_(op.x.shape[2]),
          C_(op.x.shape[3]),
          O_(op.weight.shape[3]),
          P_(op.dy.shape[1]),
          Q_(op.dy.shape[2]),
          width_(op.weight.rows()),
          lanes_((C_ + width<T> - 1) / width<T> * width<T>) {
        panels_ = (width_ + kPanel<T> - 1) / kPanel<T>;
        dense_ = across_.stride == 1 && across_.dilation == 1;
        if (!dense_) return;
        const Index before = across_.taps - 1 - across_.before, behind = W_ + across_.before - Q_;
        before_ = before > 0 ? before : 0;
        behind_ = behind > 0 ? behind : 0;
    }
    // Whether it fits, and costs less than a correlation: in vectors of multiplications and of sums.
    bool pays() const {
        if (op_.window.groups > 1 || width_ == 0 || O_ == 0) return false;
        if (panels_ * kPanel<T> > kPackedWeights<T> / O_ || row_places() > kPatch<T> / 2 / width_ ||
            H_ * W_ > kPatch<T> / 2 / lanes_)
            return false;
        const auto vectors = [](Index n) { return (n + width<T> - 1) / width<T>; };
        // A sum takes some three times as long as a multiplication; storing a tile about as long as six of them.
        const Index own = P_ * Q_ * vectors(width_) * (O_ + 6) + H_ * W_ * vectors(C_) * 6;
        Index theirs = 0;
        for (Index i = 0; i < down_.stride; ++i)
            for (Index j = 0; j < across_.stride; ++j) {
                const Axis h = gradient_axis(down_, i, H_), w = gradient_axis(across_, j, W_);
                theirs += h.count * w.count * (h.taps * w.taps * O_ + 6) * vectors(C_);
            }
        return own < theirs;
    }
    // where: dx is 0 where x is not positive.
    void run(Index n0, Index n1, bool where) const {
        const Transposed<T> weight_t{op_.weight.data, O_};
        for (Index p = 0; p < panels_; ++p) {
            const Index n = p * kPanel<T>, end = n + kPanel<T>;
            pack_transposed(weight_t, 0, O_, n, end < width_ ? end : width_, packed_ + p * kPanel<T> * O_);
        }
        clear(place(-before_), before_);
        clear(place(Q_), behind_);
        const Index image = H_ * W_;
        for (Index n = n0; n < n1; ++n) {
            __builtin_memset(sums_, 0, sizeof(T) * std::uint64_t(image * lanes_));
            // The last row first: the chain of an element begins with the first tap.
            for (Index p = P_; p-- > 0;) {
                products(op_.dy.data + (n * P_ + p) * Q_ * O_);
                for (Index a = 0; a < down_.taps; ++a) {
                    const Index i = p * down_.stride + a * down_.dilation - down_.before;
                    if (i < 0 || i >= H_) continue;
                    T* const row = sums_ + i * W_ * lanes_;
                    if (!dense_)
                        add(row, a);
                    else if (W_ < kSideBySide)
                        add_dense<1>(row, a);
                    else
                        add_dense<kSideBySide>(row, a);
                }
            }
            finish(op_.dx.data + n * image * C_, where ? op_.x.data + n * image * C_ : nullptr);
        }
    }

  private:
    // Sums of neighbouring places: one need not wait for the addition of the other.
    static constexpr int kSideBySide = 4;

    // Where the columns of a place begin. Beyond either end of the row lie places that gave zeros.
    BP_INLINE Index row_places() const { return before_ + Q_ + behind_; }
    BP_INLINE T* place(Index q) const { return columns_ + (before_ + q) * width_; }
    void clear(T* columns, Index places) const {
        __builtin_memset(columns, 0, sizeof(T) * std::uint64_t(places * width_));
    }
    // columns (Q, KH KW C) = dy (Q, O) · weightᵀ
    void products(const T* dy) const {
        const RowTiles tiles(0, Q_);
        for (Index t = 0; t < tiles.count; ++t) {
            const Index m = tiles.begin(t);
            for (Index p = 0; p < panels_; ++p) {
                const Index n = p * kPanel<T>;
                Tile<T> tile{.a = {dy + m * O_, O_, 1},
                             .b = packed_ + n * O_,
                             .ldb = kPanel<T>,
                             .k = O_,
                             .c = place(m) + n,
                             .ldc = width_,
                             .first = true};
                compute_tile(tile, int(tiles.begin(t + 1) - m), width_ - n);
            }
        }
    }
    // Which place of dy gave to input place `at` by tap m; -1: none.
    BP_INLINE Index giver(Index at, Index m) const {
        const Index from = at + across_.before - m * across_.dilation;
        if (from < 0) return -1;
        // A division of 32 bits takes a third of the time.
        const auto place = std::uint32_t(from) / std::uint32_t(across_.stride);
        return place * across_.stride == from && place < Q_ ? Index(place) : -1;
    }
    // Adds what row a of the taps gives to a row of sums.
    void add(T* row, Index a) const {
        constexpr int w = width<T>;
        const Index taps = across_.taps;
        for (Index j = 0; j < W_; ++j)
            for (Index c = 0; c < C_; c += w) {
                const int lanes = int(C_ - c < w ? C_ - c : w);
                vec<T> total = load(row + j * lanes_ + c);
                for (Index b = 0; b < taps; ++b) {
                    const Index q = giver(j, b);
                    if (q >= 0) total += load_some(place(q) + (a * taps + b) * C_ + c, lanes);
                }
                store(row + j * lanes_ + c, total);
            }
    }
    // The same where neighbouring taps were given to by neighbouring places.
    template <int U>
    void add_dense(T* row, Index a) const {
        constexpr int w = width<T>;
        const Index taps = across_.taps, step = width_ - C_;
        for (Index k = 0; k < W_; k += U) {
            // Of the last U those before k have got theirs.
            const Index j = k + U <= W_ ? k : W_ - U;
            for (Index c = 0; c < C_; c += w) {
                const int lanes = int(C_ - c < w ? C_ - c : w);
                T* const to = row + j * lanes_ + c;
                vec<T> total[U];
                for (int u = 0; u < U; ++u) total[u] = load(to + u * lanes_);
                const T* from = place(j + across_.before) + a * taps * C_ + c;
                for (Index b = 0; b < taps; ++b, from -= step)
                    for (int u = 0; u < U; ++u) total[u] += load_some(from + u * width_, lanes);
                for (int u = 0; u < U; ++u)
                    if (j + u >= k) store(to + u * lanes_, total[u]);
            }
        }
    }
    void finish(T* dx, const T* x) const {
        constexpr int w = width<T>;
        for (Index i = 0; i < H_ * W_; ++i)
            for (Index c = 0; c < C_; c += w) {
                const int lanes = int(C_ - c < w ? C_ - c : w);
                vec<T> total = load(sums_ + i * lanes_ + c);
                if (x) total = select(load_some(x + i * C_ + c, lanes) > vec<T>{}, total, vec<T>{});
                store_some(dx + i * C_ + c, total, lanes);
            }
    }

    const Conv2dBackward<T>& op_;
    T* packed_;
    // Of one row of dy; and of an image, lanes_ elements a place: a load would wait for a store of some lanes to reach the cache.
    T *columns_, *sums_;
    Slide down_, across_;
    Index H_, W_, C_, O_, P_, Q_, width_, lanes_, panels_;
    Index before_ = 0, behind_ = 0;
    bool dense_;
};

}  // namespace
}  // namespace backpass::BACKPASS_ISA
