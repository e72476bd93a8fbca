// dweight[i,j,c,o] = Σ x[n, p stride + i dilation - top, ...] dy[n,p,q,o]: products whose rows are channels of x and whose chains run
// over the places of the output. Every element is one chain over images, rows and places in order, whatever the blocks.
#pragma once
#include "../../ops/conv.hpp"
#include "../matmul/row_tiles.hpp"
#include "../matmul/tile.hpp"
#include "apart_tile.hpp"
#include "patch.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

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
        const bool fits = !padded_ || height_ * line_ <= kPatches;
        apart_ = op.window.groups == 1 && merged < kTileRows && down_.taps * across_.taps > 1 && fits;
        // Few channels of dy would be one vector of columns: they become the rows, and those of x the columns.
        turned_ = op.window.groups == 1 && !apart_ && O_ <= width<T> && merged > width<T> && fits &&
                  down_.taps * O_ * merged <= kTurned && (across_.dilation == 1 || across_.taps == 1);
        const Index bytes = Index(sizeof(T)) * (H_ * W_ * C_ + P_ * Q_ * O_);
        // What all tiles read of x and dy before the next images come stays in the L2 cache.
        const Index most_bytes = scratch.caches->l2 / 2;
        block_ = bytes >= most_bytes || bytes == 0 ? 1 : most_bytes / bytes;
        if ((apart_ || turned_) && padded_ && line_ > 0) {
            const Index most = kPatches / (height_ * line_);
            block_ = block_ < most ? block_ : most;
        }
    }

    // Tasks [begin, end) of dweight; the rows of the window are one task after the other.
    void run(Range tasks) {
        if (apart_ && tasks.begin >= units(tasks)) return;
        Index n = 0;
        do {  // at least once: no images leave zeros
            const Index end = n + block_ < images_ ? n + block_ : images_;
            if ((apart_ || turned_) && padded_) copy(n, end);
            for (Index task = tasks.begin; task < tasks.end; ++task)
                if (apart_)
                    taps_apart(task, tasks, n, end);
                else if (turned_)
                    run_turned(task, n, end);
                else
                    run_task(task, n, end);
            n = end;
        } while (n < images_);
    }

  private:
    // Scratch memory: images with zeros around them, then gradients that are turned.
    static constexpr Index kTurned = (Index(64) << 10) / Index(sizeof(T)),
                           kPatches = Index(kScratchBytes / sizeof(T)) - kTurned;
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
        const Span rows = inside(down_, i, H_, P_);
        const bool merges =
            op_.window.groups == 1 && across_.dilation == 1 && !across_.before && !across_.behind;
        const Index x_image = H_ * W_ * C_, x_row = down_.stride * W_ * C_, x_step = across_.stride * C_;
        for (Index j = 0; j < (merges ? 1 : across_.taps); ++j) {
            const Span places = inside(across_, j, W_, Q_);
            const Index y = rows.begin * down_.stride + i * down_.dilation - down_.before;
            const Index x = places.begin * across_.stride + j * across_.dilation - across_.before;
            // A chain over images, and rows of their places.
            KPieces pieces{n1 - n0, rows.end - rows.begin, x_image, x_row, P_ * Q_ * O_, Q_ * O_};
            Index k = places.end - places.begin;
            if (pieces.inner == 0 || pieces.outer == 0) k = 0;
            const T* at = op_.x.data + ((n0 * H_ + y) * W_ + x) * C_ + group * D_;
            const T* dy = op_.dy.data + ((n0 * P_ + rows.begin) * Q_ + places.begin) * O_ + from;
            // Neighbouring places of neighbouring rows and images are one chain.
            const bool whole = k == Q_ && x_row == Q_ * x_step;
            if (whole) {
                k *= pieces.inner;
                pieces.inner = 1;
                if (k == P_ * Q_ && x_image == P_ * Q_ * x_step) {
                    k *= pieces.outer;
                    pieces.outer = 1;
                }
            }
            const bool several = k > 0 && pieces.outer * pieces.inner > 1;
            T* c = op_.dweight.data + ((i * across_.taps + j) * D_) * O_ + from;
            const RowTiles tiles(0, merges ? across_.taps * D_ : D_);
            for (Index t = 0; t < tiles.count; ++t) {
                const Index m = tiles.begin(t);
                for (Index o = 0; o < columns; o += kPanel<T>) {
                    Tile<T> tile{.a = {at + m, 1, x_step},
                                 .b = dy + o,
                                 .ldb = O_,
                                 .k = k,
                                 .pieces = several ? &pieces : nullptr,
                                 .c = c + m * O_ + o,
                                 .ldc = O_,
                                 .first = n0 == 0 && !op_.adds};
                    compute_tile(tile, int(tiles.begin(t + 1) - m), columns - o);
                }
            }
        }
    }
    // Row i of the window: (O, taps and channels), whose products read x as it lies, row by row of the output.
    void run_turned(Index i, Index n0, Index n1) {
        const Index columns = across_.taps * C_, x_image = height_ * line_, x_step = across_.stride * C_;
        T* const turned = patch_ + kPatches + i * O_ * columns;
        T* const dweight = op_.dweight.data + i * columns * O_;
        const bool first = n0 == 0 && !op_.adds;
        for (Index c = 0; c < columns && n0 == 0 && op_.adds; ++c)
            for (Index o = 0; o < O_; ++o) turned[o * columns + c] = dweight[c * O_ + o];
        const T* const image = padded_ ? patch_ : op_.x.data + n0 * x_image;
        const T* const x = image + i * down_.dilation * line_;
        KPieces pieces{n1 - n0, P_, P_ * Q_ * O_, Q_ * O_, x_image, down_.stride * line_};
        const bool some = pieces.outer > 0 && P_ > 0;
        const RowTiles tiles(0, O_);
        for (Index n = 0; n < columns; n += kPanel<T>)
            for (Index t = 0; t < tiles.count; ++t) {
                const Index m = tiles.begin(t);
                Tile<T> tile{.a = {op_.dy.data + n0 * P_ * Q_ * O_ + m, 1, O_},
                             .b = x + n,
                             .ldb = x_step,
                             .k = some ? Q_ : 0,
                             .pieces = some && pieces.outer * pieces.inner > 1 ? &pieces : nullptr,
                             .c = turned + m * columns + n,
                             .ldc = columns,
                             .first = first};
                compute_tile(tile, int(tiles.begin(t + 1) - m), columns - n);
            }
        for (Index c = 0; c < columns && n1 == images_; ++c)
            for (Index o = 0; o < O_; ++o) dweight[c * O_ + o] = turned[o * columns + c];
    }
    // All taps of the window as the rows of tiles. Tasks take tiles in turn: these have one vector of columns where there would be a
    // single one for several tasks.
    BP_INLINE RowTiles tap_tiles() const { return RowTiles(0, down_.taps * across_.taps * C_); }
    BP_INLINE Index tile_columns(Range tasks) const {
        const bool all = tasks.end - tasks.begin == op_.weight_tasks();
        return !all && tap_tiles().count == 1 && O_ <= kPanel<T> ? width<T> : kPanel<T>;
    }
    BP_INLINE Index units(Range tasks) const {
        const Index columns = tile_columns(tasks);
        return tap_tiles().count * ((O_ + columns - 1) / columns);
    }
    void taps_apart(Index task, Range tasks, Index n0, Index n1) {
        const T* image = padded_ ? patch_ : op_.x.data + n0 * H_ * W_ * C_;
        const Index per_row = across_.taps * C_, columns = tile_columns(tasks), end = units(tasks);
        ApartTile<T> tile{.x_image = height_ * line_,
                          .x_row = down_.stride * line_,
                          .x_step = across_.stride * C_,
                          .dy_image = P_ * Q_ * O_,
                          .dy_row = Q_ * O_,
                          .dy_step = O_,
                          .images = n1 - n0,
                          .rows = P_,
                          .k = Q_,
                          .ldc = O_,
                          .first = n0 == 0 && !op_.adds};
        const RowTiles tiles = tap_tiles();
        for (Index unit = task; unit < end; unit += op_.weight_tasks()) {
            const Index t = unit % tiles.count, o = unit / tiles.count * columns;
            const Index m = tiles.begin(t), height = tiles.begin(t + 1) - m;
            const T* taps[kTileRows];
            for (Index r = m; r < m + height; ++r)
                taps[r - m] = image + r / per_row * down_.dilation * line_ +
                              r % per_row / C_ * across_.dilation * C_ + r % C_;
            tile.taps = taps;
            tile.height = int(height);
            tile.dy = op_.dy.data + n0 * tile.dy_image + o;
            tile.c = op_.dweight.data + m * O_ + o;
            compute_apart_tile(tile, O_ - o < columns ? O_ - o : columns);
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
    bool padded_, apart_, turned_;
    Index line_, height_, block_;
};

}  // namespace
}  // namespace backpass::BACKPASS_ISA
