// Which instructions make a chain, and how it is cut into blocks of rows.
#include "chain.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "caches.hpp"

namespace backpass {
namespace {

// Bytes that all instructions of a block read and write: about twice what they share, which is to stay in the L2 cache. Blocks of
// half this size lose in packed weights what they win (benchmarks/LOG.md).
double bytes_of_block() { return 3 * double(caches().l2); }
// The number of blocks is a multiple of this, so that two or four threads have as many each: of three, one thread has two.
constexpr std::int64_t kTurns = 4;

// An op takes part while what it reads in every block, such as weights, is at most this share of what its rows are in one.
constexpr double kMostFixed = 0.2;

// An array of an op: its bytes, whether it is written, whether its rows are those of the batch. Such an array has `step` bytes from one
// row to the next, of which a row touches the first `span`.
struct Touched {
    const char *begin, *end;
    bool written, by_rows;
    std::int64_t step, span;

    double bytes() const { return double(end - begin); }
};

// Does the op take its rows one by one? Then it says how many there are, and which arrays have rows: `is_of_rows(name)`.
template <class Op>
concept ByRows = requires(const Op& op) { op.rows(), Op::is_of_rows(""); };

std::int64_t rows_of(const AnyOp& op) {
    return op.visit([](const auto& o) -> std::int64_t {
        if constexpr (ByRows<std::decay_t<decltype(o)>>)
            return o.rows();
        else
            return 0;
    });
}

// Elements from one row of an array to the next.
template <class T>
std::int64_t row_step(const Tensor<T>& array) {
    return array.ndim == 1 ? 1 : array.rows() / array.shape[0] * array.ld();
}
template <class T>
std::int64_t row_step(const Strided<T>& array) {
    return array.stride[0];
}

// The elements that an array of any strides lies among, from data on: [first, second).
template <class T>
std::pair<std::int64_t, std::int64_t> extent(const Tensor<T>& array) {
    return {0, array.rows() * array.ld()};
}
template <class T>
std::pair<std::int64_t, std::int64_t> extent(const Strided<T>& array) {
    if (array.size() == 0) return {0, 0};
    std::int64_t first = 0, last = 0;
    for (int i = 0; i < array.ndim; ++i)
        (array.stride[i] < 0 ? first : last) += (array.shape[i] - 1) * array.stride[i];
    return {first, last + 1};
}

// An instruction of a chain.
struct Link {
    std::int64_t rows = 0;
    std::vector<Touched> arrays;

    // Bytes of all its rows, and of what is read or written in each block.
    double moving() const { return sum(true); }
    double fixed() const { return sum(false); }

