"""Every test that PyTorch takes part in is marked, so that it runs where PyTorch is: `pytest -m torch`."""

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def asks(test: ast.FunctionDef) -> bool:
    """Whether a test skips itself where PyTorch is missing."""
    calls = [ast.unparse(node) for node in ast.walk(test) if isinstance(node, ast.Call)]
    return any(
        ("importorskip" in call and "torch" in call) or call in ("torch()", "torch_peer()") for call in calls
    )


def is_marked(node: ast.FunctionDef | ast.Module) -> bool:
    if isinstance(node, ast.FunctionDef):
        return any("mark.torch" in ast.unparse(decorator) for decorator in node.decorator_list)
    return any(isinstance(n, ast.Assign) and "mark.torch" in ast.unparse(n) for n in node.body)


def test_tests_that_need_torch_are_marked() -> None:
    missing = []
    for path in TESTS.rglob("test_*.py"):
        module = ast.parse(path.read_text("utf-8"))
        tests = [
            node for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test")
        ]
        if not is_marked(module):
            missing += [f"{path.name}: {test.name}" for test in tests if asks(test) and not is_marked(test)]
    assert not missing
