"""Writes the figures of speed in README.md, docs/benchmarks.md and docs/sklearn.md from benchmarks/results.

    python benchmarks/readme.py

README.md gets one table of six rows and one plot (readme.svg), docs/benchmarks.md every table of bench-*.json with its plot, and
the sentences of limits.json and first_step.json, docs/sklearn.md the table of estimators.json. Each document keeps its text
around two marks; what stands between them is replaced. `tests/guides/test_readme.py` checks that the documents are current.
"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MAIN = ("tiny", "rl", "small", "mnist", "medium", "large")
# The file of README.md's table and plot.
HEADLINE = RESULTS / "bench-zen5-1-thread.json"
# Columns of README.md: a title, and the rows of a result file of which the fastest counts, workload by workload.
COLUMNS = {
    "JAX, best of 2": ("jax scan", "jax jit"),
    "TensorFlow, best of 2": ("tensorflow graph", "tensorflow graph, XLA"),
    "PyTorch, best of 6": (
        "torch by hand", "torch by hand, medium", "torch eager", "torch eager, medium", "torch compiled",
        "torch compiled, medium",
    ),
    "PyTorch, eager": ("torch eager",),
    "scikit-learn, best of 2": ("scikit-learn", "scikit-learn, BLAS AVX-512"),
}  # fmt: skip
EAGER = "PyTorch, eager"
NOTES = {
    "bench-zen5-1-thread": "Every library as it is shipped, in its current, fastest forms. The table of the README is drawn from"
    " this one.",
    "bench-emerald-rapids-1-thread": "An Emerald Rapids, whose virtual machine has no AMX. Every library as it is shipped.",
    "bench-zen5-2-threads-shipped": "Every library as it is shipped, in its current, fastest forms. The two CPUs of this virtual"
    " machine behave like one core at times (benchmarks/LOG.md), so that the spreads are wide.",
    "bench-zen5-2-threads": "This table was measured before the peers got their current, faster settings, and with OpenBLAS held"
    ' to AVX2. Read its rows "BLAS AVX-512" for OpenBLAS as shipped. It is kept for its second part, the other workloads with two'
    " threads.",
}
MARKERS = "os^vDP*Xp"
TICKS = (1, 2, 5, 10, 20, 50, 100)
BEGIN, END = "<!-- bench: made by benchmarks/readme.py -->", "<!-- /bench -->"
DATA = {
    "digits": "digits", "breast_cancer": "breast cancer", "diabetes": "diabetes", "california": "California housing",
    "shakespeare": "words of Shakespeare's, sparse TF-IDF", "pixels": "MNIST, pixels from 0 to 1, hidden (100, 100), batch 200",
    "mnist": "the same, standardised",
}  # fmt: skip


def read(file: Path) -> dict[str, Any]:
    """A result file."""
    result: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return result


def link(file: Path, title: str, document: Path) -> str:
    """A link to a file, from a document at the root or in docs/."""
    up = "" if document.parent == ROOT else "../"
    return f"[{title}]({up}{file.relative_to(ROOT).as_posix()})"


def machine(result: dict[str, Any]) -> str:
    """CPU, instruction set and threads of a run of the benchmark."""
    threads = f"{result['threads']} thread{'s' * (result['threads'] > 1)}"
    return f"{result['cpu']}, {result['isa'].replace('avx', 'AVX-').replace('-2', '2')}, {threads}"


# -- README.md ---------------------------------------------------------------------------------------------------------


def best(workload: dict[str, Any], names: tuple[str, ...]) -> float:
    """The lowest ratio to the native backend among some rows."""
    return min(workload["backends"][name]["ratio"] for name in names if name in workload["backends"])


def headline(file: Path, document: Path) -> list[str]:
    """Six workloads: a step of the native backend, and how many times as long the fastest form of each library takes."""
    result = read(file)
    workloads = {name: result["workloads"][name] for name in MAIN}
    lines = [
        "| layers, batch | backpass | " + " | ".join(COLUMNS) + " |",
        "|---|---|" + "---|" * len(COLUMNS),
    ]
    for w in workloads.values():
        native = w["backends"]["native"]
        layers = "-".join(map(str, w["layers"]))
        share = 100 * native["gflops"] / result["peak_gflops"]
        cells = [f"{layers}, {w['batch']}", f"{native['median']:,.1f} µs, {share:.0f} % of the peak"]
        cells += [f"{best(w, names):.2f}x" for names in COLUMNS.values()]
        lines.append("| " + " | ".join(cells) + " |")
    rivals = [best(w, sum(COLUMNS.values(), ())) for w in workloads.values()]
    eager = [best(w, COLUMNS[EAGER]) for w in workloads.values()]
    said = (
        f"A training step with Adam in float32, and how many times as long other libraries take: the fastest of all"
        f" {min(rivals):.2f} to {max(rivals):.2f} times, PyTorch as most people write it {min(eager):.1f} to {max(eager):.0f}"
        f" times. {machine(result)}, {result['date'][:10]}, medians of {result['repeats']} turns"
        f" ({link(file, 'all figures', document)})."
    )
    return [said, "\n".join(lines)]


def headline_plot(file: Path) -> Path:
    """The columns of README.md's table as lines."""
    result = read(file)
    workloads = {name: result["workloads"][name] for name in MAIN}
    lines = {"backpass": [1.0] * len(workloads)}
    lines |= {title: [best(w, names) for w in workloads.values()] for title, names in COLUMNS.items()}
    return draw(
        lines, workloads, f"A training step, {machine(result)}", RESULTS / "readme.svg", size=(9, 3.4)
    )


