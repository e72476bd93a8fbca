// Memory for tests that ends where the process may neither read nor write.
#pragma once
#include <cstddef>

namespace backpass {

// Whole pages of at least `bytes` bytes, which becomes their size, before a page that is out of bounds. Never freed.
unsigned char* pages_before_a_wall(std::size_t& bytes);

}  // namespace backpass
