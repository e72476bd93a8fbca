// The blocking of products of bfloat16, and the numbers that have no parts.
#include "pair_gemm.hpp"

#include "finish.hpp"
#include "gemm.hpp"
#include "pair_tile.hpp"
#include "row_tiles.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// How a precision is computed: parts of each operand, products of parts, and steps of k in a block. Shorter chains have smaller errors.
struct Mode {
    int parts, products;
    Index most_k;
};
constexpr Mode mode_of(Precision precision) {
    if (precision == Precision::bf16x6) return {3, 6, kPairBlock / 2};
    if (precision == Precision::bf16x3) return {2, 3, kPairBlock};
    return {1, 1, kPairBlock};
}
constexpr PartProduct kProducts[] = {{2, 0}, {0, 2}, {1, 1}, {1, 0}, {0, 1}, {0, 0}};
constexpr int kAllProducts = 6;

// The epilogue of a tile that was stored.
void finish_stored(float* c, Index ldc, int rows, Index columns, const Epilogue<float>& epilogue, Index row,
                   Index col) {
    for (int m = 0; m < rows; ++m)
        each_vector<float>(columns, [&](Index n, int lanes) BP_INLINED {
            vec<float> acc[1][1] = {{load_some(c + m * ldc + n, lanes)}};
            finish<1, 1, true>(acc, epilogue, row + m, col + n, lanes);
            store_some(c + m * ldc + n, acc[0][0], lanes);
        });
}

// A piece of C of at most block_columns() columns.
template <bool Converts, class B>
void pair_block(Rounding rounding, const Operand<float>& a, const B& b, const Output<float>& c,
                const Piece& piece, Index K, const Epilogue<float>& epilogue, Scratch scratch) {
    constexpr Index panel = kPanel<float>;
    const Mode mode = mode_of(rounding.precision);
    const Index blocks = K > mode.most_k ? (K + mode.most_k - 1) / mode.most_k : 1;
    const Index most = ((K + blocks - 1) / blocks + 1) / 2 * 2;
    const RowTiles rows(piece.m0, piece.m1);
    Pair* const packed_a = static_cast<Pair*>(scratch.data);
    Pair* const packed_b = packed_a + kMostParts * kPlaneOfA;
    for (Index k0 = 0, left = K;; k0 += most, left -= most) {
        const Index k = left < most ? left : most, steps = (k + 1) / 2;
        for (int part = 0; part < mode.parts; ++part)
            pack_pairs<Converts>(b, k0, k, piece.n0, piece.n1, part, packed_b + part * kPlaneOfB);
        for (Index t = 0; t < rows.count; ++t) {
            const Index m = rows.begin(t);
            const int height = int(rows.begin(t + 1) - m);
            PairTile tile{.steps = steps,
                          .products = kProducts + kAllProducts - mode.products,
                          .count = mode.products,
                          .ldc = c.ld,
                          .rows = height,
                          .first = k0 == 0};
            for (int part = mode.parts - 1; part >= 0; --part)
                tile.a = pack_rows<Converts>(a, m, height, k0, k, part, packed_a + part * kPlaneOfA);
            for (Index n = piece.n0; n < piece.n1; n += panel) {
                const Index columns = piece.n1 - n < panel ? piece.n1 - n : panel;
                tile.b = packed_b + (n - piece.n0) * steps;
                tile.c = c.data + m * c.ld + n;
                tile.columns = int(columns);
                pair_tile(rounding.unit, height, columns)(tile);
                if (left <= most && !epilogue.does_nothing())
                    finish_stored(tile.c, c.ld, height, columns, epilogue, m, n);
            }
        }
        if (left <= most) return;
    }
}

bool are_sums(const Operand<float>& a, Index m0, Index m1, Index K) {
    return a.step == 1 ? are_sums(a.data + m0 * a.row, m1 - m0, K, a.row)
                       : are_sums(a.data + m0, K, m1 - m0, a.step);
}
bool are_sums(const RowMajor<float>& b, Index n0, Index n1, Index K) {
    return are_sums(b.at(0, n0), K, n1 - n0, b.ld);
}
bool are_sums(const Transposed<float>& b, Index n0, Index n1, Index K) {
    return are_sums(b.data + n0 * b.ld, n1 - n0, K, b.ld);
}

template <class B>
void pair_blocks(Rounding rounding, const Operand<float>& a, const B& b, const Output<float>& c,
                 const Piece& piece, Index K, const Epilogue<float>& epilogue, Scratch scratch) {
    const auto [m0, m1, n0, n1] = piece;
    if (m1 <= m0) return;
    const Index column = mode_of(rounding.precision).parts * kMostPairs * Index(sizeof(Pair));
    const Index most = block_columns<float>(*scratch.caches, column);
    for (Index n = n0; n < n1; n += most) {
        const Index end = n1 - n < most ? n1 : n + most;
        const auto block = rounding.unit == Unit::emulation ? &pair_block<false, B> : &pair_block<true, B>;
        block(rounding, a, b, c, Piece{m0, m1, n, end}, K, epilogue, scratch);
    }
    if (mode_of(rounding.precision).parts == 1) return;
    if (!are_sums(b, n0, n1, K))
        for (Index n = n0; n < n1; ++n)
            if (!are_sums(b, n, n + 1, K)) gemm(a, b, c, Piece{m0, m1, n, n + 1}, K, epilogue, scratch);
    if (!are_sums(a, m0, m1, K))
        for (Index m = m0; m < m1; ++m)
            if (!are_sums(a, m, m + 1, K)) gemm(a, b, c, Piece{m, m + 1, n0, n1}, K, epilogue, scratch);
}

}  // namespace

#define BACKPASS_PAIR_GEMM(B)                                                                       \
    template <>                                                                                     \
    void pair_gemm(Rounding rounding, Operand<float> a, const B<float>& b, Output<float> c,         \
                   const Piece& piece, Index K, const Epilogue<float>& epilogue, Scratch scratch) { \
        pair_blocks(rounding, a, b, c, piece, K, epilogue, scratch);                                \
    }
BACKPASS_PAIR_GEMM(RowMajor)
BACKPASS_PAIR_GEMM(Transposed)

}  // namespace backpass::BACKPASS_ISA
