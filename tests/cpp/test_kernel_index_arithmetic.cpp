// Integers that become indices of one ISA row against plain loops, over arrays of any strides, with numbers at the ends of 64 bits.
#include "laid.hpp"

namespace {

using namespace backpass;
using std::int64_t;

constexpr int64_t kLowest = std::numeric_limits<int64_t>::min(),
                  kHighest = std::numeric_limits<int64_t>::max();
constexpr int64_t kEnds[] = {kLowest, kHighest, -1, 0, 1, 7919};

void draw(const Laid<int64_t>& array) {
    for (int64_t i = 0; i < array.size(); ++i)
        array[i] = i % 3 == 1 ? kEnds[random_numbers.below(6)] : random_numbers.below(41) - 20;
}

// By the rules of Python: 128 bits hold every sum, product and quotient.
int64_t expected(IndexFunction function, int64_t a, int64_t b) {
    using Wide = __int128;
    const auto low = [](Wide value) { return int64_t(std::uint64_t(value)); };
    const Wide rest = b == 0 ? 0 : Wide(a) % b, down = rest != 0 && (rest < 0) != (b < 0);
    switch (function) {
        case IndexFunction::add:
            return low(Wide(a) + b);
        case IndexFunction::sub:
            return low(Wide(a) - b);
        case IndexFunction::mul:
            return low(Wide(a) * b);
        case IndexFunction::floordiv:
            return b == 0 ? 0 : low(Wide(a) / b - down);
        case IndexFunction::mod:
            return low(down != 0 ? rest + b : rest);
        case IndexFunction::lt:
            return a < b;
        case IndexFunction::le:
            return a <= b;
        case IndexFunction::gt:
            return a > b;
        case IndexFunction::ge:
            return a >= b;
        case IndexFunction::eq:
            return a == b;
        case IndexFunction::ne:
            return a != b;
    }
    return 0;
}

void functions(const Extents& shape, Lies lies, Lies to) {
    for (int f = 0; f < count_of(kIndexFunctionNames); ++f) {
        const Laid<int64_t> a(shape, lies), b(shape, lies == Lies::contiguous ? Lies::repeated : lies);
        const Laid<int64_t> y(shape, to);
        draw(a), draw(b);
        IndexFunctionOf op;
        op.a = a, op.b = b, op.y = y, op.function = IndexFunction(f);
        run(op);
        for (int64_t i = 0; i < y.size(); ++i) CHECK(y[i] == expected(op.function, a[i], b[i]));
    }
}

template <class T>
void choices(const Extents& shape, Lies lies, Lies to) {
    const Laid<T> condition(shape, lies);
    const Laid<int64_t> a(shape, lies), b(shape, lies), y(shape, to);
    draw(a), draw(b);
    for (int64_t i = 0; i < condition.size(); i += 2) condition[i] = 0;
    IndexWhere<T> op;
    op.condition = condition, op.a = a, op.b = b, op.y = y;
    run(op);
    for (int64_t i = 0; i < y.size(); ++i) CHECK(y[i] == (condition[i] != 0 ? a[i] : b[i]));
    const Laid<T> x(shape, lies, -50, 50);
    const T ends[] = {T(__builtin_nan("")), T(__builtin_inf()), T(-__builtin_inf()), T(0x1p63),
                      T(-0x1p63),           T(-0x1p62)};
    for (int64_t i = 1; i < x.size(); i += 3) x[i] = ends[random_numbers.below(6)];
    const auto whole = Array<int64_t>::filled(shape);
    ToIndex<T> made;
    made.x = x, made.y = whole;
    run(made);
    for (int64_t i = 0; i < x.size(); ++i)
        CHECK(whole[i] == (std::abs(double(x[i])) < 0x1p63 ? int64_t(std::trunc(x[i])) : -1));
}

void check() {
    for (const Extents& shape :
         {Extents{}, Extents{0}, Extents{1}, Extents{17}, Extents{3, 5}, Extents{2, 3, 7}})
        for (const Lies lies : kLies)
            for (const Lies to : kApart) {
                functions(shape, lies, to);
                both_dtypes([&](auto t) { choices<decltype(t)>(shape, lies, to); });
            }
    functions({3, 20011}, Lies::transposed, Lies::contiguous);
}

}  // namespace

int main() {
    check();
    return finish();
}
