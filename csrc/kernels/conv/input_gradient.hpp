// dx by columns: what every place of dy gives to all taps is one product; then every element of dx sums up what it was given. It has
// full vectors whatever the channels, and no work at the border that comes to nothing.
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
          down_(op.window.down(op.weight.shape[0])),
          across_(op.window.across(op.weight.shape[1])),
          H_(op.x.shape[1]),
          W_(op.x.shape[2]),
          C_(op.x.shape[3]),
          O_(op.weight.shape[3]),
          places_(op.dy.shape[1] * op.dy.shape[2]),
          width_(op.weight.rows()) {
        panels_ = (width_ + kPanel<T> - 1) / kPanel<T>;
    }
    // Whether it fits, and costs less than a correlation: in vectors of multiplications and of sums.
    bool pays() const {
        if (op_.window.groups > 1 || width_ == 0 || O_ == 0) return false;
        if (panels_ * kPanel<T> > kPackedWeights<T> / O_ || places_ > kPatch<T> / width_) return false;
        const auto vectors = [](Index n) { return (n + width<T> - 1) / width<T>; };
        // A sum takes some three times as long as a multiplication; storing a tile about as long as six of them.
        const Index own = places_ * vectors(width_) * (O_ + 6) + H_ * W_ * vectors(C_) * 6;
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
        for (Index n = n0; n < n1; ++n) {
            products(op_.dy.data + n * places_ * O_);
            sums(op_.dx.data + n * H_ * W_ * C_, where ? op_.x.data + n * H_ * W_ * C_ : nullptr);
        }
    }

  private:
    // columns (P Q, KH KW C) = dy (P Q, O) · weightᵀ
    void products(const T* dy) const {
        const RowTiles tiles(0, places_);
        for (Index t = 0; t < tiles.count; ++t) {
            const Index m = tiles.begin(t);
            for (Index p = 0; p < panels_; ++p) {
                const Index n = p * kPanel<T>;
                Tile<T> tile{.a = {dy + m * O_, O_, 1},
                             .b = packed_ + n * O_,
                             .ldb = kPanel<T>,
                             .k = O_,
                             .c = columns_ + m * width_ + n,
                             .ldc = width_,
                             .first = true};
                compute_tile(tile, int(tiles.begin(t + 1) - m), width_ - n);
            }
        }
    }
    // Which place of dy gave to input place `at` by tap m; -1: none.
    BP_INLINE static Index giver(const Slide& slide, Index at, Index m, Index places) {
        const Index from = at + slide.before - m * slide.dilation;
        if (from < 0) return -1;
        if (slide.stride == 1) return from < places ? from : -1;
        // A division of 32 bits takes a third of the time.
        const auto place = std::uint32_t(from) / std::uint32_t(slide.stride);
        return place * slide.stride == from && place < places ? Index(place) : -1;
    }
    void sums(T* dx, const T* x) const {
        constexpr int w = width<T>;
        const Index P = op_.dy.shape[1], Q = op_.dy.shape[2], KW = across_.taps;
        const bool dense = across_.stride == 1 && across_.dilation == 1;
        for (Index i = 0; i < H_; ++i)
            for (Index j = 0; j < W_; ++j, dx += C_, x = x ? x + C_ : nullptr)
                for (Index c = 0; c < C_; c += w) {
                    const int lanes = int(C_ - c < w ? C_ - c : w);
                    vec<T> total{};
                    for (Index a = 0; a < down_.taps; ++a) {
                        const Index p = giver(down_, i, a, P);
                        if (p < 0) continue;
                        const T* const row = columns_ + p * Q * width_ + a * KW * C_ + c;
                        if (dense) {  // taps b0 .. b1 were given to by places q, q - 1, ...
                            const Index q = j + across_.before, first = q - Q + 1, b0 = first > 0 ? first : 0;
                            const Index b1 = q + 1 < KW ? q + 1 : KW;
                            const T* from = row + (q - b0) * width_ + b0 * C_;
                            for (Index b = b0; b < b1; ++b, from -= width_ - C_)
                                total += load_some(from, lanes);
                            continue;
                        }
                        for (Index b = 0; b < KW; ++b) {
                            const Index q = giver(across_, j, b, Q);
                            if (q >= 0) total += load_some(row + q * width_ + b * C_, lanes);
                        }
                    }
                    if (x) total = select(load_some(x + c, lanes) > vec<T>{}, total, vec<T>{});
                    store_some(dx + c, total, lanes);
                }
    }

    const Conv2dBackward<T>& op_;
    T *packed_, *columns_;
    Slide down_, across_;
    Index H_, W_, C_, O_, places_, width_, panels_;
};

}  // namespace
}  // namespace backpass::BACKPASS_ISA
