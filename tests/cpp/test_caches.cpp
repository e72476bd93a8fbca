// Sizes of caches: as a user names them, as Linux tells them, as this CPU does.
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "check.hpp"
#include "runtime/caches.hpp"

namespace {

using namespace backpass;
namespace fs = std::filesystem;

bool is(const Caches& found, std::int64_t l1, std::int64_t way, std::int64_t l2) {
    return found.l1 == l1 && found.way == way && found.l2 == l2;
}

void check_names() {
    CHECK(is(caches_named("32K,8,1M"), 32 << 10, 4 << 10, 1 << 20));
    CHECK(is(caches_named("49152,12,2048K"), 48 << 10, 4 << 10, 2 << 20));
    for (const char* wrong :
         {"", "32K", "32K,8", "32K,0,1M", "32K,7,1M", "-32K,8,1M", "32K,8,1G", "32K,8,1M,", "4K,4,1M",
          "32K,8,1M 2", "32K,64,1M", "x,8,1M", "99999999999K,8,1M", "48K,8,1M"}) {
        bool refused = false;
        try {
            caches_named(wrong);
        } catch (const std::invalid_argument&) { refused = true; }
        CHECK(refused);
    }
}

// Writes what Linux writes of one cache; `ways` may be empty, as on some ARM systems.
void write(const fs::path& folder, const char* level, const char* type, const char* size, const char* ways) {
    fs::create_directories(folder);
    const char* const files[][2] = {
        {"level", level}, {"type", type}, {"size", size}, {"ways_of_associativity", ways}};
    for (const auto& [name, text] : files) std::ofstream(folder / name) << text << '\n';
}

void check_what_linux_tells() {
    const fs::path root = fs::temp_directory_path() / "backpass-test-caches";
    fs::remove_all(root);
    CHECK(!caches_in(root.string()));
    write(root / "index0", "1", "Data", "64K", "4");
    CHECK(!caches_in(root.string()));  // half of it is not enough
    write(root / "index1", "1", "Instruction", "16K", "1");
    write(root / "index2", "2", "Unified", "1024K", "8");
    write(root / "index3", "3", "Unified", "32768K", "16");
    const auto found = caches_in(root.string());
    CHECK(found && is(*found, 64 << 10, 16 << 10, 1 << 20));
    write(root / "index0", "1", "Data", "64K", "");
    CHECK(!caches_in(root.string()));
    fs::remove_all(root);
}

void check_this_cpu() {
    const Caches& here = caches();
    CHECK(here.l1 >= 8 << 10 && here.l1 % here.way == 0 && here.l2 >= 64 << 10 && here.l2 <= 2 << 20);
    CHECK(&here == &caches());
}

}  // namespace

int main() {
    check_names();
    check_what_linux_tells();
    check_this_cpu();
    return finish();
}
