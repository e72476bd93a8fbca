// Convolutions of one ISA row, forwards, backwards and transposed, against loops in double.
#include "kernel_test.hpp"

namespace {

using namespace backpass;
using std::int64_t;

// A convolution of x (B, H, W, C) to y (B, P, Q, O) with weight (KH, KW, C / groups, O).
struct Shape {
    int64_t B, H, W, C, KH, KW, O;
    ConvWindow window;

    int64_t D() const { return C / window.groups; }
    int64_t P() const {
        return (H + window.top + window.bottom - window.down(KH).extent()) / window.stride_h + 1;
    }
    int64_t Q() const {
        return (W + window.left + window.right - window.across(KW).extent()) / window.stride_w + 1;
    }
};

// f(x index, weight index, y index) for every product.
template <class F>
void each_product(const Shape& s, F f) {
    const int64_t P = s.P(), Q = s.Q(), D = s.D(), per_group = s.O / s.window.groups;
    for (int64_t b = 0; b < s.B; ++b)
        for (int64_t p = 0; p < P; ++p)
            for (int64_t q = 0; q < Q; ++q)
                for (int64_t i = 0; i < s.KH; ++i)
                    for (int64_t j = 0; j < s.KW; ++j) {
                        const int64_t h = p * s.window.stride_h + i * s.window.dilation_h - s.window.top;
                        const int64_t w = q * s.window.stride_w + j * s.window.dilation_w - s.window.left;
                        if (h < 0 || h >= s.H || w < 0 || w >= s.W) continue;
                        for (int64_t c = 0; c < D; ++c)
                            for (int64_t o = 0; o < s.O; ++o)
                                f(((b * s.H + h) * s.W + w) * s.C + o / per_group * D + c,
                                  ((i * s.KW + j) * D + c) * s.O + o, ((b * P + p) * Q + q) * s.O + o);
                    }
}

// Sums of products, and of their absolute values: the scale of their errors.
struct Sums {
    explicit Sums(int64_t size) : value(std::size_t(size), 0), scale(value) {}
    void add(int64_t at, double product) {
        value[std::size_t(at)] += product, scale[std::size_t(at)] += std::fabs(product);
    }
    template <class A>
    void compare(const A& got, int64_t terms) const {
        using T = std::remove_reference_t<decltype(got[0])>;
        for (std::size_t i = 0; i < value.size(); ++i)
            CHECK(is_close(T(got[int64_t(i)]), value[i], double(terms) / 2 + 8, scale[i] + 1e-30));
    }
    std::vector<double> value, scale;
};

template <class T>
void convolution(T, const Shape& s, int64_t bits) {
    const bool biased = bits & 1, relu = bits & 2;
    const int64_t P = s.P(), Q = s.Q(), terms = s.KH * s.KW * s.D();
    const Array<T> x({s.B, s.H, s.W, s.C}), weight({s.KH, s.KW, s.D(), s.O}), bias({s.O}),
        dy({s.B, P, Q, s.O});
    const auto y = Array<T>::filled({s.B, P, Q, s.O}), dx = Array<T>::filled({s.B, s.H, s.W, s.C});
    const auto dweight = Array<T>::filled({s.KH, s.KW, s.D(), s.O}), dbias = Array<T>::filled({s.O});
    const auto slope = Array<T>::filled({s.B, P, Q, s.O});
    const Array<T> other({s.B, s.H, s.W, s.C});
    Conv2dForward<T> forward;
    forward.x = x, forward.weight = weight, forward.bias = given(biased, bias), forward.y = y;
    forward.window = s.window, forward.activation = relu ? Activation::relu : Activation::identity;
    forward.slope = when(bits & 4, slope);
    run(forward);
    Conv2dBackward<T> backward;
    backward.x = x, backward.weight = weight, backward.dy = dy, backward.window = s.window;
    backward.dx = when(!(bits & 8), dx), backward.dweight = dweight, backward.dbias = when(biased, dbias);
    backward.activation = forward.activation, backward.other = given(bits % 3 == 1, other);
    run(backward);

    Sums ys(y.size()), dxs(dx.size()), dweights(dweight.size());
    each_product(s, [&](int64_t at_x, int64_t at_w, int64_t at_y) {
        ys.add(at_y, double(x[at_x]) * double(weight[at_w]));
        dxs.add(at_x, double(dy[at_y]) * double(weight[at_w]));
        dweights.add(at_w, double(x[at_x]) * double(dy[at_y]));
    });
    for (std::size_t i = 0; i < ys.value.size(); ++i) {
        double& value = ys.value[i];
        if (biased) value += double(bias[int64_t(i) % s.O]);
        if (bits & 4) CHECK(!relu || std::fabs(value) < 1e-3 || slope[int64_t(i)] == T(value > 0));
        if (relu && value < 0) value = 0;
    }
    ys.compare(y, terms);
    dweights.compare(dweight, s.B * P * Q);
    if (!(bits & 8)) {
        for (int64_t i = 0; i < other.size() && bits % 3 == 1; ++i) dxs.add(i, double(other[i]));
        for (std::size_t i = 0; i < dxs.value.size(); ++i)
            if (relu && x[int64_t(i)] <= T(0)) dxs.value[i] = 0;
        dxs.compare(dx, s.KH * s.KW * s.O + 1);
    }
    if (biased) {
        Sums dbs(s.O);
        for (int64_t i = 0; i < dy.size(); ++i) dbs.add(i % s.O, double(dy[i]));
        dbs.compare(dbias, s.B * P * Q);
    }
}

// From y to x, with the last rows and columns of what it gives, which no window reads.
template <class T>
void transposed(T, const Shape& s, bool biased) {
    const int64_t P = s.P(), Q = s.Q();
    ConvTransposeWindow window;
    window.window = s.window;
    window.extra_h =
        (s.H + s.window.top + s.window.bottom - s.window.down(s.KH).extent()) % s.window.stride_h;
    window.extra_w =
        (s.W + s.window.left + s.window.right - s.window.across(s.KW).extent()) % s.window.stride_w;
    const Array<T> x({s.B, P, Q, s.O}), weight({s.KH, s.KW, s.D(), s.O}), bias({s.C}),
        dy({s.B, s.H, s.W, s.C});
    const auto y = Array<T>::filled({s.B, s.H, s.W, s.C}), dx = Array<T>::filled({s.B, P, Q, s.O});
    const auto dweight = Array<T>::filled({s.KH, s.KW, s.D(), s.O}), dbias = Array<T>::filled({s.C});
    ConvTranspose2dForward<T> forward;
    forward.x = x, forward.weight = weight, forward.bias = given(biased, bias), forward.y = y;
    forward.transposed = window;
    run(forward);
    ConvTranspose2dBackward<T> backward;
    backward.x = x, backward.weight = weight, backward.dy = dy, backward.transposed = window;
    backward.dx = dx, backward.dweight = dweight, backward.dbias = when(biased, dbias);
    run(backward);
    Sums ys(y.size()), dxs(dx.size()), dweights(dweight.size()), dbs(s.C);
    each_product(s, [&](int64_t at_y, int64_t at_w, int64_t at_x) {
        ys.add(at_y, double(x[at_x]) * double(weight[at_w]));
        dxs.add(at_x, double(dy[at_y]) * double(weight[at_w]));
        dweights.add(at_w, double(x[at_x]) * double(dy[at_y]));
    });
    for (std::size_t i = 0; i < ys.value.size() && biased; ++i)
        ys.add(int64_t(i), double(bias[int64_t(i) % s.C]));
    for (int64_t i = 0; i < dy.size(); ++i) dbs.add(i % s.C, double(dy[i]));
    ys.compare(y, s.KH * s.KW * s.O), dxs.compare(dx, s.KH * s.KW * s.D());
    dweights.compare(dweight, s.B * P * Q);
    if (biased) dbs.compare(dbias, dy.size() / s.C);
}

template <class T>
void both(T t, const Shape& s, int64_t bits) {
    convolution(t, s, bits), transposed(t, s, bits & 1);
}

template <class T>
void check(T t) {
    const ConvWindow plain{};
    ConvWindow same = plain, half = plain, odd = plain, grouped = plain, wide = plain;
    same.top = same.left = same.bottom = same.right = 1;
    half = same, half.stride_h = half.stride_w = 2;
    odd = same, odd.stride_h = 3, odd.stride_w = 2, odd.dilation_h = 2, odd.dilation_w = 3, odd.left = 4;
    grouped = same, grouped.groups = 2;
    wide = plain, wide.top = 9, wide.right = 7;
    int64_t bits = 0;
    for (int64_t c = 1; c <= 35; c += c < 18 ? 1 : 16)
        for (const ConvWindow& window : {plain, same, half, odd})
            both(t, {2, 7, 8, c, 3, 3, 36 - c, window}, bits++);
    // Gradients of weights that are turned: few channels of dy, of x more than a vector.
    for (int64_t c = 3; c <= 23; c += 4)
        for (const ConvWindow& window : {plain, same, half, wide})
            both(t, {5, 7, 8, c, 3, 4, 1 + c % 16, window}, bits++);
    for (int64_t w = 3; w <= 33; ++w) {
        both(t, {1, 3, w, 5, 3, 3, 18, plain}, bits++), both(t, {2, 1, w, 3, 1, 3, 33, same}, bits++);
        both(t, {1, 4, w, 1, 1, 1, 17, half}, bits++);
    }
    for (int64_t b : {0, 1, 8, 17}) both(t, {b, 5, 5, 4, 3, 3, 6, grouped}, bits++);
    for (int64_t g : {1, 2, 17, 40}) {
        ConvWindow depthwise = same;
        depthwise.groups = g;
        both(t, {2, 6, 7, g, 3, 3, g, depthwise}, bits++),
            both(t, {2, 6, 7, g, 3, 2, 2 * g, depthwise}, bits++);
    }
    both(t, {1, 3, 4, 2, 3, 4, 5, plain}, bits++), both(t, {1, 2, 2, 3, 5, 3, 4, wide}, bits++);
    // Weights that are packed in pieces; a window too large for the copy of an image; an image cut into bands.
    both(t, {1, 2, 2, 3000, 2, 2, 3, plain}, bits++), both(t, {1, 3, 3, 7000, 2, 2, 2, same}, bits++);
    both(t, {1, 60, 60, 3, 3, 3, 90, same}, bits++), both(t, {1, 2, 3, 2, 2, 2, 7000, plain}, bits++);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
