// Fills the fields of an op struct from a Python dict, by name.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <optional>
#include <string>
#include <unordered_map>

#include "../ops/fields.hpp"
#include "steps.hpp"

namespace backpass {

namespace py = pybind11;

#define BP_ONCE __attribute__((noinline))

// An array's dtype differs from the struct's. The next struct of the same name may fit.
struct WrongDtype {
    const char* name;
    py::dtype given, expected;
};

// A text for a message; a surrogate that stands alone, which UTF-8 lacks, as its escape.
inline std::string utf8(const py::str& text) {
    return py::cast<std::string>(text.attr("encode")("utf-8", "backslashreplace"));
}

// Its templates are thin: each stands in 250 ops. What they call is there once.
class FromDict {
  public:
    FromDict(const char* op, const py::dict& fields, py::list& keep)
        : op_(op), fields_(fields), keep_(keep) {}

    template <class T>
    void operator()(const char* name, Tensor<T>& tensor, Rows rows) {
        (*this)(name, tensor, Need::required, rows);
    }
    template <class T>
    void operator()(const char* name, Tensor<T>& tensor, Need need = Need::required,
                    Rows rows = Rows::contiguous) {
        void* const data = read_tensor(name, wanted<T>(need), rows, {tensor.ndim, tensor.shape}, tensor.gap);
        tensor.data = static_cast<T*>(data);
    }
    template <class T>
    void operator()(const char* name, Strided<T>& tensor, Need need = Need::required) {
        void* const data = read_strided(name, wanted<T>(need), {tensor.ndim, tensor.shape}, tensor.stride);
        tensor.data = static_cast<T*>(data);
    }
    BP_ONCE void operator()(const char* name, Steps& steps) {
        if (wrong_) return;
        const py::object given = take(name);
        if (!py::isinstance<py::str>(given))
            throw py::type_error(where(name) + "is " + utf8(py::repr(given)) + ", expected a text of steps");
        Py_ssize_t size = 0;
        const char* text = PyUnicode_AsUTF8AndSize(given.ptr(), &size);
        if (!text) {  // a surrogate that stands alone
            PyErr_Clear();
            throw py::value_error(where(name) + "is " + utf8(py::repr(given)) + ", expected a text of steps");
        }
        if (const auto wrong = read_steps({text, std::size_t(size)}, steps); !wrong.empty())
            throw py::value_error(where(name) + "has '" + wrong + "', which is no step here");
    }
    BP_ONCE void operator()(const char* name, double& value) { scalar(name, value, "a number"); }
    BP_ONCE void operator()(const char* name, std::int64_t& value) { scalar(name, value, "an integer"); }
    BP_ONCE void operator()(const char* name, bool& value) { scalar(name, value, "a bool"); }

    template <class Enum, std::size_t N>
    void operator()(const char* name, Enum& value, const char* const (&names)[N]) {
        value = Enum(read_choice(name, int(value), names, N));
    }

    // To be called after all fields. Returns the wrong dtype that ended the reading, if any. Throws if the dict has a field that
    // the struct lacks.
    const std::optional<WrongDtype>& finish() const {
        if (!wrong_ && taken_ != fields_.size())
            throw py::type_error(std::string(op_) + ": an argument in " +
                                 utf8(py::str(fields_.attr("keys")())) + " is unknown");
        return wrong_;
    }

  private:
    // What a field takes: a dtype by NumPy's number.
    struct Wanted {
        int dtype;
        std::uintptr_t alignment;
        bool written;
        Need need;
    };
    template <class T>
    static Wanted wanted(Need need) {
        using Item = std::remove_const_t<T>;
        return {py::detail::npy_format_descriptor<Item>::value, alignof(Item), !std::is_const_v<T>, need};
    }
    struct Shape {
        int& ndim;
        std::int64_t* extents;
    };

