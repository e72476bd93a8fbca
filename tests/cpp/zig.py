"""A compiler for another system: `zig.py TARGET ARGUMENTS...`, as CMake calls Clang. The presets for other systems name it."""

import re
import subprocess
import sys

target, *given = sys.argv[1:]
# zig writes Clang's names of CPUs with underscores.
arguments = [re.sub(r"(?<=^-march=x86)-(\d+)-", r"_\1_", argument) for argument in given]
# zig makes a libc++ of its own with optimisation and one without: -O3, unless another follows, so that it makes one.
sys.exit(subprocess.call([sys.executable, "-m", "ziglang", "c++", "-target", target, "-O3", *arguments]))
