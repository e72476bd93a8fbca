// The Python module _core. A call arrives as (name, fields) and finds its struct in the list of ops.
#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>
#include <unordered_map>

#include "../runtime/caches.hpp"
#include "../runtime/epochs.hpp"
#include "../runtime/isa.hpp"
#include "../runtime/program.hpp"
#include "fields.hpp"
#include "gil.hpp"

namespace backpass {
namespace {

// Fills `made` in place, since an op may be large.
struct Maker {
    const char* name;
    void (*make)(FromDict& reader, AnyOp& made);
};
template <class Op>
void make_as(FromDict& reader, AnyOp& made) {
    made.emplace<Op>().fields(reader);
}
template <class... List>
const auto& makers_of(OpList<List...>) {
    static constexpr Maker makers[] = {{List::name, &make_as<List>}...};
    return makers;
}

std::unordered_multimap<std::string, Maker> makers() {
    std::unordered_multimap<std::string, Maker> all;
    for (const Maker& maker : makers_of(Ops{})) all.emplace(maker.name, maker);
    return all;
}

// The op struct with this name whose dtypes fit.
AnyOp make_op(const std::string& name, const py::dict& fields, py::list& keep) {
    static const auto all = makers();
    AnyOp made;
    std::optional<WrongDtype> wrong;
    const auto [first, last] = all.equal_range(name);
    if (first == last) throw py::key_error("no native op is called '" + name + "'");
    for (auto it = first; it != last; ++it) {
        FromDict reader(it->second.name, fields, keep);
        it->second.make(reader, made);
        if (!(wrong = reader.finish())) return made;
    }
    throw py::type_error(name + ": " + wrong->name + " is " + utf8(py::str(wrong->given)) + ", expected " +
                         utf8(py::str(wrong->expected)));
}

std::vector<std::string> op_names() {
    std::vector<std::string> names;
    for (const Maker& maker : makers_of(Ops{})) names.emplace_back(maker.name);
    return names;
}

template <std::size_t N>
std::vector<std::string> listed(const char* const (&names)[N]) {
    return {names, names + N};
}

std::string unit_name(const std::string& precision, const std::string& isa, const std::string& unit) {
    for (int i = 1; i < count_of(kPrecisionNames); ++i)
        if (precision == kPrecisionNames[i]) return kUnitNames[int(choose_unit(unit, isa, Precision(i)))];
    return kUnitNames[int(Unit::float32)];
}

std::vector<std::pair<std::string, bool>> activations() {
    std::vector<std::pair<std::string, bool>> found;
    for (int i = 0; i < count_of(kActivationNames); ++i)
        found.emplace_back(kActivationNames[i], stores_slope(Activation(i)));
    return found;
}

std::vector<std::pair<std::string, int>> functions() {
    std::vector<std::pair<std::string, int>> found;
    for (int i = 0; i < count_of(kFunctionNames); ++i)
        found.emplace_back(kFunctionNames[i], operands_of(Function(i)));
    return found;
}

bool interrupted() {
    const auto state = wait_for_gil([] { return PyGILState_Ensure(); });
    const bool told = PyErr_CheckSignals() != 0;
    PyGILState_Release(state);
    return told;
}

// A program, with references that keep its arrays alive.
class BoundProgram {
  public:
    BoundProgram(const std::vector<std::pair<std::string, py::dict>>& calls, const std::string& isa,
                 const std::optional<py::array_t<std::int64_t>>& halt, const std::string& unit)
        : halt_(checked(halt)), program_(make(calls), choose_isa(isa), unit, halt ? halt->data() : nullptr) {}

    // (name, flops, bytes) of every instruction.
    std::vector<std::tuple<std::string, double, double>> costs() const {
        std::vector<std::tuple<std::string, double, double>> found;
        for (const Cost& cost : program_.costs()) found.emplace_back(cost.name, cost.flops, cost.bytes);
        return found;
    }

    std::vector<double> profile(std::int64_t steps, int threads) {
        py::gil_scoped_release release;
        return program_.profile(steps, threads > 0 ? threads : get_num_threads());
    }

    std::int64_t run(std::int64_t steps, int threads) {
        const int n = threads > 0 ? threads : get_num_threads();
        if (program_.seconds() * double(steps) < 5e-6)
            return program_.run(steps, 1, nullptr);  // shorter than releasing the GIL
        std::int64_t done;
        {
            const WithoutGil without_gil;
            done = program_.run(steps, n, &interrupted);
        }
        if (PyErr_Occurred()) throw py::error_already_set();  // Ctrl-C
        return done;
    }

    Program& program() { return program_; }

  private:
    using Halt = std::optional<py::array_t<std::int64_t>>;
    static const Halt& checked(const Halt& halt) {
        if (halt && (halt->size() != 1 || reinterpret_cast<std::uintptr_t>(halt->data()) % 8))
            throw py::value_error("halt must be int64 (1,), aligned");
        return halt;
    }
    std::vector<AnyOp> make(const std::vector<std::pair<std::string, py::dict>>& calls) {
        std::vector<AnyOp> ops;
        ops.reserve(calls.size());
        for (const auto& [name, fields] : calls) ops.push_back(make_op(name, fields, keep_));
        return ops;
    }

