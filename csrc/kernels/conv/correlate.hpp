// Correlation of images with packed weights: the forward pass, and each phase of the gradient of x.
#pragma once
#include "../matmul/pack.hpp"
#include "../matmul/row_tiles.hpp"
#include "../matmul/tile.hpp"
#include "axis.hpp"
#include "narrow.hpp"
#include "patch.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Scratch memory: packed weights, then a part of an image with zeros around it.
template <class T>
constexpr Index kPackedWeights = (Index(768) << 10) / Index(sizeof(T));
template <class T>
constexpr Index kPatch = (Index(1) << 20) / Index(sizeof(T));
static_assert(kPackedWeights<float> * 4 + kPatch<float> * 4 <= Index(kScratchBytes));

// As many elements as fit into a part of the L2 cache, at most `room`.
template <class T>
BP_INLINE Index in_l2(Index quarters, Index room, const Caches& caches) {
    const Index elements = caches.l2 / 4 * quarters / Index(sizeof(T));
    return elements < room ? elements : room;
}

// Steps of a chain that are packed at once where the weights of a panel do not fit.
constexpr Index kRunPiece = 2048;

// The places of an output image, `columns` of its channels from data on.
template <class T>
struct Target {
    T* data;
    Index across, channels, columns, image;
};

// Which taps and which part of their runs a pass over the output multiplies.
struct Chunk {
    Index i0, i1, j0, j1, r0, r1;
};

// The weights (KH, KW, D, O) of a group: each tap is a matrix B of the product, or with `turned` its transpose is.
template <class T>
struct Weights {
    const T* data;
    Index across, tap, ld;  // taps in a row of them; elements from tap to tap, and from row to row of a tap
    bool turned;
};

// Rows r0 .. r1 of a matrix, columns n .. n + kPanel of `columns`: padded with zeros.
template <class T>
BP_INLINE void pack_rows(const T* from, Index ld, Index rows, Index columns, T* to) {
    for (Index r = 0; r < rows; ++r, from += ld, to += kPanel<T>)
        for (int v = 0; v < kTileVectors; ++v) {
            const Index left = columns - v * width<T>;
            const int lanes = int(left >= width<T> ? width<T> : left > 0 ? left : 0);
            store(to + v * width<T>, load_some(from + v * width<T>, lanes));
        }
}

template <class T>
struct Correlation {
    Axis h, w;
    Source<T> source;
    Target<T> target;
    Epilogue<T> epilogue;
    Weights<T> weights;
    Scratch scratch;

    BP_INLINE T* packed() const { return static_cast<T*>(scratch.data); }
    BP_INLINE T* patch() const { return packed() + kPackedWeights<T>; }
    BP_INLINE Index panels() const { return (target.columns + kPanel<T> - 1) / kPanel<T>; }

    // Output rows [u0, u1) of images [n0, n1).
    __attribute__((noinline)) void run(Index n0, Index n1, Index u0, Index u1) const {
        if (h.count <= 0 || w.count <= 0 || u0 >= u1 || n0 >= n1) return;
        const Chunk whole{0, h.taps, 0, w.taps, 0, source.run};
        const Index size = h.taps * w.taps * source.run * kPanel<T>;
        if (size > kPackedWeights<T>) return in_chunks(n0, n1, u0, u1);
        const Index most = in_l2<T>(3, kPackedWeights<T>, *scratch.caches);
        const Index fit = size == 0 ? panels() : size < most ? most / size : 1;
        for (Index p = 0; p < panels(); p += fit) {
            const Index end = p + fit < panels() ? p + fit : panels();
            for (Index q = p; q < end; ++q) pack_chunk(whole, q, packed() + (q - p) * size);
            images(n0, n1, u0, u1, whole, p, end, true, true);
        }
    }

