// For the tests of kernels: arrays between guards, kernels run with their tasks cut in every way, comparisons.
#pragma once
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <type_traits>
#include <vector>

#include "check.hpp"
#include "kernels/kernel.hpp"
#include "ops/ops.hpp"
#include "pages.hpp"

namespace backpass {

inline const char* testing = "nothing";  // what is being tested, for a crash

[[noreturn]] inline void crashed(int signal) {
    std::printf("signal %d while testing %s: a kernel left its arrays\n", signal, testing);
    std::fflush(stdout);
    std::_Exit(1);
}
inline void report_crashes() {
    std::signal(SIGSEGV, crashed);
#ifdef SIGBUS
    std::signal(SIGBUS, crashed);
#endif
}

// ---- arrays between guards --------------------------------------------------------------------------------

// Memory between a canary and a page that may be neither read nor written.
class Guarded {
  public:
    static constexpr std::size_t kCanary = 128;

    explicit Guarded(std::size_t bytes) : bytes_(bytes) {
        auto& free = spare();
        const auto fits = [&](const Region& r) { return r.bytes >= bytes + kCanary; };
        if (const auto found = std::find_if(free.begin(), free.end(), fits); found != free.end()) {
            region_ = *found;
            free.erase(found);
        } else {
            region_.bytes = std::max<std::size_t>(bytes + kCanary, 1 << 15);
            region_.begin = pages_before_a_wall(region_.bytes);
        }
        std::memset(data() - kCanary, 0xff, kCanary);  // read as a number it is a NaN
    }
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;
    ~Guarded() {
        CHECK(intact());
        spare().push_back(region_);
    }

    unsigned char* data() const { return region_.begin + region_.bytes - bytes_; }
    bool intact() const {
        return std::all_of(data() - kCanary, data(), [](unsigned char byte) { return byte == 0xff; });
    }

  private:
    struct Region {
        unsigned char* begin;
        std::size_t bytes;
    };
    static std::vector<Region>& spare() {
        static std::vector<Region> regions;
        return regions;
    }

    std::size_t bytes_;
    Region region_{};
};

// Pseudo-random numbers, the same in every run.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed * 2 + 1) {}
    std::uint64_t bits() { return state_ = state_ * 6364136223846793005u + 1442695040888963407u; }
    std::int64_t below(std::int64_t n) { return std::int64_t((bits() >> 33) % std::uint64_t(n)); }
    double uniform(double low, double high) { return low + (high - low) * double(bits() >> 11) * 0x1p-53; }

  private:
    std::uint64_t state_;
};
inline Random random_numbers{1};

// An array for a kernel: random numbers from [low, high), or one number everywhere.
template <class T>
class Array {
  public:
    explicit Array(std::vector<std::int64_t> shape, double low = -2, double high = 2)
        : shape_(std::move(shape)), size_(1) {
        for (const std::int64_t extent : shape_) size_ *= extent;
        memory_ = new Guarded(std::size_t(size_) * sizeof(T));
        for (std::int64_t i = 0; i < size_; ++i) {
            const double x = low == high ? low : random_numbers.uniform(low, high);
            (*this)[i] = T(std::is_integral_v<T> ? std::floor(x) : x);
        }
    }
    static Array filled(std::vector<std::int64_t> shape, double x = 77) {
        return Array(std::move(shape), x, x);
    }
    Array(const Array&) = delete;
    Array& operator=(const Array&) = delete;
    ~Array() { delete memory_; }

    std::int64_t size() const { return size_; }
    T* data() const { return reinterpret_cast<T*>(memory_->data()); }
    T& operator[](std::int64_t i) const { return data()[i]; }
    operator Tensor<T>() const { return tensor<T>(); }
    operator Tensor<const T>() const { return tensor<const T>(); }
    // The same memory without the last columns: a matrix with padded rows.
    Tensor<T> but_last(std::int64_t gap) const {
        Tensor<T> t = tensor<T>();
        t.shape[t.ndim - 1] -= gap, t.gap = gap;
        return t;
    }

  private:
    template <class U>
    Tensor<U> tensor() const {
        Tensor<U> t;
        t.data = data();
        t.ndim = int(shape_.size());
        std::copy(shape_.begin(), shape_.end(), t.shape);
        return t;
    }

    std::vector<std::int64_t> shape_;
    std::int64_t size_;
    Guarded* memory_ = nullptr;
};

// An optional argument: the array, or none.
template <class A>
auto when(bool given, const A& array) {
    using T = std::remove_reference_t<decltype(array[0])>;
    return given ? Tensor<T>(array) : Tensor<T>{};
}
template <class T>
Tensor<const T> constant(const Tensor<T>& t) {
    Tensor<const T> c;
    c.data = t.data;
    c.ndim = t.ndim, c.gap = t.gap;
    std::copy(t.shape, t.shape + kMaxDims, c.shape);
    return c;
}
template <class A>
auto given(bool yes, const A& array) {  // an optional input
    return constant(when(yes, array));
}

// ---- running a kernel -------------------------------------------------------------------------------------

struct Memory {
    void* data;
    std::size_t bytes;
};

// The memory of an op's outputs, or of its inputs.
template <bool Outputs>
struct Collect {
    std::vector<Memory> found;

