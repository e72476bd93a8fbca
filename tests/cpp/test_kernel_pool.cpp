// Pooling of one ISA row, against loops in double over every place of the padded image.
#include "kernel_test.hpp"
#include "naive.hpp"

namespace {

using namespace backpass;
using std::int64_t;

struct Image {
    int64_t images, height, width, channels;
};

// Which places of one dimension belong to output p, tap by tap; -1 in the padding.
using Places = std::vector<std::vector<int64_t>>;

Places slid(int64_t size, int64_t taps, int64_t stride, int64_t padding, int64_t dilation, bool ceil) {
    Places found;
    for (int64_t begin = -padding;; begin += stride) {
        const int64_t end = begin + (taps - 1) * dilation + 1, beyond = end - size - padding;
        if (ceil ? beyond >= stride || begin >= size : beyond > 0) return found;
        found.emplace_back();
        for (int64_t i = 0; i < taps; ++i) {
            const int64_t at = begin + i * dilation;
            found.back().push_back(at < 0 || at >= size ? -1 : at);
        }
    }
}
Places divided(int64_t size, int64_t places) {
    Places found;
    for (int64_t p = 0; p < places; ++p) {
        found.emplace_back();
        for (int64_t at = p * size / places; at * places < (p + 1) * size; ++at) found.back().push_back(at);
    }
    return found;
}

struct Case {
    Image image;
    Places down, across;

