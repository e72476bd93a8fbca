// Shuffle, gather, append and the random words behind them, of one ISA row, against plain loops.
#include "kernel_test.hpp"
#include "naive_philox.hpp"

namespace {

using namespace backpass;
using std::int64_t;

void check_philox() {  // the known answers of the paper's own implementation (Random123, kat_vectors)
    std::uint32_t out[4];
    const std::uint32_t zeros[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    const std::uint32_t ones[] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
    naive::philox(out, 0, 0, 0, 0);
    CHECK(std::equal(out, out + 4, zeros));
    naive::philox(out, ~std::uint64_t{0}, ~0u, ~0u, ~std::uint64_t{0});
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
        const std::uint64_t word = naive::drawn(i, std::uint32_t(epoch), 0xB0000000, std::uint64_t(seed));
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

template <class T, class Source>
void gather_images(int64_t rows, int64_t planes, int64_t channels, int64_t pixels, int64_t from, int64_t at) {
    const Array<Source> source({from, planes, channels, pixels}, std::is_unsigned_v<Source> ? 0 : -9, 9);
    const auto out = Array<T>::filled({rows, planes, channels, pixels});
    const Array<T> mean({channels}), std({channels}, 0.5, 2);
    const Array<int64_t> index({from}, 0, double(from)), cursor({1}, double(at), double(at));
    if (from > 2) index[from - 1] = from, index[from / 2] = -1;  // no rows of source
    GatherImages<T, Source> op;
    op.source = source, op.index = index, op.cursor = cursor, op.out = out;
    op.mean = mean, op.std = std, op.scale = 1 / 255.0;
    run(op);
    const int64_t size = planes * channels * pixels;
    for (int64_t i = 0; i < out.size(); ++i) {
        const int64_t place = at + i / size, c = i / pixels % channels;
        const int64_t row = at >= 0 && place < from ? index[place] : -1;
        // Each step rounded: through memory, so that nothing is fused.
        volatile T want = T(77);
        if (row >= 0 && row < from) {
            want = T(source[row * size + i % size]) * T(op.scale);
            want = want - mean[c];
            want = want / std[c];
        }
        CHECK(out[i] == want);
    }
}

template <class T, class... Source>
void gather_images_from(T) {
    for (int64_t n = 0; n <= 70; ++n) {
        (gather_images<T, Source>(3, 1, 3, n, 5, 1), ...), (gather_images<T, Source>(3, n, 3, 1, 5, 4), ...);
        (gather_images<T, Source>(3, 2, n, 1, 5, 0), ...), (gather_images<T, Source>(2, 2, 2, n, 4, 0), ...);
    }
    (gather_images<T, Source>(3, 900, 100, 1, 4, 0), ...),
        (gather_images<T, Source>(400, 1, 3, 300, 500, 0), ...);
}

// Rows that do not fit are left out; the count goes on.
template <class Op, class T>
void append(int64_t rows, int64_t cols, int64_t size, int64_t at) {
    const Array<T> x({rows, cols}, -9, 9);
    const auto kept = Array<T>::filled({size, cols});
    const Array<int64_t> count({1}, double(at), double(at));
    Op op;
    op.x = x, op.kept = kept, op.count = count;
    run(op);
    for (int64_t i = 0; i < kept.size(); ++i) {
        const int64_t row = i / cols - at;
        CHECK(kept[i] == (at >= 0 && row >= 0 && row < rows ? x[row * cols + i % cols] : T(77)));
    }
    CHECK(count[0] == at + rows);
}

template <class T>
void check(T t) {
    for (int64_t n = 0; n <= 70; ++n) {
        gather<Gather<T>, T>(5, n, 7, 0), gather<Gather<T>, T>(5, n, 7, 4), gather<Gather<T>, T>(n, 3, 50, 2);
        gather<Gather<T>, T>(3, n, 2, -1), gather<Gather<T>, T>(3, n, 1, 9);
    }
    for (int64_t n = 0; n <= 40; ++n)
        append<AppendRows<T>, T>(n, 3, 50, n), append<AppendRows<T>, T>(9, n, 12, 7);
    append<AppendRows<T>, T>(4, 3, 9, -1), append<AppendRows<T>, T>(4, 3, 9, 9);
    gather<Gather<T>, T>(400, 700, 500, 0), gather<Gather<T>, T>(3, 70000, 4, 0);
    gather_from<T, float, double, std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t,
                int64_t>(t);
    gather_images_from<T, float, double, std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t,
                       int64_t>(t);
}

}  // namespace

int main() {
    check_philox();
    for (int64_t n = 0; n <= 70; ++n) gather<GatherLabels, int64_t>(4, n, 6, 1), shuffle(n, n, 7 * n);
    append<AppendLabels, int64_t>(5, 1, 9, 3);
    for (const int64_t size : {127, 128, 129, 1000, 70000}) shuffle(size, 1LL << 33 | 5, -3);
    both_dtypes([](auto t) { check(t); });
    return finish();
}