  private:
    double sum(bool by_rows) const {
        double bytes = 0;
        for (const Touched& array : arrays)
            if (array.by_rows == by_rows) bytes += array.bytes();
        return bytes;
    }
};

std::vector<Touched> touched(AnyOp& any) {
    std::vector<Touched> found;
    any.visit([&](auto& op) {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (ByRows<Op>) {
            const std::int64_t rows = op.rows();
            const auto look = [&]<class Field>(const char* name, Field& field, const auto&...) {
                if constexpr (requires { field.data, field.ndim; })
                    if (field) {
                        using Item = std::remove_pointer_t<decltype(field.data)>;
                        constexpr std::int64_t size = sizeof(Item);
                        const auto* data = reinterpret_cast<const char*>(field.data);
                        const auto [first, last] = extent(field);
                        const bool of_rows = Op::is_of_rows(name);
                        const std::int64_t step = of_rows ? row_step(field) : 0,
                                           span = last - (rows - 1) * step;
                        // Rows that do not reach into each other.
                        const bool apart = of_rows && first == 0 && 0 < span && span <= step;
                        found.push_back({data + first * size, data + last * size, !std::is_const_v<Item>,
                                         apart, step * size, span * size});
                    }
            };
            op.fields(look);
        }
    });
    return found;
}

// May `later` begin with a sample when `earlier` has just done it? What both touch, and one writes, is of one sample.
bool follows(const Link& earlier, const Link& later, std::int64_t samples) {
    for (const Touched& a : earlier.arrays)
        for (const Touched& b : later.arrays) {
            if (!(a.written || b.written) || a.end <= b.begin || b.end <= a.begin) continue;
            if (!a.by_rows || !b.by_rows) return false;
            const std::int64_t in_a = earlier.rows / samples, in_b = later.rows / samples,
                               step = in_a * a.step;
            const std::int64_t span_a = (in_a - 1) * a.step + a.span, span_b = (in_b - 1) * b.step + b.span;
            const std::int64_t apart = b.begin - a.begin;
            if (in_b * b.step != step || apart + span_b > step || span_a - apart > step) return false;
        }
    return true;
}

// The same op on rows [r0, r1).
AnyOp part_of(const AnyOp& whole, std::int64_t r0, std::int64_t r1) {
    AnyOp part = whole;
    part.visit([&](auto& op) {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (ByRows<Op>) {
            const auto cut = [&]<class Field>(const char* name, Field& field, const auto&...) {
                if constexpr (requires { field.data, field.ndim; })
                    if (field && Op::is_of_rows(name)) {
                        field.data += row_step(field) * r0;
                        field.shape[0] = r1 - r0;
                    }
            };
            op.fields(cut);
            if constexpr (requires { op.adds; }) op.adds = r0 > 0;
        }
    });
    return part;
}

bool adds_up(const AnyOp& any) {
    return any.visit([](const auto& op) { return requires { op.adds; }; });
}

// How many blocks the samples of some links make, of links that move so many bytes.
std::int64_t blocks_of(double bytes, std::int64_t samples, double block_bytes) {
    const auto most = std::max<std::int64_t>(1, std::int64_t(block_bytes / (bytes / double(samples))));
    const std::int64_t per_block = pieces(samples, pieces(pieces(samples, most), kTurns) * kTurns);
    return pieces(samples, per_block);
}

Chain chain_of(const std::vector<Instruction>& instructions, std::size_t first, std::size_t last,
               std::int64_t samples, std::int64_t blocks, const Kernels& table) {
    const std::int64_t per_block = pieces(samples, blocks);
    Chain chain{first, last - first, pieces(samples, per_block), true, 1, 1, {}};
    double flops = 0, moved = 0;
    for (std::size_t i = first; i < last; ++i) {
        flops += instructions[i].cost.flops, moved += instructions[i].cost.bytes;
        chain.parallel = chain.parallel && !adds_up(instructions[i].op);
    }
    chain.glance = tasks_of_a_glance(estimated_seconds(flops, moved), chain.blocks);
    chain.threads = useful_threads(flops, moved, chain.blocks);
    for (std::int64_t s = 0; s < samples; s += per_block)
        for (std::size_t i = first; i < last; ++i) {
            const std::int64_t each = rows_of(instructions[i].op) / samples;
            const std::int64_t end = std::min(s + per_block, samples);
            chain.links.push_back(instruction_of(part_of(instructions[i].op, s * each, end * each), table));
        }
    return chain;
}

}  // namespace

void Chain::call(const void* context, Range blocks, Scratch scratch) {
    const Chain& chain = *static_cast<const Chain*>(context);
    const std::size_t end = std::size_t(blocks.end) * chain.count;
    for (std::size_t i = std::size_t(blocks.begin) * chain.count; i < end; ++i) {
        const Instruction& link = chain.links[i];
        link.call(&link, Range{0, link.tasks}, scratch);
    }
}

std::vector<Chain> chains_of(const std::vector<Instruction>& instructions, const Kernels& table) {
    const double block_bytes = bytes_of_block();
    std::vector<Chain> chains;
    for (std::size_t first = 0; first < instructions.size();) {
        std::int64_t samples = rows_of(instructions[first].op), blocks = 0;
        std::size_t last = first;
        std::vector<Link> links;
        double bytes = 0;
        for (; last < instructions.size(); ++last) {
            AnyOp op = instructions[last].op;
            const std::int64_t rows = rows_of(op), common = std::gcd(samples, rows);
            // Of rows whose numbers have little in common the blocks would be too large.
            if (rows < 2 || common < std::min(samples, kTurns)) break;
            const Link link{rows, touched(op)};
            const double together = bytes + link.moving();
            const std::int64_t count = blocks_of(together, common, block_bytes);
            const auto fits = [&](const Link& one) {
                return one.fixed() * double(count) <= kMostFixed * one.moving();
            };
            const auto before = [&](const Link& one) { return fits(one) && follows(one, link, common); };
            if (!fits(link) || !std::all_of(links.begin(), links.end(), before)) break;
            samples = common, bytes = together, blocks = count;
            links.push_back(link);
        }
        if (last - first > 1 && bytes > block_bytes)
            chains.push_back(chain_of(instructions, first, last, samples, blocks, table));
        first = std::max(last, first + 1);
    }
    return chains;
}

}  // namespace backpass
