// Dropout: a mask from random words, and products with it.
#include "../ops/dropout.hpp"
#include "dropout_mask.hpp"
#include "kernel.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

static_assert(kElementPiece % kDrawBlock == 0, "a task starts with a block of the draw");

// mask = 0 with probability p, else 1/(1-p); y = x mask
template <class T>
void dropout_forward(const DropoutForward<T>& op, Range range, Scratch) {
    const T* x = op.x.data;
    T *y = op.y.data, *mask = op.mask.data;
    const Word threshold = threshold_of(op.p);
    const T scale = op.p < 1 ? T(1 / (1 - op.p)) : T(0);
    const std::uint64_t step = std::uint64_t(op.step.data[0]), stream = std::uint64_t(op.stream),
                        seed = std::uint64_t(op.seed);
    const auto [begin, end] = covered(range, kElementPiece, op.x.size());
    for (Index block = begin; block < end; block += kDrawBlock) {
        Word words[kDrawBlock];
        draw(words, std::uint64_t(block / kDrawBlock), step, stream, seed);
        const Range elements{block, end - block < kDrawBlock ? end : block + kDrawBlock};
        each_vector<T>(elements, [&](Index i, int n) BP_INLINED {
            const vec<T> m = mask_of<T>(words + (i - block), threshold, scale);
            store_some(mask + i, m, n);
            store_some(y + i, load_some(x + i, n) * m, n);
        });
    }
}

// dx = dy mask
template <class T>
void dropout_backward(const DropoutBackward<T>& op, Range range, Scratch) {
    const T *mask = op.mask.data, *dy = op.dy.data;
    T* dx = op.dx.data;
    each_vector<T>(covered(range, kElementPiece, op.dy.size()), [&](Index i, int n) BP_INLINED {
        store_some(dx + i, load_some(dy + i, n) * load_some(mask + i, n), n);
    });
}

// y = x mask for the samples (B, L, C) of some tasks, mask (B, C)
template <class T>
BP_INLINE void times_mask(const T* x, const T* mask, T* y, Index length, Index channels, Range samples) {
    for (Index b = samples.begin; b < samples.end; ++b)
        for (Index l = 0; l < length; ++l) {
            const Index row = (b * length + l) * channels;
            each_vector<T>(channels, [&](Index c, int n) BP_INLINED {
                store_some(y + row + c, load_some(x + row + c, n) * load_some(mask + b * channels + c, n), n);
            });
        }
}

// mask = 0 with probability p, else 1/(1-p), for each channel of each sample; y = x mask
template <class T>
void channel_dropout_forward(const ChannelDropoutForward<T>& op, Range range, Scratch) {
    const Index channels = op.x.shape[2];
    const Range samples = covered(range, samples_of_channels(op.x), op.x.shape[0]);
    const Word threshold = threshold_of(op.p);
    const T scale = op.p < 1 ? T(1 / (1 - op.p)) : T(0);
    const std::uint64_t step = std::uint64_t(op.step.data[0]), stream = std::uint64_t(op.stream),
                        seed = std::uint64_t(op.seed);
    const Index begin = samples.begin * channels, end = samples.end * channels;
    for (Index block = begin / kDrawBlock * kDrawBlock; block < end; block += kDrawBlock) {
        Word words[kDrawBlock + width<Word>] = {};  // a last vector reads beyond the block
        draw(words, std::uint64_t(block / kDrawBlock), step, stream, seed);
        const Range elements{block < begin ? begin : block,
                             end - block < kDrawBlock ? end : block + kDrawBlock};
        each_vector<T>(elements, [&](Index i, int n) BP_INLINED {
            store_some(op.mask.data + i, mask_of<T>(words + (i - block), threshold, scale), n);
        });
    }
    times_mask(op.x.data, op.mask.data, op.y.data, op.x.shape[1], channels, samples);
}

// dx = dy mask
template <class T>
void channel_dropout_backward(const ChannelDropoutBackward<T>& op, Range range, Scratch) {
    times_mask(op.dy.data, op.mask.data, op.dx.data, op.dy.shape[1], op.dy.shape[2],
               covered(range, samples_of_channels(op.dy), op.dy.shape[0]));
}

}  // namespace

BACKPASS_KERNEL(ChannelDropoutForward, channel_dropout_forward)
BACKPASS_KERNEL(ChannelDropoutBackward, channel_dropout_backward)
BACKPASS_KERNEL(DropoutForward, dropout_forward)
BACKPASS_KERNEL(DropoutBackward, dropout_backward)

}  // namespace backpass::BACKPASS_ISA
