// Which instructions make a chain, and how it is cut into blocks of rows.
#include "chain.hpp"

#include <algorithm>
#include <utility>

#include "caches.hpp"

namespace backpass {
namespace {

// Bytes that all instructions of a block read and write: about twice what they share, which is to stay in the L2 cache. Blocks of
// half this size lose in packed weights what they win (benchmarks/LOG.md).
double bytes_of_block() { return 3 * double(caches().l2); }
// The number of blocks is a multiple of this, so that two or four threads have as many each: of three, one thread has two.
constexpr std::int64_t kTurns = 4;

// An array of an op: its bytes, whether it is written, whether its rows are those of the batch.
struct Touched {
    const char *begin, *end;
    bool written, by_rows;
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
    return array.size() / array.shape[0];
}
template <class T>
std::int64_t row_step(const Strided<T>& array) {
    return array.stride[0];
}

// The elements that an array of any strides lies among, from data on: [first, second).
template <class T>
std::pair<std::int64_t, std::int64_t> extent(const Tensor<T>& array) {
    return {0, array.size()};
}
template <class T>
std::pair<std::int64_t, std::int64_t> extent(const Strided<T>& array) {
    if (array.size() == 0) return {0, 0};
    std::int64_t first = 0, last = 0;
    for (int i = 0; i < array.ndim; ++i)
        (array.stride[i] < 0 ? first : last) += (array.shape[i] - 1) * array.stride[i];
    return {first, last + 1};
}

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
                        const auto* data = reinterpret_cast<const char*>(field.data);
                        const auto [first, last] = extent(field);
                        // Rows apart from each other, each in one piece: the same rows of two such arrays are the same memory.
                        const bool apart =
                            Op::is_of_rows(name) && first == 0 && last == rows * row_step(field);
                        found.push_back({data + first * std::int64_t(sizeof(Item)),
                                         data + last * std::int64_t(sizeof(Item)), !std::is_const_v<Item>,
                                         apart});
                    }
            };
            op.fields(look);
        }
    });
    return found;
}

// May `later` begin with a row when `earlier` has just done it? What both touch, and one writes, is the same rows of one array.
bool follows(const std::vector<Touched>& earlier, const std::vector<Touched>& later) {
    for (const Touched& a : earlier)
        for (const Touched& b : later) {
            if (!(a.written || b.written) || a.end <= b.begin || b.end <= a.begin) continue;
            if (!a.by_rows || !b.by_rows || a.begin != b.begin || a.end != b.end) return false;
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

double row_bytes(const std::vector<Touched>& arrays, std::int64_t rows) {
    double bytes = 0;
    for (const Touched& array : arrays)
        if (array.by_rows) bytes += double(array.end - array.begin) / double(rows);
    return bytes;
}

Chain chain_of(const std::vector<Instruction>& instructions, std::size_t first, std::size_t last,
               double bytes, double block_bytes, const Kernels& table) {
    const std::int64_t rows = rows_of(instructions[first].op);
    const auto most = std::max<std::int64_t>(1, std::int64_t(block_bytes / bytes));
    const std::int64_t per_block = pieces(rows, pieces(pieces(rows, most), kTurns) * kTurns);
    Chain chain{first, last - first, pieces(rows, per_block), true, false, 1, {}};
    double flops = 0, moved = 0;
    for (std::size_t i = first; i < last; ++i) {
        flops += instructions[i].cost.flops, moved += instructions[i].cost.bytes;
        chain.parallel = chain.parallel && !adds_up(instructions[i].op);
    }
    chain.lengthy = estimated_seconds(flops, moved) > kGlance;
    chain.threads = useful_threads(flops, moved, chain.blocks);
    for (std::int64_t r = 0; r < rows; r += per_block)
        for (std::size_t i = first; i < last; ++i)
            chain.links.push_back(
                instruction_of(part_of(instructions[i].op, r, std::min(r + per_block, rows)), table));
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
        const std::int64_t rows = rows_of(instructions[first].op);
        std::size_t last = first + 1;
        if (rows < 2) {
            first = last;
            continue;
        }
        std::vector<std::vector<Touched>> arrays;
        double bytes = 0;
        for (last = first; last < instructions.size() && rows_of(instructions[last].op) == rows; ++last) {
            AnyOp op = instructions[last].op;
            const std::vector<Touched> own = touched(op);
            if (!std::all_of(arrays.begin(), arrays.end(), [&](const auto& a) { return follows(a, own); }))
                break;
            bytes += row_bytes(own, rows);
            arrays.push_back(own);
        }
        if (last - first > 1 && bytes * double(rows) > block_bytes)
            chains.push_back(chain_of(instructions, first, last, bytes, block_bytes, table));
        first = last;
    }
    return chains;
}

}  // namespace backpass
