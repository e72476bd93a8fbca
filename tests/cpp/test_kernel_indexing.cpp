// Elements chosen by index of one ISA row against plain loops, over arrays of any strides, with indices that point nowhere.
#include "runs.hpp"

namespace {

using namespace backpass;
using std::int64_t;

constexpr int64_t kForged[] = {-1, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};

// Indices below size; with `forged` every third of them is not.
void draw(const Laid<int64_t>& index, int64_t size, bool forged) {
    for (int64_t i = 0; i < index.size(); ++i) {
        const bool outside = size == 0 || (forged && i % 3 == 1);
        const int64_t kind = random_numbers.below(4);
        index[i] = outside ? (kind < 3 ? kForged[kind] : size) : random_numbers.below(size);
    }
}
bool inside(int64_t at, int64_t size) { return at >= 0 && at < size; }

Extents with(Extents shape, int64_t last) {
    shape.push_back(last);
    return shape;
}

template <class T>
void embedding(int64_t rows, int64_t columns, const Extents& lead, Lies lies, bool forged) {
    const Laid<int64_t> index(lead, lies);
    draw(index, rows, forged);
    const Array<T> weight({rows, columns});
    const auto y = Array<T>::filled(with(lead, columns)), dweight = Array<T>::filled({rows, columns});
    EmbeddingForward<T> forward;
    forward.weight = weight, forward.index = index, forward.y = y;
    run(forward);
    for (int64_t i = 0; i < y.size(); ++i) {
        const int64_t at = index[i / columns];
        CHECK(inside(at, rows) ? y[i] == weight[at * columns + i % columns] : std::isnan(y[i]));
    }
    const Laid<T> dy(with(lead, columns), lies);
    for (const int64_t padding_idx : {int64_t{-1}, int64_t{1}}) {
        Runs runs(index.size());
        EmbeddingBackward<T> backward;
        backward.weight = weight, backward.index = index, backward.padding_idx = padding_idx;
        runs.sort(backward);
        EmbeddingBackwardWeight<T> sums;
        sums.dy = dy, runs.give(sums);
        std::vector<T> sum(std::size_t(rows * columns));  // in the order of the indices: the same bits
        for (int64_t i = 0; i < index.size(); ++i)
            for (int64_t c = 0; c < columns && inside(index[i], rows) && index[i] != padding_idx; ++c)
                sum[std::size_t(index[i] * columns + c)] += dy[i * columns + c];
        runs.check_sums(sums, {rows, columns},
                        [&](int64_t row, int64_t c) { return sum[std::size_t(row * columns + c)]; });
    }
}

// Copies of rows: some of them are forged, and the count is, too.
template <class T>
void copies(int64_t size, int64_t columns, int64_t chosen) {
    const Array<T> table({size, columns}), from({chosen, columns});
    const Array<int64_t> rows({chosen + 3}), count({1});
    const auto to = Array<T>::filled({chosen, columns});
    for (int64_t i = 0; i < rows.size(); ++i) rows[i] = i < size ? size - 1 - i : kForged[i % 3];
    for (const int64_t n : {int64_t{0}, chosen / 2, chosen, chosen + 9, kForged[0], kForged[1], kForged[2]}) {
        count[0] = n;
        GatherRows<T> gather;
        gather.table = table, gather.rows = rows, gather.count = count, gather.chosen = to;
        run(gather);
        for (int64_t i = 0; i < to.size(); ++i) {
            const int64_t k = i / columns;
            CHECK(to[i] == (k < n && k < size ? table[rows[k] * columns + i % columns] : T(0)));
        }
        const auto into = Array<T>::filled({size, columns});
        ScatterRows<T> scatter;
        scatter.chosen = from, scatter.rows = rows, scatter.count = count, scatter.table = into;
        run(scatter);
        for (int64_t i = 0; i < into.size(); ++i) {
            const int64_t k = size - 1 - i / columns;
            CHECK(into[i] == (k < n && k < chosen ? from[k * columns + i % columns] : T(77)));
        }
    }
}

template <class T>
void gather(int64_t size, int64_t count, const Extents& lead, Lies lies, bool forged) {
    const Laid<int64_t> index(with(lead, count), lies);
    draw(index, size, forged);
    const Laid<T> x(with(lead, size), lies), dy(with(lead, count), lies);
    const auto y = Array<T>::filled(with(lead, count)), dx = Array<T>::filled(with(lead, size));
    GatherForward<T> forward;
    forward.x = x, forward.index = index, forward.y = y;
    run(forward);
    for (int64_t i = 0; i < y.size(); ++i)
        CHECK(inside(index[i], size) ? y[i] == x[i / count * size + index[i]] : std::isnan(y[i]));
    GatherBackward<T> backward;
    backward.dy = dy, backward.index = index, backward.dx = dx;
    run(backward);
    std::vector<T> sum(std::size_t(dx.size()));
    for (int64_t i = 0; i < dy.size(); ++i)
        if (inside(index[i], size)) sum[std::size_t(i / count * size + index[i])] += dy[i];
    for (int64_t i = 0; i < dx.size(); ++i) CHECK(dx[i] == sum[std::size_t(i)]);
}

template <class T>
void check(T) {
    for (const Lies lies : kLies)
        for (const bool forged : {false, true}) {
            for (int64_t n = 0; n <= 40; ++n) {
                embedding<T>(7, n, {9}, lies, forged), embedding<T>(n, 3, {2, 5}, lies, forged);
                embedding<T>(5, 17, {n}, lies, forged);
                gather<T>(7, n, {3}, lies, forged), gather<T>(n, 4, {2, 3}, lies, forged);
                gather<T>(5, 2, {n}, lies, forged);
            }
            embedding<T>(6, 4, {}, lies, forged), gather<T>(6, 4, {}, lies, forged);
            embedding<T>(6, 4, {3, 0}, lies, forged), gather<T>(6, 4, {3, 0}, lies, forged);
            embedding<T>(6, 4, {2, 3, 1, 2, 3}, lies, forged), gather<T>(3, 2, {2, 3, 1, 2, 3}, lies, forged);
            // Several tasks.
            embedding<T>(3000, 33, {70, 11}, lies, forged), embedding<T>(40, 65, {5000}, lies, forged);
            embedding<T>(4097, 64, {700}, lies, forged);
            embedding<T>(70000, 1, {90}, lies, forged), gather<T>(9, 3000, {15}, lies, forged);
            gather<T>(5000, 3, {9}, lies, forged), gather<T>(50, 40000, {}, lies, forged);
        }
    for (int64_t n = 0; n < 20; ++n) copies<T>(9, n, 5), copies<T>(n, 7, 6), copies<T>(8, 5, n);
    copies<T>(300, 70, 290);
    const Array<T> weight({4, 3});
    const auto y = Array<T>::filled({5, 3});
    EmbeddingForward<T> forward;
    forward.weight = weight, forward.y = y;
    for (const Extents& wrong : {Extents{}, {3}, {5, 3}, {5, 1}}) {
        forward.index = Laid<int64_t>(wrong, Lies::contiguous);
        CHECK(forward.invalid() != nullptr);
    }
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
