// Products with a matrix that is packed once, and read at every step of a sequence.
//
// An element of a result is one chain of FMAs over k, in order: a row has the same bits in any company.
#pragma once
#include "../matmul/row_tiles.hpp"
#include "../matmul/tile.hpp"
#include "../vector/lanes.hpp"
#include "../vector/loops.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

template <class T>
BP_INLINE Index whole_panels(Index n) {
    return pieces(n, kPanel<T>) * kPanel<T>;
}

// c (rows, columns) = a · panel, or with `first` false c + a · panel; at most kPanel columns. ldb: from one row of the panel to the next.
template <class T>
__attribute__((noinline)) void multiply_panel(Operand<T> a, Index rows, const T* panel, Index ldb, Index k,
                                              T* c, Index ldc, Index columns, bool first) {
    if (rows == 0) return;
    const RowTiles tiles(0, rows);
    for (Index t = 0; t < tiles.count; ++t) {
        const Index m = tiles.begin(t);
        Tile<T> tile{.a = {a.data + m * a.row, a.row, a.step},
                     .b = panel,
                     .ldb = ldb,
                     .k = k,
                     .c = c + m * ldc,
                     .ldc = ldc,
                     .first = first};
        compute_tile(tile, int(tiles.begin(t + 1) - m), columns);
    }
}

// Columns n0 .. n1 of a matrix, at most kPanel, as a panel: `count` rows of kPanel, zeros behind. B(k, n) = from[k * ld + n].
template <class T>
__attribute__((noinline)) void pack_panel(const T* from, Index ld, Index count, Index columns, T* to) {
    constexpr int w = width<T>;
    const int first = int(columns < w ? columns : w), second = int(columns > w ? columns - w : 0);
    for (Index k = 0; k < count; ++k, from += ld, to += kPanel<T>) {
        store(to, load_some(from, first));
        store(to + w, second ? load_some(from + w, second) : vec<T>{});
    }
}
// The same of a transpose: B(k, n) = from[n * ld + k].
template <class T>
__attribute__((noinline)) void pack_transposed_panel(const T* from, Index ld, Index count, Index columns,
                                                     T* to) {
    constexpr int w = width<T>;
    for (Index n = 0; n < kPanel<T>; n += w)
        for (Index k = 0; k < count; k += w) {
            vec<T> square[w];
            const int ks = int(count - k < w ? count - k : w);
            for (int i = 0; i < w; ++i)
                square[i] = n + i < columns ? load_some(from + (n + i) * ld + k, ks) : vec<T>{};
            transpose<T>(square);
            for (int i = 0; i < ks; ++i) store(to + (k + i) * kPanel<T> + n, square[i]);
        }
}

// c (N) = a · B, or with `first` false c + a · B, for one row and a B that is read in place: b[k * ld + n].
template <class T>
__attribute__((noinline)) void multiply_row(const T* a, const T* b, Index ld, Index K, Index N, T* c,
                                            bool first) {
    constexpr int w = width<T>, wide = 8;
    Index n = 0;
    for (; n + wide * w <= N; n += wide * w) {
        vec<T> acc[wide];
        for (int v = 0; v < wide; ++v) acc[v] = first ? vec<T>{} : load(c + n + v * w);
        for (Index k = 0; k < K; ++k) {
            const vec<T> ak = broadcast<T>(a[k]);
#pragma GCC unroll 8
            for (int v = 0; v < wide; ++v) acc[v] = fma(ak, load(b + k * ld + n + v * w), acc[v]);
        }
        for (int v = 0; v < wide; ++v) store(c + n + v * w, acc[v]);
    }
    each_vector<T>(Range{n, N}, [&](Index i, int lanes) BP_INLINED {
        vec<T> acc = first ? vec<T>{} : load_some(c + i, lanes);
        for (Index k = 0; k < K; ++k) acc = fma(broadcast<T>(a[k]), load_some(b + k * ld + i, lanes), acc);
        store_some(c + i, acc, lanes);
    });
}

