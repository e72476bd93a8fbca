"""A model of the time of a step of several ranks, its constants from what mpi.py measured, its errors, and what it predicts.

A rank alone takes fixed + row b for b rows; fixed is what it does whatever its rows: update, Python, the gradient's way into
the sum and out. R ranks with a batch of B rows take wait + slower fixed + shared row B / R + sum(R, bytes): shared are the ranks
of a core, at least 1. slower is 1 where each rank has memory and caches of its own; wait is what a rank that is disturbed costs.
"""

from math import ceil, log2
from typing import Any

import numpy as np
from scipy.optimize import nnls

# Assumptions: microseconds of a message from one machine to another, and bytes a microsecond.
NETWORKS = {
    "10 Gbit Ethernet": (10.0, 1250.0),
    "100 Gbit Ethernet": (1.93, 12500.0),
    "InfiniBand, 200 Gbit": (1.06, 25000.0),
}
RANKS = [16, 64, 256, 1024]
# The networks whose runs of several ranks give wait and slower; those of the others check the model.
FITTED = ("small", "medium")


def weighed(columns: list[list[float]], y: list[float], scale: list[float]) -> list[float]:
    """The numbers, none below 0, by which columns add up to y with the least errors, each divided by its scale."""
    inverse = 1 / np.asarray(scale)
    found: list[float] = nnls(np.transpose(columns) * inverse[:, None], np.asarray(y) * inverse)[0].tolist()
    return found


def line(x: list[float], y: list[float]) -> list[float]:
    """a and b of y = a + b x."""
    return weighed([[1.0] * len(x), x], y, y)


def sum_over(ranks: int, size: int, latency: float, bandwidth: float, add: float) -> float:
    """Microseconds of an allreduce (Thakur, Rabenseifner and Gropp 2005): doubling of distances, or halving of vectors.

    size: bytes; add: microseconds to add up a byte.
    """
    rounds, share = ceil(log2(ranks)), (ranks - 1) / ranks
    doubling = rounds * (latency + size / bandwidth + size * add)
    halving = 2 * rounds * latency + share * size * (2 / bandwidth + add)
    return min(doubling, halving)


def constants(found: dict[str, Any]) -> dict[str, Any]:
    """Of each network fixed and row, from the runs of one rank; of each number of ranks the sum, wait and slower."""
    networks = {}
    for name, network in found["steps"].items():
        alone = network["us"]["1"]
        fixed, row = line([float(rows) for rows in alone], [*alone.values()])
        networks[name] = {"fixed_us": fixed, "row_us": row}
    ranks = {}
    for number, sizes in found["allreduce"].items():
        sum_us, byte = line([float(size) for size in sizes], [each["ours_us"] for each in sizes.values()])
        each = {"sum_us": sum_us, "us_per_byte": byte, "shared": max(1.0, int(number) / found["cores"])}
        fixed, rest, weights = [], [], []
        for name in (name for name in networks if name in FITTED):
            for batch, measured in found["steps"][name]["us"][number].items():
                fixed.append(networks[name]["fixed_us"])
                rest.append(
                    measured - rows_and_sum(found["steps"][name], networks[name], each, batch, number)
                )
                weights.append(measured)
        each["wait_us"], each["slower"] = weighed([[1.0] * len(rest), fixed], rest, weights)
        ranks[number] = each
    return {"networks": networks, "ranks": ranks}


def rows_and_sum(
    network: dict[str, Any], one: dict[str, float], each: dict[str, float], batch: str, ranks: str
) -> float:
    """The part of a step that needs no run of several ranks."""
    rows = each["shared"] * one["row_us"] * int(batch) / int(ranks)
    return rows + each["sum_us"] + each["us_per_byte"] * network["bytes"]


def checks(found: dict[str, Any], fitted: dict[str, Any]) -> list[dict[str, Any]]:
    """Each run of more than one rank, beside what the model says of it."""
    lines = []
    for name, network in found["steps"].items():
        one = fitted["networks"][name]
        for ranks, each in fitted["ranks"].items():
            for batch, measured in network["us"][ranks].items():
                model = each["wait_us"] + each["slower"] * one["fixed_us"]
                model += rows_and_sum(network, one, each, batch, ranks)
                lines.append(
                    {
                        "network": name, "ranks": int(ranks), "batch": int(batch), "us": measured, "model_us": model,
                        "error": model / measured - 1, "faster": network["us"]["1"][batch] / measured,
                    }
                )  # fmt: skip
    return lines


def predictions(found: dict[str, Any], fitted: dict[str, Any]) -> list[dict[str, Any]]:
    """What ranks with a core each, on machines of their own, gain over one of them.

    weak: rows a second, each rank with a batch of its own; overlapped: the same, were the sum hidden behind the backward pass,
    two thirds of the time of the rows. balance: the rows that take a rank as
    long as the sum of 64. strong: where one batch is divided, the most, and how many ranks reach it.
    """
    lines = []
    for name, network in found["steps"].items():
        one, size, batch = fitted["networks"][name], network["bytes"], network["batch"]

        def step(ranks: int, rows: float, wire: str, hidden: float = 0.0, one=one, size=size) -> float:
            own = one["row_us"] * rows
            cost = sum_over(ranks, size, *NETWORKS[wire], found["add_us_per_byte"]) if ranks > 1 else 0.0
            return one["fixed_us"] + own + max(0.0, cost - hidden * own)

        for wire in NETWORKS:
            alone = step(1, batch, wire)
            weak = {ranks: ranks * alone / step(ranks, batch, wire) for ranks in RANKS}
            overlapped = {ranks: ranks * alone / step(ranks, batch, wire, 2 / 3) for ranks in RANKS}
            strong = {}
            for rows in (batch, 16 * batch):
                times = {r: step(r, rows / r, wire) for r in (2**n for n in range(11)) if r <= rows}
                best = min(times, key=lambda r: times[r])
                strong[rows] = {"ranks": best, "faster": times[1] / times[best]}
            cost = sum_over(64, size, *NETWORKS[wire], found["add_us_per_byte"])
            # Runs too short to tell may find that a row takes no time.
            balance = cost / one["row_us"] if one["row_us"] else float("inf")
            lines.append(
                {
                    "network": name, "wire": wire, "weak": weak, "overlapped": overlapped, "strong": strong,
                    "balance": balance,
                }
            )  # fmt: skip
    return lines
