// Giving up the GIL and waiting for it, in a thread that may outlive the interpreter.
#pragma once
#include <Python.h>

#include <chrono>
#include <thread>
#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

namespace backpass {

// take() waits for the GIL. An interpreter that is ending never gives it to a daemon thread: before Python 3.14 it ends the
// thread from within, by unwinding its frames, which std::terminate would answer in a destructor. This one sleeps until the
// process is gone, as Python 3.14 does. The sanitizer would object to libstdc++, which binds a __forced_unwind& to nothing.
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
