// on_row ROW COMMAND...: runs a test that was compiled for an ISA row. On a CPU without it the exit code is 77: skipped.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "runtime/isa.hpp"

int main(int count, char** arguments) {
    if (count < 3) return std::fprintf(stderr, "usage: on_row ROW COMMAND...\n"), 2;
    const auto rows = backpass::available_isas();
    if (std::find(rows.begin(), rows.end(), arguments[1]) == rows.end()) {
        std::printf("skipped: this CPU does not run %s\n", arguments[1]);
        return 77;
    }
    std::string command;
    for (int i = 2; i < count; ++i) command += '"' + std::string(arguments[i]) + "\" ";
    return std::system(command.c_str()) == 0 ? 0 : 1;
}
