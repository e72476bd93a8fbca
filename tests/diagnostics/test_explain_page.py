"""The page of bp.explain in headless Chromium, without a network: a click on a weight shows its chain of factors."""

import html
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import backpass as bp
from backpass import nn, optim
from helpers.nets import LABELS, X, shared_twice, small

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=2000",
]
needs_chromium = pytest.mark.skipif(
    not CHROMIUM, reason="Chromium is not installed: apt-get install chromium"
)


def clicked(page: str, selector: str, folder: Path) -> list[str]:
    """The lines of the chain once the browser has opened the page and clicked what a selector finds."""
    click = f"document.querySelector({selector!r}).dispatchEvent(new MouseEvent('click', {{bubbles: true}}))"
    file = folder / "page.html"
    file.write_text(page.replace("</body>", f"<script>{click}</script></body>"), "utf-8")
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    chain = re.search(r'<section id="chain">(.*?)</section>', done.stdout, re.DOTALL)
    assert chain, done.stdout[-2000:]
    return [html.unescape(line) for line in re.findall(r"<(?:p|h2)[^>]*>([^<]*)<", chain[1])]


@needs_chromium
def test_the_chain_of_the_textbooks(tmp_path: Path) -> None:
    model = bp.Model(
        nn.Sequential(nn.Linear(1, 1), nn.Identity()), "mse", optim.SGD(lr=0.05), dtype="float64"
    )
    model.net[0].weight[:], model.net[0].bias[:] = 0.5, 0.1
    page = bp.explain(model, [[2.0]], [1.0]).to_html()
    assert clicked(page, 'button[data-weight="0.weight[0]"]', tmp_path) == [
        "0.weight[0, 0] = 0.5",
        "dL/dw = dL/dy[1] · dy[1]/dy[0] · dy[0]/dw",
        "0.2 · 1 · 2 = 0.4",
        "dL/dw = 0.4",
        "dL/dw of the program: 0.4",
        "The optimizer takes 0.02 off: 0.5 → 0.48",
    ]


@needs_chromium
def test_a_line_of_the_graph_and_the_rows_of_a_batch(tmp_path: Path) -> None:
    """The factors of each row, their product, and the sum, which is what the program has."""
    model = bp.Model(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)), "mse", dtype="float64")
    step = bp.explain(model, X[:4, :2], X[:4, 2:4])
    lines = clicked(step.to_html(), ".hit", tmp_path)
    first, tanh = step["0"], step["1"]
    factors = np.stack([tanh["arriving"][:, 0], tanh["slope"][:, 0], first["input"][:, 0]], 1)
    rows = [re.findall(r"-?\d[\d.e-]*", line)[1:] for line in lines if line.startswith("row")]
    assert np.allclose(np.array(rows, float), np.column_stack([factors, factors.prod(1)]), rtol=1e-5)
    shown = [float(line.rpartition(" ")[2]) for line in lines if line.startswith("dL/dw") and "Σ" not in line]
    assert shown == pytest.approx([first["dweight"][0, 0]] * 2, rel=1e-5)
    assert any(line.startswith("dL/dy[1] of row 0 = Σ dL/dy[2] · w = ") for line in lines)


def test_uses_of_a_shared_weight_add_up() -> None:
    step = bp.explain(bp.Model(shared_twice(), "cross_entropy", dtype="float64"), X[:3], LABELS[:3])
    chains = [(node.chain, node) for node in step.nodes if node.name in ("1", "3", "5.inner") and node.chain]
    assert [chain.uses for chain, _ in chains] == [3, 3, 3]
    parts = [np.prod([f.values for f in chain.factors], 0).T @ chain.x for chain, _ in chains]
    assert np.allclose(sum(parts), step["1"]["dweight"], atol=1e-14)


def test_the_page_asks_for_nothing_and_trusts_no_name(tmp_path: Path) -> None:
    class Scripted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 3)

        def forward(self, x: object) -> object:
            return self.inner(x)

        def __repr__(self) -> str:
            return "</script><script>alert(1)</script>"

    step = bp.explain(bp.Model(nn.Sequential(Scripted(), nn.ReLU()), "cross_entropy"), X, LABELS)
    step.nodes[-1].shown = "</script><img src=x>"
    page = step.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text("utf-8") == page
    assert "</script><" not in page.partition("<main")[2].rpartition("<script>")[0].replace(
        "</script>\n<", ""
    )
    assert {*re.findall(r"https?://[^\"']+", page)} == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in page
    framed = step._repr_html_()
    assert framed.startswith("<iframe srcdoc=")
    assert html.escape(page) in framed


def test_large_arrays_are_summed_up() -> None:
    page = bp.explain(small(), X, X[:, :3]).to_html()
    assert '"summary": "70 \\u00d7 8: mean' in page
    assert '"arrays": 0' not in page.rpartition('"left"')[2]
    whole = bp.explain(small(), X[:5], X[:5, :3]).to_html()
    assert '"arrays": 0' in whole.rpartition('"left"')[2]
    none = bp.explain(small(), X[:5], X[:5, :3], detail="summary").to_html()
    assert '"numbers": [' not in none
