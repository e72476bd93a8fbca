// Gather, shuffle and dropout of one ISA row, and the ops that go element by element, against plain loops.
#include "kernel_test.hpp"
#include "naive.hpp"

namespace {

using namespace backpass;
using std::int64_t;

// One counter of Philox4x32-10, word by word as the paper writes it.
void philox(std::uint32_t out[4], std::uint64_t counter, std::uint32_t step, std::uint32_t stream,
            std::uint64_t seed) {
    std::uint32_t x[4] = {std::uint32_t(counter), std::uint32_t(counter >> 32), step, stream};
    std::uint32_t k0 = std::uint32_t(seed), k1 = std::uint32_t(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t(x[0]) * 0xD2511F53u, b = std::uint64_t(x[2]) * 0xCD9E8D57u;
        const std::uint32_t next[4] = {std::uint32_t(b >> 32) ^ x[1] ^ k0, std::uint32_t(b),
                                       std::uint32_t(a >> 32) ^ x[3] ^ k1, std::uint32_t(a)};
        std::copy(next, next + 4, x);
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    std::copy(x, x + 4, out);
}
std::uint32_t drawn(int64_t i, std::uint32_t step, std::uint32_t stream, std::uint64_t seed) {
    std::uint32_t words[4];
    philox(words, std::uint64_t(i / 64 * 16 + i % 16), step, stream, seed);
    return words[i % 64 / 16];
}

void check_philox() {  // the known answers of the paper's own implementation (Random123, kat_vectors)
    std::uint32_t out[4];
    const std::uint32_t zeros[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    const std::uint32_t ones[] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
    philox(out, 0, 0, 0, 0);
    CHECK(std::equal(out, out + 4, zeros));
    philox(out, ~std::uint64_t{0}, ~0u, ~0u, ~std::uint64_t{0});
    CHECK(std::equal(out, out + 4, ones));
}

void shuffle(int64_t size, int64_t epoch, int64_t seed) {
    const Array<int64_t> index({size}, 77, 77), at({1}, double(epoch), double(epoch));
    Shuffle op;
    op.epoch = at, op.index = index, op.seed = seed;
    run(op);
    std::vector<int64_t> want(static_cast<std::size_t>(size));
    for (std::size_t i = 0; i < want.size(); ++i) want[i] = int64_t(i);
    for (int64_t i = size - 1; i > 0; --i) {
        const std::uint64_t word = drawn(i, std::uint32_t(epoch), 0xB0000000, std::uint64_t(seed));
        std::swap(want[std::size_t(i)], want[std::size_t(word * std::uint64_t(i + 1) >> 32)]);
    }
    CHECK(std::equal(want.begin(), want.end(), index.data()));
}

template <class Op, class T, class Source = T>
void gather(int64_t rows, int64_t cols, int64_t from, int64_t at) {
    const Array<Source> source({from, cols}, std::is_unsigned_v<Source> ? 0 : -9, 9);
    const auto out = Array<T>::filled({rows, cols});
    const Array<int64_t> index({from}, 0, double(from)), cursor({1}, double(at), double(at));
    if (from > 2) index[from - 1] = from, index[from / 2] = -1;  // no rows of source
    Op op;
    op.source = source, op.index = index, op.cursor = cursor, op.out = out;
    run(op);
    for (int64_t i = 0; i < out.size(); ++i) {
        const int64_t place = at + i / cols;
        const int64_t row = at >= 0 && place < from ? index[place] : -1;
        CHECK(out[i] == (row >= 0 && row < from ? T(source[row * cols + i % cols]) : T(77)));
    }
}

// From data of other dtypes.
template <class T, class... Source>
void gather_from(T) {
    for (int64_t n = 0; n <= 70; ++n)
        (gather<Gather<T, Source>, T, Source>(5, n, 7, 4), ...),
            (gather<Gather<T, Source>, T, Source>(n, 3, 50, 2), ...);
    (gather<Gather<T, Source>, T, Source>(400, 700, 500, 0), ...);
}

template <class T>
void dropout(T, int64_t size, double p) {
    const Array<T> x({size}), dy({size});
    const auto y = Array<T>::filled({size}), mask = Array<T>::filled({size}), dx = Array<T>::filled({size});
    const Array<int64_t> step({1}, 5, 5);
    DropoutForward<T> forward;
    forward.x = x, forward.step = step, forward.y = y, forward.mask = mask;
    forward.p = p, forward.seed = 0x123456789abcdef, forward.stream = 3;
    run(forward);
    DropoutBackward<T> backward;
    backward.mask = mask, backward.dy = dy, backward.dx = dx;
    run(backward);
    for (int64_t i = 0; i < size; ++i) {
        const bool kept = p < 1 && double(drawn(i, 5, 3, 0x123456789abcdef)) >= p * 0x1p32;
        CHECK(mask[i] == (kept ? T(1 / (1 - p)) : T(0)) && y[i] == x[i] * mask[i] &&
              dx[i] == dy[i] * mask[i]);
    }
}

template <class T>
void activation(T, int64_t size, Activation which, bool slope) {
    const Array<T> x({size}, -4, 4), dy({size});
    const auto y = Array<T>::filled({size}), kept = Array<T>::filled({size}), dx = Array<T>::filled({size});
    ActivationForward<T> forward;
    forward.x = x, forward.y = y, forward.slope = when(slope, kept);
    forward.activation = which, forward.alpha = naive::kAlpha;
    run(forward);
    ActivationBackward<T> backward;
    backward.y = y, backward.slope = given(slope, kept), backward.dy = dy, backward.dx = dx;
    backward.activation = which, backward.alpha = naive::kAlpha;
    run(backward);
    for (int64_t i = 0; i < size; ++i) {
        const double z = double(x[i]), s = naive::slope(which, z);
        CHECK(is_close(y[i], naive::value(which, z), 8, 4));
        if (slope) CHECK(is_close(kept[i], s, 16));
        if (slope || !stores_slope(which)) CHECK(is_close(dx[i], s * double(dy[i]), 16, 4));
    }
}

template <class T>
void add(T, int64_t size) {
    const Array<T> a({size}), b({size});
    const auto y = Array<T>::filled({size});
    Add<T> op;
    op.a = a, op.b = b, op.y = y;
    run(op);
    for (int64_t i = 0; i < size; ++i) CHECK(y[i] == a[i] + b[i]);
}

template <class T>
void check(T t) {
    std::vector<int64_t> sizes{kElementPiece - 1, kElementPiece, 2 * kElementPiece + 91};
    for (int64_t n = 0; n <= 70; ++n) {
        sizes.push_back(n);
        gather<Gather<T>, T>(5, n, 7, 0), gather<Gather<T>, T>(5, n, 7, 4), gather<Gather<T>, T>(n, 3, 50, 2);
        gather<Gather<T>, T>(3, n, 2, -1), gather<Gather<T>, T>(3, n, 1, 9);
    }
    gather<Gather<T>, T>(400, 700, 500, 0), gather<Gather<T>, T>(3, 70000, 4, 0);
    for (const int64_t n : sizes) {
        add(t, n);
        for (const double p : {0.0, 0.3, 0.5, 1.0}) dropout(t, n, p);
        for (const Activation which : naive::kActivations)
            activation(t, n, which, false), activation(t, n, which, true);
    }
}

}  // namespace

int main() {
    check_philox();
    for (int64_t n = 0; n <= 70; ++n) gather<GatherLabels, int64_t>(4, n, 6, 1), shuffle(n, n, 7 * n);
    for (const int64_t size : {127, 128, 129, 1000, 70000}) shuffle(size, 1LL << 33 | 5, -3);
    both_dtypes([](auto t) {
        check(t);
        gather_from<decltype(t), float, double, std::int8_t, std::uint8_t, std::int16_t, std::uint16_t,
                    std::int32_t, int64_t>(t);
    });
    return finish();
}
