// Expressions of one ISA row against the functions of naive.hpp, element by element in double.
#include <deque>

#include "laid.hpp"
#include "naive.hpp"

namespace {

using namespace backpass;
using std::int64_t;

// Registers by their names in a text of steps.
enum : std::uint8_t { a, b, c, y = kFirstOutput, z, u, v, t0, t1, k0 = kFirstConstant, k1 };

Steps steps_of(std::initializer_list<Step> list, std::initializer_list<double> constants = {}) {
    Steps steps;
    for (const Step& step : list) steps.step[steps.count++] = step;
    for (const double value : constants) steps.constant[steps.constants++] = value;
    return steps;
}

template <class T>
bool gaps_are_untouched(const Laid<T>& array) {
    const Array<T>& memory = array.memory();
    return std::count(memory.data(), memory.data() + memory.size(), T(77)) >= memory.size() - array.size();
}

// y = f(a, b, c), with zeros, infinities and NaN, and some operands equal.
template <class T>
void alone(Function f, const Extents& shape, Lies inputs, Lies output) {
    constexpr double odd[] = {0, -0.0, 1, -1, 100, INFINITY, -INFINITY, NAN};
    const Laid<T> x[] = {{shape, inputs, -4, 4}, {shape, inputs, -4, 4}, {shape, inputs, -4, 4}};
    const Laid<T> out(shape, output, 77, 77);
    for (int64_t i = 0; i < out.size(); i += 3) x[i % 2][i] = i % 5 ? T(odd[i / 3 % 8]) : x[1 - i % 2][i];
    Expression<T> op;
    op.input[a] = x[a], op.input[b] = x[b], op.input[c] = x[c], op.output[0] = out;
    op.steps = steps_of({{f, y, {a, b, c}}});
    run(op);
    for (int64_t i = 0; i < out.size(); ++i) {
        const double exact = naive::value(f, double(x[a][i]), double(x[b][i]), double(x[c][i]));
        CHECK(is_close(out[i], double(T(exact)), 8));
    }
    CHECK(gaps_are_untouched(out));
}

// All registers and 32 steps. The inputs with odd numbers and the last output are absent; v is there, but no step writes it.
template <class T>
void together(const Extents& shape, Lies inputs, Lies outputs) {
    std::deque<Laid<T>> in, out;
    Expression<T> op;
    for (int r = 0; r < kInputs; ++r) in.emplace_back(shape, inputs);
    for (int r = 0; r < kInputs; r += 2) op.input[r] = in[std::size_t(r)];
    for (int r = 0; r < kOutputs; ++r) out.emplace_back(shape, outputs, 77, 77);
    op.output[0] = out[0], op.output[2] = out[2], op.output[3] = out[3];
    for (int i = 0; i < kConstants; ++i) op.steps.constant[op.steps.constants++] = 0.25 * i - 1;
    std::uint8_t last = a;
    const auto step = [&](Function f, int to, int other) {
        op.steps.step[op.steps.count++] = {f, std::uint8_t(to), {last, std::uint8_t(other), 0}};
        last = std::uint8_t(to);
    };
    for (int i = 0; i < kTemporaries; ++i) step(Function::add, t0 + i, kFirstConstant + i);
    for (int i = 0; i < kInputs; ++i) step(Function::sub, t0 + i, i);
    step(Function::mul, z, t0), step(Function::maximum, u, t0 + 15), step(Function::mul, u, u);
    step(Function::sub, y, z), step(Function::add, y, a);
    while (op.steps.count < kSteps) step(Function::sub, t0, k1);
    run(op);
    for (int64_t i = 0; i < out[0].size(); ++i) {
        double x[kRegisterCount] = {};
        for (int r = 0; r < kInputs; r += 2) x[r] = double(in[std::size_t(r)][i]);
        for (int r = 0; r < kConstants; ++r) x[k0 + r] = op.steps.constant[r];
        for (int s = 0; s < op.steps.count; ++s) {
            const Step& at = op.steps.step[s];
            x[at.to] = naive::value(at.function, x[at.from[0]], x[at.from[1]], x[at.from[2]]);
        }
        CHECK(is_close(out[0][i], x[y], 64, 300) && is_close(out[2][i], x[u], 64, 300));
        CHECK(out[1][i] == T(77) && out[3][i] == T(77));
    }
    CHECK(gaps_are_untouched(out[0]) && gaps_are_untouched(out[2]));
}

// An output may be an input: steps read the input as it was, also behind a step that has written the output.
template <class T>
void in_place(const Extents& shape, Lies lies) {
    const auto check = [&](const Steps& steps, auto expected) {
        const Laid<T> x(shape, lies), other(shape, lies), out(shape, lies);
        const auto before = x.values();
        Expression<T> op;
        op.input[a] = x, op.input[b] = other, op.output[0] = x, op.output[1] = out;
        op.steps = steps;
        run(op);
        for (int64_t i = 0; i < x.size(); ++i)
            CHECK(x[i] == expected(before[std::size_t(i)], other[i], out[i]));
    };
    check(steps_of({{Function::add, y, {a, b}}}), [](T p, T q, T) { return p + q; });
    check(steps_of({{Function::sub, y, {a, b}}, {Function::sub, y, {y, a}}}),
          [](T p, T q, T) { return (p - q) - p; });
    check(steps_of({{Function::neg, y, {b}}, {Function::copy, z, {a}}}), [](T p, T q, T copied) {
        CHECK(copied == p);
        return -q;
    });
}

template <class T>
bool same_number(T p, T q) {
    return p == q ? std::signbit(p) == std::signbit(q) : p != p && q != q;
}

// Pairs of steps give the bits that the steps gave one by one, in place, too.
template <class T>
void in_pairs(const Steps& alone, const Extents& shape, Lies lies, int left = -1) {
    const auto run_on = [&](const Steps& steps, const std::deque<Laid<T>>& arrays) {
        Expression<T> op;
        for (int r = 0; r < 4; ++r) op.input[r] = arrays[std::size_t(r)];
        for (int r = 0; r < 3; ++r) op.output[r] = arrays[std::size_t(r + 3)];
        op.steps = steps;
        CHECK(steps.valid());
        run(op);
    };
    Steps pairs = alone;
    pairs.pair();
    CHECK(left < 0 || pairs.count == left);
    std::deque<Laid<T>> one, two;
    constexpr double odd[] = {0, -0.0, INFINITY, -INFINITY, NAN};
    for (int r = 0; r < 6; ++r) {
        one.emplace_back(shape, lies), two.emplace_back(shape, lies);
        for (int64_t i = 0; i < one[0].size(); ++i) {
            if (i % 3 == 0 && r > 0) one[std::size_t(r)][i] = one[0][i];
            if (random_numbers.below(16) == 0) one[std::size_t(r)][i] = T(odd[random_numbers.below(5)]);
            two[std::size_t(r)][i] = one[std::size_t(r)][i];
        }
    }
    run_on(alone, one), run_on(pairs, two);
    for (std::size_t r = 3; r < 6; ++r)
        for (int64_t i = 0; i < one[r].size(); ++i) CHECK(same_number(one[r][i], two[r][i]));
}

// Whatever steps of arithmetic follow each other, on few registers, so that most are read, and written again.
template <class T>
void any_steps() {
    constexpr Function functions[] = {Function::add, Function::sub,   Function::mul, Function::gt,
                                      Function::le,  Function::where, Function::neg, Function::div};
    constexpr std::uint8_t targets[] = {y, z, u, t0, t0, t1, t1, t1 + 1};
    for (int round = 0; round < 400; ++round) {
        Steps steps = steps_of({}, {1, -0.5});
        std::vector<std::uint8_t> known{a, b, c, c + 1, k0, k1};
        for (int count = int(2 + random_numbers.below(9)); steps.count < count;) {
            Step& step = steps.step[steps.count++];
            step.function = functions[random_numbers.below(8)];
            for (int k = 0; k < 3; ++k)
                step.from[k] = known[std::size_t(random_numbers.below(int64_t(known.size())))];
            step.to = targets[random_numbers.below(8)];
            known.push_back(step.to), known.push_back(step.to);
        }
        in_pairs<T>(steps, {random_numbers.below(150)}, Lies::contiguous);
    }
}

template <class T>
void pairs() {
    constexpr Function sums[] = {Function::add, Function::sub, Function::mul};
    for (const Function first : sums)
        for (const Function second : sums)
            for (const int64_t n : {0, 1, 7, 16, 70, 1031}) {
                const Extents shape{n};
                in_pairs<T>(steps_of({{first, t0, {a, b}}, {second, y, {t0, c}}}), shape, Lies::contiguous,
                            1);
                in_pairs<T>(steps_of({{first, t0, {a, b}}, {second, y, {c, t0}}}), shape, Lies::contiguous,
                            1);
                in_pairs<T>(steps_of({{first, y, {a, b}}, {second, y, {c, y}}}), shape, Lies::reversed, 1);
            }
    for (int f = int(Function::lt); f <= int(Function::ne); ++f)
        in_pairs<T>(steps_of({{Function(f), t0, {a, b}}, {Function::where, y, {t0, c, b}}}), {1031},
                    Lies::contiguous, 1);
    const auto stay = [](std::initializer_list<Step> list, int count) {
        in_pairs<T>(steps_of(list), {70}, Lies::contiguous, count);
    };
    constexpr auto add = Function::add, mul = Function::mul;
    stay({{mul, t0, {a, b}}, {add, y, {t0, t0}}}, 2);                    // twice in one step
    stay({{mul, t0, {a, b}}, {add, y, {t0, a}}, {add, z, {t0, b}}}, 3);  // in two
    stay({{mul, z, {a, b}}, {add, y, {z, a}}}, 2);                       // z is wanted
    stay({{mul, z, {a, b}}, {add, z, {z, a}}}, 1);                       // not the first z
    stay({{mul, z, {a, b}}, {add, y, {z, a}}, {mul, z, {c, c}}}, 2);     // nor here
    stay({{mul, t1, {a, b}}, {mul, t0, {t1, b}}, {Function::neg, t1, {a}}, {add, y, {t0, t1}}}, 3);
    stay({{add, t1, {a, b}}, {mul, t0, {t1, b}}, {Function::neg, t1, {t1}}, {add, y, {t0, t1}}}, 4);
    stay({{mul, t0, {a, b}}, {add, t0, {t0, a}}, {mul, t0, {t0, c}}, {add, y, {t0, b}}}, 2);
    any_steps<T>();
}

// The last two dimensions turned, so that squares of vectors are transposed; also where they do not fill one.
template <class T>
void turned() {
    const Extents shapes[] = {{3, 70, 40},  {2, 16, 16}, {5, 9, 33}, {2, 40, 700},
                              {1, 2000, 3}, {70, 8, 8},  {9000, 2},  {2, 2, 2, 5, 17, 9},
                              {40, 9000},   {2, 1, 50},  {2, 50, 1}, {3, 0, 20}};
    for (const Extents& shape : shapes) {
        Extents strides = strides_of(shape, Lies::contiguous);
        const std::size_t last = shape.size() - 1;
        strides[last] = shape[last - 1], strides[last - 1] = 1;
        const auto check = [&](const Laid<T>& x, const Laid<T>& other, const Laid<T>& out, bool copies) {
            Expression<T> op;
            op.input[a] = x, op.input[b] = other, op.output[0] = out;
            op.steps = copies ? steps_of({{Function::copy, y, {a}}}) : steps_of({{Function::sub, y, {a, b}}});
            const auto before = x.values();
            run(op);
            for (int64_t i = 0; i < out.size(); ++i)
                CHECK(out[i] == (copies ? before[std::size_t(i)] : before[std::size_t(i)] - other[i]));
        };
        for (const bool copies : {false, true}) {
            const Laid<T> x(shape, strides), plain(shape, Lies::contiguous), gaps(shape, Lies::every_second);
            check(x, plain, Laid<T>(shape, Lies::contiguous), copies);
            check(x, plain, Laid<T>(shape, strides), copies);
            check(plain, x, Laid<T>(shape, strides), copies);
            check(gaps, x, Laid<T>(shape, Lies::every_second), copies);
            check(x, gaps, x, copies);
        }
    }
}

void refuses() {
    const auto valid = [](std::initializer_list<Step> list) { return steps_of(list, {0.5}).valid(); };
    constexpr auto add = Function::add, copy = Function::copy;
    CHECK(valid({}) && valid({{add, y, {a, k0}}}) && valid({{copy, t0, {a}}, {add, v, {t0, t0}}}));
    CHECK(!valid({{add, y, {a, k1}}}));                   // no such constant
    CHECK(!valid({{add, y, {t0, a}}, {copy, t0, {a}}}));  // read before it is written
    CHECK(!valid({{add, y, {y, a}}}));                    // an output holds nothing at first
    CHECK(!valid({{copy, a, {b}}}) && !valid({{copy, k0, {a}}}) && !valid({{copy, kRegisterCount, {a}}}));
    for (const int from : {int(kRegisterCount), 63, 64, 255})
        for (int k = 0; k < 4; ++k) {  // an operand that the function lacks must be a register, too
            Step step{copy, y, {}};
            step.from[k] = std::uint8_t(from);
            CHECK(!valid({step}));
        }
    CHECK(!valid({{Function(-1), y, {a}}}) && !valid({{Function(naive::kFunctions.size()), y, {a}}}));
    CHECK(valid({{add, y, {a, b, c}, copy, 1}}) && valid({{add, y, {a, b, c}, Function::sub, 1}}));
    CHECK(!valid({{add, y, {a, b, c}, Function::sub, 2}}) && !valid({{add, y, {a, b, t0}, add}}));
    CHECK(!valid({{add, y, {a, b, c}, Function::div}}) && !valid({{Function::exp, y, {a, b, c}, add}}));
    CHECK(!valid({{add, y, {a, b, c}, Function(-1)}}) && !valid({{add, y, {a, b, c}, Function::where}}));
    CHECK(valid({{Function::ge, y, {a, b, c, a}, Function::where}}));
    for (const int forged : {-1, 1 << 20}) {
        Steps steps;
        steps.count = forged;
        CHECK(!steps.valid());
        steps.count = 0, steps.constants = forged;
        CHECK(!steps.valid());
    }
    const Laid<float> square({2, 2}, Lies::contiguous), flat({4}, Lies::contiguous);
    Expression<float> op;
    op.steps = steps_of({{copy, y, {a}}});
    op.input[a] = square, op.output[0] = flat;
    CHECK(op.invalid() != nullptr);
}

template <class T>
void check(T) {
    constexpr int64_t block = 2048 / sizeof(T);
    std::vector<int64_t> sizes{block - 1, block, block + 1, kElementPiece - 1, 2 * kElementPiece + 91};
    for (int64_t n = 0; n <= 70; ++n) sizes.push_back(n);
    for (const Function f : naive::kFunctions)
        for (const int64_t n : sizes) alone<T>(f, {n}, Lies::contiguous, Lies::contiguous);
    const Extents shapes[] = {
        {},      {0, 3},    {1, 1},     {3, 0, 2},          {7, 1, 5}, {700, 2}, {2, 3, 2, 2, 1, 3},
        {1, 67}, {3, 1031}, {129, 257}, {4, 4, 4, 4, 4, 20}};
    for (const Extents& shape : shapes)
        for (const Lies inputs : kLies)
            for (const Lies outputs : kApart) {
                alone<T>(Function::where, shape, inputs, outputs), together<T>(shape, inputs, outputs);
                if (inputs == outputs) in_place<T>(shape, inputs);
            }
    pairs<T>(), turned<T>();
}

}  // namespace

int main() {
    refuses();
    both_dtypes([](auto t) { check(t); });
    return finish();
}