    py::list keep_;
    Halt halt_;
    Program program_;
};

std::int64_t run_epochs_of(const std::vector<std::pair<BoundProgram*, std::int64_t>>& given,
                           std::int64_t epochs, double seconds, int threads) {
    std::vector<Turn> turns;
    for (const auto& [program, steps] : given) {
        if (!program) throw py::type_error("programs holds None, expected a Program");
        turns.push_back({&program->program(), steps});
    }
    const WithoutGil without_gil;
    return run_epochs(turns, epochs, seconds, threads > 0 ? threads : get_num_threads());
}

// A program as a function of one input. It is the commonest call from Python: what can be checked beforehand is.
class Inference {
  public:
    Inference(BoundProgram& program, const py::array& input, const py::array& output)
        : program_(program), input_(input), output_(output) {
        if (!(input.flags() & output.flags() & py::array::c_style) || !input.writeable())
            throw py::value_error("inference: input and output must be C-contiguous, input writable");
        if (input.dtype().kind() != 'f' || output.dtype().kind() != 'f')
            throw py::type_error("inference: input and output must be float32 or float64");
    }

    // None if x does not fit the input.
    std::optional<py::array> run(const py::handle& x, int threads) {
        // A subclass is refused: a masked array has values that do not count.
        if (Py_TYPE(x.ptr()) != py::detail::npy_api::get().PyArray_Type_) return std::nullopt;
        const auto given = py::reinterpret_borrow<py::array>(x);
        const bool fits = given.ndim() == input_.ndim() && given.dtype().is(input_.dtype()) &&
                          (given.flags() & py::array::c_style) &&
                          std::equal(given.shape(), given.shape() + given.ndim(), input_.shape());
        if (!fits) return std::nullopt;
        std::memcpy(input_.mutable_data(), given.data(), std::size_t(given.nbytes()));
        program_.run(1, threads);
        py::array out = empty_like(output_);
        std::memcpy(out.mutable_data(), output_.data(), std::size_t(output_.nbytes()));
        return out;
    }

  private:
    // py::array's constructor computes strides in vectors of its own.
    static py::array empty_like(const py::array& array) {
        const auto& api = py::detail::npy_api::get();
        PyObject* made = api.PyArray_NewFromDescr_(
            api.PyArray_Type_, array.dtype().release().ptr(), int(array.ndim()),
            reinterpret_cast<const Py_intptr_t*>(array.shape()), nullptr, nullptr, 0, nullptr);
        if (!made) throw py::error_already_set();
        return py::reinterpret_steal<py::array>(made);
    }

    BoundProgram& program_;
    py::array input_, output_;
};

}  // namespace

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
    m.doc() = "The native backend of backpass: programs of ops over NumPy arrays.";
    py::class_<BoundProgram>(m, "Program")
        .def(py::init<const std::vector<std::pair<std::string, py::dict>>&, const std::string&,
                      const std::optional<py::array_t<std::int64_t>>&, const std::string&>(),
             py::arg("calls"), py::arg("isa") = "", py::arg("halt").noconvert() = py::none(),
             py::arg("unit") = "")
        .def("run", &BoundProgram::run, py::arg("steps") = 1, py::arg("threads") = 0,
             "Run all instructions `steps` times without the GIL; returns the number of whole steps done.")
        .def("costs", &BoundProgram::costs,
             "(name, floating point operations, bytes moved) of every instruction, by its own account.")
        .def("profile", &BoundProgram::profile, py::arg("steps"), py::arg("threads") = 0,
             "Run all instructions `steps` times; returns the seconds that each of them took.");
    py::class_<Inference>(m, "Inference")
        .def(py::init<BoundProgram&, const py::array&, const py::array&>(), py::keep_alive<1, 2>(),
             py::arg("program"), py::arg("input"), py::arg("output"))
        .def("run", &Inference::run, py::arg("x"), py::arg("threads"),
             "Copy x into the buffer `input`, run the program once, return a copy of the buffer `output`; "
             "None if x has another shape or dtype.");
    m.def("run_epochs", &run_epochs_of, py::arg("programs"), py::arg("epochs"), py::arg("seconds"),
          py::arg("threads") = 0,
          "Run each (program, steps) in turn, all of them `epochs` times, until one halts or `seconds` are "
          "over; returns the number of whole epochs done.");
    m.attr("compiler") = __VERSION__;
    m.attr("max_dims") = kMaxDims;
    m.attr("chunk") = kUpdatePiece;  // elements of a partial sum over a flat vector
    m.def("ops", [] { return op_names(); }, "The names of all ops; twice where there are two dtypes.");
    m.def("activations", &activations,
          "(name, whether the forward pass stores the slope) of every activation.");
    m.def("functions", &functions, "(name, number of operands) of every function of an expression's steps.");
    m.def("pointwise", [] { return listed(kPointwiseNames); }, "The names of all pointwise losses.");
    m.def("reductions", [] { return listed(kReductionNames); }, "The names of all reductions of a loss.");
    m.def("available_isas", &available_isas, "Instruction sets that this CPU runs, fastest first.");
    m.def("choose_isa", &choose_isa, py::arg("name") = "",
          "The instruction set in use for `name`, BACKPASS_ISA or the fastest.");
    m.def("precisions", [] { return listed(kPrecisionNames); }, "The names of all precisions of products.");
    m.def("choose_unit", &unit_name, py::arg("precision"), py::arg("isa"), py::arg("unit") = "",
          "What multiplies at a precision, for `unit`, BACKPASS_UNIT or the fastest of an instruction set.");
    m.def(
        "caches", [] { return std::tuple(caches().l1, caches().l1 / caches().way, caches().l2); },
        "Bytes of the L1 cache, its ways, bytes of the L2 cache: those of BACKPASS_CACHES or of this CPU.");
    m.def("get_num_threads", &get_num_threads);
    m.def("set_num_threads", &set_num_threads, py::arg("threads"));
}

}  // namespace backpass
