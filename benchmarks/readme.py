"""Writes the README's table of speeds from benchmarks/results/*.json; run it after a new result: python benchmarks/readme.py."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- bench: made by benchmarks/readme.py -->", "<!-- /bench -->"


def table(file: Path) -> str:
    """One result file as a Markdown table: times of the native backend, and how many times slower the others are."""
    result: dict[str, Any] = json.loads(file.read_text("utf-8"))
    workloads = result["workloads"]
    names = list(dict.fromkeys(name for w in workloads.values() for name in w["backends"]))
    lines = [
        f"{result['cpu']}, {result['isa']}, {result['threads']} thread(s), {result['date'][:10]}"
        f" ([all figures]({file.relative_to(ROOT).as_posix()})):",
        "",
        "| | "
        + " | ".join(
            f"{name} ({' - '.join(map(str, w['layers']))}, batch {w['batch']})"
            for name, w in workloads.items()
        )
        + " |",
        "|---" * (len(workloads) + 1) + "|",
    ]
    for name in names:
        cells = []
        for w in workloads.values():
            r = w["backends"].get(name)
            if r is None:
                cells.append("–")
            elif name == names[0]:
                cells.append(f"**{r['median']:,.1f} µs** a step, {r['gflops']:.0f} GFLOP/s")
            else:
                cells.append(
                    f"{r['ratio']:.2f}x slower" if r["ratio"] >= 1 else f"{1 / r['ratio']:.2f}x faster"
                )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Replace what stands between the two marks."""
    tables = [table(file) for file in sorted((ROOT / "benchmarks" / "results").glob("bench-*.json"))]
    readme = ROOT / "README.md"
    before, rest = readme.read_text("utf-8").split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(before + BEGIN + "\n\n" + "\n\n".join(tables) + "\n\n" + END + after, "utf-8")


if __name__ == "__main__":
    main()
