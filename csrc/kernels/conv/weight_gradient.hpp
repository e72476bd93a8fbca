// dweight[i,j,c,o] = Σ x[n, p stride + i dilation - top, ...] dy[n,p,q,o]: products whose rows are channels of x and whose chains run
// over the places of the output. Every element is one chain over images, rows and places in order, whatever the blocks.
#pragma once
#include "../../ops/conv.hpp"
#include "../matmul/gemm.hpp"
#include "patch.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Bytes of x and dy that all tiles read before the next images come: they stay in the L2 cache.
constexpr Index kImageBlock = 512 << 10;

template <class T>
struct WeightTile {
    const T* x;
    Index x_image, x_row, x_step;
    const T* dy;
    Index dy_image, dy_row, dy_step;
    Index images, rows, k;
    T* c;
    Index ldc;
    int tail;
    bool first;
    const T* const* taps;  // where the rows of x begin, if they are no neighbours
};

// As multiply() of gemm.hpp, for rows of A anywhere: row m begins at base[m] + offset.
template <int Rows, int Vectors, bool Masked, class T>
BP_INLINE void multiply_apart(vec<T> (&acc)[Rows][Vectors], const T* const* base, Index offset, Index step,
                              const T* b, Index ldb, Index k_end, int tail) {
    for (Index k = 0; k < k_end; ++k, offset += step, b += ldb) {
        vec<T> bv[Vectors];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v)
            bv[v] = Masked && v + 1 == Vectors ? load_tail(b + v * width<T>, tail) : load(b + v * width<T>);
#pragma GCC unroll 16
        for (int m = 0; m < Rows; ++m) {
            const vec<T> av = broadcast<T>(base[m][offset]);
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) acc[m][v] = fma(av, bv[v], acc[m][v]);
        }
    }
}

template <int Rows, int Vectors, bool Masked, bool Apart, class T>
__attribute__((noinline)) void weight_tile(const WeightTile<T>& tile) {
    const WeightTile<T> t = tile;
    constexpr int w = width<T>;
    vec<T> acc[Rows][Vectors];
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            const T* from = t.c + m * t.ldc + v * w;
            acc[m][v] = t.first                      ? vec<T>{}
                        : Masked && v + 1 == Vectors ? load_tail(from, t.tail)
                                                     : load(from);
        }
    for (Index n = 0; n < t.images; ++n)
        for (Index p = 0; p < t.rows; ++p) {
            const Index at = n * t.x_image + p * t.x_row;
            const T* dy = t.dy + n * t.dy_image + p * t.dy_row;
            if constexpr (Apart)
                multiply_apart<Rows, Vectors, Masked>(acc, t.taps, at, t.x_step, dy, t.dy_step, t.k, t.tail);
            else
                multiply<Rows, Vectors, Masked, false>(acc, Operand<T>{t.x + at, 1, t.x_step}, dy, t.dy_step,
                                                       t.k, t.tail, static_cast<T*>(nullptr));
        }
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            T* to = t.c + m * t.ldc + v * w;
            if (Masked && v + 1 == Vectors)
                store_tail(to, acc[m][v], t.tail);
            else
                store(to, acc[m][v]);
        }
}

template <int Vectors, bool Masked, bool Apart, class T, int... Rows>
BP_INLINE void weight_tile_rows(int rows, const WeightTile<T>& tile, std::integer_sequence<int, Rows...>) {
    using Compute = void (*)(const WeightTile<T>&);
    static constexpr Compute computes[] = {&weight_tile<Rows + 1, Vectors, Masked, Apart, T>...};
    computes[rows - 1](tile);
}

template <bool Apart, class T>
BP_INLINE void compute_weight_tile(int rows, Index columns, WeightTile<T> tile) {
    constexpr int w = width<T>;
    const auto counts = std::make_integer_sequence<int, kTileRows>{};
    tile.tail = int(columns >= kPanel<T> ? w : columns > w ? columns - w : columns);
    if (columns >= kPanel<T>)
        weight_tile_rows<2, false, Apart>(rows, tile, counts);
    else if (columns > w)
        weight_tile_rows<2, true, Apart>(rows, tile, counts);
    else
        weight_tile_rows<1, true, Apart>(rows, tile, counts);
}

