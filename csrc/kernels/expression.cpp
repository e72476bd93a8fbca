// Expressions: a block of every array goes into the L1 cache, then step after step runs over it.
#include "kernel.hpp"
#include "vector/strides.hpp"
#include "vector/vmath.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

constexpr Index kBlockBytes = 2048;
template <class T>
constexpr Index kBlock = kBlockBytes / Index(sizeof(T));

// each_vector, a few at a time: a step is short.
template <class T, int Few = 4, class F>
BP_INLINE void each_of_block(Index n, F f) {
    Index i = 0;
    for (; i + Few * width<T> <= n; i += Few * width<T>)
#pragma GCC unroll 4
        for (int v = 0; v < Few; ++v) f(i + v * width<T>, width<T>);
    each_vector<T>(Range{i, n}, f);
}

template <class T, class F>
BP_INLINE void map(T* to, const T* a, Index n, F f) {
    each_vector<T>(
        n, [&](Index i, int lanes) BP_INLINED { store_some(to + i, f(load_some(a + i, lanes)), lanes); });
}
template <class T, class F>
BP_INLINE void map(T* to, const T* a, const T* b, Index n, F f) {
    each_of_block<T>(n, [&](Index i, int lanes) BP_INLINED {
        store_some(to + i, f(load_some(a + i, lanes), load_some(b + i, lanes)), lanes);
    });
}
// 1 where f holds, else 0.
template <class T, class F>
BP_INLINE void compare(T* to, const T* a, const T* b, Index n, F f) {
    const vec<T> one = broadcast<T>(1), zero{};
    map(to, a, b, n, [&](vec<T> x, vec<T> y) BP_INLINED { return select(f(x, y), one, zero); });
}
// With the C library's function of one number, for what is rare.
template <class T, class F>
BP_INLINE void each_number(T* to, Index n, F f) {
    for (Index i = 0; i < n; ++i) to[i] = f(i);
}

// One step over n elements; `to` may be one of the operands.
template <class T>
__attribute__((noinline)) void run_step(Function function, T* to, const T* a, const T* b, const T* c,
                                        Index n) {
    using V = vec<T>;
    const V one = broadcast<T>(1), zero{};
    switch (function) {
        case Function::copy:
            return map(to, a, n, [](V x) BP_INLINED { return x; });
        case Function::neg:
            return map(to, a, n, [](V x) BP_INLINED { return -x; });
        case Function::abs:
            return map(to, a, n, [](V x) BP_INLINED { return abs(x); });
        case Function::sign:
            return map(to, a, n, [&](V x) BP_INLINED {
                return select(x > zero, one, select(x < zero, -one, select(x == zero, zero, x)));
            });
        case Function::sqrt:
            return map(to, a, n, [](V x) BP_INLINED { return sqrt(x); });
        case Function::exp:
            return map(to, a, n, [](V x) BP_INLINED { return exp(x); });
        case Function::expm1:
            return map(to, a, n, [](V x) BP_INLINED { return expm1(x); });
        case Function::log:
            return map(to, a, n, [](V x) BP_INLINED { return log(x); });
        case Function::log1p:
            return map(to, a, n, [](V x) BP_INLINED { return log1p(x); });
        case Function::sin:
            return each_number(to, n, [=](Index i) BP_INLINED { return T(__builtin_sin(double(a[i]))); });
        case Function::cos:
            return each_number(to, n, [=](Index i) BP_INLINED { return T(__builtin_cos(double(a[i]))); });
        case Function::erf:
            return map(to, a, n, [](V x) BP_INLINED { return erf(x); });
        case Function::relu:
            return map(to, a, n, [&](V x) BP_INLINED { return select(x < zero, zero, x); });
        case Function::sigmoid:
            return map(to, a, n, [](V x) BP_INLINED { return sigmoid(x); });
        case Function::tanh:
            return map(to, a, n, [](V x) BP_INLINED { return tanh(x); });
        case Function::add:
            return map(to, a, b, n, [](V x, V y) BP_INLINED { return x + y; });
        case Function::sub:
            return map(to, a, b, n, [](V x, V y) BP_INLINED { return x - y; });
        case Function::mul:
            return map(to, a, b, n, [](V x, V y) BP_INLINED { return x * y; });
        case Function::div:
            return map(to, a, b, n, [](V x, V y) BP_INLINED { return x / y; });
        case Function::pow:
            return each_number(
                to, n, [=](Index i) BP_INLINED { return T(__builtin_pow(double(a[i]), double(b[i]))); });
        case Function::minimum:
            return map(to, a, b, n, [](V x, V y) BP_INLINED { return select((x < y) | (x != x), x, y); });
        case Function::maximum:
            return map(to, a, b, n, [](V x, V y) BP_INLINED { return select((x > y) | (x != x), x, y); });
        case Function::lt:
            return compare(to, a, b, n, [](V x, V y) BP_INLINED { return x < y; });
        case Function::le:
            return compare(to, a, b, n, [](V x, V y) BP_INLINED { return x <= y; });
        case Function::gt:
            return compare(to, a, b, n, [](V x, V y) BP_INLINED { return x > y; });
        case Function::ge:
            return compare(to, a, b, n, [](V x, V y) BP_INLINED { return x >= y; });
        case Function::eq:
            return compare(to, a, b, n, [](V x, V y) BP_INLINED { return x == y; });
        case Function::ne:
            return compare(to, a, b, n, [](V x, V y) BP_INLINED { return x != y; });
        case Function::where:
            return each_of_block<T>(n, [&](Index i, int lanes) BP_INLINED {
                const V holds = load_some(a + i, lanes), x = load_some(b + i, lanes),
                        y = load_some(c + i, lanes);
                store_some(to + i, select(holds != zero, x, y), lanes);
            });
    }
}

