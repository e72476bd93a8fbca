// Arrays of any strides for the tests of kernels: nothing lies before their first element in memory, nor behind their last.
#pragma once
#include "kernel_test.hpp"

namespace backpass {

// How an array lies in memory: in C order, in Fortran order, one element for a whole last or first dimension, backwards, or with
// gaps between its elements, or between its rows.
enum class Lies { contiguous, transposed, repeated, repeated_rows, reversed, every_second, rows_apart };
inline constexpr Lies kLies[] = {Lies::contiguous, Lies::transposed,   Lies::repeated,  Lies::repeated_rows,
                                 Lies::reversed,   Lies::every_second, Lies::rows_apart};
// Those without two elements in one place, as an output needs it.
inline constexpr Lies kApart[] = {Lies::contiguous, Lies::transposed, Lies::reversed, Lies::every_second,
                                  Lies::rows_apart};

using Extents = std::vector<std::int64_t>;

inline Extents strides_of(const Extents& shape, Lies lies) {
    const std::size_t dims = shape.size();
    Extents strides(dims);
    std::int64_t stride = lies == Lies::reversed ? -1 : lies == Lies::every_second ? 2 : 1;
    for (std::size_t i = 0; i < dims; ++i) {
        const std::size_t dim = lies == Lies::transposed ? i : dims - 1 - i;
        const bool once = lies == Lies::repeated ? i == 0 : lies == Lies::repeated_rows && i + 1 == dims;
        strides[dim] = once ? 0 : stride;
        if (!once) stride *= shape[dim];
        if (lies == Lies::rows_apart && i == 0) stride += 5;
    }
    return strides;
}

template <class T>
class Laid {
  public:
    Laid(const Extents& shape, const Extents& strides, double low = -2, double high = 2)
        : memory_({span(shape, strides)}, low, high) {
        view_.data = memory_.data();
        view_.ndim = int(shape.size());
        std::copy(shape.begin(), shape.end(), view_.shape);
        std::copy(strides.begin(), strides.end(), view_.stride);
        for (std::size_t i = 0; i < shape.size() && memory_.size() > 0; ++i)
            if (strides[i] < 0) view_.data -= (shape[i] - 1) * strides[i];
    }
    Laid(const Extents& shape, Lies lies, double low = -2, double high = 2)
        : Laid(shape, strides_of(shape, lies), low, high) {}

    std::int64_t size() const { return view_.size(); }
    const Array<T>& memory() const { return memory_; }
    // Element i in C order.
    T& operator[](std::int64_t i) const {
        std::int64_t offset = 0;
        for (int dim = view_.ndim; dim-- > 0; i /= view_.shape[dim])
            offset += i % view_.shape[dim] * view_.stride[dim];
        return view_.data[offset];
    }
    std::vector<T> values() const {
        std::vector<T> all;
        for (std::int64_t i = 0; i < size(); ++i) all.push_back((*this)[i]);
        return all;
    }
    operator Strided<T>() const { return view_; }
    operator Strided<const T>() const {
        Strided<const T> view;
        view.data = view_.data, view.ndim = view_.ndim;
        std::copy(view_.shape, view_.shape + kMaxDims, view.shape);
        std::copy(view_.stride, view_.stride + kMaxDims, view.stride);
        return view;
    }

  private:
    static std::int64_t span(const Extents& shape, const Extents& strides) {
        std::int64_t last = 0, size = 1;
        for (std::size_t i = 0; i < shape.size(); ++i)
            last += (shape[i] - 1) * std::abs(strides[i]), size *= shape[i];
        return size == 0 ? 0 : last + 1;
    }

    Array<T> memory_;
    Strided<T> view_;
};

}  // namespace backpass
