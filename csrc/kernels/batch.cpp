// Batches: the order of an epoch, rows gathered into a batch, counters.
#include "../ops/batch.hpp"
#include "kernel.hpp"
#include "vector/loops.hpp"
#include "vector/philox.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

constexpr Word kShuffleStream = 0xB0000000;

// Fisher and Yates: for i = N-1 .. 1, swap places i and j = ⌊draw[i] (i + 1) / 2³²⌋
void shuffle_index(const Shuffle& op, Range, Scratch) {
    Index* const index = op.index.data;
    const Index size = op.index.size();
    const std::uint64_t epoch = std::uint64_t(op.epoch.data[0]), seed = std::uint64_t(op.seed);
    for (Index i = 0; i < size; ++i) index[i] = i;
    for (Index end = size; end > 1;) {
        const Index block = (end - 1) / kDrawBlock, begin = block * kDrawBlock;
        Word words[kDrawBlock];
        draw(words, std::uint64_t(block), epoch, kShuffleStream, seed);
        for (Index i = end - 1; i >= begin && i > 0; --i) {
            const Index j = Index(std::uint64_t(words[i - begin]) * std::uint64_t(i + 1) >> 32);
            const Index other = index[j];
            index[j] = index[i];
            index[i] = other;
        }
        end = begin;
    }
}

// Distance of the prefetch in bytes, and its limit in rows: more lines of short rows would push each other out of the L1 cache.
constexpr Index kGatherAhead = 16384;
constexpr Index kMostAhead = 64;

BP_INLINE void fetch(std::uint64_t address) { __builtin_prefetch((const void*)address); }

template <int Bytes>
BP_INLINE void copy(char* to, const char* from) {
    typename Vector<std::uint32_t, Bytes>::type v;
    __builtin_memcpy(&v, from, Bytes);
    __builtin_memcpy(to, &v, Bytes);
}

// Copy a row of at least Bytes in pieces of Bytes; the last piece may overlap the one before. Meanwhile the row at `next` is
// prefetched line by line, because a whole row at once would stall.
template <int Bytes>
BP_INLINE void copy_row(char* to, const char* from, std::uint64_t next, Index bytes) {
    for (Index i = 0; i + Bytes < bytes; i += Bytes) {
        fetch(next + std::uint64_t(i));
        copy<Bytes>(to + i, from + i);
    }
    fetch(next + std::uint64_t(bytes - Bytes));
    copy<Bytes>(to + bytes - Bytes, from + bytes - Bytes);
}

// Convert a row to another dtype. Meanwhile the row at `next` is prefetched line by line.
template <class T, class Source>
BP_INLINE void convert_row(T* to, const Source* from, std::uint64_t next, Index columns) {
    constexpr Index line = 64 / Index(sizeof(Source));
    Index i = 0;
    for (; i + line <= columns; i += line) {
        fetch(next + std::uint64_t(i) * sizeof(Source));
        for (Index j = i; j < i + line; ++j) to[j] = T(from[j]);
    }
    if (i < columns) fetch(next + std::uint64_t(i) * sizeof(Source));
    for (; i < columns; ++i) to[i] = T(from[i]);
}

// row(to, from, next) for those rows [begin, end) of out that exist in source. next: address of a later row of source.
template <class T, class Source, class Row>
BP_INLINE void gather_rows(const Gather<T, Source>& op, Index begin, Index end, Row row) {
    const Index size = op.source.shape[0], columns = op.out.cols(), bytes = columns * Index(sizeof(Source));
    const Index* const index = op.index.data + op.cursor.data[0];
    const Index known = op.index.size() - op.cursor.data[0];
    const Index ahead = kGatherAhead / bytes < kMostAhead ? kGatherAhead / bytes + 1 : kMostAhead;
    T* to = op.out.data + begin * op.out.ld();
    for (Index b = begin; b < end; ++b, to += op.out.ld()) {
        if (std::uint64_t(index[b]) >= std::uint64_t(size)) continue;
        // The hardware cannot predict a shuffled order. Addresses are integers, which wrap around, because a forged index may
        // point anywhere.
        const Index later = index[b + ahead < known ? b + ahead : b];
        row(to, op.source.data + index[b] * columns,
            std::uint64_t(op.source.data) + std::uint64_t(later) * std::uint64_t(bytes));
    }
}

