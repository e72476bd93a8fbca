"""What a precision below float32 gains: python benchmarks/precision.py [--precisions bf16] [--json FILE]

Training of the same workload at float32 and at another precision, one thread, in turns. The ratio is float32's time over the
other's: the median of the pairs with quartiles. The file names the CPU and the unit that multiplied: bf16 is faster by VDPBF16PS
on Zen 4 and later, and float32 stands in elsewhere.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import limits
from backpass import get_backend
from backpass.diagnostics import config


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--precisions", default="bf16")
    parser.add_argument("--workloads", default="mnist,medium,large")
    parser.add_argument("--pairs", type=int, default=limits.PAIRS)
    parser.add_argument("--json", metavar="FILE", help="results are added to those that the file holds")
    arguments = parser.parse_args()
    file = Path(arguments.json) if arguments.json else None
    results: dict[str, Any] = json.loads(file.read_text("utf-8")) if file and file.exists() else {}
    about = {"versions": config.facts(), "date": time.strftime("%Y-%m-%d"), "pairs": arguments.pairs}
    for precision in arguments.precisions.split(","):
        unit = get_backend("native").unit(precision)
        for name in arguments.workloads.split(","):
            found = limits.compare(limits.fits(name, 1, precision), limits.fits(name, 1), arguments.pairs)
            results[f"{name}, {precision}"] = about | found | {"unit": unit}
            low, high = found["quartiles"]
            print(
                f"{name:<8}{precision} by {unit}: {found['ratio']:.2f} [{low:.2f} {high:.2f}] times as fast",
                flush=True,
            )
            if file:
                file.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
