// sparse_linear_forward and sparse_linear_backward of one ISA row against loops in double, and the bits of the dense ops.
#include "kernel_test.hpp"
#include "naive.hpp"

namespace {

using namespace backpass;
using std::int64_t;

// A matrix (N, I) with `each` numbers in every row, and the order in which a batch takes the rows.
template <class T>
struct Rows {
    int64_t N, I;
    Array<int64_t> starts, ends, columns;
    Array<T> values;
    Array<int64_t> index, cursor;

    Rows(int64_t N, int64_t I, int64_t each)
        : N(N),
          I(I),
          starts({N}),
          ends({N}),
          columns({N * each}),
          values({N * each}),
          index({N}),
          cursor(Array<int64_t>::filled({1}, 2)) {
        for (int64_t r = 0; r < N; ++r) {
            starts[r] = r * each, ends[r] = r * each + each, index[r] = (r * 7 + 3) % N;
            int64_t column = 0;
            for (int64_t j = 0; j < each; ++j) {
                columns[r * each + j] = column;
                column += 1 + random_numbers.below(2 * (I / each) - 1);
                if (column >= I) column = I - 1;  // more than once: their products add up
            }
        }
    }
    void give(SparseRows<T>& op) const {
        op.starts = starts, op.ends = ends, op.columns = columns, op.values = values;
        op.index = index, op.cursor = cursor;
    }
    // Row b of the batch, dense.
    std::vector<double> row(int64_t b) const {
        std::vector<double> x(std::size_t(I), 0.0);
        const int64_t at = cursor[0] + b, r = at < N ? index[at] : -1;
        if (r < 0 || r >= N || starts[r] < 0 || ends[r] > values.size()) return x;
        for (int64_t j = starts[r]; j < ends[r]; ++j)
            if (columns[j] >= 0 && columns[j] < I) x[std::size_t(columns[j])] += double(values[j]);
        return x;
    }
};

template <class T>
void forward(const Rows<T>& rows, int64_t B, int64_t O, Activation activation, bool bias, bool slope) {
    const Array<T> weight({rows.I, O}), b({O});
    const auto y = Array<T>::filled({B, O}), kept = Array<T>::filled({B, O});
    SparseLinearForward<T> op;
    rows.give(op);
    op.weight = weight, op.bias = given(bias, b), op.y = y, op.slope = when(slope, kept);
    op.activation = activation, op.alpha = naive::kAlpha;
    run(op);
    for (int64_t i = 0; i < B; ++i) {
        const auto x = rows.row(i);
        for (int64_t o = 0; o < O; ++o) {
            double z = bias ? double(b[o]) : 0, scale = std::fabs(z);
            for (int64_t k = 0; k < rows.I; ++k) {
                const double product = x[std::size_t(k)] * double(weight[k * O + o]);
                z += product, scale += std::fabs(product);
            }
            CHECK(is_close(y[i * O + o], naive::value(activation, z), 40, scale));
            if (slope && std::fabs(z) > 1e-5)
                CHECK(is_close(kept[i * O + o], naive::slope(activation, z), 40, scale));
        }
    }
}

template <class T>
void backward(const Rows<T>& rows, int64_t B, int64_t O, bool bias) {
    const Array<T> dy({B, O});
    const auto dweight = Array<T>::filled({rows.I, O}), dbias = Array<T>::filled({O});
    SparseLinearBackward<T> op;
    rows.give(op);
    op.dy = dy, op.dweight = dweight, op.dbias = when(bias, dbias);
    run(op);
    std::vector<std::vector<double>> x;
    for (int64_t b = 0; b < B; ++b) x.push_back(rows.row(b));
    for (int64_t o = 0; o < O; ++o) {
        double all = 0;
        for (int64_t b = 0; b < B; ++b) all += double(dy[b * O + o]);
        if (bias) CHECK(is_close(dbias[o], all, double(B), double(2 * B)));
        for (int64_t i = 0; i < rows.I; ++i) {
            double sum = 0;
            for (int64_t b = 0; b < B; ++b) sum += x[std::size_t(b)][std::size_t(i)] * double(dy[b * O + o]);
            CHECK(is_close(dweight[i * O + o], sum, double(B), 4 * double(B)));
        }
    }
}

// Rows, columns and places out of range are skipped, and nothing outside the arrays is read or written.
template <class T>
void forged(T) {
    using Limits = std::numeric_limits<int64_t>;
    for (const int64_t bad : {int64_t{-1}, int64_t{1000}, Limits::max(), Limits::min()}) {
        for (int field = 0; field < 4; ++field) {
            const Rows<T> rows(40, 50, 6);
            if (field == 0) rows.columns[13 * 6 + 2] = bad;
            if (field == 1) rows.starts[9] = bad;
            if (field == 2) rows.ends[9] = bad;
            if (field == 3) rows.index[5] = bad;
            forward(rows, 30, 17, Activation::identity, true, false), backward(rows, 30, 17, true);
        }
        const Rows<T> rows(40, 50, 6);
        for (int64_t i = 0; i < rows.N; ++i) rows.index[i] = -1;  // whatever the cursor reaches
        rows.cursor[0] = bad;
        const Array<T> weight({50, 17}), dy({30, 17});
        const auto y = Array<T>::filled({30, 17}), dweight = Array<T>::filled({50, 17});
        SparseLinearForward<T> op;
        rows.give(op), op.weight = weight, op.y = y;
        run(op);
        SparseLinearBackward<T> back;
        rows.give(back), back.dy = dy, back.dweight = dweight;
        run(back);
        const auto zero = [](T v) { return v == 0; };
        CHECK(std::all_of(y.data(), y.data() + y.size(), zero));
        CHECK(std::all_of(dweight.data(), dweight.data() + dweight.size(), zero));
    }
}

// NumPy has arrays of 2^40 empty rows: they are done at once.
template <class T>
void no_outputs(T) {
    const Rows<T> rows(40, 50, 6);
    const Array<T> weight({50, 0});
    Tensor<T> wide = weight;
    wide.shape[0] = int64_t{1} << 40;
    SparseLinearForward<T> op;
    rows.give(op), op.weight = weight, op.y = wide;
    run(op);
    SparseLinearBackward<T> back;
    rows.give(back), back.dy = constant(wide), back.dweight = weight;
    run(back);
}

template <class T>
void check(T t) {
    for (const int64_t O : {1, 3, 16, 17, 100, 130, 300}) {
        const Rows<T> rows(60, 70, 5);
        forward(rows, 33, O, Activation::identity, true, false), backward(rows, 33, O, true);
        forward(rows, 58, O, Activation::relu, false, false), backward(rows, 58, O, false);
        forward(rows, 60, O, Activation::gelu, true, true);  // two rows more than there are
    }
    const Rows<T> many(300, 900, 40);
    forward(many, 298, 40, Activation::tanh, true, false), backward(many, 298, 40, true);
    forged(t), no_outputs(t);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