    int64_t p() const { return int64_t(down.size()); }
    int64_t q() const { return int64_t(across.size()); }
    std::vector<int64_t> input() const { return {image.images, image.height, image.width, image.channels}; }
    std::vector<int64_t> output() const { return {image.images, p(), q(), image.channels}; }
    // f(b, p, q, c, out) for each output.
    template <class F>
    void each(F f) const {
        int64_t out = 0;
        for (int64_t b = 0; b < image.images; ++b)
            for (std::size_t i = 0; i < down.size(); ++i)
                for (std::size_t j = 0; j < across.size(); ++j)
                    for (int64_t c = 0; c < image.channels; ++c) f(b, down[i], across[j], c, out++);
    }
    int64_t at(int64_t b, int64_t h, int64_t w, int64_t c) const {
        return ((b * image.height + h) * image.width + w) * image.channels + c;
    }
};

// Forward and backward of maxima. number(i, j, h, w): of tap (i, j), which is at (h, w).
template <class T, class Forward, class Backward, class Number>
void check_maxima(const Case& c, Forward forward, Backward backward, Activation activation, bool stored,
                  Number number) {
    using Place = std::remove_cvref_t<decltype(*forward.index.data)>;
    const Array<T> x(c.input(), -2, 3), dy(c.output()), slopes(c.input());
    for (int64_t i = 0; i < x.size(); i += 3) x[i] = T(std::round(double(x[i])));  // ties
    for (int64_t i = 5; i < x.size(); i += 91) x[i] = T(NAN);
    const auto y = Array<T>::filled(c.output()), alone = Array<T>::filled(c.output());
    const auto dx = Array<T>::filled(c.input());
    const auto index = Array<Place>::filled(c.output());
    forward.x = x, forward.y = alone;
    run(forward);
    forward.y = y, forward.index = index;
    run(forward);
    backward.x = x, backward.y = y, backward.dy = dy, backward.dx = dx;
    backward.index = index, backward.slope = given(stored, slopes);
    backward.activation = activation, backward.alpha = naive::kAlpha;
    run(backward);

    std::vector<double> want(std::size_t(x.size()), 0);
    c.each([&](int64_t b, const auto& rows, const auto& cols, int64_t channel, int64_t out) {
        double best = -INFINITY;
        int64_t place = 0, from = -1;
        for (std::size_t i = 0; i < rows.size(); ++i)
            for (std::size_t j = 0; j < cols.size(); ++j) {
                if (rows[i] < 0 || cols[j] < 0) continue;
                const int64_t at = c.at(b, rows[i], cols[j], channel);
                const double v = double(x[at]);
                if (from < 0 || v > best || (std::isnan(v) && !std::isnan(best)))
                    best = v, from = at, place = number(int64_t(i), int64_t(j), rows[i], cols[j]);
            }
        CHECK(is_close(y[out], best, 0) && is_close(alone[out], best, 0));
        CHECK(int64_t(index[out]) == place);
        if (from < 0) return;
        const double slope = stored                               ? double(slopes[from])
                             : activation == Activation::identity ? 1
                                                                  : double(best > 0);
        want[std::size_t(from)] += double(dy[out]) * slope;
    });
    for (int64_t i = 0; i < x.size(); ++i) CHECK(is_close(dx[i], want[std::size_t(i)], 16, 4));
}

template <class T, class Forward, class Backward, class Divisor>
void check_means(const Case& c, Forward forward, Backward backward, bool relu, Divisor divisor) {
    const Array<T> x(c.input()), dy(c.output());
    const auto y = Array<T>::filled(c.output()), dx = Array<T>::filled(c.input());
    forward.x = x, forward.y = y;
    run(forward);
    backward.x = x, backward.dy = dy, backward.dx = dx;
    backward.activation = relu ? Activation::relu : Activation::identity;
    run(backward);

    std::vector<double> want(std::size_t(x.size()), 0);
    c.each([&](int64_t b, const auto& rows, const auto& cols, int64_t channel, int64_t out) {
        double total = 0, inside = 0;
        for (const int64_t h : rows)
            for (const int64_t w : cols)
                if (h >= 0 && w >= 0) total += double(x[c.at(b, h, w, channel)]), ++inside;
        const double by = divisor(rows, cols, inside);
        CHECK(is_close(y[out], total / by, 64, 4));
        for (const int64_t h : rows)
            for (const int64_t w : cols)
                if (h >= 0 && w >= 0) want[std::size_t(c.at(b, h, w, channel))] += double(dy[out]) / by;
    });
    for (int64_t i = 0; i < x.size(); ++i)
        CHECK(is_close(dx[i], relu && !(x[i] > 0) ? 0 : want[std::size_t(i)], 64, 4));
}

struct Sliding {
    int64_t kernel_h, kernel_w, stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;
    bool ceil;
};
constexpr Sliding kSlides[] = {
    {2, 2, 2, 2, 0, 0, 1, 1, false}, {3, 3, 2, 2, 1, 1, 1, 1, false}, {2, 3, 1, 3, 1, 0, 1, 1, false},
    {3, 2, 2, 2, 1, 1, 1, 1, true},  {2, 2, 3, 4, 0, 0, 1, 1, true},  {3, 2, 1, 2, 1, 1, 2, 3, false},
    {1, 1, 1, 1, 0, 0, 1, 1, false}, {2, 2, 1, 1, 1, 1, 7, 8, false}, {5, 5, 5, 5, 2, 2, 1, 1, true},
};

template <class Op>
Op with(const Sliding& s) {
    Op op;
    op.window.kernel_h = s.kernel_h, op.window.kernel_w = s.kernel_w;
    op.window.stride_h = s.stride_h, op.window.stride_w = s.stride_w;
    op.window.padding_h = s.padding_h, op.window.padding_w = s.padding_w;
    op.window.dilation_h = s.dilation_h, op.window.dilation_w = s.dilation_w;
    op.window.ceil_mode = s.ceil;
    return op;
}

template <class T>
void slide(const Image& image, const Sliding& s, int64_t bits) {
    const auto places = [&](int64_t dilation_h, int64_t dilation_w) {
        return Case{image, slid(image.height, s.kernel_h, s.stride_h, s.padding_h, dilation_h, s.ceil),
                    slid(image.width, s.kernel_w, s.stride_w, s.padding_w, dilation_w, s.ceil)};
    };
    const Case c = places(s.dilation_h, s.dilation_w);
    if (c.p() && c.q())
        check_maxima<T>(c, with<MaxPool2dForward<T>>(s), with<MaxPool2dBackward<T>>(s),
                        bits & 1 ? Activation::relu : Activation::identity, bits & 2,
                        [&](int64_t i, int64_t j, int64_t, int64_t) { return i * s.kernel_w + j; });
    Sliding plain = s;
    plain.dilation_h = plain.dilation_w = 1;
    auto forward = with<AvgPool2dForward<T>>(plain);
    auto backward = with<AvgPool2dBackward<T>>(plain);
    const bool padded = bits & 1;
    const int64_t fixed = bits % 3 == 2 ? -3 : 0;
    forward.window.count_include_pad = backward.window.count_include_pad = padded;
    forward.window.divisor_override = backward.window.divisor_override = fixed;
    const Case means = places(1, 1);
    if (!means.p() || !means.q()) return;
    // How much of a window lies within the padded image: no ceil, no cut.
    const auto length = [](const std::vector<int64_t>& taps, const Places& all, int64_t size, int64_t stride,
                           int64_t padding) {
        const int64_t p = &taps - all.data();
        return std::min(int64_t(taps.size()), size + 2 * padding - p * stride);
    };
    check_means<T>(means, forward, backward, bits & 2,
                   [&](const auto& rows, const auto& cols, double inside) -> double {
                       if (fixed) return double(fixed);
                       if (!padded) return std::max(inside, 1.0);
                       return double(length(rows, means.down, image.height, s.stride_h, s.padding_h) *
                                     length(cols, means.across, image.width, s.stride_w, s.padding_w));
                   });
}

template <class T>
void divide(const Image& image, int64_t p, int64_t q, int64_t bits) {
    const Case c{image, divided(image.height, p), divided(image.width, q)};
    AdaptiveMaxPool2dForward<T> maximum;
    AdaptiveAvgPool2dForward<T> mean;
    maximum.window.output_h = mean.window.output_h = p, maximum.window.output_w = mean.window.output_w = q;
    check_maxima<T>(c, maximum, AdaptiveMaxPool2dBackward<T>{},
                    bits & 1 ? Activation::relu : Activation::identity, bits & 2,
                    [&](int64_t, int64_t, int64_t h, int64_t w) { return h * image.width + w; });
    check_means<T>(c, mean, AdaptiveAvgPool2dBackward<T>{}, bits & 1,
                   [](const auto&, const auto&, double inside) { return inside; });
}

template <class T>
void check() {
    int64_t bits = 0;
    for (int64_t channels = 0; channels <= 70; ++channels) {
        slide<T>({2, 7, 6, channels}, kSlides[channels % 9], bits++);
        divide<T>({2, 5, 4, channels}, 1 + channels % 6, 1 + channels % 3, bits++);
    }
    for (const Sliding& s : kSlides)
        for (const Image& image : {Image{0, 9, 9, 3}, Image{1, 8, 9, 16}, Image{3, 9, 8, 5},
                                   Image{40, 6, 11, 17}, Image{2, 1, 70, 33}})
            slide<T>(image, s, bits++), slide<T>(image, s, bits++);
    for (const Image& image : {Image{1, 1, 1, 1}, Image{7, 17, 13, 20}, Image{60, 8, 8, 9}})
        for (const int64_t p : {1, 2, 8}) divide<T>(image, p, 1, bits++), divide<T>(image, 3, p, bits++);
}

// Forged numbers of places, sizes and scalars are refused, or do no harm.
void forged() {
    const Array<float> x({2, 6, 6, 5}), dy({2, 3, 3, 5});
    const auto y = Array<float>::filled({2, 3, 3, 5}), dx = Array<float>::filled({2, 6, 6, 5});
    const auto index = Array<std::uint8_t>::filled({2, 3, 3, 5}, 200);
    auto forward = with<MaxPool2dForward<float>>(kSlides[0]);
    forward.x = x, forward.y = y;
    CHECK(forward.invalid() == nullptr);
    for (const int64_t odd : {int64_t(-1), int64_t(0), int64_t(1) << 40, std::numeric_limits<int64_t>::max(),
                              std::numeric_limits<int64_t>::min()}) {
        for (int64_t PoolWindow::* scalar :
             {&PoolWindow::kernel_h, &PoolWindow::stride_w, &PoolWindow::dilation_w}) {
            auto wrong = forward;
            wrong.window.*scalar = odd;
            CHECK(wrong.invalid() != nullptr);
        }
        auto wrong = forward;
        wrong.window.padding_h = odd ? odd : 1;
        CHECK(wrong.invalid() != nullptr);
    }
    auto backward = with<MaxPool2dBackward<float>>(kSlides[0]);
    backward.x = x, backward.y = y, backward.dy = dy, backward.dx = dx, backward.index = index;
    run(backward);  // a place beyond the window gets nothing
    for (int64_t i = 0; i < dx.size(); ++i) CHECK(dx[i] == 0);
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check<decltype(t)>(); });
    forged();
    return finish();
}
