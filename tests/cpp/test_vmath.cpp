// Vector primitives and functions of one ISA row: ulp bounds against libm in higher precision, special
// values, tails.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "check.hpp"
#include "kernels/formulas.hpp"
#include "kernels/vector/lanes.hpp"
#include "kernels/vector/vmath.hpp"

namespace {

using namespace backpass::BACKPASS_ISA;
using Wide = long double;

bool full = false;  // `test_vmath full`: a minute instead of seconds

// Distance of `got` from the exact value in units of the last place of T at that value.
template <class T>
double ulps(T got, Wide exact) {
    const T rounded = T(exact);
    if (std::isnan(rounded) || std::isnan(got)) return std::isnan(rounded) && std::isnan(got) ? 0 : 1e30;
    if (std::isinf(rounded) || std::isinf(got)) return rounded == got ? 0 : 1e30;
    if (rounded == 0 && got == 0) return std::signbit(rounded) == std::signbit(got) ? 0 : 1e30;
    int exponent;
    std::frexp(std::fabs(exact), &exponent);
    exponent = std::max(exponent, std::numeric_limits<T>::min_exponent) - std::numeric_limits<T>::digits;
    return double(std::fabs(Wide(got) - exact) / std::ldexp(Wide(1), exponent));
}

template <class T>
struct Worst {
    double ulp = 0;
    T at = 0;
};

template <class T, class F, class Exact>
void one(Worst<T>& worst, const T* x, F f, Exact exact) {
    T y[width<T>];
    store(y, f(load(x)));
    for (int i = 0; i < width<T>; ++i) {
        const double u = ulps(y[i], exact(x[i]));
        if (u > worst.ulp) worst = {u, x[i]};
    }
}

// Bit patterns in [first, last] at the given step.
template <class T, class Bits, class F, class Exact>
void sweep(Worst<T>& worst, Bits first, Bits last, Bits step, F f, Exact exact) {
    T x[width<T>];
    int n = 0;
    for (Bits b = first;; b += step) {
        std::memcpy(&x[n++], &b, sizeof b);
        if (n == width<T>) one(worst, x, f, exact), n = 0;
        if (last - b < step) break;
    }
    while (n > 0 && n < width<T>) x[n++] = T(1);
    if (n) one(worst, x, f, exact);
}

template <class T>
void report(const char* name, const Worst<T>& worst, double bound) {
    std::printf("%-8s float%d  %.3f ulp at %a\n", name, int(sizeof(T) * 8), worst.ulp, double(worst.at));
    CHECK(worst.ulp <= bound);
}

// A function on every special value, alone in its vector and in each lane.
template <class T, class F, class Exact>
void specials(const char* name, F f, Exact exact) {
    using L = std::numeric_limits<T>;
    const T values[] = {T(0),
                        T(-0.0),
                        L::infinity(),
                        -L::infinity(),
                        L::quiet_NaN(),
                        L::denorm_min(),
                        -L::denorm_min(),
                        3 * L::denorm_min(),
                        -3 * L::denorm_min(),
                        L::min(),
                        -L::min(),
                        L::max(),
                        -L::max(),
                        T(1),
                        T(-1),
                        L::epsilon(),
                        -L::epsilon(),
                        L::epsilon() / 4,
                        -L::epsilon() / 4};
    for (const T value : values)
        for (int i = 0; i < width<T>; ++i) {
            T x[width<T>], y[width<T>];
            for (int j = 0; j < width<T>; ++j) x[j] = j == i ? value : T(0.5);
            store(y, f(load(x)));
            const double u = ulps(y[i], exact(value));
            if (u > 1.5)
                std::printf("%s(%a) = %a, not %a\n", name, double(value), double(y[i]), double(exact(value)));
            CHECK(u <= 1.5);
        }
}

// float32: every 17th number (full) and every one where the functions bend; float64: steps that cover all
// exponents.
template <class F, class Exact>
void check(const char* name, F f, Exact exact, double bound32, double bound64, bool positive_only = false) {
    const auto exact32 = [&](float x) { return Wide(exact(double(x))); };
    const auto exact64 = [&](double x) { return Wide(exact(Wide(x))); };
    Worst<float> w32;
    const std::uint32_t signs = positive_only ? 1 : 2;
    for (std::uint32_t s = 0; s < signs; ++s) {
        const std::uint32_t sign = s << 31;
        sweep<float>(w32, sign, sign | 0x7f800000u, full ? 17u : 4999u, f, exact32);
        sweep<float>(w32, sign | 0x3e000000u, sign | 0x41200000u, full ? 1u : 499u, f, exact32);
    }
    report(name, w32, bound32);
    specials<float>(name, f, exact32);
    Worst<double> w64;
    for (std::uint64_t s = 0; s < signs; ++s) {
        const std::uint64_t sign = s << 63;
        sweep<double>(w64, sign, sign | 0x7ff0000000000000,
                      std::uint64_t(0x7ff0000000000001) / (full ? 2000000 : 50000), f, exact64);
        sweep<double>(w64, sign | 0x3f80000000000000, sign | 0x4090000000000000,
                      std::uint64_t(0x0110000000000001) / (full ? 4000000 : 100000), f, exact64);
    }
    report(name, w64, bound64);
    specials<double>(name, f, exact64);
}

struct Sigmoid {
    template <class R>
    R operator()(R x) const {
        const R e = std::exp(-std::fabs(x));
        return x >= 0 ? 1 / (1 + e) : e / (1 + e);
    }
};

void check_functions() {
    check("exp", [](auto v) { return exp(v); }, [](auto x) { return std::exp(x); }, 2, 2);
    check("expm1", [](auto v) { return expm1(v); }, [](auto x) { return std::expm1(x); }, 2, 3);
    check("tanh", [](auto v) { return tanh(v); }, [](auto x) { return std::tanh(x); }, 2, 3);
    check("sigmoid", [](auto v) { return sigmoid(v); }, Sigmoid{}, 2, 3);
    check("log", [](auto v) { return log(v); }, [](auto x) { return std::log(x); }, 2, 2);
    check("log1p", [](auto v) { return log1p(v); }, [](auto x) { return std::log1p(x); }, 2, 2);
    check("erf", [](auto v) { return erf(v); }, [](auto x) { return std::erf(x); }, 2, 2);
}

// 2 Φ(z), absolute and, where it is small, relative.
template <class T>
void check_normal(double absolute, double relative) {
    double worst = 0, worst_relative = 0;
    for (int i = -60000; i < 60000; i += width<T>) {
        T z[width<T>], twice[width<T>];
        for (int k = 0; k < width<T>; ++k) z[k] = T(i + k) / T(5000);
        store(twice, normal(load(z)).twice);
        for (int k = 0; k < width<T>; ++k) {
            const Wide exact = std::erfc(-Wide(z[k]) * std::sqrt(Wide(0.5)));
            const double error = double(std::fabs(Wide(twice[k]) - exact));
            worst = std::max(worst, error);
            if (z[k] >= T(-4) && z[k] <= T(0))
                worst_relative = std::max(worst_relative, error / double(exact));
        }
    }
    std::printf("2 Phi    float%d  %.3g, relative %.3g\n", int(sizeof(T) * 8), worst, worst_relative);
    CHECK(worst <= absolute && worst_relative <= relative);
}

template <class T>
void check_memory() {
    constexpr int w = width<T>, room = 3 * w;
    for (int n = 0; n <= w; ++n) {
        T in[room], out[room], lanes[w];
        for (int i = 0; i < room; ++i) in[i] = T(i + 1), out[i] = T(-7);
        store(lanes, load_tail(in + w, n));
        for (int i = 0; i < w; ++i) CHECK(lanes[i] == (i < n ? in[w + i] : T(0)));
        store_tail(out + w, load(in), n);
        for (int i = 0; i < room; ++i) CHECK(out[i] == (i >= w && i < w + n ? in[i - w] : T(-7)));
    }
}

template <class T>
void check_lanes() {
    constexpr int w = width<T>;
    T square[w * w];
    vec<T> rows[w];
    for (int i = 0; i < w * w; ++i) square[i] = T(i);
    for (int i = 0; i < w; ++i) rows[i] = load(square + i * w);
    transpose<T>(rows);
    for (int i = 0; i < w; ++i)
        for (int j = 0; j < w; ++j) CHECK(rows[i][j] == T(j * w + i));

    const vec<T> v = iota<T>();
    CHECK(sum(v) == T(w * (w - 1) / 2));
    for (int i = 0; i < w; ++i) {
        vec<T> one = v;
        one[i] = T(100);
        CHECK(reduce_max(one) == T(100));
        CHECK(reduce_max(-one) == (i == 0 ? T(-1) : T(0)));
    }
    CHECK(std::signbit(broadcast<T>(T(-0.0))[w - 1]));
    const T nan = std::numeric_limits<T>::quiet_NaN();
    CHECK(std::isnan(min(v, broadcast<T>(nan))[0]) && std::isnan(max(v, broadcast<T>(nan))[0]));
    CHECK(min(broadcast<T>(nan), v)[1] == 1 && max(broadcast<T>(nan), v)[1] == 1);
    for (int i = 0; i < w; ++i) {
        CHECK(sqrt(v * v)[i] == v[i] && abs(-v)[i] == v[i] && min(v, -v)[i] == -v[i] &&
              max(v, -v)[i] == v[i]);
        CHECK(fma(v, v, v)[i] == T(i * i + i));
        CHECK(select(v < T(1), v, -v)[i] == (i < 1 ? T(0) : T(-i)));
        CHECK(to_int(v - T(3))[i] == i - 3 && to_float(to_int(v - T(3)))[i] == T(i - 3));
        CHECK(power_of_two(v - T(5))[i] == std::ldexp(T(1), i - 5));
        CHECK(scale(v + T(1), broadcast<T>(std::numeric_limits<T>::min_exponent - 10))[i] ==
              std::ldexp(T(i + 1), std::numeric_limits<T>::min_exponent - 10));
    }
}

void check_products() {
    const vec<std::uint32_t> a = iota<std::uint32_t>() + 0xd2511f53u,
                             b = iota<std::uint32_t>() * 0x9e3779b9u + 7u;
    const vec<std::uint64_t> product = multiply_even(a, b);
    for (int i = 0; i < width<std::uint64_t>; ++i) CHECK(product[i] == std::uint64_t(a[2 * i]) * b[2 * i]);
}

}  // namespace

int main(int argc, char** argv) {
    full = argc > 1 && std::strcmp(argv[1], "full") == 0;
    check_memory<float>();
    check_memory<double>();
    check_lanes<float>();
    check_lanes<double>();
    check_products();
    check_functions();
    check_normal<float>(2e-7, 1e-4);
    check_normal<double>(5e-16, 1e-11);
    return finish();
}
