"""bp.export.c: C99 without a warning that computes what predict does, here, on AArch64 and on a Cortex-M4; what is refused."""

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backpass as bp
from backpass import nn
from helpers.exported import FOR_C, compiled, program, shown, used
from helpers.registered import sample_layers

HERE = Path(__file__).parent
POINTER = ctypes.POINTER(ctypes.c_float)
PRINTED = '#include <stdio.h>\nstatic void show(float v) { unsigned bits; memcpy(&bits, &v, 4); printf("%08x\\n", bits); }'


def needs(*commands: str) -> pytest.MarkDecorator:
    missing = [command for command in commands if shutil.which(command) is None]
    without = bool(missing) or sys.platform == "win32"
    return pytest.mark.skipif(without, reason=f"not on Windows, needs {', '.join(commands)}")


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, np.ndarray, np.ndarray]]:
    """Of each network its C file, its rows, and what it predicts."""
    folder, found = tmp_path_factory.mktemp("c"), {}
    for name in FOR_C:
        model, x = used(name)
        path = folder / f"{name}.c"
        bp.export.c(model, path, name=name)
        found[name] = path, x, model.predict(x)
    return found


# Of layers without C what the refusal says.
REFUSED = {
    "Embedding": "takes x: int64", "EmbeddingBag": "takes x: int64", "MultiheadAttention": "needs the op attention_forward",
    "TransformerDecoderLayer": "takes tgt: float32, memory: float32", "TransformerEncoderLayer": "needs the op attention_forward",
    "Upsample": "needs the op resize_forward",
}  # fmt: skip


