// Peaks of the units that multiply float32 and bfloat16: nothing but their instructions, on registers. For x86 under Linux.
// Each function does `rounds` rounds and returns the operations of one, or 0 where this CPU or its system has no such unit.
#include <cpuid.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned leaf(unsigned number, unsigned sub, int which) {
    unsigned r[4] = {0};
    if (!__get_cpuid_count(number, sub, &r[0], &r[1], &r[2], &r[3])) return 0;
    return r[which];
}
static int saved(unsigned bits) {  // does the system save these registers?
    unsigned low, high;
    if (!(leaf(1, 0, 2) >> 27 & 1)) return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & bits) == bits;
}

// 24 independent sums hide the latency on every CPU.
#define SUMS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) \
    X(21) X(22) X(23)
#define ZERO(n) "vpxord %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n"
#define FMA(n) "vfmadd231ps %%zmm30, %%zmm31, %%zmm" #n "\n"
#define DOT(n) "vdpbf16ps %%zmm30, %%zmm31, %%zmm" #n "\n"
#define CLOBBERED "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
    "xmm13", "xmm14", "xmm15"
#define RUN(OP)                                                                                                       \
    __asm__ volatile(SUMS(ZERO) ZERO(30) ZERO(31) "1:\n" SUMS(OP) "dec %0\njnz 1b\nvzeroupper\n" : "+r"(rounds) : : CLOBBERED)

long fma_rounds(long rounds) {
    if (!(leaf(7, 0, 1) >> 16 & 1) || !saved(0xe6)) return 0;
    RUN(FMA);
    return 24 * 16 * 2;
}
long vdpbf16ps_rounds(long rounds) {
    if (!(leaf(7, 0, 1) >> 16 & 1) || !(leaf(7, 1, 0) >> 5 & 1) || !saved(0xe6)) return 0;
    RUN(DOT);
    return 24 * 32 * 2;
}

// Four tiles of 16 x 16 sums, 32 products deep. Linux wants to be asked before the first one. Run in an emulator alone: no CPU with
// AMX was at hand.
long amx_rounds(long rounds) {
    if (!(leaf(7, 0, 3) >> 22 & 1) || !(leaf(7, 0, 3) >> 24 & 1) || !saved(0x600e6)) return 0;
    if (syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18)) return 0;
    uint8_t config[64] __attribute__((aligned(64))) = {1};
    for (int tile = 0; tile < 8; ++tile) {
        config[16 + 2 * tile] = 64;  // bytes of a row
        config[48 + tile] = 16;      // rows
    }
    __asm__ volatile(
        "ldtilecfg %1\n"
        "tilezero %%tmm0\ntilezero %%tmm1\ntilezero %%tmm2\ntilezero %%tmm3\n"
        "tilezero %%tmm4\ntilezero %%tmm5\ntilezero %%tmm6\ntilezero %%tmm7\n"
        "1:\n"
        "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\ntdpbf16ps %%tmm7, %%tmm4, %%tmm1\n"
        "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\ntdpbf16ps %%tmm7, %%tmm5, %%tmm3\n"
        "dec %0\njnz 1b\ntilerelease\n"
        : "+r"(rounds)
        : "m"(config)
        : "cc");
    return 4 * 16 * 16 * 32 * 2;
}
