"""A compiler for another system: `zig.py TARGET ARGUMENTS...`, as CMake calls Clang. The presets for other systems name it."""

import re
import subprocess
import sys

target, *given = sys.argv[1:]
# zig writes Clang's names of CPUs with underscores.
arguments = [re.sub(r"(?<=^-march=x86)-(\d+)-", r"_\1_", argument) for argument in given]
sys.exit(subprocess.call([sys.executable, "-m", "ziglang", "c++", "-target", target, *arguments]))
