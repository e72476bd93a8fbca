// The packed operands of products of bfloat16: words of two neighbouring k. B lies in panels, a row of a panel after the other; A in
// blocks of rows, or of columns as it lay before. Each part of a number has a plane of its own.
#pragma once
#include "bf16.hpp"
#include "operands.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

using Pair = std::uint32_t;
constexpr int kMostParts = 3;
// The most steps of k in a block. A tile's rows of A and a panel of B, of one part at most 16 and 16 KiB, stay in the L1 cache.
constexpr Index kPairBlock = 256, kMostPairs = kPairBlock / 2;
constexpr Index kPairHeight = 16;  // rows of a block of A
// Words between rows of A, and between planes: what is stored together spreads over the sets of the cache.
constexpr Index kPairSkew = 16, kPlaneSkew = 5 * kPairSkew;
constexpr Index kPlaneOfB = kMostPairs * kBlockColumns + kPlaneSkew;
// A register of AMX, of A, B or C.
constexpr int kAmxRows = 16, kAmxWords = 16;

}  // namespace
}  // namespace backpass::BACKPASS_ISA
