// Tile registers of bfloat16: Intel's AMX, and what its manual says that it does. Each class has eight registers.
#pragma once
#include "pairs.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

#if BP_AMX
// Written as assembly, because the row's flags do not have it.
struct AmxTiles {
    template <int Tile>
    BP_INLINE void zero() {
        __asm__ volatile("tilezero %%tmm%c0" : : "i"(Tile));
    }
    template <int Tile>
    BP_INLINE void load(const void* from, Index bytes) {
        __asm__ volatile("tileloadd (%1,%2,1), %%tmm%c0" : : "i"(Tile), "r"(from), "r"(bytes) : "memory");
    }
    template <int Tile>
    BP_INLINE void store(void* to, Index bytes) {
        __asm__ volatile("tilestored %%tmm%c0, (%1,%2,1)" : : "i"(Tile), "r"(to), "r"(bytes) : "memory");
    }
    template <int C, int A, int B>
    BP_INLINE void add_product() {
        __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
    }
};
#endif

// The registers' shapes, for as long as this lives: without shapes the system need not save them.
struct AmxShapes {
    const bool set_;
    explicit AmxShapes(bool set) : set_(set) {
#if BP_AMX
        if (!set) return;
        struct alignas(64) {
            std::uint8_t palette = 1, first_row = 0, reserved[14] = {};
            std::uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
            std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
        } shapes;
        __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
#endif
    }
    AmxShapes(const AmxShapes&) = delete;
    ~AmxShapes() {
#if BP_AMX
        if (set_) __asm__ volatile("tilerelease");
#endif
    }
};

struct EmulatedTiles {
    Pair tile[8][kAmxRows][kAmxWords];

    template <int Tile>
    void zero() {
        __builtin_memset(tile[Tile], 0, sizeof tile[Tile]);
    }
    template <int Tile>
    void load(const void* from, Index bytes) {
        for (int r = 0; r < kAmxRows; ++r)
            __builtin_memcpy(tile[Tile][r], (const char*)from + r * bytes, sizeof tile[Tile][r]);
    }
    template <int Tile>
    void store(void* to, Index bytes) {
        for (int r = 0; r < kAmxRows; ++r)
            __builtin_memcpy((char*)to + r * bytes, tile[Tile][r], sizeof tile[Tile][r]);
    }
    template <int C, int A, int B>
    void add_product() {
        for (int m = 0; m < kAmxRows; ++m)
            for (int n = 0; n < kAmxWords; ++n) {
                Pair column[kAmxWords];
                for (int k = 0; k < kAmxWords; ++k) column[k] = tile[B][k][n];
                const float sum = add_pairs_of_tile(as_number(tile[C][m][n]), tile[A][m], column);
                __builtin_memcpy(&tile[C][m][n], &sum, sizeof sum);
            }
    }
};

}  // namespace
}  // namespace backpass::BACKPASS_ISA
