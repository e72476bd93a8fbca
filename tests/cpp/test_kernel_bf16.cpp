// Products through bfloat16 of one ISA row: the emulation against the instruction, both against sums in double.
#include <cfloat>
#include <stdexcept>

#include "kernel_test.hpp"
#include "kernels/matmul/amx.hpp"
#include "kernels/matmul/pair_gemm.hpp"
#include "kernels/matmul/pair_tile.hpp"
#include "runtime/isa.hpp"

namespace {

using namespace backpass;
using namespace backpass::BACKPASS_ISA;
using std::int64_t;

#define BACKPASS_STRING(x) #x
#define BACKPASS_NAME_OF(x) BACKPASS_STRING(x)

// The units that this CPU has in this row, besides float32. The instruction follows its emulation, whose bits it has to give.
std::vector<Unit> units() {
    std::vector<Unit> found;
    for (const Unit unit : {Unit::emulation, Unit::vdpbf16ps, Unit::amx_emulation, Unit::amx}) try {
            found.push_back(
                choose_unit(kUnitNames[int(unit)], BACKPASS_NAME_OF(BACKPASS_ISA), Precision::bf16));
        } catch (const std::invalid_argument&) {}
    return found;
}

bool is_emulated(Unit unit) { return unit == Unit::emulation || unit == Unit::amx_emulation; }

float float_of(std::uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}
std::uint32_t bits_of(float x) {
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}
// The same bits; of a NaN the sign and the payload depend on the compiler.
bool same(float a, float b) { return std::isnan(a) ? std::isnan(b) : bits_of(a) == bits_of(b); }

// A number of any exponent in [low, high], now and then 0, inf or NaN.
float any_float(int64_t low, int64_t high) {
    const auto mantissa = std::uint32_t(random_numbers.bits() >> 41),
               sign = std::uint32_t(random_numbers.below(2));
    if (random_numbers.below(64) == 0)
        return float_of(sign << 31 | (random_numbers.below(2) ? 0 : 0x7f800000u) |
                        (random_numbers.below(4) ? 0 : 1u));
    return float_of(sign << 31 | std::uint32_t(low + random_numbers.below(high - low + 1)) << 23 | mantissa);
}

// x rounded to 8 bits in double, denormals to 0.
float naive_bf16(float x) {
    if (x == 0 || !std::isfinite(x)) return x;
    if (std::fabs(x) < FLT_MIN) return std::copysign(0.0f, x);
    int exponent;
    const double mantissa = std::frexp(double(x), &exponent);
    return float(std::ldexp(std::nearbyint(mantissa * 256), exponent - 8));
}

// multiply_add() rounds once: against the C library.
void rounds_once() {
    testing = "multiply_add";
    for (int i = 0; i < 100000; ++i) {
        const float a = float_of(bits_of(any_float(100, 140)) & 0xffff0000u),
                    b = float_of(bits_of(any_float(100, 140)) & 0xffff0000u);
        const float c = any_float(80, 160);
        CHECK(same(multiply_add(a, b, c), no_denormal(std::fma(a, b, no_denormal(c)))));
    }
    // The smallest normal number: what rounds to it with 24 bits is not denormal.
    CHECK(multiply_add(-0x1p-76f, 0x1p-75f, 0x1p-126f) == 0x1p-126f);
    CHECK(multiply_add(-0x1.2p-76f, 0x1p-75f, 0x1p-126f) == 0);
    CHECK(multiply_add(1, 0x1p-130f, 1) == 1 && multiply_add(0, 1, 0x1p-130f) == 0);
}

// A register's sum of 16 pairs is what Intel's manual says of TDPBF16PS, here by the C library.
void adds_pairs_of_tile() {
    testing = "add_pairs_of_tile";
    for (int i = 0; i < 5000; ++i) {
        Pair a[kAmxWords], b[kAmxWords];
        for (auto* words : {a, b})
            for (int k = 0; k < kAmxWords; ++k)
                words[k] = bits_of(any_float(100, 150)) >> 16 | (bits_of(any_float(100, 150)) & 0xffff0000u);
        const float before = any_float(60, 160);
        float lower = 0, upper = 0;
        for (int k = 0; k < kAmxWords; ++k) {
            lower = no_denormal(std::fma(lower_of(a[k]), lower_of(b[k]), lower));
            upper = no_denormal(std::fma(upper_of(a[k]), upper_of(b[k]), upper));
        }
        CHECK(same(add_pairs_of_tile(before, a, b), no_denormal(before + no_denormal(lower + upper))));
    }
}

// A sum of products of pairs, as the unit computes it.
float chain(Unit unit, const Pair* a, const Pair* b, Index steps) {
    float sum = 0;
    for (Index k = 0; k < steps; k += tile_size(unit).steps)
        sum = is_amx(unit) ? add_pairs_of_tile(sum, a + k, b + k) : add_pair(sum, a[k], b[k]);
    return sum;
}

// Numbers of all exponents, around the smallest and around the largest: the tile of every unit gives what its chain does.
void tiles(Unit unit, int rows, int columns, Index steps, bool first) {
    testing = kUnitNames[int(unit)];
    const AmxShapes shapes(unit == Unit::amx);
    const int panel = tile_size(unit).columns;
    const std::pair<int64_t, int64_t> ranges[] = {{0, 255}, {120, 134}, {1, 66}, {180, 254}};
    for (const auto& [low, high] : ranges) {
        // AMX reads whole registers.
        std::vector<Pair> a(std::size_t(tile_size(unit).rows * steps)), b(std::size_t(panel * steps));
        for (auto* words : {&a, &b})
            for (Pair& word : *words)
                word = bits_of(any_float(low, high)) >> 16 | (bits_of(any_float(low, high)) & 0xffff0000u);
        const auto c = Array<float>::filled({rows, columns}, 1);
        PairTile tile{.a = {a.data(), steps, 1},
                      .b = b.data(),
                      .steps = steps,
                      .c = c.data(),
                      .ldc = columns,
                      .rows = rows,
                      .columns = columns,
                      .first = first};
        static constexpr PartProduct whole{0, 0};
        tile.products = &whole, tile.count = 1;
        pair_tile(unit, rows, columns)(tile);
        std::vector<Pair> column(static_cast<std::size_t>(steps));
        for (int n = 0; n < columns; ++n) {
            for (Index k = 0; k < steps; ++k) column[std::size_t(k)] = b[std::size_t(k * panel + n)];
            for (int m = 0; m < rows; ++m) {
                const float sum = chain(unit, a.data() + m * steps, column.data(), steps);
                CHECK(same(c[m * columns + n], first ? sum : 1 + sum));
            }
        }
    }
}

// Conversions: the integers of to_bf16() and the instruction, for all that a float can be.
void conversions(bool by_instruction) {
    testing = "to_bf16";
    constexpr int w = width<float>;
    for (int i = 0; i < 20000; ++i) {
        float x[2 * w];
        for (float& value : x) value = any_float(0, 254);
        x[0] = float_of(0x7f7f7fffu + std::uint32_t(i % 3)),
        x[1] = float_of(0x007fffffu + std::uint32_t(i % 3));
        const uvec<float> words[] = {pairs_of(false, load(x), load(x + w)),
                                     pair_of(false, load(x), load(x + w))};
        for (int n = 0; n < w; ++n) {
            CHECK(same(lower_of(words[0][n]), naive_bf16(x[2 * n])) &&
                  same(upper_of(words[0][n]), naive_bf16(x[2 * n + 1])));
            CHECK(same(lower_of(words[1][n]), naive_bf16(x[n])) &&
                  same(upper_of(words[1][n]), naive_bf16(x[w + n])));
        }
        if (!by_instruction) continue;
        const uvec<float> same_words[] = {pairs_of(true, load(x), load(x + w)),
                                          pair_of(true, load(x), load(x + w))};
        CHECK(std::memcmp(words, same_words, sizeof words) == 0);
    }
}

// The error that a precision may have in a product of K numbers, in units of float32's epsilon times the sum of absolute products.
double most_ulps(Precision precision, int64_t K) {
    const double chain = double(K) / 2 + 8;
    return precision == Precision::bf16     ? 0x1p16 + chain
           : precision == Precision::bf16x3 ? 0x1p8 + chain
                                            : chain;
}

double magnitude_of(const Array<float>& a, const Array<float>& b, int64_t K, int64_t i, int64_t i_step,
                    int64_t j, int64_t j_step, double& sum) {
    double scale = 0;
    sum = 0;
    for (int64_t k = 0; k < K; ++k) {
        const double product = double(a[i + k * i_step]) * double(b[j + k * j_step]);
        sum += product, scale += std::fabs(product);
    }
    return scale;
}

// A layer of every precision: cut in every way (run), near the sums in double, with the bits of the emulation.
void layer(Precision precision, int64_t B, int64_t I, int64_t O) {
    const Array<float> x({B, I}), weight({I, O}), bias({O}), dy({B, O});
    std::vector<unsigned char> emulated;
    for (const Unit unit : units()) {
        const auto y = Array<float>::filled({B, O}), dx = Array<float>::filled({B, I}),
                   dweight = Array<float>::filled({I, O}), dbias = Array<float>::filled({O});
        LinearForward<float> forward;
        forward.x = x, forward.weight = weight, forward.bias = bias, forward.y = y,
        forward.rounding = {precision, unit};
        run(forward);
        LinearBackward<float> backward;
        backward.x = x, backward.weight = weight, backward.dy = dy, backward.dx = dx,
        backward.dweight = dweight;
        backward.dbias = dbias, backward.rounding = {precision, unit};
        run(backward);
        double sum;
        for (int64_t b = 0; b < B; ++b)
            for (int64_t o = 0; o < O; ++o) {
                const double scale =
                    magnitude_of(x, weight, I, b * I, 1, o, O, sum) + std::fabs(double(bias[o]));
                CHECK(is_close(y[b * O + o], sum + double(bias[o]), most_ulps(precision, I), scale));
            }
        for (int64_t b = 0; b < B; ++b)
            for (int64_t i = 0; i < I; ++i) {
                const double scale = magnitude_of(dy, weight, O, b * O, 1, i * O, 1, sum);
                CHECK(is_close(dx[b * I + i], sum, most_ulps(precision, O), scale));
            }
        for (int64_t i = 0; i < I; ++i)
            for (int64_t o = 0; o < O; ++o) {
                const double scale = magnitude_of(x, dy, B, i, I, o, O, sum);
                CHECK(is_close(dweight[i * O + o], sum, most_ulps(precision, B), scale));
            }
        auto bytes = bytes_of(memory_of<true>(forward));
        const auto more = bytes_of(memory_of<true>(backward));
        bytes.insert(bytes.end(), more.begin(), more.end());
        if (is_emulated(unit)) emulated = bytes;
        CHECK(bytes == emulated);
    }
}

// inf and NaN come out where float32 has them, and finite numbers stay finite in a sum of parts, however large.
void extremes(Precision precision) {
    const int64_t B = 20, I = 40, O = 35;
    const float inf = std::numeric_limits<float>::infinity();
    const auto x = Array<float>::filled({B, I}, 1), weight = Array<float>::filled({I, O}, 0.5),
               y = Array<float>::filled({B, O});
    x[3 * I + 7] = inf, x[5 * I + 1] = -inf, x[5 * I + 2] = inf, x[8 * I] = std::nanf(""),
              weight[9 * O + 4] = -inf;
    // Too large for bfloat16, which makes it inf where it stands alone.
    const float large = precision == Precision::bf16 ? 1e38f : FLT_MAX;
    weight[10 * O + 6] = large / 4, x[11 * I] = large;
    for (const Unit unit : units()) {
        LinearForward<float> op;
        op.x = x, op.weight = weight, op.y = y, op.rounding = {precision, unit};
        run(op);
        for (int64_t b = 0; b < B; ++b)
            for (int64_t o = 0; o < O; ++o) {
                double sum;
                magnitude_of(x, weight, I, b * I, 1, o, O, sum);
                if (!std::isfinite(sum))
                    CHECK(same(y[b * O + o], float(sum)));
                else
                    CHECK(is_close(y[b * O + o], sum, most_ulps(precision, I), std::fabs(sum)));
            }
    }
}

// A row alone has the bits that it has in a batch.
void rows_alone(Precision precision, Unit unit) {
    const int64_t B = 33, I = 700, O = 70;
    const Array<float> x({B, I}), weight({I, O});
    const auto all = Array<float>::filled({B, O}), one = Array<float>::filled({1, O});
    LinearForward<float> op;
    op.x = x, op.weight = weight, op.y = all, op.rounding = {precision, unit};
    run(op);
    for (int64_t b = 0; b < B; b += 8) {
        op.x.data = x.data() + b * I, op.x.shape[0] = 1, op.y = one;
        run(op);
        CHECK(std::memcmp(one.data(), all.data() + b * O, std::size_t(O) * sizeof(float)) == 0);
    }
}

}  // namespace

int main() {
    report_crashes();
    rounds_once(), adds_pairs_of_tile();
    for (const Unit unit : units()) {
        const TileSize most = tile_size(unit);
        for (int rows = 1; rows <= most.rows; ++rows)
            for (const int columns : {1, most.columns / 2, most.columns / 2 + 1, most.columns})
                tiles(unit, rows, columns, is_amx(unit) ? 32 : 23, rows % 3 > 0);
        conversions(unit == Unit::vdpbf16ps);
    }
    for (const Precision precision : {Precision::bf16, Precision::bf16x3, Precision::bf16x6}) {
        layer(precision, 0, 5, 7), layer(precision, 3, 0, 7), layer(precision, 3, 5, 0);
        layer(precision, 1, 1, 1), layer(precision, 3, 5, 7), layer(precision, 17, 31, 33);
        layer(precision, 29, 530, 70), layer(precision, 150, 20, 300);
        extremes(precision);
        for (const Unit unit : units()) rows_alone(precision, unit);
    }
    return finish();
}
