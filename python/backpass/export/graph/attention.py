"""Scaled dot-product attention."""

import numpy as np

from .call import Call


def attention(call: Call) -> None:
    """softmax(scale q kᵀ + mask) v, 0 for a query without a key."""
    if call.has("step"):
        raise call.graph.refuse("with dropout, which draws random numbers")
    query, key = call.read("q", _heads), call.read("k", lambda k: k.transpose(0, 2, 3, 1))
    scores = call.node("Mul", [call.node("MatMul", [query, key]), call.number(call["scale"])])
    never = call.number(-np.inf)
    if call.has("mask"):
        scores = call.node("Add", [scores, call.read("mask", expand=False)])
    queries, keys = call["q"].shape[1], call["k"].shape[1]
    if call["causal"]:
        scores = call.node("Where", [call.graph.constant(np.tri(queries, keys, dtype=bool)), scores, never])
    if call.has("lengths"):
        lengths = call.read("lengths", lambda lengths: lengths[:, None, None, None])
        inside = call.node("Less", [call.graph.constant(np.arange(keys)), lengths])
        scores = call.node("Where", [inside, scores, never])
    shares = call.node("Softmax", [scores], axis=-1)
    if call.has("mask") or call.has("lengths"):
        largest = call.node("ReduceMax", [scores], axes=[-1])
        shares = call.node("Where", [call.node("Equal", [largest, never]), call.number(0), shares])
    call.write("probabilities", shares)
    call.write("y", call.node("MatMul", [shares, call.read("v", _heads)]), _heads)


def _heads(array: np.ndarray) -> np.ndarray:
    """(B, T, heads, D) as (B, heads, T, D)."""
    return array.transpose(0, 2, 1, 3)
