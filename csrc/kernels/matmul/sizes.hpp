// Sizes of tiles, blocks and copies of matrix products.
#pragma once
#include "../vector/simd.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// A tile of C is kTileRows x kTileVectors accumulators. They leave registers for the vectors of B and one element of A.
constexpr int kTileRows = kRegisters == 32 ? 14 : 6;
constexpr int kTileVectors = 2;
template <class T>
constexpr int kPanel = kTileVectors * width<T>;  // columns of B that a tile reads

// The largest block of B: 256 KiB, or 512 of double.
constexpr Index kBlockK = 256;
constexpr Index kBlockColumns = 256;

// Steps of k in one pass over C: blocks of even size, of whole vectors.
template <class T>
BP_INLINE Index block_k(Index K) {
    const Index blocks = (K + kBlockK - 1) / kBlockK;
    return blocks < 2 ? K : ((K + blocks - 1) / blocks + width<T> - 1) / width<T> * width<T>;
}

// Columns of a block of B whose columns have so many bytes. It stays in the L2 cache, beside what passes through.
template <class T>
BP_INLINE Index block_columns(const Caches& caches, Index column = kBlockK * Index(sizeof(T))) {
    Index columns = kBlockColumns;
    while (columns > kPanel<T> && 2 * columns * column > caches.l2) columns -= kPanel<T>;
    return columns;
}

// Do rows so many bytes apart crowd into so few sets of the L1 cache?
BP_INLINE bool crowd(Index stride, Index sets, const Caches& caches) {
    return (stride & (caches.way / sets - 1)) == 0;
}

// When copies pay, as measured (benchmarks/LOG.md).
constexpr Index kWorthCopying = 64;  // steps of k
constexpr Index kReadsOfPacked = 4;  // tiles that read a packed B
constexpr Index kManyColumns = 256;  // columns of B, for which a copied A is read often
// Bytes between rows, from which on no prefetcher of a CPU goes from one to the next: an A read down its columns is copied, B is packed,
// C is prefetched for writing.
constexpr Index kFarRows = 2048;
constexpr Index kFarColumns = 256 << 10;  // bytes from the first to the last row of such an A
constexpr Index kRowsAhead = 16;          // distance of the prefetch of a copy, in rows

// Copied tiles of A. An A read along its rows is copied to rows kCopiedStride apart, which spread over the sets of the cache. An A
// read down its columns is copied to columns of kCopiedHeight, which is kTileRows rounded up to whole vectors. There several
// tiles are copied at once, because one cache line spans them.
constexpr Index kCopiedHeight = 16;
constexpr Index kCopiedStride = kBlockK + 16;
constexpr Index kCopiedTiles = 8;
static_assert(kCopiedHeight >= kTileRows && kCopiedHeight % (64 / sizeof(float)) == 0);

// Elements of the scratch memory that gemm() uses.
template <class T>
constexpr Index kPackedElements =
    kBlockK * (kBlockColumns + kCopiedHeight * kCopiedTiles) + kCopiedHeight * kCopiedStride;

// At most so many tiles below each other read a packed panel of Wᵀ, and keep their rows of A in the L2 cache.
constexpr Index kGroupTiles = 20;
static_assert(kBlockK * kPanel<float> + kGroupTiles * kCopiedHeight * kCopiedStride <=
              kPackedElements<float>);

template <class T>
constexpr Index kLine = 64 / Index(sizeof(T));  // elements of a cache line

}  // namespace
}  // namespace backpass::BACKPASS_ISA