template <class T>
class WeightGradient {
  public:
    BP_INLINE WeightGradient(const Conv2dBackward<T>& op, Scratch scratch)
        : op_(op),
          patch_(static_cast<T*>(scratch.data)),
          down_(op.window.down(op.weight.shape[0])),
          across_(op.window.across(op.weight.shape[1])),
          images_(op.x.shape[0]),
          H_(op.x.shape[1]),
          W_(op.x.shape[2]),
          C_(op.x.shape[3]),
          D_(op.weight.shape[2]),
          O_(op.weight.shape[3]),
          P_(op.dy.shape[1]),
          Q_(op.dy.shape[2]) {
        padded_ = down_.before || down_.behind || across_.before || across_.behind;
        line_ = padded_ ? (W_ + across_.before + across_.behind) * C_ : W_ * C_;
        height_ = padded_ ? H_ + down_.before + down_.behind : H_;
        // Few channels make low tiles: then the rows of a tile are those of several taps.
        const Index merged = across_.dilation == 1 ? across_.taps * C_ : C_;
        apart_ = op.window.groups == 1 && merged < kTileRows && down_.taps * across_.taps > 1 &&
                 (!padded_ || height_ * line_ <= Index(kScratchBytes / sizeof(T)));
        const Index bytes = Index(sizeof(T)) * (H_ * W_ * C_ + P_ * Q_ * O_);
        block_ = bytes >= kImageBlock || bytes == 0 ? 1 : kImageBlock / bytes;
        if (apart_ && padded_) {
            const Index most = Index(kScratchBytes / sizeof(T)) / (height_ * line_);
            block_ = block_ < most ? block_ : most;
        }
    }

    // Tasks [begin, end) of dweight; the rows of the window are one task after the other.
    void run(Range tasks) {
        Index n = 0;
        do {  // at least once: no images leave zeros
            const Index end = n + block_ < images_ ? n + block_ : images_;
            if (apart_ && padded_) copy(n, end);
            for (Index task = tasks.begin; task < tasks.end; ++task) run_task(task, n, end);
            n = end;
        } while (n < images_);
    }

  private:
    struct Span {
        Index begin, end;
    };
    // The places of the output for which tap m lies inside.
    BP_INLINE static Span inside(const Slide& slide, Index m, Index size, Index places) {
        const Index shift = m * slide.dilation - slide.before, last = size - 1 - shift;
        const Index begin = shift >= 0 ? 0 : (-shift + slide.stride - 1) / slide.stride;
        const Index end = last < 0 ? 0 : last / slide.stride + 1;
        return {begin < places ? begin : places, end < places ? (end > begin ? end : begin) : places};
    }

