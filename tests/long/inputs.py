"""Hostile input in bulk: arrays in odd clothes and odd arguments for every public call, on every backend.

    python tests/long/inputs.py --cases 100000 --seed 0 --single

Case number n of seed s is random.Random(s * 10^9 + n); a failure prints it. See tests/helpers/attacks.py and arguments.py.
"""

import argparse
import functools
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # helpers
from helpers import arguments, attacks, disguises
from helpers.backends import BACKENDS


def main() -> None:
    """Print what was done and with which seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--single", action="store_true", help="first every odd value for every argument")
    asked = parser.parse_args()
    print(f"{asked.cases} cases, seed {asked.seed}, {', '.join(BACKENDS)}", flush=True)
    os.chdir(disguises.FOLDER.name)  # what is saved under an odd name
    found: Counter[str] = Counter()
    failures, start = 0, time.perf_counter()

    def run(what: str, attack: Callable[[], str]) -> None:
        nonlocal failures
        try:
            found[attack()] += 1
        except AssertionError as error:
            failures += 1
            print(f"{what}: {error}", flush=True)
        except BaseException:
            print(what, flush=True)
            raise

    if asked.single:
        for name, key, value in arguments.single():
            fields = arguments.arguments(name)[0]
            run(
                f"{name}: {key}",
                functools.partial(arguments.judge, name, fields, {key: value}, BACKENDS["numpy"]),
            )
        print(f"{found.total()} single arguments, {failures} failures", flush=True)
    for number in range(asked.cases):
        chance = random.Random(asked.seed * 10**9 + number)
        backend = BACKENDS[chance.choice([*BACKENDS])]
        attack = arguments.attack if chance.random() < 0.25 else attacks.attack
        run(f"case {number}", functools.partial(attack, chance, backend))
        if number % 10_000 == 9_999:
            print(f"{number + 1} cases, {failures} failures, {time.perf_counter() - start:.0f} s", flush=True)
    print(
        f"{asked.cases} cases, seed {asked.seed}: {failures} failures, {dict(found)}, {time.perf_counter() - start:.0f} s"
    )
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
