// Fills the table of kernels of one instruction set from the list of ops. Never edited.
#include "../ops/ops.hpp"
#include "kernel.hpp"

namespace backpass::BACKPASS_ISA {

namespace {
template <class... List>
constexpr Kernels fill(OpList<List...>) {
    return {{{&kernel<List>}...}};
}
}  // namespace

extern const Kernels table;
const Kernels table = fill(Ops{});

}  // namespace backpass::BACKPASS_ISA
