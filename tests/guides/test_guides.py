"""The code blocks of every guide run in order, in one namespace per guide."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")

GUIDES = sorted((Path(__file__).resolve().parents[2] / "docs" / "guides").glob("*.md"))


@pytest.mark.skipif("BACKPASS_ISA" in os.environ, reason="the guides know no instruction sets")
@pytest.mark.skipif(not GUIDES, reason="the guides are not beside the tests")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_guide(guide: Path, request: pytest.FixtureRequest) -> None:
    text = guide.read_text("utf-8")
    if "BACKPASS_DATA" in text:
        request.getfixturevalue("data_dir")
        pytest.importorskip("pandas")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks, f"{guide.name} has no code"
    names: dict[str, Any] = {"__name__": guide.stem}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"{guide.name}, block {number}", "exec"), names)
