// Fills the table of kernels of one instruction set from the list of ops. Never edited.
#include "../ops/ops.hpp"
#include "kernel.hpp"

namespace backpass::BACKPASS_ISA {

namespace {
template <class... List>
constexpr Kernels fill(OpList<List...>) {
    Kernels table;
    ((static_cast<Entry<List>&>(table).kernel = &kernel<List>), ...);
    return table;
}
}  // namespace

extern const Kernels table;
const Kernels table = fill(Ops{});

}  // namespace backpass::BACKPASS_ISA
