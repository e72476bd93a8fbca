// conv2d_forward and conv2d_backward.
#include "../ops/conv.hpp"
#include "conv/correlate.hpp"
#include "conv/depthwise.hpp"
#include "conv/input_gradient.hpp"
#include "conv/weight_gradient.hpp"
#include "kernel.hpp"
#include "matmul/activate.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

template <class T>
void conv2d_forward(const Conv2dForward<T>& op, Range range, Scratch scratch) {
    const ImageTasks tasks = op.image_tasks();
    const Index KH = op.weight.shape[0], KW = op.weight.shape[1], D = op.weight.shape[2],
                O = op.weight.shape[3];
    const Index groups = op.window.groups, columns = O / groups, P = op.y.shape[1], Q = op.y.shape[2];
    const Index image = P * Q * O;
    const bool sweep = needs_sweep(op);
    const bool relu = !sweep && op.activation == Activation::relu;
    const auto rows_of_images = [&](Index n0, Index n1, Index u0, Index u1) BP_INLINED {
        if (op.window.depthwise(op.weight))
            Depthwise<T>{forward_axis(op.window.down(KH), P),
                         forward_axis(op.window.across(KW), Q),
                         op.x.data,
                         op.x.shape[1],
                         op.x.shape[2],
                         O,
                         op.weight.data,
                         KW,
                         op.y.data,
                         Q,
                         image,
                         Epilogue<T>{.bias = op.bias.data, .relu = relu}}
                .run(n0, n1, u0, u1);
        else
            for (Index g = 0; g < groups; ++g) {
                const T* weight = op.weight.data + g * columns;
                const Correlation<T> correlation{
                    forward_axis(op.window.down(KH), P),
                    forward_axis(op.window.across(KW), Q),
                    Source<T>{op.x.data + g * D, op.x.shape[1], op.x.shape[2], op.x.shape[3], D},
                    Target<T>{op.y.data + g * columns, Q, O, columns, image},
                    Epilogue<T>{.bias = op.bias ? op.bias.data + g * columns : nullptr, .relu = relu},
                    Weights<T>{weight, KW, D * O, O, false},
                    scratch};
                correlation.run(n0, n1, u0, u1);
            }
        if (sweep)
            for (Index n = n0; n < n1; ++n) {
                T* rows = op.y.data + n * image + u0 * Q * O;
                T* slope = op.slope ? op.slope.data + (rows - op.y.data) : nullptr;
                activate(op.activation, rows, rows, slope, (u1 - u0) * Q * O, T(op.alpha));
            }
    };
    if (tasks.bands == 1) {
        const Index n0 = range.begin * tasks.per_task, n1 = range.end * tasks.per_task;
        rows_of_images(n0, n1 < tasks.images ? n1 : tasks.images, 0, P);
    } else {
        for (Index task = range.begin; task < range.end; ++task) {
            const Index n = task / tasks.bands, band = task % tasks.bands;
            rows_of_images(n, n + 1, band * P / tasks.bands, (band + 1) * P / tasks.bands);
        }
    }
}

// dx of images [n0, n1): a correlation of dy with the weights turned around, phase by phase.
template <class T>
void gradient_by_phases(const Conv2dBackward<T>& op, Index n0, Index n1, bool relu, Scratch scratch) {
    const Index KH = op.weight.shape[0], KW = op.weight.shape[1], D = op.weight.shape[2],
                O = op.weight.shape[3];
    const Index run = O / op.window.groups, H = op.x.shape[1], W = op.x.shape[2], C = op.x.shape[3];
    const bool depthwise = op.depthwise();
    for (Index g = 0; g < op.groups(); ++g)
        for (Index i = 0; i < op.window.stride_h; ++i)
            for (Index j = 0; j < op.window.stride_w; ++j) {
                if (depthwise) {
                    const Depthwise<T> phase{gradient_axis(op.window.down(KH), i, H),
                                             gradient_axis(op.window.across(KW), j, W),
                                             op.dy.data,
                                             op.dy.shape[1],
                                             op.dy.shape[2],
                                             C,
                                             op.weight.data,
                                             KW,
                                             op.dx.data,
                                             W,
                                             H * W * C,
                                             Epilogue<T>{.where = relu ? op.x.data : nullptr}};
                    phase.run(n0, n1, 0, phase.h.count);
                    continue;
                }
                const T* weight = op.weight.data + g * run;
                const Correlation<T> correlation{
                    gradient_axis(op.window.down(KH), i, H),
                    gradient_axis(op.window.across(KW), j, W),
                    Source<T>{op.dy.data + g * run, op.dy.shape[1], op.dy.shape[2], O, run},
                    Target<T>{op.dx.data + g * D, W, C, D, H * W * C},
                    Epilogue<T>{.where = relu ? op.x.data + g * D : nullptr},
                    Weights<T>{weight, KW, D * O, O, true},
                    scratch};
                correlation.run(n0, n1, 0, correlation.h.count);
            }
}

// dx += other, and 0 where the activation relu gave 0: x, if it is given.
template <class T>
BP_INLINE void add_other(const T* other, const T* x, T* dx, Index n) {
    each_vector<T>(n, [&](Index i, int lanes) BP_INLINED {
        const vec<T> sum = load_some(dx + i, lanes) + load_some(other + i, lanes);
        store_some(dx + i, x ? select(load_some(x + i, lanes) > T(0), sum, vec<T>{}) : sum, lanes);
    });
}