  private:
    BP_INLINE void pack_chunk(const Chunk& chunk, Index panel, T* to) const {
        const Index n = panel * kPanel<T>, left = target.columns - n, rows = chunk.r1 - chunk.r0;
        for (Index i = chunk.i0; i < chunk.i1; ++i)
            for (Index j = chunk.j0; j < chunk.j1; ++j, to += rows * kPanel<T>) {
                const Index tap =
                    (h.first_tap + i * h.tap_step) * weights.across + w.first_tap + j * w.tap_step;
                const T* const from = weights.data + tap * weights.tap;
                if (weights.turned)
                    pack_transposed(Transposed<T>{from, weights.ld}, chunk.r0, rows, n,
                                    n + (left < kPanel<T> ? left : kPanel<T>), to);
                else
                    pack_rows(from + chunk.r0 * weights.ld + n, weights.ld, rows, left, to);
            }
    }
    // The chains in pieces, through C.
    void in_chunks(Index n0, Index n1, Index u0, Index u1) const {
        for (Index p = 0; p < panels(); ++p)
            for (Index i = 0; i < h.taps; ++i)
                for (Index j = 0; j < w.taps; ++j)
                    for (Index r = 0; r < source.run; r += kRunPiece) {
                        const Index end = r + kRunPiece < source.run ? r + kRunPiece : source.run;
                        const Chunk chunk{i, i + 1, j, j + 1, r, end};
                        pack_chunk(chunk, p, packed());
                        images(n0, n1, u0, u1, chunk, p, p + 1, i == 0 && j == 0 && r == 0,
                               i + 1 == h.taps && j + 1 == w.taps && end == source.run);
                    }
    }
    void images(Index n0, Index n1, Index u0, Index u1, const Chunk& chunk, Index p0, Index p1, bool first,
                bool last) const {
        const bool inside = h.inside(source.height) && w.inside(source.across);
        const bool none = h.taps == 0 || w.taps == 0;
        if (inside &&
            pointwise()) {  // neighbouring places are neighbours from row to row, and from image to image
            const Index places = w.count * (u1 - u0), count = u1 - u0 == h.count ? n1 - n0 : 1;
            for (Index n = n0; n < n1; n += count) {
                const T* from = source.data + n * source.image() + u0 * w.count * source.channels;
                T* to = target.data + n * target.image + u0 * w.count * target.channels;
                row(from, source.channels, 0, 0, to, count * places, chunk, {chunk.i0, chunk.i1}, p0, p1,
                    first, last);
            }
            return;
        }
        for (Index n = n0; n < n1; ++n) {
            const T* image = source.data + n * source.image();
            T* out = target.data + n * target.image;
            if (inside || none)
                for (Index u = u0; u < u1; ++u)
                    row(image + (h.from(u) * source.across + w.origin) * source.channels, source.channels,
                        source.across * source.channels, source.channels, output(out, u), w.count, chunk,
                        {chunk.i0, chunk.i1}, p0, p1, first, last);
            else
                bordered(image, out, u0, u1, chunk, p0, p1, first, last);
        }
    }
    BP_INLINE T* output(T* image, Index u) const {
        return image + ((h.out + u * h.out_step) * target.across + w.out) * target.channels;
    }
    BP_INLINE bool pointwise() const {
        return h.taps == 1 && w.taps == 1 && h.stride == 1 && w.stride == 1 && h.out_step == 1 &&
               w.out_step == 1 && h.origin == 0 && w.origin == 0 && h.count == source.height &&
               w.count == source.across && w.count == target.across &&
               target.image == h.count * w.count * target.channels;
    }
    // Rows of an image that read beyond its border: from a copy with zeros around it, a band of rows at a time.
    void bordered(const T* image, T* out, Index u0, Index u1, const Chunk& chunk, Index p0, Index p1,
                  bool first, bool last) const {
        const Index across = w.extent(w.count), line = across * source.run;
        if (line && h.extent(1) > kPatch<T> / line)
            return by_places(image, out, u0, u1, chunk, p0, p1, first, last);
        const Index most = in_l2<T>(1, kPatch<T>, *scratch.caches);
        Index band = 1;
        while (band < u1 - u0 && h.extent(band + 1) * line <= most) ++band;
        for (Index u = u0; u < u1; u += band) {
            const Index end = u + band < u1 ? u + band : u1;
            copy_patch(image, source, h.from(u), h.extent(end - u), w.origin, across, patch());
            for (Index v = u; v < end; ++v)
                row(patch() + (v - u) * h.stride * line, source.run, line, source.run, output(out, v),
                    w.count, chunk, taps_inside(chunk, h.from(v)), p0, p1, first, last);
        }
    }
    // Rows of taps inside the image where the first of the window reads row y, which may lie above or below: the others read zeros.
    BP_INLINE Range taps_inside(const Chunk& chunk, Index y) const {
        const auto clamped = [&](Index i) BP_INLINED {
            return i < chunk.i0 ? chunk.i0 : i < chunk.i1 ? i : chunk.i1;
        };
        const Index above = y < 0 ? (h.dilation - 1 - y) / h.dilation : 0;
        const Index end = y < source.height ? (source.height - 1 - y) / h.dilation + 1 : 0;
        const Range rows{clamped(above), clamped(end)};
        return rows.begin < rows.end ? rows : Range{chunk.i0, chunk.i0};
    }
    // One row of the output: tiles of places, each for all panels. pitch: from place to place of the source; rows: of taps, those that
    // are multiplied.
    BP_INLINE void row(const T* from, Index pitch, Index line, Index step, T* to, Index places,
                       const Chunk& chunk, Range rows, Index p0, Index p1, bool first, bool last) const {
        const Index tap_h = h.dilation * line, tap_w = w.dilation * step, taps_h = rows.end - rows.begin;
        Index taps_w = chunk.j1 - chunk.j0, run = chunk.r1 - chunk.r0;
        const Index row_size = taps_w * run * kPanel<T>, panel = (chunk.i1 - chunk.i0) * row_size;
        const T* const b = packed() + (rows.begin - chunk.i0) * row_size;
        const T* const a = from + rows.begin * tap_h + chunk.j0 * tap_w + chunk.r0;
        if (tap_w == run && taps_w > 0) {
            run *= taps_w;
            taps_w = 1;
        }
        const Index apart = w.stride * pitch, ldc = w.out_step * target.channels, taps = taps_h * taps_w;
        if (first && last && !epilogue.where && source.run == 1 && apart == 1 && taps_w == 1 &&
            target.columns <= kNarrow<T>)
            return narrow_row(int(target.columns), places,
                              NarrowTile<T>{a, tap_h, taps_h, run, b, to, ldc, epilogue.bias, epilogue.relu});
        const KPieces pieces{taps_h, taps_w, tap_h, tap_w, row_size, run * kPanel<T>};
        const Epilogue<T> own = epilogue_at(to, ldc);
        Tile<T> tile{.a = {a, apart, 1},
                     .ldb = kPanel<T>,
                     .k = taps ? run : 0,
                     .pieces = taps > 1 ? &pieces : nullptr,
                     .ldc = ldc,
                     .epilogue = last ? &own : nullptr,
                     .first = first};
        const RowTiles tiles(0, places);
        for (Index t = 0; t < tiles.count; ++t) {
            const Index m = tiles.begin(t);
            const int height = int(tiles.begin(t + 1) - m);
            tile.a.data = a + m * apart;
            tile.row = m;
            for (Index p = p0; p < p1; ++p) {
                tile.col = p * kPanel<T>;
                tile.b = b + (p - p0) * panel;
                tile.c = to + m * ldc + tile.col;
                compute_tile(tile, height, target.columns - tile.col);
            }
        }
    }
    // The epilogue of rows that begin at `to`, ldc apart.
    BP_INLINE Epilogue<T> epilogue_at(const T* to, Index ldc) const {
        Epilogue<T> own = epilogue;
        if (own.where) own.where += to - target.data;
        own.ld = ldc;
        return own;
    }
    // Windows too large for a patch: place by place, the taps that lie inside, one after the other through C.
    void by_places(const T* image, T* out, Index u0, Index u1, const Chunk& chunk, Index p0, Index p1,
                   bool first, bool last) const {
        const Index run = chunk.r1 - chunk.r0, per_tap = run * kPanel<T>;
        const Index panel = (chunk.i1 - chunk.i0) * (chunk.j1 - chunk.j0) * per_tap;
        for (Index u = u0; u < u1; ++u)
            for (Index v = 0; v < w.count; ++v)
                for (Index p = p0; p < p1; ++p) {
                    T* const to = output(out, u) + v * w.out_step * target.channels;
                    const Epilogue<T> own = epilogue_at(to, 0);
                    Tile<T> tile{.ldb = kPanel<T>, .k = run, .col = p * kPanel<T>, .first = first};
                    const Index columns = target.columns - tile.col;
                    tile.c = to + tile.col;
                    const T* b = packed() + (p - p0) * panel;
                    for (Index i = chunk.i0; i < chunk.i1; ++i)
                        for (Index j = chunk.j0; j < chunk.j1; ++j, b += per_tap) {
                            const Index y = h.from(u) + i * h.dilation, x = w.from(v) + j * w.dilation;
                            if (y < 0 || y >= source.height || x < 0 || x >= source.across) continue;
                            tile.a.data = image + (y * source.across + x) * source.channels + chunk.r0;
                            tile.b = b;
                            compute_tile(tile, 1, columns);
                            tile.first = false;
                        }
                    // No more steps: the epilogue alone, or zeros where no tap lies inside.
                    if (!last && !tile.first) continue;
                    tile.k = 0;
                    tile.epilogue = last ? &own : nullptr;
                    compute_tile(tile, 1, columns);
                }
    }
};

}  // namespace
}  // namespace backpass::BACKPASS_ISA
