// libFuzzer: any bytes as a program of one to four ops, with arrays of any shape and numbers, shared or left out at will, past
// all of Python's checks. Program refuses it, or runs it without touching a byte beyond the arrays (AddressSanitizer) and without
// changing what an op may only read. nox -s fuzz; CMake preset "fuzz".
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>
#include <utility>

#include "runtime/isa.hpp"
#include "runtime/program.hpp"

namespace {

using namespace backpass;
using std::int64_t;
using Bytes = FuzzedDataProvider;

constexpr int64_t kMost = 1 << 14;  // elements of an array: enough for several tasks

// What was made of the inputs; printed at the end, so that nobody takes a fuzzer that reaches nothing for a good sign.
struct Counts {
    long ran = 0, refused = 0;
    ~Counts() { std::printf("%ld programs ran, %ld were refused\n", ran, refused); }
} counts;

template <class T>
T number(Bytes& bytes) {
    if constexpr (std::is_integral_v<T>) {
        if (bytes.ConsumeBool()) return T(bytes.ConsumeIntegralInRange<int>(-2, 20));
        return bytes.ConsumeIntegral<T>();
    } else {
        constexpr T odd[] = {T(0),
                             T(-0.0),
                             T(1),
                             T(-1),
                             T(0.1),
                             T(1e-5),
                             std::numeric_limits<T>::denorm_min(),
                             T(3e38),
                             T(-3e38),
                             T(INFINITY),
                             T(-INFINITY),
                             T(NAN)};
        if (bytes.ConsumeBool()) return bytes.PickValueInArray(odd);
        T value;
        const auto raw = bytes.ConsumeBytes<char>(sizeof value);
        if (raw.size() < sizeof value) return T(0.5);
        std::memcpy(&value, raw.data(), sizeof value);
        return value;
    }
}

// One array in memory of its own, whose first and last byte border on what nobody may touch.
struct Array {
    std::unique_ptr<char, decltype(&std::free)> data{nullptr, std::free};
    std::size_t size = 0;
    std::vector<char> before;  // of one that may only be read
};

class Arrays {
  public:
    explicit Arrays(Bytes& bytes) : bytes_(bytes) {
        for (int64_t& size : sizes_)
            size = bytes.ConsumeIntegralInRange<int64_t>(0, bytes.ConsumeBool() ? 5 : 140);
    }

    // The visitor of an op's fields, as bindings/fields.hpp is one.
    template <class T>
    void operator()(const char* name, Tensor<T>& tensor, Rows rows) {
        (*this)(name, tensor, Need::required, rows);
    }
    template <class T>
    void operator()(const char*, Tensor<T>& tensor, Need need = Need::required,
                    Rows rows = Rows::contiguous) {
        if (need == Need::optional && bytes_.ConsumeBool()) return;
        shape(tensor);
        if (rows == Rows::padded && tensor.ndim == 2)
            tensor.gap = bytes_.ConsumeIntegralInRange<int64_t>(0, 20);
        tensor.data = memory<T>(tensor.size() + (tensor.size() ? (tensor.rows() - 1) * tensor.gap : 0));
        if constexpr (std::is_same_v<T, int64_t>)
            if (tensor.size() == 1) words_.push_back(tensor.data);
    }
    // Mostly of the last one's shape, since the many arrays of an expression have one. The strides of C or Fortran order, with gaps,
    // backwards, or any: the memory ends with the outermost elements.
    template <class T>
    void operator()(const char*, Strided<T>& array, Need need = Need::required) {
        if (need == Need::optional && bytes_.ConsumeBool()) return;
        if (last_.ndim < 0 || bytes_.ConsumeIntegralInRange<int>(0, 7) == 0) shape(last_);
        array.ndim = last_.ndim;
        std::copy(last_.shape, last_.shape + kMaxDims, array.shape);
        const bool fortran = bytes_.ConsumeBool(), any = bytes_.ConsumeIntegralInRange<int>(0, 3) == 0;
        int64_t stride = bytes_.PickValueInArray<int64_t>({1, 1, 1, 2, -1}), first = 0, last = 0;
        for (int i = 0; i < array.ndim; ++i) {
            const int dim = fortran ? i : array.ndim - 1 - i;
            array.stride[dim] = any ? bytes_.ConsumeIntegralInRange<int>(-40, 40) : stride;
            stride *= array.shape[dim] > 0 ? array.shape[dim] : 1;
            if (array.size() == 0) continue;
            const int64_t reach = (array.shape[dim] - 1) * array.stride[dim];
            (reach < 0 ? first : last) += reach;
        }
        array.data = memory<T>(array.size() ? last - first + 1 : 0) - first;
    }
    // Often right, since a step mostly reads what is there; sometimes anything.
    void operator()(const char*, Steps& steps) {
        steps.constants = bytes_.ConsumeIntegralInRange<int>(0, kConstants);
        for (int i = 0; i < steps.constants; ++i) steps.constant[i] = number<double>(bytes_);
        steps.count = bytes_.ConsumeIntegralInRange<int>(0, 6);
        std::vector<std::uint8_t> known;
        for (int r = 0; r < kInputs; ++r) known.push_back(std::uint8_t(r));
        for (int r = 0; r < steps.constants; ++r) known.push_back(std::uint8_t(kFirstConstant + r));
        for (int i = 0; i < steps.count; ++i) {
            Step& step = steps.step[i];
            step.function = Function(bytes_.ConsumeIntegralInRange<int>(0, count_of(kFunctionNames) - 1));
            for (std::uint8_t& from : step.from)
                from = known[bytes_.ConsumeIntegralInRange<std::size_t>(0, known.size() - 1)];
            step.to = bytes_.ConsumeIntegralInRange<std::uint8_t>(kFirstOutput, kFirstConstant - 1);
            known.push_back(step.to);
        }
        if (bytes_.ConsumeBool() && steps.valid()) steps.pair();
        if (bytes_.ConsumeIntegralInRange<int>(0, 7)) return;
        Step& step = steps.step[bytes_.ConsumeIntegralInRange<int>(0, kSteps - 1)];
        step.to = bytes_.ConsumeIntegral<std::uint8_t>();
        for (std::uint8_t& from : step.from) from = bytes_.ConsumeIntegral<std::uint8_t>();
        step.function = Function(number<int>(bytes_));
        if (bytes_.ConsumeBool()) step.then = Function(number<int>(bytes_)), step.at = 1;
        if (bytes_.ConsumeBool()) steps.count = number<int>(bytes_);
        if (bytes_.ConsumeBool()) steps.constants = number<int>(bytes_);
    }
    void operator()(const char*, double& value) {
        value = bytes_.ConsumeBool() ? value : number<double>(bytes_);
    }
    void operator()(const char*, int64_t& value) {
        value = bytes_.ConsumeBool() ? value : number<int64_t>(bytes_);
    }
    void operator()(const char*, bool& value) { value = bytes_.ConsumeBool(); }
    template <class Enum, std::size_t N>
    void operator()(const char*, Enum& value, const char* const (&)[N]) {
        value = Enum(bytes_.ConsumeIntegralInRange<std::size_t>(0, N - 1));
    }

