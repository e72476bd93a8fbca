// Expressions: a block of every array goes into the L1 cache, then step after step runs over it.
#include "../ops/expression.hpp"
#include "kernel.hpp"
#include "vector/strides.hpp"
#include "vector/vmath.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// A transposed array goes through a chunk of whole rows, which has many blocks.
constexpr Index kBlockBytes = 2048, kChunkBytes = 32768, kChunkRows = 128;
template <class T>
constexpr Index kBlock = kBlockBytes / Index(sizeof(T));
template <class T>
constexpr Index kChunk = kChunkBytes / Index(sizeof(T));

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

// Whether the last dimension but one is contiguous, and squares of vectors can be turned in registers.
template <class T>
BP_INLINE bool is_transposed(const Strided<T>& array) {
    if (array.ndim < 2) return false;
    const Index rows = array.shape[array.ndim - 2], cols = array.shape[array.ndim - 1];
    return array.stride[array.ndim - 2] == 1 && array.stride[array.ndim - 1] != 1 && rows > 1 && cols > 1 &&
           4 * rows >= width<T> && 4 * cols >= width<T> && 2 * cols <= kChunk<T>;
}

// to[i * to_ld + k] = from[k * from_ld + i] for i < rows, k < cols, at most a vector of each.
template <class T>
__attribute__((noinline)) void transpose_square(T* to, Index to_ld, const T* from, Index from_ld, int rows,
                                                int cols) {
    constexpr int w = width<T>;
    const auto turn = [&](int high, int wide) BP_INLINED {
        vec<T> v[w];
        for (int k = 0; k < w; ++k, from += from_ld) v[k] = k < wide ? load_some(from, high) : vec<T>{};
        transpose<T>(v);
        for (int i = 0; i < w; ++i, to += to_ld)
            if (i < high) store_some(to, v[i], wide);
    };
    rows == w&& cols == w ? turn(w, w) : turn(rows, cols);
}
// The same for any number of rows and columns.
template <class T>
BP_INLINE void transpose_into(T* to, Index to_ld, const T* from, Index from_ld, Index rows, Index cols) {
    each_vector<T>(rows, [&](Index i, int high) BP_INLINED {
        each_vector<T>(cols, [&](Index k, int wide) BP_INLINED {
            transpose_square(to + i * to_ld + k, to_ld, from + k * from_ld + i, from_ld, high, wide);
        });
    });
}

// run(offset, stride, i, n) for pieces of elements as each_run has it; of a transposed array rows(offset, i, n) for n whole rows.
template <class T, class Run, class Rows>
BP_INLINE void each_piece(const Strided<T>& array, Index begin, Index count, Run run, Rows rows) {
    if (!is_transposed(array)) return each_run(array, begin, count, run);
    const int last = array.ndim - 1;
    const Index cols = array.shape[last];
    for (Index i = 0; i < count;) {
        const Walk<T> walk(array, begin + i, array.ndim);
        const Index left = array.shape[last - 1] - walk.at[last - 1], fit = (count - i) / cols;
        const Index whole = walk.at[last] > 0 ? 0 : left < fit ? left : fit;
        const Index rest = cols - walk.at[last], some = rest < count - i ? rest : count - i;
        if (whole > 0)
            rows(walk.offset, i, whole);
        else
            run(walk.offset, array.stride[last], i, some);
        i += whole > 0 ? whole * cols : some;
    }
}

