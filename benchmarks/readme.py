"""Writes the figures of speed in README.md and docs/sklearn.md from benchmarks/results: python benchmarks/readme.py.

Tables and plots from bench-*.json and estimators.json, sentences from limits.json and first_step.json.
"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MAIN = ("tiny", "rl", "small", "mnist", "medium", "large")
MARKERS = "os^vDP*Xp"
TICKS = (1, 2, 5, 10, 20, 50, 100)
BEGIN, END = "<!-- bench: made by benchmarks/readme.py -->", "<!-- /bench -->"
DATA = {
    "digits": "digits", "breast_cancer": "breast cancer", "diabetes": "diabetes", "california": "California housing",
    "shakespeare": "words of Shakespeare's, sparse TF-IDF", "pixels": "MNIST, pixels from 0 to 1, hidden (100, 100), batch 200",
    "mnist": "the same, standardised",
}  # fmt: skip


def table(file: Path) -> str:
    """One result file as a Markdown table: times of the native backend, and how many times as long the others take."""
    result: dict[str, Any] = json.loads(file.read_text("utf-8"))
    workloads = {name: w for name, w in result["workloads"].items() if name in MAIN}
    names = list(dict.fromkeys(name for w in workloads.values() for name in w["backends"]))
    lines = [
        f"{result['cpu']}, {result['isa']}, {result['threads']} thread(s), measured peak {result['peak_gflops']:.0f} GFLOP/s of"
        f" multiply-adds{bandwidth(result)}, {result['date'][:10]} ([all figures]({file.relative_to(ROOT).as_posix()}))"
        f"{_set(result)}. How many times as long as native the others take: ratio of the medians, in brackets the least and the"
        f" most of {result['repeats']} turns.",
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
                cells.append(f"**{r['median']:,.1f} µs** a step, {shares(w, r, result)}")
            else:
                cells.append(times(r, w["backends"][names[0]]))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    more = {name: w for name, w in result["workloads"].items() if name not in MAIN}
    return "\n".join(lines + (["", *others(more)] if more else []))


def _set(result: dict[str, Any]) -> str:
    """The environment variables that were set, which a reader has to know."""
    found: str = result["versions"]["environment"]
    return "" if found == "nothing set" else f", measured with {found}"


def times(r: dict[str, Any], native: dict[str, Any]) -> str:
    """How many times as long as native, with the extremes of the turns."""
    turns = [b / a for a, b in zip(native["us_per_step"], r["us_per_step"], strict=True)]
    return f"{r['ratio']:.2f}x [{min(turns):.2f} {max(turns):.2f}]"


def bandwidth(result: dict[str, Any]) -> str:
    """What was measured; nothing for files of before that, whose bandwidth is one thread's whatever `threads` says."""
    if not all("memory" in w for w in result["workloads"].values()):
        return ""
    return (
        f", memory {result['memory_gigabytes']:.0f} GB/s, a core's cache {result['cache_gigabytes']:.0f} GB/s"
    )


def shares(w: dict[str, Any], r: dict[str, Any], result: dict[str, Any]) -> str:
    """The shares of the peak and of the bandwidth that were reached."""
    share = f"{100 * r['gflops'] / result['peak_gflops']:.0f} % of the peak"
    if "memory" not in w:
        return share
    moved = 100 * r["gigabytes"] / result[f"{w['memory']}_gigabytes"]
    return f"{share}, {moved:.0f} % of the {w['memory']}'s speed"


def others(workloads: dict[str, Any]) -> list[str]:
    """One line for each workload: the native backend, and who comes next."""
    lines = ["| | layers, batch | native | next |", "|---|---|---|---|"]
    for name, w in workloads.items():
        native, *rest = w["backends"].items()
        peers = {other: r for other, r in rest if not other.startswith("native")}
        first = min(peers, key=lambda other: peers[other]["ratio"])
        layers = " - ".join(map(str, w["layers"]))
        lines.append(
            f"| {name} | {layers}, {w['batch']} | {native[1]['median']:,.1f} µs | {first} {times(peers[first], native[1])} |"
        )
    return lines


def limits(file: Path) -> str:
    """What limits.py measured, in a few sentences."""
    parts = json.loads(file.read_text("utf-8"))
    results = {part: found["results"] for part, found in parts.items()}

    def shares(part: str) -> str:
        return ", ".join(f"{name} {100 * figures['share']:.0f} %" for name, figures in results[part].items())

    def ratio(part: str, name: str) -> float:
        return float(results[part][name]["ratio"])

    threads = [ratio("threads", name) for name in results["threads"]]
    about = parts["peak"]
    return (
        f"{about['versions']['CPU']}, {about['date']} ([all figures]({file.relative_to(ROOT).as_posix()})): of the multiply-adds"
        f" that a core reaches at most, training reaches, with AVX-512, {shares('peak')}; with AVX2 {shares('avx2')}."
        f" An Adam update of 25 million parameters runs at {100 * ratio('memory', 'adam'):.0f} % of the speed of the plainest"
        f" loop over the same arrays. In cache `step()` of PyTorch's fused Adam takes {ratio('cache', 'adam'):.1f} times as"
        f" long, its RMSprop {ratio('cache', 'rmsprop'):.1f} times. With both CPUs allowed the workloads train"
        f" {min(threads):.2f} to {max(threads):.2f} times as fast as with one."
    )