# -- docs/benchmarks.md ------------------------------------------------------------------------------------------------


def table(file: Path, document: Path) -> list[str]:
    """One result file: a heading, its introduction, and times of the native backend with those of the others as multiples."""
    result = read(file)
    workloads = {name: w for name, w in result["workloads"].items() if name in MAIN}
    names = list(dict.fromkeys(name for w in workloads.values() for name in w["backends"]))
    about = (
        f"Measured on {result['date'][:10]}, {result['repeats']} turns each ({link(file, 'all figures', document)})"
        f"{_set(result)}. The machine's peak: {result['peak_gflops']:.0f} GFLOP/s of multiply-adds{bandwidth(result)}."
    )
    lines = [
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
                cells.append(f"**{r['median']:,.1f} µs** a step, {fractions(w, r, result)}")
            else:
                cells.append(times(r, w["backends"][names[0]]))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    heading = f"### {machine(result)}{_set(result, heading=True)}"
    plot = file.with_suffix(".svg")
    parts = [heading, NOTES.get(file.stem, ""), about, "\n".join(lines)]
    parts.append(f"!{link(plot, 'the table as a plot', document)}")
    more = {name: w for name, w in result["workloads"].items() if name not in MAIN}
    if more:
        parts += [
            "The other workloads: a step of the native backend, and the fastest of the others.",
            others(more),
        ]
    return [part for part in parts if part]


def _set(result: dict[str, Any], heading: bool = False) -> str:
    """The environment variables that were set, which a reader has to know."""
    found: str = result["versions"]["environment"]
    if found == "nothing set":
        return ""
    return f", {found}" if heading else f", with `{found}` in the environment"


def times(r: dict[str, Any], native: dict[str, Any]) -> str:
    """How many times as long as native, with the extremes of the turns."""
    turns = [b / a for a, b in zip(native["us_per_step"], r["us_per_step"], strict=True)]
    return f"{r['ratio']:.2f}x [{min(turns):.2f} {max(turns):.2f}]"


def bandwidth(result: dict[str, Any]) -> str:
    """The measured bandwidths; nothing for older files, whose bandwidth is one thread's whatever `threads` says."""
    if not all("memory" in w for w in result["workloads"].values()):
        return ""
    return f", {result['memory_gigabytes']:.0f} GB/s of memory, {result['cache_gigabytes']:.0f} GB/s of a core's cache"


def fractions(w: dict[str, Any], r: dict[str, Any], result: dict[str, Any]) -> str:
    """Which fraction of the peak and of the bandwidth was reached."""
    reached = f"{100 * r['gflops'] / result['peak_gflops']:.0f} % of the peak"
    if "memory" not in w:
        return reached
    moved = 100 * r["gigabytes"] / result[f"{w['memory']}_gigabytes"]
    return f"{reached}, {moved:.0f} % of the {w['memory']}'s speed"


def others(workloads: dict[str, Any]) -> str:
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
    return "\n".join(lines)


def limits(file: Path, document: Path) -> list[str]:
    """What limits.py measured, in a few sentences."""
    parts = read(file)
    results = {part: found["results"] for part, found in parts.items()}

    def reached(part: str) -> str:
        return ", ".join(f"{name} {100 * figures['share']:.0f} %" for name, figures in results[part].items())

    def ratio(part: str, name: str) -> float:
        return float(results[part][name]["ratio"])

    threads = [ratio("threads", name) for name in results["threads"]]
    about = parts["peak"]
    return [
        "### Near the limits of the machine",
        f"{about['versions']['CPU']}, {about['date']} ({link(file, 'all figures', document)}).",
        "\n".join(
            [
                f"* Of the multiply-adds that a core reaches at most, training reaches with AVX-512: {reached('peak')}.",
                f"* With AVX2: {reached('avx2')}.",
                f"* An Adam update of 25 million parameters runs at {100 * ratio('memory', 'adam'):.0f} % of the speed of the"
                " plainest loop over the same arrays.",
                f"* In cache, `step()` of PyTorch's fused Adam takes {ratio('cache', 'adam'):.1f} times as long, its RMSprop"
                f" {ratio('cache', 'rmsprop'):.1f} times.",
                f"* With both CPUs allowed, the workloads train {min(threads):.2f} to {max(threads):.2f} times as fast as with"
                " one.",
            ]
        ),
    ]


def first_step(file: Path, document: Path) -> list[str]:
    """What first_step.py measured."""
    found = read(file)
    lines = ["| | seconds | CPU seconds |", "|---|---|---|"]
    lines += [
        f"| {name} | {r['seconds']:.2f} | {r['cpu_seconds']:.2f} |" for name, r in found["first_step"].items()
    ]
    return [
        "### Time to the first step",
        "From the start of a new process to the end of the first training step of `rl`, import included"
        f" ({link(file, 'all figures', document)}).",
        "\n".join(lines),
    ]


def modules(file: Path, document: Path) -> list[str]:
    """What modules.py measured."""
    found = read(file)
    peers = ["torch eager", "jax scan"]
    names = [f"{'PyTorch, eager' if who == 'torch eager' else 'JAX, lax.scan'}" for who in peers]
    lines = ["| network, width | µs a step | " + " | ".join(names) + " |", "|---|---|---|---|"]
    for name, network in found["networks"].items():
        each = network["contestants"]
        cells = [
            f"{each[who]['ratio']:.2f}x [{each[who]['spread'][0]:.2f} {each[who]['spread'][1]:.2f}]"
            for who in peers
        ]
        lines.append(f"| {name} | {each['backpass']['median']:,.0f} | " + " | ".join(cells) + " |")
    written = {name: one["contestants"]["written out"] for name, one in found["written_out"].items()}
    return [
        "### Networks with a `forward` of their own",
        f"Batches of 64, float32, Adam, one thread; how many times as long the same takes there: median, least and most of"
        f" {found['turns']} turns. {found['cpu']}, {found['date'][:10]} ({link(file, 'all figures', document)}).",
        "\n".join(lines),
        f"Huber's loss as an expression takes {written['huber']['ratio']:.2f} times as long a step as the built-in one,"
        f" SiLU {written['silu']['ratio']:.2f} times.",
    ]


KINDS = {
    "images": (
        "### Convolutional networks",
        "A training step in batches of 128 (lenet, kerascnn) and 64 (resnet8, sensor1d) images or sequences, and of one (_b1).",
    ),
    "sequences": (
        "### Recurrent networks, transformers, tables",
        "A training step: LSTMs by characters (charlstm, charrnn2, and rows of 8 to 64 steps, ragged), GRUs for a forecast and"
        " for one user, a small GPT, a transformer on a table, a recommender with two tables of 50,000 rows, and a network on"
        " categories; batches of one (_b1). Shares of the peak count the products of all steps, of ragged those behind the ends"
        " of rows too.",
    ),
}


# What the name of a result file says after its kind.
OTHERS = {"": "", "-emerald-rapids": ", on Intel's Emerald Rapids"}


def networks(kind: str, other: str, document: Path) -> list[str]:
    """The networks of bench --workloads images, or sequences; other: the CPU, where it is not the first one."""
    file = RESULTS / f"{kind}{other}.json"
    found = read(file)
    heading, said = KINDS[kind]
    workloads = found["workloads"]
    names = list(dict.fromkeys(name for w in workloads.values() for name in w["backends"]))
    lines = ["| network | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for workload, w in workloads.items():
        native, *_ = w["backends"].values()
        cells = [
            f"**{native['median']:,.0f} µs**, {100 * native['gflops'] / found['peak_gflops']:.0f} % of the peak"
        ]
        cells += [times(w["backends"][name], native) if name in w["backends"] else "–" for name in names[1:]]
        lines.append(f"| {workload} | " + " | ".join(cells) + " |")
    return [
        heading + OTHERS[other],
        f"{said} {machine(found)}, {found['date'][:10]}, {found['repeats']} turns ({link(file, 'all figures', document)})."
        f" The machine's peak: {found['peak_gflops']:.0f} GFLOP/s of multiply-adds{bandwidth(found)}.",
        "\n".join(lines),
    ]


# -- docs/sklearn.md ---------------------------------------------------------------------------------------------------


def estimators(file: Path) -> str:
    """How many times as fast as scikit-learn's the estimators' `fit` is, with the extremes over the seeds."""
    found = read(file)
    facts, runs = found["versions"], found["estimators"]
    sklearn = next(p for p in facts["packages"].split(", ") if p.startswith("scikit-learn"))
    environment = "" if facts["environment"] == "nothing set" else f", measured with {facts['environment']}"
    lines = [
        f"`fit` on one thread, how many times as fast as with {sklearn}: median, least and most of 5 seeds ({facts['CPU']},"
        f" {facts['ISA'].split(' in use')[0]}, {facts['BLAS']}{environment}, {found['date'][:10]},"
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


# -- docs/scaling.md ---------------------------------------------------------------------------------------------------


def rows_of(head: list[str], lines: list[list[str]]) -> str:
    """A table."""
    cells = [head, ["---"] * len(head), *lines]
    return (
        "\n".join(f"| {' | '.join(line)} |" for line in cells)
        .replace("| --- ", "|---")
        .replace("--- |", "---|")
    )


def measured_sums(found: dict[str, Any]) -> list[str]:
    """What a sum of the ranks takes, and the constants that follow."""
    ways = ("bare", "ours", "with_copies")
    lines = [
        [ranks, f"{int(size):,}", *(f"{each[f'{way}_us']:,.1f}" for way in ways), f"{each['ratio']:.2f}"]
        for ranks, sizes in found["allreduce"].items()
        for size, each in sizes.items()
    ]  # fmt: skip
    own = [
        [name, f"{steps['parameters']:,}", f"{one['fixed_us']:,.0f} µs", f"{one['row_us']:,.2f} µs"]
        for name, one in found["model"]["constants"]["networks"].items()
        if (steps := found["steps"][name])
    ]
    ranks = [
        [
            number,
            f"{one['wait_us']:,.0f} µs",
            f"{one['slower']:.2f}",
            f"{one['shared']:.0f}",
            f"{one['sum_us']:,.0f} µs",
            f"{1000 * one['us_per_byte']:.2f} µs",
        ]
        for number, one in found["model"]["constants"]["ranks"].items()
    ]
    return [
        "### One sum",
        "Microseconds of a bare `Allreduce` of mpi4py, of the sum in `fit(comm=)` with the same buffer, and of that with the"
        " copies of the gradient into the buffer and out of it. The ratio of the first two is the median of the turns.",
        rows_of(["ranks", "bytes", "bare", "in `fit`", "with copies", "ratio"], lines),
        "### The constants",
        "Of each network, on one rank:",
        rows_of(["network", "parameters", "fixed", "row"], own),
        f"Of the ranks, on {found['cores']} cores:",
        rows_of(["ranks", "wait", "s", "t", "a sum", "and for each kB"], ranks),
    ]


def checked_runs(found: dict[str, Any]) -> list[str]:
    """The runs of several ranks beside the model."""
    checks, fitted = found["model"]["checks"], found["model"]["fitted"]
    lines = [
        [one["network"] + " *" * (one["network"] in fitted), str(one["ranks"]), str(one["batch"]), f"{one['us']:,.0f} µs",
         f"{one['model_us']:,.0f} µs", f"{100 * one['error']:+.0f} %", f"{one['faster']:.2f}"]
        for one in checks
    ]  # fmt: skip
    errors = []
    for ranks in found["model"]["constants"]["ranks"]:
        these = sorted(
            abs(one["error"]) for one in checks if one["ranks"] == int(ranks) and one["network"] not in fitted
        )
        errors.append(f"with {ranks} ranks {100 * these[0]:.0f} to {100 * these[-1]:.0f} %")
    return [
        "### The model and the runs",
        f"Those marked * gave wait and s. The errors of the others: {', '.join(errors)}. The last column: how many times as fast"
        " as one rank with the same batch.",
        rows_of(["network", "ranks", "batch", "measured", "model", "error", "faster"], lines),
    ]


def predicted(found: dict[str, Any]) -> list[str]:
    """What the model says of clusters."""
    lines = found["model"]["predictions"]
    counts = [*lines[0]["weak"]]
    weak = [
        [
            one["network"],
            one["wire"],
            *(f"{one['weak'][n]:,.0f} ({one['overlapped'][n]:,.0f})" for n in counts),
        ]
        for one in lines
    ]
    strong = []
    for one in lines:
        best = [f"{each['faster']:.1f} by {each['ranks']}" for each in one["strong"].values()]
        strong.append([one["network"], one["wire"], f"{one['balance']:,.1f}", *best])
    batches = ", ".join(f"{name} {steps['batch']}" for name, steps in found["steps"].items())
    return [
        "### Each rank a batch of its own",
        f"Rows a second, as a multiple of one rank's, where each rank computes so many rows a step: {batches}. In brackets: were"
        " the sum hidden behind the backward pass.",
        rows_of(["network", "between the machines", *(f"{n} ranks" for n in counts)], weak),
        "### One batch divided",
        "Balance: the rows that take a rank as long as the sum of 64 ranks. Then how many times as fast as one rank a step of the"
        " same batch is at best, and by how many ranks (powers of two up to 1,024, a row each at least).",
        rows_of(["network", "between the machines", "balance", "the batch", "16 times that"], strong),
    ]


def scaling_page(file: Path, document: Path) -> list[str]:
    """What mpi.py measured and scaling.py makes of it."""
    found = read(file)
    about = (
        f"{found['cpu']}, {found['cores']} cores, {found['versions']['MPI']}, {found['date'][:10]}"
        f" ({link(file, 'all figures', document)})."
    )
    return [about, *measured_sums(found), *checked_runs(found), *predicted(found)]


# -- pictures and documents --------------------------------------------------------------------------------------------


def plot(file: Path) -> Path:
    """A result file as dots: for every workload, how many times as long a step takes as in the native backend."""
    result = read(file)
    workloads = {name: w for name, w in result["workloads"].items() if name in MAIN}
    names = list(dict.fromkeys(name for w in workloads.values() for name in w["backends"]))
    lines = {
        name: [w["backends"].get(name, {"ratio": float("nan")})["ratio"] for w in workloads.values()]
        for name in names
    }
    return draw(lines, workloads, machine(result), file.with_suffix(".svg"), size=(11, 5))


def draw(
    lines: dict[str, list[float]], workloads: dict[str, Any], title: str, out: Path, size: tuple[float, float]
) -> Path:
    """Ratios by contestant, one for each workload, as an SVG file that is the same for the same figures."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "backpass"
    figure, axes = pyplot.subplots(figsize=size, layout="constrained")
    axes.set_prop_cycle(color=pyplot.get_cmap("tab20" if len(lines) > 10 else "tab10").colors)
    for number, (name, ratios) in enumerate(lines.items()):
        axes.plot(ratios, MARKERS[number % len(MARKERS)] + "-", label=name, linewidth=0.8)
    axes.set_yscale("log")
    axes.set_yticks(TICKS, [f"{tick}x" for tick in TICKS])
    axes.set_xticks(
        range(len(workloads)),
        [f"{n}\n{'-'.join(map(str, w['layers']))}" for n, w in workloads.items()],
        fontsize=7 if size[0] > 10 else 6,
    )
    axes.set_ylabel("time of a training step,\nmultiples of backpass's")
    axes.set_title(title, fontsize=10)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(out, metadata={"Date": None})
    pyplot.close(figure)
    return out


def tables() -> list[Path]:
    """The tables of the main workloads, that of the README first."""
    return sorted(RESULTS.glob("bench-*.json"), key=lambda file: (file != HEADLINE, file.name))


def parts() -> dict[Path, list[str]]:
    """What stands between the marks of each document."""
    readme, benchmarks, scaling = (ROOT / f for f in ("README.md", "docs/benchmarks.md", "docs/scaling.md"))
    figure = RESULTS / "readme.svg"
    picture = f"!{link(figure, 'the table as a plot: time of a step over the size of the network', readme)}"
    return {
        readme: [*headline(HEADLINE, readme), picture],
        benchmarks: [
            *(part for file in tables() for part in table(file, benchmarks)),
            *limits(RESULTS / "limits.json", benchmarks),
            *first_step(RESULTS / "first_step.json", benchmarks),
            *modules(RESULTS / "modules.json", benchmarks),
            *(part for kind in KINDS for other in OTHERS for part in networks(kind, other, benchmarks)),
        ],
        ROOT / "docs" / "sklearn.md": [estimators(RESULTS / "estimators.json")],
        scaling: scaling_page(RESULTS / "mpi.json", scaling),
    }


def replaced(document: Path, made: list[str]) -> str:
    """The text of a document with other parts between its marks."""
    before, rest = document.read_text("utf-8").split(BEGIN)
    after = rest.split(END)[1]
    return before + BEGIN + "\n\n" + "\n\n".join(made) + "\n\n" + END + after


def main() -> None:
    """All documents and pictures."""
    headline_plot(HEADLINE)
    for file in tables():
        plot(file)
    for document, made in parts().items():
        document.write_text(replaced(document, made), "utf-8")


if __name__ == "__main__":
    main()
