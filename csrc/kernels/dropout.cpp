// Ring 1: dropout (ops/pointwise.hpp) and its random numbers, Philox4x32-10 with the bits of python/backpass/random.py.
#include "kernel.hpp"
#include "simd.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

using Word = std::uint32_t;
using Wide = vec<std::uint64_t>;  // a 32-bit word in the low half of each lane; the high halves hold anything

constexpr int kLanes = 16, kBlock = 4 * kLanes;  // element 64 c + 16 w + l is word w of counter 16 c + l
static_assert(kElementPiece % kBlock == 0, "a task starts with a block");

BP_INLINE Wide multiply(Wide a, Word b) { return multiply_even((vec<Word>)a, broadcast<Word>(b)); }

// The ten rounds: x[0..3] becomes the four words of each counter.
BP_INLINE void philox(Wide* x, std::uint64_t seed) {
    Word k0 = Word(seed), k1 = Word(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const Wide a = multiply(x[0], 0xD2511F53), b = multiply(x[2], 0xCD9E8D57);
        x[0] = (b >> 32) ^ x[1] ^ std::uint64_t(k0);
        x[1] = b;
        x[2] = (a >> 32) ^ x[3] ^ std::uint64_t(k1);
        x[3] = a;
        k0 += 0x9E3779B9, k1 += 0xBB67AE85;
    }
}

// The 64 words of block c. Even and odd counters go apart, so that their words lie side by side in the end.
BP_INLINE void draw(Word* out, std::uint64_t c, std::uint64_t step, std::uint64_t stream,
                    std::uint64_t seed) {
    for (int l = 0; l < kLanes; l += width<Word>) {
        const Wide counter = kLanes * c + std::uint64_t(l) + 2 * iota<std::uint64_t>();
        Wide even[4] = {counter, counter >> 32, step + Wide{}, stream + Wide{}};
        Wide odd[4] = {counter + 1, counter >> 32, step + Wide{}, stream + Wide{}};
        philox(even, seed);
        philox(odd, seed);
        for (int w = 0; w < 4; ++w)
            store(out + kLanes * w + l, (vec<Word>)((even[w] & 0xFFFFFFFF) | odd[w] << 32));
    }
}

// scale where a word reaches the threshold, else 0.
template <class T> BP_INLINE vec<T> mask_of(const Word* words, Word threshold, T scale) {
    if constexpr (sizeof(T) == 4) {
        return select<vec<T>>(load(words) >= threshold, broadcast<T>(scale), vec<T>{});
    } else {
        typename Vector<Word, kBytes / 2>::type half;
        __builtin_memcpy(&half, words, sizeof half);
        return select<vec<T>>(__builtin_convertvector(half, ivec<T>) >= lane<ivec<T>>(threshold),
                              broadcast<T>(scale), vec<T>{});
    }
}

// mask = 0 with probability p, else 1/(1-p); y = x mask
template <class T> void dropout_forward(const DropoutForward<T>& op, Range range, Scratch) {
    const T* x = op.x.data;
    T *y = op.y.data, *mask = op.mask.data;
    const double limit = op.p * 0x1p32;
    const Word threshold = Word(limit < 0x1p32 - 1 ? limit : 0x1p32 - 1);
    const T scale = op.p < 1 ? T(1 / (1 - op.p)) : T(0);
    const std::uint64_t step = std::uint64_t(op.step.data[0]), stream = std::uint64_t(op.stream),
                        seed = std::uint64_t(op.seed);
    const std::int64_t size = op.x.size(), stop = range.end * kElementPiece, end = stop < size ? stop : size;
    for (std::int64_t block = range.begin * kElementPiece; block < end; block += kBlock) {
        Word words[kBlock];
        draw(words, std::uint64_t(block / kBlock), step, stream, seed);
        for (int j = 0; j < kBlock && block + j < end; j += width<T>) {
            const std::int64_t i = block + j, left = end - i;
            const vec<T> m = mask_of<T>(words + j, threshold, scale);
            if (left >= width<T>) {
                store(mask + i, m);
                store(y + i, load(x + i) * m);
            } else {
                store_tail(mask + i, m, int(left));
                store_tail(y + i, load_tail(x + i, int(left)) * m, int(left));
            }
        }
    }
}

}  // namespace

BACKPASS_KERNEL(DropoutForward, dropout_forward)

}  // namespace backpass::BACKPASS_ISA
