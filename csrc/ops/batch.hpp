// Batches: shuffle the order of an epoch, gather the rows of a batch, append what came of them, advance the counters.
#pragma once
#include "fields.hpp"

namespace backpass {

inline constexpr std::int64_t kGatherPiece = 65536;  // elements of one task, in whole rows

// out[b] = source[index[cursor + b]]: rows of the data, converted from their dtype Source to the model's.
template <class T, class Source = T>
struct Gather {
    static constexpr const char* name = "gather";
    Tensor<const Source> source;
    Tensor<const std::int64_t> index, cursor;
    Tensor<T> out;

    template <class Visit>
    void fields(Visit&& field) {
        field("source", source);
        field("index", index);
        field("cursor", cursor);
        field("out", out, padded);
    }
    const char* invalid() const {
        if (source.ndim != 2 || out.ndim != 2 || source.shape[1] != out.shape[1])
            return "source must be (N, F), out (B, F)";
        return has_size(index, source.shape[0]) && has_size(cursor, 1) ? nullptr
                                                                       : "index must be (N,), cursor (1,)";
    }
    double flops() const { return 0; }
    double bytes() const { return double(sizeof(T) + sizeof(Source)) * double(out.size()); }
    BP_INLINE std::int64_t rows_per_task() const { return rows_of(kGatherPiece, out.cols()); }
    BP_INLINE std::int64_t tasks() const { return out.size() == 0 ? 0 : pieces(out.rows(), rows_per_task()); }
};

// One alias for each dtype that the data may have (NUMBERS in Python's contract).
template <class T>
using GatherFloat = Gather<T, float>;
template <class T>
using GatherDouble = Gather<T, double>;
template <class T>
using GatherInt8 = Gather<T, std::int8_t>;
template <class T>
using GatherUint8 = Gather<T, std::uint8_t>;
template <class T>
using GatherInt16 = Gather<T, std::int16_t>;
template <class T>
using GatherUint16 = Gather<T, std::uint16_t>;
template <class T>
using GatherInt32 = Gather<T, std::int32_t>;
template <class T>
using GatherInt64 = Gather<T, std::int64_t>;

struct GatherLabels : Gather<std::int64_t> {
    static constexpr const char* name = "gather_labels";
};

// out[b] = (source[index[cursor + b]] scale - mean) / std, each step rounded: images (N, A, C, P), A = 1 with the channels first,
// P = 1 with the channels last.
template <class T, class Source>
struct GatherImages {
    static constexpr const char* name = "gather_images";
    Tensor<const Source> source;
    Tensor<const std::int64_t> index, cursor;
    Tensor<const T> mean, std;
    Tensor<T> out;
    double scale = 1;

    template <class Visit>
    void fields(Visit&& field) {
        field("source", source);
        field("index", index);
        field("cursor", cursor);
        field("mean", mean);
        field("std", std);
        field("out", out);
        field("scale", scale);
    }
    const char* invalid() const {
        if (source.ndim != 4 || out.ndim != 4) return "source must be (N, A, C, P), out (B, A, C, P)";
        for (int i = 1; i < 4; ++i)
            if (source.shape[i] != out.shape[i]) return "the images in source and out must have one shape";
        if (!all_have_size(source.shape[2], mean, std)) return "mean and std must be (C,)";
        return has_size(index, source.shape[0]) && has_size(cursor, 1) ? nullptr
                                                                       : "index must be (N,), cursor (1,)";
    }
    double flops() const { return 3.0 * double(out.size()); }
    double bytes() const { return double(sizeof(T) + sizeof(Source)) * double(out.size()); }
    std::int64_t tasks() const { return rows().tasks(); }
    // Each image as a row.
    Gather<T, Source> rows() const {
        Gather<T, Source> all;
        all.source.data = source.data, all.out.data = out.data;
        all.index = index, all.cursor = cursor;
        all.source.ndim = all.out.ndim = 2;
        all.source.shape[0] = source.shape[0], all.out.shape[0] = out.shape[0];
        all.source.shape[1] = all.out.shape[1] = out.shape[1] * out.shape[2] * out.shape[3];
        return all;
    }
};
template <class T>
using GatherImagesFloat = GatherImages<T, float>;
template <class T>
using GatherImagesDouble = GatherImages<T, double>;
template <class T>
using GatherImagesInt8 = GatherImages<T, std::int8_t>;
template <class T>
using GatherImagesUint8 = GatherImages<T, std::uint8_t>;
template <class T>
using GatherImagesInt16 = GatherImages<T, std::int16_t>;
template <class T>
using GatherImagesUint16 = GatherImages<T, std::uint16_t>;
template <class T>
using GatherImagesInt32 = GatherImages<T, std::int32_t>;
template <class T>
using GatherImagesInt64 = GatherImages<T, std::int64_t>;

// kept[count + b] = x[b], count += B: rows beyond the end of kept are left out.
template <class T>
struct AppendRows {
    static constexpr const char* name = "append_rows";
    Tensor<const T> x;
    Tensor<T> kept;
    Tensor<std::int64_t> count;

    template <class Visit>
    void fields(Visit&& field) {
        field("x", x);
        field("kept", kept);
        field("count", count);
    }
    const char* invalid() const {
        if (x.ndim != 2 || kept.ndim != 2 || x.shape[1] != kept.shape[1])
            return "x must be (B, F), kept (N, F)";
        return has_size(count, 1) ? nullptr : "count must be (1,)";
    }
    double flops() const { return 0; }
    double bytes() const { return 2.0 * sizeof(T) * double(x.size()); }
    std::int64_t tasks() const { return 1; }
};

struct AppendLabels : AppendRows<std::int64_t> {
    static constexpr const char* name = "append_labels";
};

// index = a permutation of 0 .. N-1 for this epoch
struct Shuffle : SmallOp {
    static constexpr const char* name = "shuffle";
    Tensor<const std::int64_t> epoch;
    Tensor<std::int64_t> index;
    std::int64_t seed = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("epoch", epoch);
        field("index", index);
        field("seed", seed);
    }
    const char* invalid() const { return has_size(epoch, 1) ? nullptr : "epoch must be (1,)"; }
};

// step += 1, every counter in it; cursor += rows; total += (loss count, count)
struct Advance : SmallOp {
    static constexpr const char* name = "advance";
    Tensor<const double> loss, count;
    Tensor<std::int64_t> step, cursor;
    Tensor<double> total;
    std::int64_t rows = 0;

    template <class Visit>
    void fields(Visit&& field) {
        field("loss", loss);
        field("count", count);
        field("step", step);
        field("cursor", cursor);
        field("total", total);
        field("rows", rows);
    }
    const char* invalid() const {
        return has_size(loss, 1) && has_size(count, 1) && step.ndim == 1 && has_size(cursor, 1) &&
                       has_size(total, 2)
                   ? nullptr
                   : "loss, count and cursor must be (1,), step (N,), total (2,)";
    }
};

using BatchOps =
    decltype(BothDtypes<GatherFloat, GatherDouble, GatherInt8, GatherUint8, GatherInt16, GatherUint16,
                        GatherInt32, GatherInt64>{} +
             BothDtypes<GatherImagesFloat, GatherImagesDouble, GatherImagesInt8, GatherImagesUint8,
                        GatherImagesInt16, GatherImagesUint16, GatherImagesInt32, GatherImagesInt64>{} +
             BothDtypes<AppendRows>{} + OpList<GatherLabels, AppendLabels, Shuffle, Advance>{});

}  // namespace backpass
