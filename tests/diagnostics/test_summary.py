"""summary(): a table of the layers, shared ones once, as text and in a notebook."""

import numpy as np

import backpass as bp
from helpers.nets import net, shared_twice


def test_table() -> None:
    shared = bp.nn.Linear(4, 4)
    net = bp.nn.Sequential(
        bp.nn.Flatten(),
        shared,
        bp.nn.BatchNorm1d(4),
        bp.nn.Residual(shared, bp.nn.ReLU()),
        bp.nn.Linear(4, 2),
    )
    text = bp.Model(net, "cross_entropy").summary()
    table = {words[0]: words[1:] for words in (line.split() for line in text.splitlines())}
    assert table["1"] == ["Linear(4,", "4)", "(4,)", "20"]
    assert table["3.inner.0"] == ["Linear(4,", "4)", "(4,)", "(shared)"]
    assert table["4"][-2:] == ["(2,)", "10"]
    assert table["38"][0] == "parameters,"  # 20 + 8 + 10
    assert bp.Model(bp.nn.Sequential(bp.nn.ReLU())).summary().splitlines()[2].split() == [
        "0",
        "ReLU()",
        "?",
        "0",
    ]


def test_summary() -> None:
    model = bp.Model(net(), "cross_entropy", "adamw")
    text = model.summary()
    assert repr(text) == str(text), "a notebook shows the table"
    for part in ("Linear(6, 16)", "4.inner.0", "(16,)", "(3,)", "cross", "AdamW", "112"):
        assert part.lower() in text.lower(), part
    learned = 6 * 16 + 16 + 32 + 16 * 16 + 16 + 32 + 16 * 3 + 3
    assert f"{learned:,} parameters" in text
    assert "(shared)" in bp.Model(shared_twice()).summary()
    assert repr(model).startswith("Model(Sequential(Linear(6, 16), BatchNorm1d(16)")
    before = model.state_dict()
    model.summary()
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())
