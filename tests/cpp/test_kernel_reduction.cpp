// Reductions of one ISA row against plain loops, over arrays of any strides.
#include "laid.hpp"

namespace {

using namespace backpass;
using std::int64_t;

Extents all_but_last(const Extents& shape) { return {shape.begin(), shape.end() - 1}; }

template <class T>
void sums(const Laid<T>& x, const Extents& shape, double scale) {
    const auto y = Array<T>::filled(all_but_last(shape));
    ReduceSum<T> op;
    op.x = x, op.y = y, op.scale = scale;
    run(op);
    const int64_t length = shape.back();
    for (int64_t i = 0; i < y.size(); ++i) {
        // In double, the sum of one number over and over would be less accurate than the kernel's.
        long double total = 0;
        double size = 0;
        for (int64_t r = i * length; r < (i + 1) * length; ++r)
            total += x[r], size += std::fabs(double(x[r]));
        CHECK(is_close(y[i], scale * double(total), 16 + std::sqrt(double(length)), size));
    }
}

template <class T>
void largest(const Laid<T>& x, const Extents& shape) {
    const Extents kept = all_but_last(shape);
    const auto y = Array<T>::filled(kept), dx = Array<T>::filled(shape);
    const auto at = Array<int64_t>::filled(kept);
    MaxForward<T> forward;
    forward.x = x, forward.y = y, forward.largest = at;
    run(forward);
    const int64_t length = shape.back();
    for (int64_t i = 0; i < y.size(); ++i) {
        int64_t best = 0;
        for (int64_t r = 1; r < length; ++r) {
            const T now = x[i * length + r], before = x[i * length + best];
            if (now > before || (std::isnan(now) && !std::isnan(before))) best = r;
        }
        CHECK(at[i] == best);
        CHECK(is_close(y[i], length > 0 ? double(x[i * length + best]) : -INFINITY, 0));
    }
    for (int64_t i = 0; i < at.size(); i += 5)  // a forged place is nowhere
        at[i] = i % 2 ? length : i % 4 ? -1 : std::numeric_limits<int64_t>::min();
    for (const Lies lies : kLies) {
        const Laid<T> dy(kept, lies);
        MaxBackward<T> backward;
        backward.largest = at, backward.dy = dy, backward.dx = dx;
        run(backward);
        for (int64_t i = 0; i < dx.size(); ++i)
            CHECK(dx[i] == (at[i / length] == i % length ? dy[i / length] : T(0)));
    }
}

template <class T>
void all(const Extents& shape) {
    for (const Lies lies : kLies) {
        const Laid<T> x(shape, lies), few(shape, lies, -3, 3);
        sums(x, shape, 1), sums(x, shape, -0.25);
        // Small integers make ties.
        for (int64_t i = 0; i < few.size(); ++i) few[i] = std::floor(few[i]);
        largest(few, shape);
        for (int64_t i = 0; i < few.size(); i += 11) few[i] = T(i % 2 ? NAN : i % 4 ? INFINITY : -INFINITY);
        largest(few, shape);
    }
}

// An output has the same bits, however many others there are.
template <class T>
void outputs_are_independent(int64_t outputs, int64_t length) {
    const Laid<T> x({outputs, length}, Lies::transposed);
    const auto y = Array<T>::filled({outputs}), one = Array<T>::filled({1});
    ReduceSum<T> op;
    op.x = x, op.y = y;
    run(op);
    for (int64_t i = 0; i < outputs; ++i) {
        op.x.data = &x[i * length], op.x.shape[0] = 1, op.y = one;
        run(op);
        CHECK(one[0] == y[i]);
    }
}

template <class T>
void check(T) {
    for (int64_t n = 0; n <= 70; ++n)
        all<T>({n}), all<T>({n, 3}), all<T>({3, n}), all<T>({2, n, 5}), all<T>({2, 7, n});
    for (const Extents& shape : {Extents{2, 3, 1, 2, 3, 5},
                                 {3, 0, 0},
                                 {0, 4},
                                 {1, 1},
                                 {5, 1031},
                                 {1, 40000},
                                 {137, 300},
                                 {40000, 1},
                                 {300, 137, 1},
                                 {20, 33, 129}})
        all<T>(shape);
    for (const int64_t n : {1, 3, 37, 130}) outputs_are_independent<T>(n, 200);
    ReduceSum<T> op;
    const Laid<T> x({2, 3}, Lies::contiguous);
    op.x = x;
    for (const Extents& wrong : {Extents{}, {3}, {2, 3}, {2, 1}}) {
        const auto y = Array<T>::filled(wrong);
        op.y = y;
        CHECK(op.invalid() != nullptr);
    }
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    return finish();
}