@needs("gcc")
def test_every_layer_computes_the_same(tmp_path: Path) -> None:
    """Of all layers one library, since the compiler takes its time."""
    expected = {}
    for name, sample in sample_layers().items():
        model, data = bp.Model(sample.make(), seed=1), sample.data(1)
        y = model.predict(data)
        if name in REFUSED:
            with pytest.raises(ValueError, match=REFUSED[name]):
                bp.export.c(model, tmp_path / f"{name}.c", name=name)
        else:
            (x,) = data.values()
            expected[name] = x.astype(np.float32), y
            bp.export.c(model, tmp_path / f"{name}.c", name=name)
    compiled(
        "gcc", [tmp_path / f"{name}.c" for name in expected], tmp_path / "all.so", "-O0", "-shared", "-fPIC"
    )
    library = ctypes.CDLL(str(tmp_path / "all.so"))
    for name, (x, wanted) in expected.items():
        y = np.empty(wanted.size, np.float32)
        library[f"{name}_predict"](x.ctypes.data_as(POINTER), y.ctypes.data_as(POINTER))
        np.testing.assert_allclose(y, wanted.ravel(), rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def library(nets: Any, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """All of them in one library: their names do not collide."""
    into = tmp_path_factory.mktemp("c") / "nets.so"
    compiled("gcc", [path for path, _, _ in nets.values()], into, "-shared", "-fPIC")
    return ctypes.CDLL(str(into))


def close(y: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(y, expected.ravel(), rtol=1e-5, atol=1e-5)


@needs("gcc")
@pytest.mark.parametrize("name", FOR_C)
def test_c_computes_the_same(name: str, nets: Any, library: ctypes.CDLL) -> None:
    _, x, expected = nets[name]
    for row, wanted in zip(x, expected, strict=True):
        # Between guards, which stay what they are.
        y = np.full(wanted.size + 2, 7, np.float32)
        given = np.ascontiguousarray(row)
        library[f"{name}_predict"](given.ctypes.data_as(POINTER), y[1:].ctypes.data_as(POINTER))
        close(y[1:-1], wanted)
        assert y[0] == y[-1] == 7
        np.testing.assert_array_equal(given, row)


@needs("aarch64-linux-gnu-gcc", "qemu-aarch64")
def test_c_computes_the_same_on_aarch64(nets: Any, tmp_path: Path) -> None:
    main, run = tmp_path / "main.c", tmp_path / "main"
    outputs = {name: expected[0].size for name, (_, _, expected) in nets.items()}
    main.write_text(program({name: x[0] for name, (_, x, _) in nets.items()}, outputs, PRINTED))
    compiled("aarch64-linux-gnu-gcc", [main, *(path for path, _, _ in nets.values())], run, "-static")
    done = subprocess.run(["qemu-aarch64", run], capture_output=True, text=True, check=True)
    close(shown(done.stdout), np.concatenate([expected[0].ravel() for _, _, expected in nets.values()]))


@needs("arm-none-eabi-gcc", "qemu-system-arm")
def test_a_network_runs_on_a_cortex_m4_within_64_kib(tmp_path: Path) -> None:
    """cortex_m4.ld has 64 KiB of RAM, 8 of them for the stack: what does not fit is no program."""
    model = bp.Model(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10), nn.Softmax()))
    x = np.random.default_rng(0).standard_normal((1, 64)).astype(np.float32)
    files = [tmp_path / name for name in ("main.c", "digits.c", "main.elf")]
    bp.export.c(model, files[1], name="digits")
    files[0].write_text(program({"digits": x[0]}, {"digits": 10}, (HERE / "cortex_m4.c").read_text("utf-8")))
    cpu = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
    link = ["-nostartfiles", "--specs=nosys.specs", f"-T{HERE / 'cortex_m4.ld'}"]
    compiled("arm-none-eabi-gcc", files[:2], files[2], *cpu, *link)
    machine = [
        "qemu-system-arm",
        "-M",
        "mps2-an386",
        "-display",
        "none",
        "-semihosting-config",
        "enable=on,target=native",
    ]
    done = subprocess.run(
        [*machine, "-kernel", files[2]], capture_output=True, text=True, check=True, timeout=60
    )
    close(shown(done.stdout + done.stderr), model.predict(x))


def test_macros_tell_the_sizes(nets: Any) -> None:
    text = nets["mlp"][0].read_text("ascii")
    macros = dict(re.findall(r"^#define MLP_(\w+) (\d+)$", text, re.MULTILINE))
    assert macros == {"INPUTS": "4", "OUTPUTS": "3", "SCRATCH_BYTES": "32"}
    for forbidden in ("malloc", "stdio", "stdlib", "double"):
        assert forbidden not in text


def test_scratch_memory_is_used_again(tmp_path: Path) -> None:
    """Two buffers are enough for a chain of any length."""
    layers = [layer for _ in range(9) for layer in (nn.Linear(16, 16), nn.ReLU())]
    bp.export.c(bp.Model(nn.Sequential(*layers)), tmp_path / "m.c")
    assert "#define MODEL_SCRATCH_BYTES 128\n" in (tmp_path / "m.c").read_text("ascii")


@needs("gcc")
@pytest.mark.parametrize(
    "layers", [[nn.LayerNorm(3)], [nn.Linear(3, 3), nn.LayerNorm(3)], [nn.GroupNorm(1, 3)]], ids=len
)
def test_what_an_op_computes_for_training_takes_no_memory(layers: list[nn.Module], tmp_path: Path) -> None:
    """Of norms that are the statistics, which no C writes."""
    predicted(bp.Model(nn.Sequential(*layers)), np.array([[1, 2, 4]], np.float32), tmp_path)
    scratch = 4 * 3 * (len(layers) - 1)
    assert f"#define MODEL_SCRATCH_BYTES {scratch}\n" in (tmp_path / "m.c").read_text("ascii")


class Far(nn.Module):
    """Constants beyond float32, and one that float32 takes for 0."""

    def forward(self, x: Any) -> Any:
        return x.masked_fill(x < 0, -1e300).softmax(1) + bp.where(x > 2, 1e39, x) + 1e-50


@needs("gcc")
def test_constants_beyond_float32_are_infinite(tmp_path: Path) -> None:
    predicted(bp.Model(Far()), np.array([[1, -1, 2, 3]], np.float32), tmp_path)


@needs("gcc")
@pytest.mark.parametrize("name", ["*/", "/*", "*/*", "/*/", "??/", "\\", "a*/ int x; /*"])
def test_no_name_ends_a_comment(name: str, tmp_path: Path) -> None:
    net = Chosen(name)
    predicted(bp.Model(net), np.ones((1, 3), np.float32), tmp_path)


class Chosen(nn.Module):
    """A network of one layer, of this name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({name: nn.Linear(3, 2)})

    def forward(self, x: Any) -> Any:
        (layer,) = self.layers.values()
        return layer(x)


def predicted(model: bp.Model, x: np.ndarray, folder: Path) -> None:
    """Export, compile and run a model, and compare with what it predicts."""
    expected = model.predict(x)
    bp.export.c(model, folder / "m.c")
    compiled("gcc", [folder / "m.c"], folder / "m.so", "-shared", "-fPIC")
    y = np.empty(expected.size, np.float32)
    ctypes.CDLL(str(folder / "m.so")).model_predict(x.ctypes.data_as(POINTER), y.ctypes.data_as(POINTER))
    close(y, expected)


class Counted(nn.Module):
    def forward(self, x: Any) -> Any:
        return x * float(x.shape[0])


class Shared(nn.Module):
    """A constant by the size of the batch."""

    def forward(self, x: Any) -> Any:
        return x + np.full((1, 3), 1 / x.shape[0])


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Counted(), r"layer '0' needs the op expression, of which steps depends on the size of the batch"),
        (Shared(), r"layer '0' needs the op \w+, of which a constant depends on the size of the batch"),
    ],
)
def test_numbers_that_depend_on_the_size_of_the_batch_are_refused(
    net: nn.Module, message: str, tmp_path: Path
) -> None:
    model = bp.Model(nn.Sequential(net, nn.Linear(3, 2)))
    model.predict(np.ones((2, 3)))
    with pytest.raises(ValueError, match=message):
        bp.export.c(model, tmp_path / "m.c")
    assert not [*tmp_path.iterdir()]


class Awkward(nn.Module):
    """Parameters called like what the file defines itself, and one with letters that C does not know."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("predict", "scratch", "INPUTS", "añb", "a_b", "a__b"):
            setattr(self, name, nn.Parameter(np.full(3, 0.5)))

    def forward(self, x: Any) -> Any:
        return x * self.predict + self.scratch * self.INPUTS + self.añb + self.a_b - self.a__b


@needs("gcc")
@pytest.mark.parametrize("name", ["int", "M", "a_1", "A" * 60])
def test_names_of_all_kinds_compile(name: str, tmp_path: Path) -> None:
    model = bp.Model(Awkward())
    x = np.ones((1, 3), np.float32)
    expected = model.predict(x)
    bp.export.c(model, tmp_path / "m.c", name=name)
    compiled("gcc", [tmp_path / "m.c"], tmp_path / "m.so", "-shared", "-fPIC")
    y = np.empty(3, np.float32)
    predict = ctypes.CDLL(str(tmp_path / "m.so"))[f"{name}_predict"]
    predict(x.ctypes.data_as(POINTER), y.ctypes.data_as(POINTER))
    close(y, expected)


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "ä", "_a", "a\n", "a;", None, 3])
def test_names_that_c_does_not_take_are_refused(name: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"bp\.export\.c: name is .*, expected a C identifier"):
        bp.export.c(bp.Model(nn.Linear(4, 3)), tmp_path / "m.c", name=name)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("embedding", r"the network takes x: int64, expected one input of float32"),
        ("inputs_and_outputs", r"takes x: float32, index: int64, expected one input"),
        ("prenorm", r"layer '2\.self_attn' needs the op attention_forward, which has no C here"),
        ("upsampled", r"layer '0' needs the op resize_forward, which has no C here"),
        ("last_states", r"a row of the output depends on the other rows"),
        ("functions", r"gives a tuple of 12, expected one output"),
    ],
)
def test_what_has_no_c_is_refused_by_name(name: str, message: str, tmp_path: Path) -> None:
    model, _ = used(name)
    with pytest.raises(ValueError, match=message):
        bp.export.c(model, tmp_path / "m.c")
    assert not [*tmp_path.iterdir()]


def test_other_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model has dtype float64, expected float32"):
        bp.export.c(bp.Model(nn.Linear(4, 3), dtype="float64"), tmp_path / "m.c")
    with pytest.raises(ValueError, match=r"nothing tells which shape a row of X has"):
        bp.export.c(bp.Model(nn.Conv2d(1, 2, 3)), tmp_path / "m.c")
    with pytest.raises(TypeError, match=r"bp\.export\.c: model is a Linear, expected a bp\.Model"):
        bp.export.c(nn.Linear(4, 3), tmp_path / "m.c")  # type: ignore[arg-type]
    with pytest.raises(IsADirectoryError):
        bp.export.c(bp.Model(nn.Linear(4, 3)), tmp_path)
