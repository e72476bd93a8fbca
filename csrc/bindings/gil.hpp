// Releasing and taking the GIL, in a thread that may outlive the interpreter.
#pragma once
#include <Python.h>

#include <chrono>
#include <thread>
#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

namespace backpass {

// take() waits for the GIL. An interpreter that shuts down never gives it to a daemon thread. Before Python 3.14 it unwinds the
// frames of that thread instead, which would call std::terminate in a destructor. Here the thread sleeps until the process ends,
// as Python 3.14 lets it. no_sanitize: libstdc++ binds a __forced_unwind& to null.
template <class F>
__attribute__((no_sanitize("null"))) auto wait_for_gil(F take) {
#ifdef __GLIBCXX__
    try {
        return take();
    } catch (abi::__forced_unwind&) {
        for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
#else
    return take();
#endif
}

class WithoutGil {
  public:
    WithoutGil() : state_(PyEval_SaveThread()) {}
    ~WithoutGil() {
        wait_for_gil([this] { PyEval_RestoreThread(state_); });
    }
    WithoutGil(const WithoutGil&) = delete;
    WithoutGil& operator=(const WithoutGil&) = delete;

  private:
    PyThreadState* state_;
};

}  // namespace backpass
