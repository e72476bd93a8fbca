// For the tests of tables: what the sort of an index writes, and the sums that are taken by it.
#pragma once
#include "laid.hpp"

namespace backpass {

struct Runs {
    explicit Runs(std::int64_t size) : order({size}), rows({size}), ends({size}), count({1}) {}

    // Runs a sort, and checks it: every position that counts stands once, by ascending rows, positions of a row in their order.
    template <class Op>
    void sort(Op& op) const {
        op.order = order, op.rows = rows, op.ends = ends, op.count = count;
        run(op);
        const std::int64_t n = count[0], size = order.size(), table = op.weight.rows();
        std::vector<std::int64_t> index;
        for (std::int64_t i = 0; i < size; ++i) index.push_back(at(op.index, i));
        std::int64_t place = 0, counted = 0;
        for (const std::int64_t row : index) counted += row >= 0 && row < table && row != op.padding_idx;
        for (std::int64_t k = 0; k < n; ++k) {
            CHECK(rows[k] >= 0 && rows[k] < table && rows[k] != op.padding_idx &&
                  (k == 0 || rows[k] > rows[k - 1]));
            CHECK(ends[k] > place);
            for (const std::int64_t begin = place; place < ends[k]; ++place) {
                CHECK(index[std::size_t(order[place])] == rows[k]);
                CHECK(place == begin || order[place] > order[place - 1]);
            }
        }
        CHECK(place == counted);
        for (std::int64_t i = counted; i < size; ++i) CHECK(order[i] == -1);
        for (std::int64_t k = n; k < size; ++k) CHECK(rows[k] == -1 && ends[k] == 0);
    }
    template <class Op>
    void give(Op& op) const {
        op.order = order, op.rows = rows, op.ends = ends, op.count = count;
    }
    // Runs the op of the sums with both outputs, and with each alone. sum(row, column): what it should be.
    template <class T, template <class> class Op, class Sum>
    void check_sums(Op<T>& op, const Extents& table, Sum sum, double ulps = 0) const {
        for (const bool dense : {true, false})
            for (const std::int64_t kept : {std::int64_t{0}, count[0] / 2, count[0], count[0] + 3}) {
                const auto dweight = Array<T>::filled(table), drows = Array<T>::filled({kept, table[1]});
                op.dweight = when(dense, dweight), op.drows = when(kept > 0, drows);
                run(op);
                for (std::int64_t i = 0; dense && i < dweight.size(); ++i)
                    CHECK(near(dweight[i], sum(i / table[1], i % table[1]), ulps));
                for (std::int64_t i = 0; i < drows.size(); ++i) {
                    const std::int64_t k = i / table[1];
                    CHECK(near(drows[i], k < count[0] ? sum(rows[k], i % table[1]) : T(0), ulps));
                }
            }
        op.dweight = Tensor<T>{}, op.drows = Tensor<T>{};
        // Runs that point anywhere: nothing but the outputs is written.
        const auto dweight = Array<T>::filled(table), drows = Array<T>::filled({3, table[1]});
        op.dweight = dweight, op.drows = drows;
        const Array<std::int64_t> forged({order.size()}), number({1});
        for (const auto* victim : {&order, &rows, &ends, &count}) {
            give(op);
            const auto& other = victim == &count ? number : forged;
            for (std::int64_t i = 0; i < other.size(); ++i)
                other[i] = random_numbers.below(3) ? random_numbers.below(1 << 20) - (1 << 19)
                                                   : std::int64_t(random_numbers.bits());
            (victim == &order  ? op.order
             : victim == &rows ? op.rows
             : victim == &ends ? op.ends
                               : op.count) = other;
            run(op, 0, op.tasks());  // what they give depends on the cut, and is nobody's business
        }
    }

    const Array<std::int64_t> order, rows, ends, count;

  private:
    template <class T>
    static bool near(T got, T want, double ulps) {
        return ulps > 0 ? is_close(got, double(want), ulps, 64) : got == want;
    }
    static std::int64_t at(const Strided<const std::int64_t>& index, std::int64_t i) {
        std::int64_t offset = 0;
        for (int dim = index.ndim; dim-- > 0; i /= index.shape[dim])
            offset += i % index.shape[dim] * index.stride[dim];
        return index.data[offset];
    }
};

}  // namespace backpass