    // The data of an array that is kept alive; null if it is absent, or of another dtype.
    BP_ONCE void* read_tensor(const char* name, Wanted wanted, Rows rows, Shape shape, std::int64_t& gap) {
        const auto found = array_of(name, wanted);
        if (!found) return nullptr;
        const py::array& array = *found;
        const bool contiguous = array.flags() & py::array::c_style;
        if (!(contiguous || (rows == Rows::padded && has_padded_rows(array))) || !aligned(array, wanted))
            throw py::value_error(where(name) + "is not C-contiguous and aligned");
        if (!contiguous) gap = array.strides(0) / array.itemsize() - array.shape(1);
        return kept(name, array, wanted, shape);
    }
    BP_ONCE void* read_strided(const char* name, Wanted wanted, Shape shape, std::int64_t* strides) {
        const auto found = array_of(name, wanted);
        if (!found) return nullptr;
        const py::array& array = *found;
        if (!aligned(array, wanted)) throw py::value_error(where(name) + "is not aligned");
        for (int i = 0; i < int(array.ndim()); ++i) {
            if (array.strides(i) % array.itemsize())
                throw py::value_error(where(name) + "has strides between its items");
            strides[i] = array.strides(i) / array.itemsize();
        }
        return kept(name, array, wanted, shape);
    }
    static bool aligned(const py::array& array, Wanted wanted) {
        return reinterpret_cast<std::uintptr_t>(array.data()) % wanted.alignment == 0;
    }
    void* kept(const char* name, const py::array& array, Wanted wanted, Shape shape) {
        if (wanted.written && !array.writeable()) throw py::value_error(where(name) + "is read-only");
        shape.ndim = int(array.ndim());
        for (int i = 0; i < shape.ndim; ++i) shape.extents[i] = array.shape(i);
        keep_.append(array);
        return const_cast<void*>(array.data());
    }
    // The number of a name among the known ones; `value` if it is absent.
    BP_ONCE int read_choice(const char* name, int value, const char* const* names, std::size_t count) {
        if (wrong_) return value;
        const py::object given = take(name);
        if (given.is_none()) return value;
        if (!py::isinstance<py::str>(given))
            throw py::type_error(where(name) + "is " + utf8(py::repr(given)) + ", expected a name");
        for (std::size_t i = 0; i < count; ++i)
            if (PyUnicode_CompareWithASCIIString(given.ptr(), names[i]) == 0) return int(i);
        std::string known;
        for (std::size_t i = 0; i < count; ++i) known += std::string(known.empty() ? "" : ", ") + names[i];
        throw py::value_error(where(name) + "is " + utf8(py::repr(given)) + ", expected one of " + known);
    }
    // An array with the right dtype and few enough dimensions; none if it is absent, or of another dtype.
    std::optional<py::array> array_of(const char* name, Wanted wanted) {
        if (wrong_) return std::nullopt;
        const py::object value = take(name);
        if (value.is_none()) {
            if (wanted.need == Need::required) throw py::type_error(where(name) + "is missing");
            return std::nullopt;
        }
        if (!py::isinstance<py::array>(value)) throw py::type_error(where(name) + "is no NumPy array");
        auto array = py::reinterpret_borrow<py::array>(value);
        const py::dtype expected(wanted.dtype);
        if (!array.dtype().is(expected) && !array.dtype().equal(expected)) {
            // An exception would take 7 µs.
            wrong_ = WrongDtype{name, array.dtype(), expected};
            return std::nullopt;
        }
        if (array.ndim() > kMaxDims)
            throw py::value_error(where(name) + "has more than " + std::to_string(kMaxDims) + " dimensions");
        return array;
    }
    // Is it a matrix whose rows are contiguous, in order, and separated by a gap?
    static bool has_padded_rows(const py::array& array) {
        return array.ndim() == 2 && array.strides(1) == array.itemsize() &&
               array.strides(0) % array.itemsize() == 0 &&
               array.strides(0) / array.itemsize() >= array.shape(1);
    }
    std::string where(const char* name) const { return std::string(op_) + ": " + name + " "; }
    py::object take(const char* name) {
        // PyDict_GetItemString would make a new string each time.
        static thread_local std::unordered_map<const char*, PyObject*> keys;
        PyObject*& key = keys[name];
        if (!key) key = PyUnicode_InternFromString(name);
        PyObject* value = PyDict_GetItemWithError(fields_.ptr(), key);
        if (!value) return py::none();
        ++taken_;
        return py::reinterpret_borrow<py::object>(value);
    }
    template <class S>
    void scalar(const char* name, S& value, const char* expected) {
        if (wrong_) return;
        const py::object given = take(name);
        if (given.is_none()) return;
        try {
            value = py::cast<S>(given);
        } catch (const py::cast_error&) {
            throw py::type_error(where(name) + "is " + utf8(py::repr(given)) + ", expected " + expected);
        }
    }

    const char* op_;
    const py::dict& fields_;
    py::list& keep_;
    std::size_t taken_ = 0;
    std::optional<WrongDtype> wrong_;
};

}  // namespace backpass