template <int Bytes, class T>
BP_INLINE void copy_rows(const Gather<T>& op, Index begin, Index end) {
    const Index bytes = op.out.cols() * Index(sizeof(T));
    gather_rows(op, begin, end, [=](T* to, const T* from, std::uint64_t next) BP_INLINED {
        copy_row<Bytes>((char*)to, (const char*)from, next, bytes);
    });
}

// out[b] = source[index[cursor + b]]. Row b stays as it is if cursor + b lies outside index, or the index outside source.
template <class T, class Source>
void gather(const Gather<T, Source>& op, Range range, Scratch) {
    const Index cursor = op.cursor.data[0];
    const Index rows = op.out.rows(), columns = op.out.cols(), bytes = columns * Index(sizeof(T));
    if (cursor < 0 || cursor >= op.index.size() || bytes == 0) return;
    const Index left = op.index.size() - cursor;
    const auto [begin, end] = covered(range, op.rows_per_task(), left < rows ? left : rows);
    if constexpr (std::is_same_v<T, Source>) {
        if (bytes >= kBytes) return copy_rows<kBytes>(op, begin, end);
        if (bytes >= 32) return copy_rows<32>(op, begin, end);
        if (bytes >= 16) return copy_rows<16>(op, begin, end);
        if (bytes >= 8) return copy_rows<8>(op, begin, end);
        copy_rows<4>(op, begin, end);
    } else {
        gather_rows(op, begin, end, [=](T* to, const Source* from, std::uint64_t next) BP_INLINED {
            convert_row(to, from, next, columns);
        });
    }
}

// n numbers of another dtype.
template <class T, class Source>
BP_INLINE vec<T> load_as(const Source* p, int n) {
    if (n == width<T>) {
        typename Vector<Source, width<T>* int(sizeof(Source))>::type v;
        __builtin_memcpy(&v, p, sizeof v);
        return __builtin_convertvector(v, vec<T>);
    }
    T some[width<T>] = {};
    for (int i = 0; i < n; ++i) some[i] = T(p[i]);
    return load(some);
}

// Channels of one or a few pixels for which vectors find their mean and std in a row.
template <class T>
struct ChannelPattern {
    T own_mean[width<T> * width<T>], own_std[width<T> * width<T>];
    const T *mean, *std;
    Index size;

    // Fewer channels than lanes are repeated, so that every vector begins with some channel of the pattern.
    ChannelPattern(const T* given_mean, const T* given_std, Index channels)
        : mean(given_mean), std(given_std), size(channels) {
        if (channels == 0 || channels >= width<T>) return;
        size = channels * width<T>;
        for (Index i = 0; i < size; ++i)
            own_mean[i] = given_mean[i % channels], own_std[i] = given_std[i % channels];
        mean = own_mean, std = own_std;
    }
};

