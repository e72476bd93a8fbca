// linear_forward and linear_backward of one ISA row against loops in double.
#include "kernel_test.hpp"
#include "naive.hpp"

namespace {

using namespace backpass;
using std::int64_t;

struct Case {
    int64_t rows, inputs, outputs;
    Activation activation = Activation::identity;
    bool bias = true, slope = false;
};

template <class T>
void forward(T, Case c) {
    const Array<T> x({c.rows, c.inputs}), weight({c.inputs, c.outputs}), bias({c.outputs});
    const auto y = Array<T>::filled({c.rows, c.outputs}), kept = Array<T>::filled({c.rows, c.outputs});
    LinearForward<T> op;
    op.x = x, op.weight = weight, op.bias = given(c.bias, bias), op.y = y, op.slope = when(c.slope, kept);
    op.activation = c.activation, op.alpha = naive::kAlpha;
    run(op);
    const double ulps = double(c.inputs) / 2 + 8;
    for (int64_t b = 0; b < c.rows; ++b)
        for (int64_t o = 0; o < c.outputs; ++o) {
            double z = c.bias ? double(bias[o]) : 0, scale = std::fabs(z);
            for (int64_t i = 0; i < c.inputs; ++i) {
                const double product = double(x[b * c.inputs + i]) * double(weight[i * c.outputs + o]);
                z += product, scale += std::fabs(product);
            }
            const int64_t at = b * c.outputs + o;
            CHECK(is_close(y[at], naive::value(c.activation, z), ulps, scale));
            // where z is about 0, a slope that jumps there may be either
            if (c.slope && std::fabs(z) > 1e-5)
                CHECK(is_close(kept[at], naive::slope(c.activation, z), ulps, scale));
        }
}

template <class T>
void backward(T, Case c, bool dx_wanted = true) {
    const Array<T> weight({c.inputs, c.outputs}), dy({c.rows, c.outputs}), z({c.rows, c.inputs});
    const auto x = Array<T>::filled({c.rows, c.inputs}), kept = Array<T>::filled({c.rows, c.inputs});
    for (int64_t i = 0; i < z.size(); ++i) {
        x[i] = T(naive::value(c.activation, double(z[i])));
        kept[i] = T(naive::slope(c.activation, double(z[i])));
    }
    const auto dx = Array<T>::filled({c.rows, c.inputs}), dweight = Array<T>::filled({c.inputs, c.outputs}),
               dbias = Array<T>::filled({c.outputs});
    LinearBackward<T> op;
    op.x = x, op.weight = weight, op.dy = dy, op.slope = given(c.slope, kept);
    op.dx = when(dx_wanted, dx), op.dweight = dweight, op.dbias = when(c.bias, dbias);
    op.activation = c.activation, op.alpha = naive::kAlpha;
    run(op);
    const int64_t B = c.rows, I = c.inputs, O = c.outputs;
    for (int64_t i = 0; i < I; ++i)
        for (int64_t o = 0; o < O; ++o) {
            double sum = 0, scale = 0;
            for (int64_t b = 0; b < B; ++b) {
                const double product = double(x[b * I + i]) * double(dy[b * O + o]);
                sum += product, scale += std::fabs(product);
            }
            CHECK(is_close(dweight[i * O + o], sum, double(B) / 2 + 4, scale));
        }
    for (int64_t o = 0; o < O && c.bias; ++o) {
        double sum = 0;
        for (int64_t b = 0; b < B; ++b) sum += double(dy[b * O + o]);
        CHECK(is_close(dbias[o], sum, double(B) / 2 + 4, double(2 * B)));
    }
    for (int64_t b = 0; b < B && dx_wanted; ++b)
        for (int64_t i = 0; i < I; ++i) {
            double sum = 0, scale = 0;
            for (int64_t o = 0; o < O; ++o) {
                const double product = double(dy[b * O + o]) * double(weight[i * O + o]);
                sum += product, scale += std::fabs(product);
            }
            const double slope = naive::slope(c.activation, double(z[b * I + i]));
            CHECK(is_close(dx[b * I + i], sum * slope, double(O) / 2 + 8, scale * 4));
        }
}

// Padded rows give the same bits as contiguous ones, and the padding stays untouched.
template <class T>
void padded_or_contiguous(T, int64_t rows, int64_t inputs, int64_t outputs, Activation activation) {
    constexpr int64_t gap = 3;
    const bool slope = stores_slope(activation);
    const Array<T> x({rows, inputs}), weight({inputs, outputs}), dy({rows, outputs}), kept({rows, inputs});
    const auto wide = [&](int64_t columns) { return Array<T>::filled({rows, columns + gap}); };
    const auto copy = [&](const Array<T>& from, const Array<T>& to, int64_t columns) {
        for (int64_t b = 0; b < rows; ++b)
            std::copy(&from[b * columns], &from[b * columns] + columns, &to[b * (columns + gap)]);
    };
    const auto same = [&](const Array<T>& contiguous, const Array<T>& padded, int64_t columns) {
        for (int64_t b = 0; b < rows; ++b) {
            const T* row = &padded[b * (columns + gap)];
            CHECK(std::memcmp(row, &contiguous[b * columns], std::size_t(columns) * sizeof(T)) == 0);
            CHECK(std::all_of(row + columns, row + columns + gap, [](T each) { return each == T(77); }));
        }
    };
    const auto wide_x = wide(inputs), wide_dy = wide(outputs), wide_kept = wide(inputs);
    copy(x, wide_x, inputs), copy(dy, wide_dy, outputs), copy(kept, wide_kept, inputs);

    const auto y = Array<T>::filled({rows, outputs}), at = Array<T>::filled({rows, outputs});
    const auto wide_y = wide(outputs), wide_at = wide(outputs);
    LinearForward<T> forward;
    forward.x = x, forward.weight = weight, forward.y = y, forward.slope = when(slope, at);
    forward.activation = activation, forward.alpha = naive::kAlpha;
    run(forward);
    forward.x = constant(wide_x.but_last(gap)), forward.y = wide_y.but_last(gap);
    if (slope) forward.slope = wide_at.but_last(gap);
    run(forward);
    same(y, wide_y, outputs), same(at, wide_at, outputs);

    const auto dx = Array<T>::filled({rows, inputs}), dweight = Array<T>::filled({inputs, outputs}),
               dbias = Array<T>::filled({outputs}), other = Array<T>::filled({inputs, outputs}),
               other_bias = Array<T>::filled({outputs});
    const auto wide_dx = wide(inputs);
    LinearBackward<T> backward;
    backward.x = x, backward.weight = weight, backward.dy = dy, backward.slope = given(slope, kept);
    backward.dx = dx, backward.dweight = dweight, backward.dbias = dbias;
    backward.activation = activation, backward.alpha = naive::kAlpha;
    run(backward);
    backward.x = constant(wide_x.but_last(gap)), backward.dy = constant(wide_dy.but_last(gap));
    if (slope) backward.slope = constant(wide_kept.but_last(gap));
    backward.dx = wide_dx.but_last(gap), backward.dweight = other, backward.dbias = other_bias;
    run(backward);
    same(dx, wide_dx, inputs);
    CHECK(std::memcmp(dweight.data(), other.data(), std::size_t(other.size()) * sizeof(T)) == 0);
    CHECK(std::memcmp(dbias.data(), other_bias.data(), std::size_t(outputs) * sizeof(T)) == 0);
}

// A row of a forward pass has the same bits, however many rows there are.
template <class T>
void rows_are_independent(T, int64_t rows, int64_t inputs, int64_t outputs) {
    const Array<T> x({rows, inputs}), weight({inputs, outputs}), bias({outputs});
    const auto y = Array<T>::filled({rows, outputs});
    LinearForward<T> op;
    op.x = x, op.weight = weight, op.bias = bias, op.y = y, op.activation = Activation::tanh;
    run(op);
    for (int64_t b = 0; b < rows; b += 7) {
        const auto x1 = Array<T>::filled({1, inputs}), y1 = Array<T>::filled({1, outputs});
        std::copy(&x[b * inputs], &x[b * inputs] + inputs, x1.data());
        op.x = x1, op.y = y1;
        run(op);
        CHECK(std::memcmp(y1.data(), &y[b * outputs], std::size_t(outputs) * sizeof(T)) == 0);
    }
}

template <class T>
void check(T t) {
    const auto both = [&](Case c) { forward(t, c), backward(t, c); };
    for (int64_t n = 0; n <= 70; ++n) {
        for (const int64_t few : {1, 5}) both({few, 3, n}), both({few, n, 7}), both({n, few, 6});
        both({n, 4, 1}), both({16, n, 1}), both({33, 2, n});
        both({n, n, n, Activation::relu});
    }
    for (const Activation activation : naive::kActivations)
        for (const bool bias : {false, true}) {
            const bool needed = stores_slope(activation);
            for (const int64_t n : {1, 19, 40}) {
                forward(t, {5, 7, n, activation, bias, false}), forward(t, {5, 7, n, activation, bias, true});
                backward(t, {5, n, 7, activation, bias, true});
                if (!needed) backward(t, {5, n, 7, activation, bias, false});
            }
        }
    backward(t, {5, 7, 9}, false);
    // K in several blocks, tasks in both directions, and strides that make the operands be copied and packed
    const int64_t stride = 2048 / sizeof(T);
    both({70, 300, 33, Activation::relu}), both({300, 20, 130}), both({130, stride / 2, 66});
    both({90, 70, stride}), both({1, 600, stride}), both({66, 66, stride + 5});
    for (const Activation activation : {Activation::relu, Activation::tanh, Activation::gelu})
        for (const int64_t inputs : {7, 300})
            for (const int64_t outputs : {1, 3, 50, 523})
                padded_or_contiguous(t, 61, inputs, outputs, activation);
    if (stride == 512) both({61, stride, stride + 7, Activation::tanh});
    both({66, stride, 1031}), backward(t, {66, 1031, stride});  // copies of A, up to where its memory ends
    both({66, 70, 4103});
    both({130, stride, 259});            // columns of A that are far apart
    backward(t, {400, 40, 2 * stride});  // more copied rows than read one panel of Wᵀ
    both({7, 5, 1100}), both({130, 3, 1030}), both({600, 40, 4}), both({40, 300, 100});
    rows_are_independent(t, 60, 300, 70), rows_are_independent(t, 60, 70, stride),
        rows_are_independent(t, 40, 33, 1);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