    template <class T, class... Rest>
    void operator()(const char*, Tensor<T>& tensor, Rest...) {
        if (tensor && std::is_const_v<T> != Outputs)
            found.push_back({const_cast<std::remove_const_t<T>*>(tensor.data),
                             std::size_t(tensor.size() + tensor.rows() * tensor.gap) * sizeof(T)});
    }
    // All bytes from the first element to the last, and so what must not change in between.
    template <class T, class... Rest>
    void operator()(const char*, Strided<T>& array, Rest...) {
        if (!array || std::is_const_v<T> == Outputs) return;
        std::int64_t first = 0, last = array.size() > 0 ? 0 : -1;
        for (int i = 0; i < array.ndim && last >= 0; ++i) {
            const std::int64_t reach = (array.shape[i] - 1) * array.stride[i];
            (reach < 0 ? first : last) += reach;
        }
        found.push_back({const_cast<std::remove_const_t<T>*>(array.data + first),
                         std::size_t(last + 1 - first) * sizeof(T)});
    }
    // Scalars, names and steps.
    template <class Other, class... Rest>
    void operator()(const char*, Other&, Rest&&...) {}
};
template <bool Outputs, class Op>
std::vector<Memory> memory_of(Op op) {
    Collect<Outputs> collect;
    op.fields(collect);
    return collect.found;
}
inline std::vector<unsigned char> bytes_of(const std::vector<Memory>& memory) {
    std::vector<unsigned char> bytes;
    for (const Memory& m : memory) {
        const auto* data = static_cast<const unsigned char*>(m.data);
        bytes.insert(bytes.end(), data, data + m.bytes);
    }
    return bytes;
}
inline void restore(const std::vector<Memory>& memory, const std::vector<unsigned char>& bytes) {
    std::size_t at = 0;
    for (const Memory& m : memory) {
        if (m.bytes) std::memcpy(m.data, bytes.data() + at, m.bytes);
        at += m.bytes;
    }
}

inline std::ptrdiff_t differing(const std::vector<unsigned char>& a, const std::vector<unsigned char>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), std::ptrdiff_t{0}, std::plus<>(),
                              std::not_equal_to<>());
}

// Runs the kernel of this file's row on tasks [begin, end), on a scratch full of NaN.
template <class Op>
void run(const Op& op, std::int64_t begin, std::int64_t end, const Caches& caches = kUsualCaches) {
    static Guarded scratch(kScratchBytes);
    std::memset(scratch.data(), 0xff, 1 << 12);
    BACKPASS_ISA::kernel(op, Range{begin, end}, Scratch{scratch.data(), &caches});
}
// A small core's and a large one's.
inline constexpr Caches kOtherCaches[] = {{.l1 = 16 << 10, .way = 1 << 10, .l2 = 64 << 10},
                                          {.l1 = 128 << 10, .way = 16 << 10, .l2 = 16 << 20}};

// Whether two pieces of memory share a byte.
inline bool overlap(const Memory& a, const Memory& b) {
    const auto begin = [](const Memory& m) { return reinterpret_cast<std::uintptr_t>(m.data); };
    return begin(a) < begin(b) + b.bytes && begin(b) < begin(a) + a.bytes;
}

// Runs the op in one go, on other caches, task by task, backwards, and in two uneven parts: all must give the same bits, and
// no input may change that is no output, too. The results of the last run are left in the arrays.
template <class Op>
void run(const Op& op) {
    testing = Op::name;
    CHECK(op.invalid() == nullptr);
    const auto outputs = memory_of<true>(op);
    auto inputs = memory_of<false>(op);
    std::erase_if(inputs, [&](const Memory& input) {
        return std::any_of(outputs.begin(), outputs.end(),
                           [&](const Memory& m) { return overlap(input, m); });
    });
    const auto before = bytes_of(outputs), given = bytes_of(inputs);
    const std::int64_t tasks = op.tasks();
    run(op, 0, tasks);
    CHECK(bytes_of(inputs) == given);
    const auto after = bytes_of(outputs);
    for (const Caches& caches : kOtherCaches) {
        restore(outputs, before);
        run(op, 0, tasks, caches);
        CHECK(bytes_of(outputs) == after);
    }
    if (tasks < 2) return;
    restore(outputs, before);
    for (std::int64_t task = 0; task < tasks; ++task) run(op, task, task + 1);
    CHECK(bytes_of(outputs) == after);
    std::ptrdiff_t changed = 0;  // bytes: by each task alone, and no byte by two
    for (std::int64_t task = 0; task < tasks; ++task) {
        restore(outputs, before);
        run(op, task, task + 1);
        changed += differing(bytes_of(outputs), before);
    }
    CHECK(changed == differing(after, before));
    restore(outputs, before);
    for (std::int64_t task = tasks; task-- > 0;) run(op, task, task + 1);
    CHECK(bytes_of(outputs) == after);
    restore(outputs, before);
    run(op, (tasks + 2) / 3, tasks);
    run(op, 0, (tasks + 2) / 3);
    CHECK(bytes_of(outputs) == after);
}

// ---- comparing --------------------------------------------------------------------------------------------

// Does `got` equal `want`, which was computed in double, up to `ulps` roundings of numbers as large as `scale`?
template <class T>
bool is_close(T got, double want, double ulps, double scale = 1) {
    if (std::isnan(want) || std::isinf(want)) return std::isnan(want) ? std::isnan(got) : double(got) == want;
    const double allowed =
        ulps * double(std::numeric_limits<T>::epsilon()) * std::max(scale, std::fabs(want));
    if (std::fabs(double(got) - want) <= allowed) return true;
    std::printf("%s: %.9g, expected %.9g +- %.2g\n", testing, double(got), want, allowed);
    return false;
}

// f(T{}) for both dtypes.
template <class F>
void both_dtypes(F f) {
    report_crashes();
    f(float{});
    f(double{});
}

}  // namespace backpass
