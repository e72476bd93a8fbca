// Apart from the tests, because windows.h has macros with the names of their variables.
#include "pages.hpp"

#ifdef _WIN32
#include <windows.h>
#else
#include <sys/mman.h>
#include <unistd.h>
#endif

#include <cstdio>
#include <cstdlib>

namespace backpass {
namespace {

#ifdef _WIN32
std::size_t page_size() {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
}
void* allocate(std::size_t bytes) {
    return VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}
bool forbid(void* page, std::size_t bytes) {
    DWORD before;
    return VirtualProtect(page, bytes, PAGE_NOACCESS, &before);
}
#else
std::size_t page_size() { return std::size_t(sysconf(_SC_PAGESIZE)); }
void* allocate(std::size_t bytes) {
    void* const made = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return made == MAP_FAILED ? nullptr : made;
}
bool forbid(void* page, std::size_t bytes) { return mprotect(page, bytes, PROT_NONE) == 0; }
#endif

}  // namespace

unsigned char* pages_before_a_wall(std::size_t& bytes) {
    const std::size_t page = page_size();
    bytes = (bytes + page - 1) / page * page;
    auto* const begin = static_cast<unsigned char*>(allocate(bytes + page));
    if (!begin || !forbid(begin + bytes, page))
        std::fprintf(stderr, "no memory for %zu bytes and a wall\n", bytes), std::abort();
    return begin;
}

}  // namespace backpass
