"""Reads the symbols of every ISA row's objects: `check_symbols.py BUILD_DIR [NM]`. Run by CTest and test_house.py.

A row is compiled for a CPU that the machine may not have. So nothing in its objects may be a copy that the linker
could pick for code outside the row: every global symbol lives in the row's own namespace, and nothing is borrowed
from the C++ run time.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# operator new, exceptions, static locals, std:: out of line: none belongs into a kernel (see csrc/README.md)
FORBIDDEN = re.compile(r"^_?_(Zn[aw]|Zd[al]|ZNS|ZNKS|ZS|_cxa_|_gxx_|Unwind)|^_?(malloc|calloc|realloc|free)$")


def row_objects(build: Path) -> dict[str, list[Path]]:
    """row -> its object files, found by CMake's folder for the target kernels_<row>."""
    rows: dict[str, list[Path]] = {}
    for folder in sorted(build.rglob("kernels_*.dir")):
        objects = sorted(path for path in folder.rglob("*") if path.suffix in {".o", ".obj"})
        if objects:
            rows.setdefault(folder.stem.removeprefix("kernels_"), []).extend(objects)
    return rows


def violations(row: str, objects: list[Path], nm: str = "nm") -> Iterator[str]:
    """One line for each symbol that breaks the rule."""
    for path in objects:
        listing = subprocess.run([nm, "-P", str(path)], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            name, kind = line.split()[:2]
            name = name.removeprefix(".refptr.")  # mingw's pointer to a row's table, under the table's name
            if name.startswith("DW.ref."):  # says that the file handles exceptions
                yield f"{path.name}: {name}: exceptions"
            elif kind in "Uw":
                if FORBIDDEN.match(name):
                    yield f"{path.name}: uses {demangled(name)}"
            elif (kind.isupper() or kind in "uvw") and not in_namespace(name, row):
                yield f"{path.name}: defines {demangled(name)} (nm kind {kind}) outside backpass::{row}"


def in_namespace(name: str, row: str) -> bool:
    """Does the mangled name begin with backpass::<row>? Also a member's (K), a local's (Z), a guard's, a table's."""
    return re.match(rf"^_?_Z(TV|TI|TS|GV|GR)?Z?NK?8backpass{len(row)}{row}", name) is not None


def demangled(name: str) -> str:
    done = subprocess.run(["c++filt", name], capture_output=True, text=True, check=False)
    return done.stdout.strip() or name


def main(build: str, nm: str = "nm") -> int:
    rows = row_objects(Path(build))
    if not rows:
        print(f"no objects of an ISA row under {build}: build the C++ targets first")
        return 1
    found = [line for row, objects in rows.items() for line in violations(row, objects, nm)]
    print("\n".join(found) or f"clean: {', '.join(f'{row} ({len(o)} objects)' for row, o in rows.items())}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
