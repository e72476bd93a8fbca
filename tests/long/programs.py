"""Forged programs: calls of the compiled module's ops with arrays and scalars changed at random, past all of Python's checks.

    python tests/long/programs.py --cases 20000 --seed 0

Each is refused with TypeError, ValueError or KeyError, or runs: without touching a byte beyond its arrays (they end at a page
without access) and without changing what it only reads. Under AddressSanitizer: nox -s asan.
"""

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # helpers
from backpass import _core
from backpass.ops.contract import REGISTRY
from helpers import samples
from helpers.fence import fenced

REFUSED = (TypeError, ValueError, KeyError, MemoryError)
INTEGERS = [0, 1, -1, 2, 7, 100, -100, 2**31, -(2**31), 2**62, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.0, 1.0, -1.0, 1e-45, 1e-310, 3e38, -3e38, 1e308, float("nan"), float("inf"), float("-inf")]
SCALARS = [
    *INTEGERS,
    *FLOATS,
    None,
    True,
    2**64,
    10**30,
    "relu",
    "mean",
    "mse",
    "nothing",
    "",
    "\0",
    "\ud800",
    b"relu",
    [],
    {},
]
SIZES = (0, 1, 2, 3, 8, 16, 17, 33, 70)


def odd_values(chance: random.Random, array: np.ndarray) -> np.ndarray:
    """The same shape with numbers that nobody expects, here and there or everywhere."""
    out = array.copy()
    choices = INTEGERS if array.dtype.kind == "i" else FLOATS
    for place in chance.choices(range(out.size), k=chance.choice([1, 2, out.size])) if out.size else ():
        with np.errstate(all="ignore"):
            out.flat[place] = chance.choice(choices)
    return out


def odd_array(chance: random.Random, array: np.ndarray) -> Any:
    """Something else in the place of an array: another shape, dtype, layout, or no array at all."""
    what = chance.randrange(14)
    shape = list(array.shape)
    if what == 0:
        return None
    if what == 1 and shape and array.size < 10**6 and max(shape) < 10**6:
        shape[chance.randrange(len(shape))] = chance.choice(SIZES)
        return np.ones(shape, array.dtype)
    if what == 2:
        return np.ones([chance.choice(SIZES[:4]) for _ in range(chance.randrange(9))], array.dtype)
    if what == 3:
        with np.errstate(all="ignore"):
            return array.astype(
                chance.choice(["f4", "f8", "i8", "i4", "u8", "?", "f2", "c8", "O", ">f4", ">f8", ">i8"])
            )
    if what == 4:
        return np.asfortranarray(array)
    if what == 5 and array.size < 10**6:
        return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array
    if what == 6:
        return np.broadcast_to(array[..., :1] if array.ndim else array, array.shape)
    if what == 7:
        array.flags.writeable = False
        return array
    if what == 8 and not array.dtype.hasobject:  # not aligned
        raw = np.zeros(array.nbytes + 1, np.uint8)
        raw[1:] = np.frombuffer(array.tobytes(), np.uint8)
        return raw[1:].view(array.dtype).reshape(array.shape)
    if what == 9:
        return array.reshape(-1)
    if what == 10:
        return array[::-1] if array.ndim else array
    if what == 11:
        return array[None]
    if what == 12:
        return np.zeros((2**40, 0), array.dtype)
    return chance.choice(
        [1.0, "x", [1.0], memoryview(b"12345678"), object(), np.float32(1), np.ma.masked_array(array)]
    )


def forge(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """One call: a good sample, changed in up to three places."""
    op = REGISTRY[chance.choice(samples.OPS)]
    dims = chance.choice(samples.dimensions(op))
    absent = chance.choice(samples.optional_sets(op))
    fields = samples.call(
        op, dims, chance.choice(["float32", "float64"]), absent, chance.choice(samples.scalars(op))
    )
    fields = {
        k: fenced(v, chance.random() < 0.5) if isinstance(v, np.ndarray) else v for k, v in fields.items()
    }
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        name = chance.choice([*fields])
        what = chance.random()
        if what < 0.05:
            del fields[name]
            if not fields:
                break
        elif what < 0.08:
            fields[chance.choice(["x", "nothing", "tasks"])] = fields[name]
        elif what < 0.13:
            fields[name] = fields[chance.choice([*fields])]  # two names for one array
        elif not isinstance(fields[name], np.ndarray):
            fields[name] = chance.choice(SCALARS)
        elif what < 0.5 and type(fields[name]) is np.ndarray and fields[name].dtype in ("f4", "f8", "i8"):
            fields[name] = fenced(odd_values(chance, fields[name]))
        else:
            fields[name] = odd_array(chance, fields[name])
    names = op.name if chance.random() < 0.98 else chance.choice(["nothing", "", "gather_labels"])
    return names, fields


def unread(op_name: str, fields: dict[str, Any]) -> list[tuple[str, np.ndarray, bytes]]:
    """The arrays that the op may only read, with their bytes; not those that are an output under another name."""
    op = REGISTRY.get(op_name)
    if op is None:
        return []
    arrays = {
        k: v for k, v in fields.items() if type(v) is np.ndarray and v.dtype != object and v.size < 10**6
    }
    # a masked array, too: it may be another name of one that is read
    written = [v for k, v in fields.items() if isinstance(v, np.ndarray) and k in op.outputs]
    return [
        (k, v, v.tobytes())
        for k, v in arrays.items()
        if k not in op.outputs and not any(np.may_share_memory(v, w) for w in written)
    ]


def attack(cases: int, seed: int) -> Counter[str]:
    """How many calls were refused, with what, and how many ran."""
    found: Counter[str] = Counter()
    isas = _core.available_isas()
    for number in range(cases):
        chance = random.Random(seed * 10**9 + number)
        name, fields = forge(chance)
        before = unread(name, fields)
        halt = chance.choice(
            [None] * 8 + [np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(1), np.zeros(2, ">i8")]
        )
        print(f"case {number}: {name}", file=CURRENT, flush=True) if CURRENT else None
        try:
            program = _core.Program([(name, fields)], chance.choice(isas), halt)
            done = program.run(chance.choice([1, 1, 2]), chance.choice([0, 1, 2, 3]))
        except REFUSED as error:
            found[f"refused with {type(error).__name__}"] += 1
            continue
        except BaseException:
            print(f"seed {seed}, case {number}: {name} {fields}")
            raise
        found["ran" if done else "halted"] += 1
        for field, array, data in before:
            assert array.tobytes() == data, f"seed {seed}, case {number}: {name} wrote to {field}"
    return found


CURRENT: Any = None


def main() -> None:
    """Print what was done and with which seed."""
    global CURRENT
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--trace", help="a file that holds the case under way, to find one that crashed")
    asked = parser.parse_args()
    CURRENT = open(asked.trace, "w", encoding="utf-8") if asked.trace else None  # noqa: SIM115 to the end
    print(
        f"{asked.cases} forged programs, seed {asked.seed}, {', '.join(_core.available_isas())}", flush=True
    )
    start = time.perf_counter()
    found = attack(asked.cases, asked.seed)
    print(f"{dict(found)}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