    const int64_t* halt() { return words_.empty() || bytes_.ConsumeBool() ? nullptr : words_.back(); }

    bool unchanged() const {
        for (const Array& array : arrays_)
            if (!array.before.empty() && std::memcmp(array.before.data(), array.data.get(), array.size) != 0)
                return false;
        return true;
    }

  private:
    // An array of some items, now and then one that another field has.
    template <class T>
    T* memory(int64_t items) {
        using Item = std::remove_const_t<T>;
        const std::size_t size = std::size_t(items) * sizeof(Item);
        const bool shared = !arrays_.empty() && bytes_.ConsumeProbability<float>() < 0.1f;
        if (shared)
            for (Array& array : arrays_)
                if (array.size == size) {
                    if (!std::is_const_v<T>) array.before.clear();
                    return reinterpret_cast<T*>(array.data.get());
                }
        Array array;
        array.size = size;
        array.data.reset(static_cast<char*>(std::malloc(size ? size : 1)));
        auto* const data = reinterpret_cast<Item*>(array.data.get());
        const Item usual = number<Item>(bytes_), other = number<Item>(bytes_);
        const int64_t every = bytes_.ConsumeIntegralInRange<int64_t>(1, 9);
        for (int64_t i = 0; i < items; ++i) data[i] = i % every ? usual : other;
        if (std::is_const_v<T>) array.before.assign(array.data.get(), array.data.get() + size);
        arrays_.push_back(std::move(array));
        return data;
    }
    // Mostly of the few sizes that this program has, so that arrays fit together.
    template <class A>
    void shape(A& tensor) {
        tensor.ndim = bytes_.ConsumeIntegralInRange<int>(0, bytes_.ConsumeBool() ? 3 : kMaxDims);
        int64_t size = 1;
        for (int i = 0; i < tensor.ndim; ++i) {
            tensor.shape[i] = bytes_.ConsumeIntegralInRange<int>(0, 15) ? bytes_.PickValueInArray(sizes_) : 1;
            if (size * tensor.shape[i] > kMost) tensor.shape[i] = 1;
            size *= tensor.shape[i];
        }
        if (tensor.ndim > 1 && tensor.size() == 0 && bytes_.ConsumeIntegralInRange<int>(0, 15) == 0) {
            tensor.shape[0] = int64_t{1} << 40;  // NumPy has such arrays
            for (int i = 1; i < tensor.ndim; ++i) tensor.shape[i] = 0;
        }
    }

    Bytes& bytes_;
    int64_t sizes_[4];
    std::vector<Array> arrays_;
    std::vector<int64_t*> words_;
    Tensor<char> last_{nullptr, -1};  // the last strided array, without its memory
};

template <class... List>
AnyOp op_number(OpList<List...>, std::size_t wanted, Arrays& arrays) {
    AnyOp made;
    std::size_t number = 0;
    const auto attempt = [&]<class Op>() {
        if (number++ != wanted) return;
        Op op;
        op.fields(arrays);
        made = op;
    };
    (attempt.template operator()<List>(), ...);
    return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes bytes(data, size);
    static const auto isas = available_isas();
    const std::string& isa = isas[bytes.ConsumeIntegralInRange<std::size_t>(0, isas.size() - 1)];
    const int threads = bytes.ConsumeIntegralInRange<int>(1, 3),
              steps = bytes.ConsumeIntegralInRange<int>(0, 2);
    Arrays arrays(bytes);
    std::vector<AnyOp> ops;
    do {
        const auto number = bytes.ConsumeIntegralInRange<std::size_t>(0, OfOps::count - 1);
        ops.push_back(op_number(Ops{}, number, arrays));
    } while (ops.size() < 4 && bytes.remaining_bytes() > 16 && bytes.ConsumeBool());
    try {
        Program program(std::move(ops), isa, "emulation", arrays.halt());
        program.run(steps, threads, nullptr);
        ++counts.ran;
    } catch (const std::invalid_argument&) { ++counts.refused; }
    if (!arrays.unchanged()) {
        std::puts("an op wrote to what it may only read");
        std::abort();
    }
    return 0;
}