def first_step(file: Path) -> str:
    """What first_step.py measured."""
    found = json.loads(file.read_text("utf-8"))
    said = ", ".join(
        f"{name} {r['seconds']:.2f} s ({r['cpu_seconds']:.2f} s of CPU)"
        for name, r in found["first_step"].items()
    )
    return (
        f"From the start of a new process to the end of the first training step of `rl`, import included"
        f" ([all figures]({file.relative_to(ROOT).as_posix()})): {said}."
    )


def estimators(file: Path) -> str:
    """How many times as fast as scikit-learn's the estimators' `fit` is, with the extremes over the seeds."""
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    facts, runs = found["versions"], found["estimators"]
    sklearn = next(p for p in facts["packages"].split(", ") if p.startswith("scikit-learn"))
    lines = [
        f"`fit` on one thread, how many times as fast as with {sklearn}: median, least and most of 5 seeds ({facts['CPU']},"
        f" {facts['ISA'].split(' in use')[0]}, {facts['BLAS']}{_set(found)}, {found['date'][:10]},"
        f" [all figures](../{file.relative_to(ROOT).as_posix()})). In the third column both are given float64, NumPy's type, and"
        ' ours `dtype="float32"`.',
        "",
        '| | float32 | float64 | float64, `dtype="float32"` |',
        "|---|---|---|---|",
    ]
    for name, title in DATA.items():
        cells = []
        for way in ("float32", "float64", "chosen"):
            r = runs[f"{name} {way}"]
            cells.append(f"{r['times_faster']:.1f} [{r['spread'][0]:.1f} {r['spread'][1]:.1f}]")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    scores = [abs(r["backpass"]["score"] - r["scikit-learn"]["score"]) for r in runs.values()]
    return "\n".join([*lines, "", f"Mean scores differ by {max(scores):.4f} at most."])


def plot(file: Path) -> Path:
    """The same as dots: for every workload, how many times as long a step takes as in the native backend."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "backpass"  # the same file for the same figures
    result: dict[str, Any] = json.loads(file.read_text("utf-8"))
    workloads = {name: w for name, w in result["workloads"].items() if name in MAIN}
    names = list(dict.fromkeys(name for w in workloads.values() for name in w["backends"]))
    figure, axes = pyplot.subplots(figsize=(11, 5), layout="constrained")
    axes.set_prop_cycle(color=pyplot.get_cmap("tab20").colors)
    for number, name in enumerate(names):
        at = [
            (k, w["backends"][name]["ratio"])
            for k, w in enumerate(workloads.values())
            if name in w["backends"]
        ]
        axes.plot(*zip(*at, strict=True), MARKERS[number % len(MARKERS)] + "-", label=name, linewidth=0.8)
    axes.set_yscale("log")
    axes.set_yticks(TICKS, [f"{tick}x" for tick in TICKS])
    axes.set_xticks(
        range(len(workloads)),
        [f"{n}\n{'-'.join(map(str, w['layers']))}" for n, w in workloads.items()],
        fontsize=7,
    )
    axes.set_ylabel("time of a training step,\nmultiples of the native backend's")
    axes.set_title(f"{result['cpu']}, {result['threads']} thread{'s' * (result['threads'] > 1)}", fontsize=10)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    out = file.with_suffix(".svg")
    figure.savefig(out, metadata={"Date": None})
    pyplot.close(figure)
    return out


def write(file: Path, parts: list[str]) -> None:
    """Replace what stands between the two marks."""
    before, rest = file.read_text("utf-8").split(BEGIN)
    after = rest.split(END)[1]
    file.write_text(before + BEGIN + "\n\n" + "\n\n".join(parts) + "\n\n" + END + after, "utf-8")


def main() -> None:
    """Both documents."""
    results = ROOT / "benchmarks" / "results"
    files = sorted(results.glob("bench-*.json"))
    tables = [
        f"{table(file)}\n\n![the same as a plot]({plot(file).relative_to(ROOT).as_posix()})" for file in files
    ]
    tables += [limits(results / "limits.json"), first_step(results / "first_step.json")]
    write(ROOT / "README.md", tables)
    write(ROOT / "docs" / "sklearn.md", [estimators(results / "estimators.json")])


if __name__ == "__main__":
    main()
