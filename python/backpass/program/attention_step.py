"""Attention of the next steps of a sequence: keys and values of those before are carried on from call to call."""

from ..ops import attention_step
from .builder import Builder
from .tensor import Tensor


def keeps_steps(builder: Builder, causal: bool) -> bool:
    """Whether an attention finds the steps before: in the program of a session, where it looks at no later ones."""
    return causal and builder.carried is not None and builder.carried.window is not None


def attend_to_all(
    builder: Builder, q: Tensor, k: Tensor, v: Tensor, scale: float, shown: bool
) -> tuple[Tensor, Tensor | None]:
    """softmax(scale q keysᵀ) values of (B, T, heads, D) over the steps so far, and its weights (B, heads, T, S) if `shown`."""
    carried = builder.carried
    assert carried is not None
    assert carried.window is not None
    samples, steps, heads, _ = q.shape
    most = carried.window.steps
    fields: dict[str, Tensor | None] = {"q": q, "k": k, "v": v, "start": Tensor(carried.steps)}
    for name, x in (("keys", k), ("values", v)):
        fields[name] = builder.carry(name, (samples, most, *x.shape[2:]))
    weights = builder.tensor((samples, heads, steps, most)) if shown else None
    y = builder.run(attention_step, **fields, probabilities=weights, scale=scale)
    return y, weights