// out[b] = (source[index[cursor + b]] scale - mean) / std, each step rounded as in NumPy. Rows as in `gather`.
template <class T, class Source>
void gather_images(const GatherImages<T, Source>& op, Range range, Scratch) {
    const auto rows = op.rows();
    const Index cursor = op.cursor.data[0], size = rows.out.cols(), batch = rows.out.rows();
    if (cursor < 0 || cursor >= op.index.size() || size == 0) return;
    const Index left = op.index.size() - cursor;
    const auto [begin, end] = covered(range, rows.rows_per_task(), left < batch ? left : batch);
    const Index channels = op.out.shape[2], pixels = op.out.shape[3];
    const ChannelPattern<T> pattern(op.mean.data, op.std.data, channels);
    const vec<T> scale = broadcast<T>(T(op.scale));
    const auto normalise = [=](T* to, const Source* from, std::uint64_t next, int n, vec<T> mean, vec<T> std)
                               BP_INLINED {
                                   fetch(next);
                                   store_some(to, (rounded(load_as<T>(from, n) * scale) - mean) / std, n);
                               };
    gather_rows(rows, begin, end, [&](T* to, const Source* from, std::uint64_t next) BP_INLINED {
        const auto ahead = [=](Index i) BP_INLINED { return next + std::uint64_t(i) * sizeof(Source); };
        if (pixels == 1) {
            for (Index start = 0; start < size; start += pattern.size) {
                const Index count = pattern.size < size - start ? pattern.size : size - start;
                each_vector<T>(count, [&](Index i, int n) BP_INLINED {
                    normalise(to + start + i, from + start + i, ahead(start + i), n,
                              load_some(pattern.mean + i, n), load_some(pattern.std + i, n));
                });
            }
            return;
        }
        for (Index plane = 0, start = 0; start < size; ++plane, start += pixels) {
            const Index c = plane % channels;
            const vec<T> mean = broadcast<T>(op.mean.data[c]), std = broadcast<T>(op.std.data[c]);
            each_vector<T>(pixels, [&](Index i, int n) BP_INLINED {
                normalise(to + start + i, from + start + i, ahead(start + i), n, mean, std);
            });
        }
    });
}

// All rows lie one behind the other, in x as in kept.
template <class T>
void append(const AppendRows<T>& op, Range, Scratch) {
    const Index start = op.count.data[0], rows = op.x.shape[0], columns = op.x.shape[1];
    const Index room = start >= 0 && start < op.kept.shape[0] ? op.kept.shape[0] - start : 0;
    const Index size = (rows < room ? rows : room) * columns;
    op.count.data[0] += rows;
    if (size) __builtin_memcpy(op.kept.data + start * columns, op.x.data, std::size_t(size) * sizeof(T));
}

// step += 1, every counter in it; cursor += rows; total += (loss count, count)
void advance(const Advance& op, Range, Scratch) {
    const double count = op.count.data[0];
    for (Index i = 0; i < op.step.size(); ++i) op.step.data[i] = wrapping_add(op.step.data[i], 1);
    op.cursor.data[0] = wrapping_add(op.cursor.data[0], op.rows);
    op.total.data[0] += op.loss.data[0] * count;
    op.total.data[1] += count;
}

}  // namespace

BACKPASS_KERNEL_UNTYPED(Shuffle, shuffle_index)
BACKPASS_KERNEL(GatherFloat, gather)
BACKPASS_KERNEL(GatherDouble, gather)
BACKPASS_KERNEL(GatherInt8, gather)
BACKPASS_KERNEL(GatherUint8, gather)
BACKPASS_KERNEL(GatherInt16, gather)
BACKPASS_KERNEL(GatherUint16, gather)
BACKPASS_KERNEL(GatherInt32, gather)
BACKPASS_KERNEL(GatherInt64, gather)
BACKPASS_KERNEL(GatherImagesFloat, gather_images)
BACKPASS_KERNEL(GatherImagesDouble, gather_images)
BACKPASS_KERNEL(GatherImagesInt8, gather_images)
BACKPASS_KERNEL(GatherImagesUint8, gather_images)
BACKPASS_KERNEL(GatherImagesInt16, gather_images)
BACKPASS_KERNEL(GatherImagesUint16, gather_images)
BACKPASS_KERNEL(GatherImagesInt32, gather_images)
BACKPASS_KERNEL(GatherImagesInt64, gather_images)
BACKPASS_KERNEL_UNTYPED(GatherLabels, gather)
BACKPASS_KERNEL(AppendRows, append)
BACKPASS_KERNEL_UNTYPED(AppendLabels, append)
BACKPASS_KERNEL_UNTYPED(Advance, advance)

}  // namespace backpass::BACKPASS_ISA