template <class T>
void input_gradient(const Conv2dBackward<T>& op, Index n0, Index n1, Scratch scratch) {
    const bool relu = op.activation == Activation::relu && !op.slope, relu_first = relu && !op.other;
    const ColumnGradient<T> columns(op, scratch);
    if (columns.pays())
        columns.run(n0, n1, relu_first);
    else
        gradient_by_phases(op, n0, n1, relu_first, scratch);
    const Index image = op.x.shape[1] * op.x.shape[2] * op.x.shape[3], from = n0 * image;
    T* dx = op.dx.data + from;
    if (op.other) add_other(op.other.data + from, relu ? op.x.data + from : nullptr, dx, (n1 - n0) * image);
    if (relu || (op.activation == Activation::identity && !op.slope)) return;
    multiply_slope(op.activation, op.x.data + from, op.slope ? op.slope.data + from : nullptr, dx, dx,
                   (n1 - n0) * image, T(op.alpha));
}

template <class T>
void conv2d_backward(const Conv2dBackward<T>& op, Range range, Scratch scratch) {
    const Index tasks = op.weight_tasks();
    const Range weights{range.begin, range.end < tasks ? range.end : tasks};
    if (op.dweight && weights.begin < weights.end && !op.depthwise())
        WeightGradient<T>(op, scratch).run(weights);
    if (op.dbias)
        for (Index task = weights.begin; task < weights.end; ++task) {
            const Index pieces = op.column_pieces(), rest = task / pieces;
            // Once for each group and piece: in its last task, which has the least to do where taps lie apart.
            if (rest % op.weight.shape[0] != op.weight.shape[0] - 1) continue;
            const Index columns = op.weight.shape[3] / op.groups();
            const Index from = task % pieces * op.kColumns, end = from + op.kColumns;
            const Index first = rest / op.weight.shape[0] * columns;
            bias_gradient(op.dy, op.dbias.data, first + from, first + (end < columns ? end : columns),
                          op.adds);
        }
    if (op.dweight && op.depthwise())
        for (Index task = weights.begin; task < weights.end; ++task) {
            const Index pieces = op.column_pieces(), from = task % pieces * op.kColumns,
                        end = from + op.kColumns;
            depthwise_weight_gradient(op, task / pieces, from, end < op.x.shape[3] ? end : op.x.shape[3]);
        }
    if (range.end <= tasks) return;
    const Index size = op.x.shape[1] * op.x.shape[2] * op.x.shape[3];
    const ImageTasks images = ImageTasks::over(op.x.shape[0], 1, size);
    const Index begin = range.begin > tasks ? range.begin - tasks : 0,
                last = (range.end - tasks) * images.per_task;
    const Index end = last < images.images ? last : images.images;
    // Behind `other` dx is read once more: a block of it stays in the L2 cache.
    const Index fit = scratch.caches->l2 / (4 * Index(sizeof(T)) * (size > 0 ? size : 1));
    const Index block = !op.other ? end : fit > 0 ? fit : 1;
    for (Index n = begin * images.per_task; n < end; n += block)
        input_gradient(op, n, n + block < end ? n + block : end, scratch);
}

template <class T>
void conv_transpose2d_forward(const ConvTranspose2dForward<T>& op, Range range, Scratch scratch) {
    const Conv2dBackward<T> convolution = op.convolution();
    conv2d_backward(convolution, range, scratch);
    if (!op.bias) return;
    const Index O = op.y.shape[3], rows = op.y.shape[1] * op.y.shape[2];
    const ImageTasks images = ImageTasks::over(op.y.shape[0], 1, rows * O);
    const Index end = range.end * images.per_task, last = end < images.images ? end : images.images;
    T* row = op.y.data + range.begin * images.per_task * rows * O;
    for (; row < op.y.data + last * rows * O; row += O)
        each_vector<T>(O, [&](Index i, int lanes) BP_INLINED {
            store_some(row + i, load_some(row + i, lanes) + load_some(op.bias.data + i, lanes), lanes);
        });
}

template <class T>
void conv_transpose2d_backward(const ConvTranspose2dBackward<T>& op, Range range, Scratch scratch) {
    const Index first = op.bias_tasks();
    for (Index task = range.begin; task < range.end && task < first; ++task) {
        const Index from = task * kChannelPiece, end = from + kChannelPiece;
        bias_gradient(op.dy, op.dbias.data, from, end < op.dy.shape[3] ? end : op.dy.shape[3]);
    }
    const Conv2dBackward<T> weights = op.weight_convolution();
    const Index second = first + weights.weight_tasks();
    const auto part = [&](Index begin, Index end) BP_INLINED {
        return Range{range.begin > begin ? range.begin - begin : 0,
                     (range.end < end ? range.end : end) - begin};
    };
    if (range.begin < second && range.end > first) conv2d_backward(weights, part(first, second), scratch);
    if (range.end > second) conv2d_forward(op.input_convolution(), part(second, range.end), scratch);
}

}  // namespace

BACKPASS_KERNEL(ConvTranspose2dForward, conv_transpose2d_forward)
BACKPASS_KERNEL(ConvTranspose2dBackward, conv_transpose2d_backward)
BACKPASS_KERNEL(Conv2dForward, conv2d_forward)
BACKPASS_KERNEL(Conv2dBackward, conv2d_backward)

}  // namespace backpass::BACKPASS_ISA