    void run_task(Index task, Index n0, Index n1) {
        const Index piece = task % op_.column_pieces(), rest = task / op_.column_pieces();
        const Index i = rest % down_.taps, group = rest / down_.taps, per_group = O_ / op_.window.groups;
        const Index from = group * per_group + piece * op_.kColumns;
        const Index left = per_group - piece * op_.kColumns,
                    columns = left < op_.kColumns ? left : op_.kColumns;
        WeightTile<T> tile{};
        tile.first = n0 == 0 && !op_.adds;
        tile.dy_image = P_ * Q_ * O_;
        tile.dy_row = Q_ * O_;
        tile.dy_step = O_;
        tile.ldc = O_;
        if (apart_) return taps_apart(i, from, columns, tile, n0, n1);
        const Span rows = inside(down_, i, H_, P_);
        const bool merges =
            op_.window.groups == 1 && across_.dilation == 1 && !across_.before && !across_.behind;
        tile.x_image = H_ * W_ * C_;
        tile.x_row = down_.stride * W_ * C_;
        tile.x_step = across_.stride * C_;
        for (Index j = 0; j < (merges ? 1 : across_.taps); ++j) {
            const Span places = inside(across_, j, W_, Q_);
            const Index y = rows.begin * down_.stride + i * down_.dilation - down_.before;
            const Index x = places.begin * across_.stride + j * across_.dilation - across_.before;
            tile.images = n1 - n0;
            tile.rows = rows.end - rows.begin;
            tile.k = places.end - places.begin;
            if (tile.rows == 0 || tile.k == 0) tile.rows = tile.k = 0;
            const T* at = op_.x.data + ((n0 * H_ + y) * W_ + x) * C_ + group * D_;
            const T* dy = op_.dy.data + ((n0 * P_ + rows.begin) * Q_ + places.begin) * O_ + from;
            // Neighbouring places of neighbouring rows and images are one chain.
            const bool whole = tile.k == Q_ && tile.x_row == Q_ * tile.x_step;
            if (whole) {
                tile.k *= tile.rows;
                tile.rows = 1;
                if (tile.k == P_ * Q_ && tile.x_image == P_ * Q_ * tile.x_step) {
                    tile.k *= tile.images;
                    tile.images = 1;
                }
            }
            T* c = op_.dweight.data + ((i * across_.taps + j) * D_) * O_ + from;
            const RowTiles tiles(0, merges ? across_.taps * D_ : D_);
            for (Index t = 0; t < tiles.count; ++t) {
                const Index m = tiles.begin(t);
                for (Index o = 0; o < columns; o += kPanel<T>) {
                    tile.x = at + m;
                    tile.dy = dy + o;
                    tile.c = c + m * O_ + o;
                    compute_weight_tile<false>(int(tiles.begin(t + 1) - m), columns - o, tile);
                }
            }
        }
    }
    // All taps of the window as the rows of tiles. The tasks of all rows of the window share them.
    void taps_apart(Index i, Index from, Index columns, WeightTile<T> tile, Index n0, Index n1) {
        const T* image = padded_ ? patch_ : op_.x.data + n0 * H_ * W_ * C_;
        const Index per_row = across_.taps * C_, rows = down_.taps * per_row;
        tile.images = n1 - n0;
        tile.x_image = height_ * line_;
        tile.x_row = down_.stride * line_;
        tile.x_step = across_.stride * C_;
        tile.rows = P_;
        tile.k = Q_;
        const RowTiles tiles(0, rows);
        for (Index t = i; t < tiles.count; t += down_.taps) {
            const Index m = tiles.begin(t), end = tiles.begin(t + 1);
            const T* taps[kTileRows];
            for (Index r = m; r < end; ++r)
                taps[r - m] = image + r / per_row * down_.dilation * line_ +
                              r % per_row / C_ * across_.dilation * C_ + r % C_;
            tile.taps = taps;
            for (Index o = 0; o < columns; o += kPanel<T>) {
                tile.dy = op_.dy.data + n0 * tile.dy_image + from + o;
                tile.c = op_.dweight.data + m * O_ + from + o;
                compute_weight_tile<true>(int(end - m), columns - o, tile);
            }
        }
    }
    // Images with zeros around them.
    void copy(Index n0, Index n1) {
        const Source<T> source{op_.x.data, H_, W_, C_, C_};
        for (Index n = n0; n < n1; ++n)
            copy_patch(source.data + n * source.image(), source, -down_.before, height_, -across_.before,
                       line_ / C_, patch_ + (n - n0) * height_ * line_);
    }

    const Conv2dBackward<T>& op_;
    T* patch_;
    Slide down_, across_;
    Index images_, H_, W_, C_, D_, O_, P_, Q_;
    bool padded_, apart_;
    Index line_, height_, block_;
};

}  // namespace
}  // namespace backpass::BACKPASS_ISA