// Two steps over n elements, the first of which leaves its results in registers.
template <class T>
__attribute__((noinline)) void run_pair(const Step& step, T* to, const T* a, const T* b, const T* c,
                                        const T* d, Index n) {
    using V = vec<T>;
    const auto combine = [&](auto first) BP_INLINED {
        const auto with = [&](auto second) BP_INLINED {
            each_of_block<T, 2>(n, [&](Index i, int lanes) BP_INLINED {
                const V x = rounded(first(load_some(a + i, lanes), load_some(b + i, lanes)));
                store_some(to + i, second(x, load_some(c + i, lanes)), lanes);
            });
        };
        if (step.then == Function::add) return with([](V x, V y) BP_INLINED { return x + y; });
        if (step.then == Function::mul) return with([](V x, V y) BP_INLINED { return x * y; });
        return step.at == 0 ? with([](V x, V y) BP_INLINED { return x - y; })
                            : with([](V x, V y) BP_INLINED { return y - x; });
    };
    const auto choose = [&](auto holds) BP_INLINED {
        each_of_block<T, 2>(n, [&](Index i, int lanes) BP_INLINED {
            const auto mask = holds(load_some(a + i, lanes), load_some(b + i, lanes));
            store_some(to + i, select<V>(mask, load_some(c + i, lanes), load_some(d + i, lanes)), lanes);
        });
    };
    switch (step.function) {
        case Function::add:
            return combine([](V x, V y) BP_INLINED { return x + y; });
        case Function::sub:
            return combine([](V x, V y) BP_INLINED { return x - y; });
        case Function::mul:
            return combine([](V x, V y) BP_INLINED { return x * y; });
        case Function::lt:
            return choose([](V x, V y) BP_INLINED { return x < y; });
        case Function::le:
            return choose([](V x, V y) BP_INLINED { return x <= y; });
        case Function::gt:
            return choose([](V x, V y) BP_INLINED { return x > y; });
        case Function::ge:
            return choose([](V x, V y) BP_INLINED { return x >= y; });
        case Function::eq:
            return choose([](V x, V y) BP_INLINED { return x == y; });
        case Function::ne:
            return choose([](V x, V y) BP_INLINED { return x != y; });
        default:  // is_pair has no others
            return;
    }
}

