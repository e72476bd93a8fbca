// Bags of rows of a table of one ISA row against plain loops, over indices of any strides, some of which point nowhere.
#include "runs.hpp"

namespace {

using namespace backpass;
using std::int64_t;

constexpr int64_t kForged[] = {-1, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};

template <class T>
void bag(int64_t rows, int64_t columns, int64_t bags, int64_t length, Lies lies, bool forged, bool mean,
         bool largest, int64_t padding_idx) {
    const Laid<int64_t> index({bags, length}, lies);
    for (int64_t i = 0; i < index.size(); ++i)
        index[i] = rows == 0 || (forged && i % 5 == 1) ? kForged[i % 3] : random_numbers.below(rows);
    const Array<T> weight({rows, columns}), dy({bags, columns});
    const auto y = Array<T>::filled({bags, columns}), scale = Array<T>::filled({bags});
    const auto top = Array<int64_t>::filled({bags, columns});
    EmbeddingBagForward<T> forward;
    forward.weight = weight, forward.index = index, forward.y = y, forward.scale = scale;
    forward.top = when(largest, top), forward.mean = mean, forward.padding_idx = padding_idx;
    run(forward);
    const auto counts = [&](int64_t at) { return padding_idx < 0 || at != padding_idx; };
    std::vector<double> sum(std::size_t(rows * columns));
    for (int64_t b = 0; b < bags; ++b) {
        int64_t counted = 0;
        for (int64_t l = 0; l < length; ++l) counted += counts(index[b * length + l]);
        const double factor = !mean || largest ? 1 : counted > 0 ? 1 / double(counted) : 0;
        CHECK(is_close(scale[b], factor, 1));
        for (int64_t c = 0; c < columns; ++c) {
            double total = 0, best = 0;
            int64_t place = -1;
            for (int64_t l = 0; l < length; ++l) {
                const int64_t at = index[b * length + l];
                if (!counts(at)) continue;
                const double x = at >= 0 && at < rows ? double(weight[at * columns + c]) : std::nan("");
                total += x;
                if (place < 0 || x > best || (std::isnan(x) && !std::isnan(best))) best = x, place = l;
            }
            CHECK(is_close(y[b * columns + c], largest ? best : total * factor, 8 + double(length) / 4, 64));
            if (largest) CHECK(top[b * columns + c] == place);
            for (int64_t l = 0; l < length; ++l) {
                const int64_t at = index[b * length + l];
                if (at < 0 || at >= rows || at == padding_idx || (largest && l != place)) continue;
                sum[std::size_t(at * columns + c)] += double(scale[b]) * double(dy[b * columns + c]);
            }
        }
    }
    Runs runs(index.size());
    EmbeddingBagBackward<T> backward;
    backward.weight = weight, backward.index = index, backward.padding_idx = padding_idx;
    runs.sort(backward);
    EmbeddingBagBackwardWeight<T> sums;
    sums.dy = dy, sums.scale = scale, sums.top = given(largest, top), runs.give(sums);
    runs.check_sums(
        sums, {rows, columns}, [&](int64_t row, int64_t c) { return T(sum[std::size_t(row * columns + c)]); },
        8 + double(bags * length) / 4);
}

template <class T>
void check(T) {
    for (const Lies lies : kLies)
        for (const int kind : {0, 1, 2})
            for (const bool forged : {false, true})
                for (const int64_t padding_idx : {int64_t{-1}, int64_t{1}}) {
                    const auto one = [&](int64_t rows, int64_t columns, int64_t bags, int64_t length) {
                        bag<T>(rows, columns, bags, length, lies, forged, kind == 1, kind == 2, padding_idx);
                    };
                    for (const int64_t n : {0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 65})
                        one(5, n, 4, 3), one(n, 3, 4, 3), one(5, 3, n, 3), one(5, 3, 4, n);
                    one(1, 4, 3, 5), one(2, 4, 3, 5), one(300, 40, 200, 9), one(3000, 17, 40, 3);
                }
    EmbeddingBagForward<T> forward;
    const Array<T> weight({4, 3}), scale({2});
    const auto y = Array<T>::filled({2, 3});
    forward.weight = weight, forward.y = y, forward.scale = scale;
    for (const Extents& wrong : {Extents{}, {2}, {3, 5}, {2, 5, 1}}) {
        forward.index = Laid<int64_t>(wrong, Lies::contiguous);
        CHECK(forward.invalid() != nullptr);
    }
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
