// Flush-to-zero for the length of a call: arithmetic on denormals costs up to a hundred cycles.
#pragma once
#include "simd.hpp"

namespace backpass::BACKPASS_ISA {
namespace {

// Denormals count as zero in this thread while the object lives, if `on`.
class FlushDenormals {
  public:
    BP_INLINE explicit FlushDenormals(bool on) : on_(on), before_(on ? control_word() : ControlWord{}) {
        if (on_) set_control_word(before_ | kDenormalsAreZero);
    }
    BP_INLINE ~FlushDenormals() {
        if (on_) set_control_word(before_);
    }
    FlushDenormals(const FlushDenormals&) = delete;
    FlushDenormals& operator=(const FlushDenormals&) = delete;

  private:
    bool on_;
    ControlWord before_;
};

}  // namespace
}  // namespace backpass::BACKPASS_ISA