// Elements begin .. begin + n of an array into a block; of an absent one zeros.
template <class T>
BP_INLINE void load_block(const Strided<const T>& array, Index begin, Index n, T* block) {
    if (!array) {
        __builtin_memset(block, 0, sizeof(T) * std::uint64_t(n));
        return;
    }
    each_run(array, begin, n, [&](Index offset, Index stride, Index at, Index count) BP_INLINED {
        const T* const from = array.data + offset;
        if (stride == 1)
            each_vector<T>(count, [&](Index i, int lanes) BP_INLINED {
                store_some(block + at + i, load_some(from + i, lanes), lanes);
            });
        else
            for (Index i = 0; i < count; ++i) block[at + i] = from[i * stride];
    });
}
template <class T>
BP_INLINE void store_block(const Strided<T>& array, Index begin, Index n, const T* block) {
    each_run(array, begin, n, [&](Index offset, Index stride, Index at, Index count) BP_INLINED {
        T* const to = array.data + offset;
        if (stride == 1)
            each_vector<T>(count, [&](Index i, int lanes) BP_INLINED {
                store_some(to + i, load_some(block + at + i, lanes), lanes);
            });
        else
            for (Index i = 0; i < count; ++i) to[i * stride] = block[at + i];
    });
}

// Whether a step reads the input behind one that writes the output. Where both are one array, the output needs a block of its own.
BP_INLINE bool reads_behind(const Steps& steps, int input, int output) {
    bool written = false;
    for (int s = 0; s < steps.count; ++s) {
        for (int k = 0; k < steps.step[s].operands(); ++k)
            if (written && steps.step[s].from[k] == input) return true;
        written |= steps.step[s].to == output;
    }
    return false;
}

template <class T>
void expression(const Expression<T>& op, Range range, Scratch scratch) {
    const auto [begin, end] = covered(range, kElementPiece, op.output[0].size());
    const Steps& steps = op.steps;
    T* const blocks = static_cast<T*>(scratch.data);
    T* place[kRegisterCount];  // where a register's block is
    bool read[kRegisterCount] = {}, written[kRegisterCount] = {};
    for (int s = 0; s < steps.count; ++s) written[steps.step[s].to] = true;
    for (int s = 0; s < steps.count; ++s)
        for (int k = 0; k < steps.step[s].operands(); ++k) read[steps.step[s].from[k]] = true;
    for (int r = 0; r < kRegisterCount; ++r) place[r] = blocks + r * kBlock<T>;
    for (int i = 0; i < steps.constants; ++i)
        for (Index k = 0; k < kBlock<T>; ++k) place[kFirstConstant + i][k] = T(steps.constant[i]);
    bool direct[kFirstTemporary] = {};  // used where it is
    for (int r = 0; r < kInputs; ++r) direct[r] = op.input[r] && op.input[r].contiguous();
    for (int r = 0; r < kOutputs; ++r) {
        bool& used = direct[kFirstOutput + r];
        used = op.output[r] && op.output[r].contiguous();
        for (int i = 0; used && i < kInputs; ++i)
            used = op.input[i].data != op.output[r].data || !reads_behind(steps, i, kFirstOutput + r);
    }
    for (Index i = begin; i < end; i += kBlock<T>) {
        const Index n = end - i < kBlock<T> ? end - i : kBlock<T>;
        for (int r = 0; r < kInputs; ++r)
            if (direct[r])
                place[r] = const_cast<T*>(op.input[r].data) + i;
            else if (read[r])
                load_block(op.input[r], i, n, place[r]);
        for (int r = 0; r < kOutputs; ++r)
            if (direct[kFirstOutput + r]) place[kFirstOutput + r] = op.output[r].data + i;
        for (int s = 0; s < steps.count; ++s) {
            const Step& step = steps.step[s];
            T* const to = place[step.to];
            const T *const a = place[step.from[0]], *const b = place[step.from[1]],
                           *const c = place[step.from[2]], *const d = place[step.from[3]];
            if (step.alone())
                run_step<T>(step.function, to, a, b, c, n);
            else
                run_pair<T>(step, to, a, b, c, d, n);
        }
        for (int r = 0; r < kOutputs; ++r)
            if (op.output[r] && written[kFirstOutput + r] && !direct[kFirstOutput + r])
                store_block(op.output[r], i, n, place[kFirstOutput + r]);
    }
}

}  // namespace

BACKPASS_KERNEL(Expression, expression)

}  // namespace backpass::BACKPASS_ISA
