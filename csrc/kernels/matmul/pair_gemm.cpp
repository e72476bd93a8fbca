// Products of bfloat16: packing, tiles, and the numbers that have no parts.
#include "pair_gemm.hpp"

#include "amx.hpp"
#include "finish.hpp"
#include "gemm.hpp"
#include "pack_pairs.hpp"
#include "pair_cut.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

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

// A piece of C of rows whose blocks of A fit. Returns whether both operands were sums of finite parts.
template <class B>
bool pair_rows(Rounding rounding, const Cut& cut, const Operand<float>& a, const B& b, const Output<float>& c,
               const Piece& piece, Index K, const Epilogue<float>& epilogue, Pair* packed_b) {
    const bool amx = is_amx(rounding.unit);
    const RowBlocks rows(piece.m0, piece.m1, cut.height, amx);
    Packing packing{.converts = rounding.unit == Unit::vdpbf16ps || rounding.unit == Unit::amx,
                    .in_rows = amx,
                    .parts = cut.mode.parts,
                    .panel = cut.tile.columns,
                    .stride = cut.stride(),
                    .plane_a = cut.plane_of_a(rows.count)};
    const Index together = cut.tile.rows / cut.height, panel = packing.panel;
    for (Index n0 = piece.n0; n0 < piece.n1; n0 += cut.columns) {
        const Index n1 = piece.n1 - n0 < cut.columns ? piece.n1 : n0 + cut.columns;
        Pair* packed_a = packed_b + kMostParts * kPlaneOfB;
        // At least once: for K = 0, C = epilogue(0).
        for (Index k0 = 0, left = K;; k0 += cut.k, left -= cut.k) {
            const Index k = left < cut.k ? left : cut.k, step = cut.tile.steps;
            packing.steps = ((k + 1) / 2 + step - 1) / step * step;
            pack_pairs(packing, b, k0, k, n0, n1, packed_b);
            if (n0 == piece.n0 || !cut.packs_a_once)
                for (Index t = 0; t < rows.count; ++t)
                    pack_rows(packing, a, rows.begin(t), int(rows.begin(t + 1) - rows.begin(t)), k0, k,
                              packed_a + t * cut.block_of_a());
            PairTile tile{.plane_a = packing.plane_a,
                          .steps = packing.steps,
                          .products = kProducts + kAllProducts - cut.mode.products,
                          .count = cut.mode.products,
                          .ldc = c.ld,
                          .first = k0 == 0};
            for (Index t = 0; t < rows.count; t += together) {
                const Index m = rows.begin(t);
                tile.rows = int(rows.begin(t + together) - m);
                tile.a = {packed_a + t * cut.block_of_a(), packing.row(a), packing.step(a)};
                for (Index n = n0; n < n1; n += panel) {
                    tile.columns = int(n1 - n < panel ? n1 - n : panel);
                    tile.b = packed_b + (n - n0) * packing.steps;
                    tile.c = c.data + m * c.ld + n;
                    pair_tile(rounding.unit, tile.rows, tile.columns)(tile);
                    if (left <= cut.k && !epilogue.does_nothing())
                        finish_stored(tile.c, c.ld, tile.rows, tile.columns, epilogue, m, n);
                }
            }
            if (left <= cut.k) break;
            if (cut.packs_a_once) packed_a += cut.mode.parts * packing.plane_a;
        }
    }
    return packing.are_sums();
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
    const AmxShapes shapes(rounding.unit == Unit::amx);
    const Cut cut(rounding, piece, K, *scratch.caches);
    const Index most = cut.packs_a_once ? m1 - m0 : cut.blocks_of_a * cut.height;
    bool are_all_sums = true;
    for (Index m = m0; m < m1; m += most) {
        const Piece part{m, m1 - m < most ? m1 : m + most, n0, n1};
        Pair* const packed = static_cast<Pair*>(scratch.data);
        are_all_sums &= pair_rows(rounding, cut, a, b, c, part, K, epilogue, packed);
    }
    if (are_all_sums) return;
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