// Elements begin .. begin + n of an array into a block or chunk; of an absent one zeros.
template <class T>
__attribute__((noinline)) void load_block(const Strided<const T>& array, Index begin, Index n, T* block) {
    if (!array) {
        __builtin_memset(block, 0, sizeof(T) * std::uint64_t(n));
        return;
    }
    const auto run = [&](Index offset, Index stride, Index at, Index count) BP_INLINED {
        const T* const from = array.data + offset;
        if (stride == 1)
            each_vector<T>(count, [&](Index i, int lanes) BP_INLINED {
                store_some(block + at + i, load_some(from + i, lanes), lanes);
            });
        else
            for (Index i = 0; i < count; ++i) block[at + i] = from[i * stride];
    };
    each_piece(array, begin, n, run, [&](Index offset, Index at, Index rows) BP_INLINED {
        const Index cols = array.shape[array.ndim - 1];
        transpose_into(block + at, cols, array.data + offset, array.stride[array.ndim - 1], rows, cols);
    });
}
template <class T>
__attribute__((noinline)) void store_block(const Strided<T>& array, Index begin, Index n, const T* block) {
    const auto run = [&](Index offset, Index stride, Index at, Index count) BP_INLINED {
        T* const to = array.data + offset;
        if (stride == 1)
            each_vector<T>(count, [&](Index i, int lanes) BP_INLINED {
                store_some(to + i, load_some(block + at + i, lanes), lanes);
            });
        else
            for (Index i = 0; i < count; ++i) to[i * stride] = block[at + i];
    };
    each_piece(array, begin, n, run, [&](Index offset, Index at, Index rows) BP_INLINED {
        const Index cols = array.shape[array.ndim - 1];
        transpose_into(array.data + offset, array.stride[array.ndim - 1], block + at, cols, cols, rows);
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

// Where the element of `array` is whose place in each dimension is in `at`.
template <class A>
BP_INLINE Index offset_of(const A& array, const Index* at) {
    Index offset = 0;
    for (int i = 0; i < array.ndim; ++i) offset += at[i] * array.stride[i];
    return offset;
}

// An expression that is one copy, from or into a contiguous array, needs no blocks.
template <class T>
BP_INLINE bool copied(const Expression<T>& op, const bool* direct, Index begin, Index end) {
    const Step& step = op.steps.step[0];
    const int from = step.from[0], to = step.to;
    if (op.steps.count != 1 || step.function != Function::copy || from >= kInputs || to >= kFirstTemporary)
        return false;
    if (direct[to]) {
        load_block(op.input[from], begin, end - begin, op.output[to - kFirstOutput].data + begin);
        return true;
    }
    if (!direct[from] || !op.output[to - kFirstOutput]) return false;
    store_block(op.output[to - kFirstOutput], begin, end - begin, op.input[from].data + begin);
    return true;
}

template <class T>
void expression(const Expression<T>& op, Range range, Scratch scratch) {
    const auto [begin, end] = covered(range, kElementPiece, op.output[0].size());
    if (begin >= end) return;
    const Steps& steps = op.steps;
    bool read[kRegisterCount] = {}, written[kRegisterCount] = {};
    for (int s = 0; s < steps.count; ++s) written[steps.step[s].to] = true;
    for (int s = 0; s < steps.count; ++s)
        for (int k = 0; k < steps.step[s].operands(); ++k) read[steps.step[s].from[k]] = true;
    const int last = op.output[0].ndim - 1;
    const Index row = last < 0 ? 1 : op.output[0].shape[last];
    // Used where they are: whole, or row by row.
    bool direct[kFirstTemporary] = {}, by_row[kFirstTemporary] = {};
    const auto use = [&](int r, const auto& array) BP_INLINED {
        if (!array || !(read[r] || written[r])) return;
        direct[r] = array.contiguous();
        by_row[r] = !direct[r] && array.stride[last] == 1 && row >= 2 * width<T>;
    };
    for (int r = 0; r < kInputs; ++r) use(r, op.input[r]);
    for (int r = 0; r < kOutputs; ++r) {
        use(kFirstOutput + r, op.output[r]);
        for (int i = 0; i < kInputs; ++i)
            if (op.input[i].data == op.output[r].data && reads_behind(steps, i, kFirstOutput + r))
                direct[kFirstOutput + r] = by_row[kFirstOutput + r] = false;
    }
    if (copied(op, direct, begin, end)) return;

    T* const blocks = static_cast<T*>(scratch.data);
    T* const chunks = blocks + kRegisterCount * kBlock<T>;
    T* place[kRegisterCount];  // where a register's block is
    for (int r = 0; r < kRegisterCount; ++r) place[r] = blocks + r * kBlock<T>;
    for (int i = 0; i < steps.constants; ++i)
        for (Index k = 0; k < kBlock<T>; ++k) place[kFirstConstant + i][k] = T(steps.constant[i]);
    bool in_chunks[kFirstTemporary] = {}, has_chunks = false;
    for (int r = 0; r < kFirstTemporary; ++r)
        if (!direct[r] && (read[r] || written[r])) {
            in_chunks[r] =
                r < kInputs ? is_transposed(op.input[r]) : is_transposed(op.output[r - kFirstOutput]);
            has_chunks |= in_chunks[r];
        }
    // In blocks the vectors of such rows would begin elsewhere than in the arrays, and a load that overlaps two stores waits for both.
    bool rows = false;
    for (int r = 0; r < kFirstTemporary; ++r) {
        by_row[r] &= !has_chunks;
        rows |= by_row[r];
    }
    Walk<T> walk(op.output[0], rows ? begin : 0, op.output[0].ndim);
    Index size = end;  // of a chunk
    if (has_chunks) {
        const Index cols = op.output[0].shape[op.output[0].ndim - 1], most = kChunk<T> / cols;
        size = cols * (most < kChunkRows ? most : kChunkRows);
    }

    Index chunk = begin, chunk_end = begin;
    for (Index i = begin; i < end;) {
        if (i == chunk_end) {
            const Index left = has_chunks ? size - i % size : size;
            chunk = i, chunk_end = left < end - i ? i + left : end;
            for (int r = 0; has_chunks && r < kInputs; ++r)
                if (in_chunks[r]) load_block(op.input[r], i, chunk_end - i, chunks + r * kChunk<T>);
        }
        Index n = chunk_end - i < kBlock<T> ? chunk_end - i : kBlock<T>;
        if (rows && n > row - walk.at[last]) n = row - walk.at[last];
        for (int r = 0; has_chunks && r < kFirstTemporary; ++r)
            if (in_chunks[r]) place[r] = chunks + r * kChunk<T> + (i - chunk);
        for (int r = 0; r < kInputs; ++r)
            if (direct[r])
                place[r] = const_cast<T*>(op.input[r].data) + i;
            else if (by_row[r])
                place[r] = const_cast<T*>(op.input[r].data) + offset_of(op.input[r], walk.at);
            else if (read[r] && !in_chunks[r])
                load_block(op.input[r], i, n, place[r]);
        for (int r = 0; r < kOutputs; ++r)
            if (direct[kFirstOutput + r])
                place[kFirstOutput + r] = op.output[r].data + i;
            else if (by_row[kFirstOutput + r])
                place[kFirstOutput + r] = op.output[r].data + offset_of(op.output[r], walk.at);
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
        i += n;
        if (rows) walk.next(n);
        for (int r = 0; r < kOutputs; ++r) {
            const int at = kFirstOutput + r;
            if (in_chunks[at] && i == chunk_end)
                store_block(op.output[r], chunk, i - chunk, chunks + at * kChunk<T>);
            else if (op.output[r] && written[at] && !direct[at] && !by_row[at] && !in_chunks[at])
                store_block(op.output[r], i - n, n, place[at]);
        }
    }
}

}  // namespace

BACKPASS_KERNEL(Expression, expression)

}  // namespace backpass::BACKPASS_ISA
