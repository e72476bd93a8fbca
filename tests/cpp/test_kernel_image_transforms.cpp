// Images shifted, mirrored, cropped, rotated and changed in brightness and contrast, of one ISA row, pixel by pixel.
#include "kernel_test.hpp"
#include "naive_philox.hpp"

namespace {

using namespace backpass;
using std::int64_t;

constexpr int64_t kSeed = 0x123456789abcdef;
struct Shape {
    int64_t images, planes, height, width, channels;
    int64_t at(int64_t b, int64_t p, int64_t i, int64_t j, int64_t c) const {
        return (((b * planes + p) * height + i) * width + j) * channels + c;
    }
    std::vector<int64_t> sizes() const { return {images, planes, height, width, channels}; }
    bool has(int64_t i, int64_t j) const { return i >= 0 && i < height && j >= 0 && j < width; }
};

// visit(b, p, i, j, c) for every element.
template <class Visit>
void each(const Shape& s, Visit visit) {
    for (int64_t b = 0; b < s.images; ++b)
        for (int64_t p = 0; p < s.planes; ++p)
            for (int64_t i = 0; i < s.height; ++i)
                for (int64_t j = 0; j < s.width; ++j)
                    for (int64_t c = 0; c < s.channels; ++c) visit(b, p, i, j, c);
}

double word(int64_t image, int64_t k) { return naive::drawn(image * kImageWords + k, 5, 3, kSeed); }
int64_t below(int64_t image, int64_t k, int64_t count) {
    return int64_t(std::uint64_t(word(image, k)) * std::uint64_t(count) >> 32);
}

template <class Op, class Step>
void set_draw(Op& op, const Step& step) {
    op.step = step, op.seed = kSeed, op.stream = 3;
}

template <class T>
void augment(T, Shape s, int64_t shift, double flip, int64_t cutout) {
    const Array<T> x(s.sizes()), dy(s.sizes());
    const auto y = Array<T>::filled(s.sizes()), dx = Array<T>::filled(s.sizes());
    const Array<int64_t> step({1}, 5, 5);
    AugmentImagesForward<T> forward;
    AugmentImagesBackward<T> backward;
    forward.x = x, forward.y = y, backward.dy = dy, backward.dx = dx;
    for (ImageMoves* const moves : {&forward.moves, &backward.moves}) {
        set_draw(*moves, step);
        moves->shift = shift, moves->flip = flip, moves->cutout = cutout;
    }
    run(forward), run(backward);
    std::vector<T> want(std::size_t(dx.size()), T(0));
    each(s, [&](int64_t b, int64_t p, int64_t i, int64_t j, int64_t c) {
        const int64_t top = below(b, 3, s.height) - cutout / 2, left = below(b, 4, s.width) - cutout / 2;
        const bool cut = i >= top && i < top + cutout && j >= left && j < left + cutout;
        const int64_t row = i - (below(b, 0, 2 * shift + 1) - shift),
                      column = (word(b, 2) < flip * 0x1p32 ? s.width - 1 - j : j) -
                               (below(b, 1, 2 * shift + 1) - shift);
        const bool shown = !cut && s.has(row, column);
        CHECK(y[s.at(b, p, i, j, c)] == (shown ? x[s.at(b, p, row, column, c)] : T(0)));
        if (shown) want[std::size_t(s.at(b, p, row, column, c))] = dy[s.at(b, p, i, j, c)];
    });
    CHECK(std::equal(want.begin(), want.end(), dx.data()));
}

template <class T>
void crop(T, Shape s, int64_t height, int64_t width, CropPlaces places) {
    const Shape small{s.images, s.planes, height, width, s.channels};
    const Array<T> x(s.sizes()), dy(small.sizes());
    const auto y = Array<T>::filled(small.sizes()), dx = Array<T>::filled(s.sizes());
    const Array<int64_t> step({1}, 5, 5);
    CropImagesForward<T> forward;
    forward.from = x, forward.to = y, forward.places = places, forward.height = height, forward.width = width;
    CropImagesBackward<T> backward;
    backward.from = dy, backward.to = dx, backward.places = places;
    set_draw(forward.draw, step), set_draw(backward.draw, step);
    run(forward), run(backward);
    std::vector<T> want(std::size_t(dx.size()), T(0));
    each(small, [&](int64_t b, int64_t p, int64_t i, int64_t j, int64_t c) {
        const int64_t row = places.top + below(b, 0, places.down) + i,
                      column = places.left + below(b, 1, places.right) + j;
        const bool shown = s.has(row, column);
        CHECK(y[small.at(b, p, i, j, c)] == (shown ? x[s.at(b, p, row, column, c)] : T(0)));
        if (shown) want[std::size_t(s.at(b, p, row, column, c))] = dy[small.at(b, p, i, j, c)];
    });
    CHECK(std::equal(want.begin(), want.end(), dx.data()));
}

double factor(int64_t image, int64_t k, double most) {
    const double low = std::max(0.0, 1 - most);
    return low + (1 + most - low) * word(image, k) * 0x1p-32;
}

template <class T>
void jitter(T, Shape s, double brightness, double contrast) {
    const Array<T> x(s.sizes());
    const auto y = Array<T>::filled(s.sizes()), dx = Array<T>::filled(s.sizes());
    const Array<int64_t> step({1}, 5, 5);
    JitterImagesForward<T> forward;
    JitterImagesBackward<T> backward;
    forward.from = x, forward.to = y, backward.from = x, backward.to = dx;
    forward.brightness = backward.brightness = brightness, forward.contrast = backward.contrast = contrast;
    set_draw(forward.draw, step), set_draw(backward.draw, step);
    run(forward), run(backward);
    const double red_green_blue[] = {0.2989, 0.587, 0.114};
    const auto weight = [&](int64_t p, int64_t c) {
        const int64_t channels = s.planes * s.channels;
        return (channels == 3 ? red_green_blue[p * s.channels + c] : 1 / double(channels)) /
               double(s.height * s.width);
    };
    std::vector<double> mean(std::size_t(s.images), 0.0), sum(std::size_t(s.images), 0.0);
    each(s, [&](int64_t b, int64_t p, int64_t i, int64_t j, int64_t c) {
        mean[std::size_t(b)] += weight(p, c) * double(x[s.at(b, p, i, j, c)]);
        sum[std::size_t(b)] += double(x[s.at(b, p, i, j, c)]);
    });
    each(s, [&](int64_t b, int64_t p, int64_t i, int64_t j, int64_t k) {
        const double bright = factor(b, 0, brightness), c = factor(b, 1, contrast);
        const double value = double(x[s.at(b, p, i, j, k)]), scale = bright * c, share = bright * (1 - c);
        CHECK(is_close(y[s.at(b, p, i, j, k)], scale * value + share * mean[std::size_t(b)], 4, 10));
        CHECK(is_close(dx[s.at(b, p, i, j, k)], scale * value + share * sum[std::size_t(b)] * weight(p, k), 4,
                       10));
    });
}

template <class T>
void rotate(T, Shape s, double low, double high) {
    const Array<T> x(s.sizes());
    const auto y = Array<T>::filled(s.sizes()), dx = Array<T>::filled(s.sizes());
    const Array<int64_t> step({1}, 5, 5);
    RotateImagesForward<T> forward;
    RotateImagesBackward<T> backward;
    forward.from = x, forward.to = y, backward.from = x, backward.to = dx;
    forward.low = backward.low = low, forward.high = backward.high = high;
    set_draw(forward.draw, step), set_draw(backward.draw, step);
    run(forward), run(backward);
    std::vector<double> want(std::size_t(dx.size()), 0.0);
    each(s, [&](int64_t b, int64_t p, int64_t i, int64_t j, int64_t c) {
        const double angle = (low + (high - low) * word(b, 0) * 0x1p-32) * std::acos(-1.0) / 180;
        const double v = double(i) - double(s.height - 1) / 2, u = double(j) - double(s.width - 1) / 2;
        const double row = double(s.height - 1) / 2 + std::sin(angle) * u + std::cos(angle) * v,
                     column = double(s.width - 1) / 2 + std::cos(angle) * u - std::sin(angle) * v;
        double sum = 0;
        // Each pixel weighs by how near it is: a hat of width 1.
        for (int64_t r = int64_t(std::floor(row)) - 1; r <= int64_t(std::floor(row)) + 2; ++r)
            for (int64_t q = int64_t(std::floor(column)) - 1; q <= int64_t(std::floor(column)) + 2; ++q)
                if (s.has(r, q)) {
                    const double weight = std::max(0.0, 1 - std::fabs(row - double(r))) *
                                          std::max(0.0, 1 - std::fabs(column - double(q)));
                    sum += weight * double(x[s.at(b, p, r, q, c)]);
                    want[std::size_t(s.at(b, p, r, q, c))] += weight * double(x[s.at(b, p, i, j, c)]);
                }
        // A place errs by the angle (17 in radians) times the distance from the centre (35).
        CHECK(is_close(y[s.at(b, p, i, j, c)], sum, 100, 10));
    });
    for (int64_t i = 0; i < dx.size(); ++i) CHECK(is_close(dx[i], want[std::size_t(i)], 200, 10));
}

template <class T>
void check(T t) {
    std::vector<Shape> shapes{{1, 1, 1, 1, 1},  {0, 3, 4, 5, 1}, {9, 1, 4, 5, 3},  {17, 3, 6, 4, 1},
                              {3, 2, 7, 3, 5},  {2, 1, 5, 5, 0}, {4, 1, 0, 3, 2},  {8, 1, 3, 70, 1},
                              {5, 1, 6, 6, 33}, {2, 3, 9, 8, 1}, {16, 1, 32, 1, 3}};
    for (const Shape& s : shapes) {
        for (const double flip : {0.0, 0.5, 1.0})
            for (const int64_t pixels : {0, 2, 9}) augment(t, s, pixels, flip, pixels / 2 * 3);
        crop(t, s, 4, 3, {-2, -1, 5, 4}), crop(t, s, 1, 9, {1, 0, 1, 1}), crop(t, s, 5, 5, {-30, 30, 1, 1});
        crop(t, s, 6, 2, {0, 1, 2, 40}), crop(t, s, 0, 2, {});
        jitter(t, s, 0, 0), jitter(t, s, 0.5, 0.25), jitter(t, s, 2, 1.5);
        rotate(t, s, 0, 0), rotate(t, s, -30, 30), rotate(t, s, 90, 100), rotate(t, s, 1000, -1000);
    }
}

void refuse() {
    const Array<float> x({2, 1, 4, 4, 3}), other({2, 1, 4, 4, 2}), y({2, 1, 3, 3, 3});
    const Array<int64_t> step({1}, 5, 5);
    CropImagesForward<float> crop;
    crop.from = x, crop.to = y, crop.draw.step = step, crop.height = 3, crop.width = 3;
    CHECK(!crop.invalid());
    crop.height = 4;
    CHECK(crop.invalid());
    crop.height = 3, crop.places.down = 0;
    CHECK(crop.invalid());
    crop.places = {}, crop.places.top = std::numeric_limits<int64_t>::min();
    CHECK(crop.invalid());
    crop.places = {}, crop.from = other;
    CHECK(crop.invalid());
    JitterImagesForward<float> jitter;
    jitter.from = x, jitter.to = y, jitter.draw.step = step;
    CHECK(jitter.invalid());
    jitter.to = x, jitter.brightness = std::nan("");
    CHECK(jitter.invalid());
    RotateImagesForward<float> rotate;
    rotate.from = x, rotate.to = x, rotate.draw.step = step, rotate.low = std::nan("");
    CHECK(rotate.invalid());
}

}  // namespace

int main() {
    both_dtypes([](auto t) { check(t); });
    refuse();
    return finish();
}
