// Depthwise convolutions: each channel has a window of its own, and lies in a lane.
#pragma once
#include "../matmul/epilogue.hpp"
#include "../vector/loops.hpp"
#include "axis.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Images (height, across, channels) and windows (taps, taps_w, channels); source.run is not used.
template <class T>
struct Depthwise {
    Axis h, w;
    const T* source;
    Index height, across, channels;
    const T* weight;
    Index window;  // taps of a row of the window
    T* target;
    Index target_across, target_image;
    Epilogue<T> epilogue;

    // Output rows [u0, u1) of images [n0, n1).
    void run(Index n0, Index n1, Index u0, Index u1) const {
        // Places between these read no column beyond the border.
        const Index reach = (w.taps - 1) * w.dilation;
        Index begin = w.origin >= 0 ? 0 : (-w.origin + w.stride - 1) / w.stride;
        Index end = across - 1 - reach - w.origin < 0 ? 0 : (across - 1 - reach - w.origin) / w.stride + 1;
        begin = begin < w.count ? begin : w.count;
        end = end > w.count ? w.count : end > begin ? end : begin;
        for (Index n = n0; n < n1; ++n)
            for (Index u = u0; u < u1; ++u) {
                const T* image = source + n * height * across * channels;
                T* out =
                    target + n * target_image + ((h.out + u * h.out_step) * target_across + w.out) * channels;
                for (Index c = 0; c < channels; c += width<T>) {
                    const int lanes = int(channels - c < width<T> ? channels - c : width<T>);
                    Index v = 0;
                    for (; v < begin; ++v) places<1, true>(image, out, u, v, c, lanes);
                    for (; v + 4 <= end; v += 4) places<4, false>(image, out, u, v, c, lanes);
                    for (; v < end; ++v) places<1, false>(image, out, u, v, c, lanes);
                    for (; v < w.count; ++v) places<1, true>(image, out, u, v, c, lanes);
                }
            }
    }

  private:
    template <int Count, bool Border>
    BP_INLINE void places(const T* image, T* out, Index u, Index v, Index c, int lanes) const {
        vec<T> acc[Count] = {};
        const Index x = w.from(v), step = w.stride * channels;
        for (Index i = 0; i < h.taps; ++i) {
            const Index y = h.from(u) + i * h.dilation;
            if (y < 0 || y >= height) continue;
            const T* line = image + (y * across + x) * channels + c;
            const T* taps = weight + ((h.first_tap + i * h.tap_step) * window + w.first_tap) * channels + c;
            for (Index j = 0; j < w.taps; ++j) {
                if (Border && (x + j * w.dilation < 0 || x + j * w.dilation >= across)) continue;
                const vec<T> tap = load_some(taps + j * w.tap_step * channels, lanes);
                const T* from = line + j * w.dilation * channels;
                for (int t = 0; t < Count; ++t) acc[t] = fma(load_some(from + t * step, lanes), tap, acc[t]);
            }
        }
        const vec<T> bias = bias_of(epilogue, c, lanes);
        for (int t = 0; t < Count; ++t) {
            T* to = out + (v + t) * w.out_step * channels + c;
            vec<T> value = biased(acc[t], epilogue, bias);
            if (epilogue.where)
                value = select(load_some(epilogue.where + (to - target), lanes) > vec<T>{}, value, vec<T>{});
            store_some(to, value, lanes);
        }
    }
};

// dweight[i,j,c] of the window's row i, channels [c0, c1): a chain over images, rows and places.
template <class T>
void depthwise_weight_gradient(const Conv2dBackward<T>& op, Index i, Index c0, Index c1) {
    const Index B = op.x.shape[0], H = op.x.shape[1], W = op.x.shape[2], C = op.x.shape[3];
    const Index KW = op.weight.shape[1], P = op.dy.shape[1], Q = op.dy.shape[2];
    const Slide down = op.window.down(op.weight.shape[0]), across = op.window.across(KW);
    for (Index c = c0; c < c1; c += width<T>) {
        const int lanes = int(c1 - c < width<T> ? c1 - c : width<T>);
        T* const to = op.dweight.data + i * KW * C + c;
        for (Index j = 0; j < KW && !op.adds; ++j) store_some(to + j * C, vec<T>{}, lanes);
        for (Index n = 0; n < B; ++n)
            for (Index p = 0; p < P; ++p) {
                const Index y = p * down.stride + i * down.dilation - down.before;
                if (y < 0 || y >= H) continue;
                const T* line = op.x.data + (n * H + y) * W * C + c;
                const T* dy = op.dy.data + (n * P + p) * Q * C + c;
                for (Index j = 0; j < KW; ++j) {
                    vec<T> total = load_some(to + j * C, lanes);
                    for (Index q = 0; q < Q; ++q) {
                        const Index x = q * across.stride + j * across.dilation - across.before;
                        if (x < 0 || x >= W) continue;
                        total = fma(load_some(line + x * C, lanes), load_some(dy + q * C, lanes), total);
                    }
                    store_some(to + j * C, total, lanes);
                }
            }
    }
}

}  // namespace
}  // namespace backpass::BACKPASS_ISA
