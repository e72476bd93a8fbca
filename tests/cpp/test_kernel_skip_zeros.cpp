// Products that skip zeros, of one ISA row: the bits of gemm.hpp.
#include "kernel_test.hpp"
#include "kernels/matmul/gemm.hpp"
#include "kernels/matmul/skip_zeros.hpp"

namespace {

using namespace backpass;
using namespace backpass::BACKPASS_ISA;
using std::int64_t;

// Set all but `percent` of a hundred numbers to 0, at random.
template <class T>
void thin_out(const Array<T>& a, int64_t percent) {
    for (int64_t i = 0; i < a.size(); ++i)
        if (random_numbers.below(100) >= percent) a[i] = 0;
}

template <class T>
bool same(const Array<T>& a, const Array<T>& b) {
    return std::memcmp(a.data(), b.data(), std::size_t(a.size()) * sizeof(T)) == 0;
}

// One product, with A read down its columns or along its rows: rows of C from m0 on, columns from n0 on.
template <class T>
void products(T, bool columns, int64_t M, int64_t N, int64_t K, int64_t percent, int64_t m0, int64_t n0) {
    testing = "sparse_gemm";
    static Guarded scratch(kScratchBytes);
    std::memset(scratch.data(), 0xff, kScratchBytes);
    const Array<T> a({columns ? K : M, columns ? M : K}), b({K, N}), bias({N});
    thin_out(a, percent);
    const auto dense = Array<T>::filled({M, N}), sparse = Array<T>::filled({M, N});
    const Operand<T> operand{a.data(), columns ? 1 : K, columns ? M : 1};
    const Epilogue<T> epilogue{.bias = bias.data()};
    const RowMajor<T> row_major{b.data(), N};
    const Piece piece{m0, M, n0, N};
    gemm(operand, row_major, Output<T>{dense.data(), N}, piece, K, epilogue, Scratch{scratch.data()});
    const auto compute = [&] {
        return sparse_gemm(operand, row_major, Output<T>{sparse.data(), N}, piece, K, epilogue,
                           Scratch{scratch.data()});
    };
    CHECK(compute());
    CHECK(same(dense, sparse));
    for (const double wrong : {std::numeric_limits<double>::infinity(), std::nan("")}) {
        const int64_t at = random_numbers.below(K) * N + n0 + random_numbers.below(N - n0);
        const T right = b[at];
        b[at] = T(wrong);
        CHECK(!compute());
        b[at] = right;
    }
}

template <class T>
void samples(T) {
    const auto x = Array<T>::filled({64, 256}, 0);
    CHECK(remaining_steps<T>(x).in_rows == 0 && remaining_steps<T>(x).in_columns == 0);
    for (int64_t i = 0; i < x.size(); ++i) x[i] = i % 256 < 64;
    CHECK(remaining_steps<T>(x).in_rows == 0.25 && remaining_steps<T>(x).in_columns == 0.25);
    for (int64_t i = 0; i < x.size(); ++i) x[i] = 1;
    CHECK(remaining_steps<T>(x).in_rows == 1 && remaining_steps<T>(x).in_columns == 1);
    x[0] = T(-0.0);  // its sign may show in a product
    CHECK(remaining_steps<T>(x).in_rows == 1);
}

// linear_forward and linear_backward on an x that they find sparse. With an infinite weight, 0 · inf is NaN.
template <class T>
void layers(T, int64_t B, int64_t I, int64_t O, int64_t percent) {
    const Array<T> x({B, I}), weight({I, O}), dy({B, O});
    thin_out(x, percent);
    CHECK(sparse_in_rows<T>(x, O) && sparse_in_columns<T>(x, O));
    const auto y = Array<T>::filled({B, O}), dweight = Array<T>::filled({I, O});
    LinearForward<T> forward;
    forward.x = x, forward.weight = weight, forward.y = y;
    run(forward);
    LinearBackward<T> backward;
    backward.x = x, backward.weight = weight, backward.dy = dy, backward.dweight = dweight;
    run(backward);
    for (int64_t o = 0; o < O; ++o) {
        for (int64_t b = 0; b < B; ++b) {
            double sum = 0;
            for (int64_t i = 0; i < I; ++i) sum += double(x[b * I + i]) * double(weight[i * O + o]);
            CHECK(is_close(y[b * O + o], sum, double(I), 4));
        }
        for (int64_t i = 0; i < I; ++i) {
            double sum = 0;
            for (int64_t b = 0; b < B; ++b) sum += double(x[b * I + i]) * double(dy[b * O + o]);
            CHECK(is_close(dweight[i * O + o], sum, double(B), 4));
        }
    }
    weight[3 * O + 5] = std::numeric_limits<T>::infinity();
    dy[7 * O + 11] = std::numeric_limits<T>::infinity();
    run(forward), run(backward);
    for (int64_t b = 0; b < B; ++b)
        CHECK(x[b * I + 3] == 0 ? std::isnan(y[b * O + 5]) : !std::isfinite(y[b * O + 5]));
    for (int64_t i = 0; i < I; ++i) CHECK(!std::isfinite(dweight[i * O + 11]));
}

template <class T>
void check(T t) {
    for (const bool columns : {false, true})
        for (const int64_t percent : {0, 3, 40, 100}) {
            for (const int64_t M : {1, 4, 5, 70})
                for (const int64_t N : {1, 17, 100, 250})
                    for (const int64_t K : {1, 64, 90}) products(t, columns, M, N, K, percent, 0, 0);
            products(t, columns, 61, 40, 1100, percent, 0, 0),
                products(t, columns, 1030, 9, 70, percent, 0, 0);
            products(t, columns, 130, 300, 200, percent, 37, 70);
        }
    samples(t);
    layers(t, 67, 331, 83, 10), layers(t, 300, 130, 64, 2), layers(t, 40, 300, 523, 5);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