// The same for four panels side by side: the chains of one panel alone would wait for each other.
constexpr int kSideBySide = 4;
template <class T>
__attribute__((noinline)) void multiply_row_by_panels(const T* a, const T* panels, Index K, T* c,
                                                      bool first) {
    constexpr int w = width<T>;
    vec<T> acc[kSideBySide][2];
    for (int p = 0; p < kSideBySide; ++p)
        for (int v = 0; v < 2; ++v) acc[p][v] = first ? vec<T>{} : load(c + p * kPanel<T> + v * w);
    const T* from[kSideBySide];
    for (int p = 0; p < kSideBySide; ++p) from[p] = panels + p * K * kPanel<T>;
    for (Index k = 0; k < K; ++k) {
        const vec<T> ak = broadcast<T>(a[k]);
#pragma GCC unroll 4
        for (int p = 0; p < kSideBySide; ++p) {
            acc[p][0] = fma(ak, load(from[p]), acc[p][0]);
            acc[p][1] = fma(ak, load(from[p] + w), acc[p][1]);
            from[p] += kPanel<T>;
        }
    }
    for (int p = 0; p < kSideBySide; ++p)
        for (int v = 0; v < 2; ++v) store(c + p * kPanel<T> + v * w, acc[p][v]);
}

// Rows that are too few to pack weights for.
constexpr Index kFewRows = 3;

// Weights as panels. Those that are not packed all at once are packed panel by panel in each product.
template <class T>
class Panels {
  public:
    // B (K, N): element (k, n) is from[k * ld + n], or from[n * ld + k] of a transpose. all: whether `to` has room for all.
    BP_INLINE Panels(const T* from, Index ld, Index K, Index N, bool transposed, T* to, bool all)
        : from_(from), to_(to), ld_(ld), K_(K), N_(N), transposed_(transposed), all_(all) {
        if (all_)
            for (Index n = 0; n < N; n += kPanel<T>) pack(n, 0, K, to_ + n * K);
    }
    // Elements of the panels of a matrix.
    BP_INLINE static Index size(Index K, Index N) { return pieces(N, kPanel<T>) * kPanel<T> * K; }

    // c (rows, N) = a · B, or with `first` false c + a · B. c has whole panels of columns.
    __attribute__((noinline)) void multiply(Operand<T> a, Index rows, T* c, Index ldc, bool first) const {
        if (!all_ && !transposed_ && rows <= kFewRows) {
            for (Index m = 0; m < rows; ++m)
                multiply_row(a.data + m * a.row, from_, ld_, K_, N_, c + m * ldc, first);
            return;
        }
        const Index most = all_ || K_ == 0 ? K_ : kBlockK;
        Index n = 0;
        if (all_ && rows == 1)
            for (; n + kSideBySide * kPanel<T> <= N_; n += kSideBySide * kPanel<T>)
                multiply_row_by_panels(a.data, to_ + n * K_, K_, c + n, first);
        for (; n < N_; n += kPanel<T>) {
            const Index columns = pieces(N_ - n < kPanel<T> ? N_ - n : kPanel<T>, width<T>) * width<T>;
            Index k = 0;
            do {  // at least once: with K = 0 the result is 0
                const Index count = K_ - k < most ? K_ - k : most;
                const T* panel = all_ ? to_ + n * K_ : to_;
                if (!all_) pack(n, k, count, to_);
                multiply_panel(Operand<T>{a.data + k, a.row, 1}, rows, panel, kPanel<T>, count, c + n, ldc,
                               columns, first && k == 0);
                k += count;
            } while (k < K_);
        }
    }

  private:
    BP_INLINE void pack(Index n, Index k, Index count, T* to) const {
        const Index columns = N_ - n < kPanel<T> ? N_ - n : kPanel<T>;
        if (transposed_)
            pack_transposed_panel(from_ + n * ld_ + k, ld_, count, columns, to);
        else
            pack_panel(from_ + k * ld_ + n, ld_, count, columns, to);
    }

    const T* from_;
    T* to_;
    Index ld_, K_, N_;
    bool transposed_, all_;
};

}  // namespace
}  // namespace backpass::BACKPASS_ISA
