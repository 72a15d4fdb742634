"""The compiled engine under the sanitizers: a driver in C++ over random shapes, splits and numbers of threads."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from headgate.engines.cpu import library, own_cells

CSRC = Path(__file__).resolve().parents[2] / "csrc"
SOURCES = ["tests/driver.cpp", "run.cpp", "pack.cpp", "sum.cpp", "multiply.cpp", "threads.cpp", "stock.cpp"]
# Products by tiles: AMX's own instructions are trapped and emulated where the processor lacks them. Of float32 they are
# made of pieces, by a run and by sums.
PIECES = ["tests/driver.cpp", "tests/plain.cpp", "run.cpp", "sum.cpp", "threads.cpp", "stock.cpp"]
TILES = {
    "emulated": (["-DHG_ISA=emulated", "-DHG_TILES=emulated_tiles"], SOURCES),
    "pieces": (["-DHG_ISA=emulated", "-DHG_TILES=emulated_tiles", "-DHG_PIECES"], PIECES),
    "amx": (["-DHG_ISA=amx", "-DHG_TILES=amx_tiles", "-DHG_AMX", "-DTRAP_AT_START"], [*SOURCES, "tests/trap.cpp"]),
}
STACK = ["tests/stack_driver.cpp", "stack.cpp", "checksum.cpp", "threads.cpp", "stock.cpp"]
ADJOINT = ["tests/adjoint_driver.cpp", "adjoint.cpp", "pack.cpp", "threads.cpp"]
TAPE = ["tests/tape_driver.cpp", "tape.cpp"]
STOCK = ["tests/stock_driver.cpp", "stock.cpp"]
OVERFLOW = "heap-buffer-overflow"
SANITIZERS = {"memory": "address,undefined", "threads": "thread"}

pytestmark = pytest.mark.skipif(own_cells.compiler() is None, reason="there is no C++ compiler")


def build(folder, isa, sanitizer, sources=CSRC, names=None):
    """The driver of the engine; with `names`, of those sources alone."""
    made = folder / "driver"
    flags = ["-std=c++17", "-O1", "-g", "-Wno-psabi", "-pthread", "-fno-sanitize-recover=all"]
    flags.append(f"-fsanitize={sanitizer}")
    plain = [*own_cells.flags(isa, sources / "include"), f"-DHG_ISA={isa}"] if isa not in TILES else []
    options, own = TILES.get(isa, (plain, SOURCES))
    flags += [*options, f"-I{sources / 'include'}"]
    files = [str(sources / name) for name in names or own]
    command = [own_cells.compiler(), *flags, *files, "-o", str(made)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "cannot find" in done.stderr and "san" in done.stderr:
        pytest.skip(f"this compiler has no -fsanitize={sanitizer}")
    assert done.returncode == 0, done.stderr[-2000:]
    return made


def copy_with(folder, file, right, wrong):
    """All sources, with a mistake in one."""
    copy = folder / "csrc"
    subprocess.run(["cp", "-r", str(CSRC), str(copy)], check=True)
    source = (copy / file).read_text()
    assert right in source
    (copy / file).write_text(source.replace(right, wrong))
    return copy


def run(driver, trials):
    return subprocess.run([driver, str(trials)], capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("sanitizer", SANITIZERS.values(), ids=SANITIZERS)
def test_the_engine_is_clean(sanitizer, tmp_path):
    done = run(build(tmp_path, library.instructions() if library.library() else "portable", sanitizer), 40)
    assert (done.returncode, done.stdout.strip()) == (0, "all right"), done.stdout + done.stderr[-3000:]


@pytest.mark.parametrize(
    ("tiles", "sanitizer"), [("emulated", "memory"), ("amx", "threads"), ("pieces", "memory"), ("pieces", "threads")]
)
def test_products_by_tiles_are_clean(tiles, sanitizer, tmp_path):
    if tiles == "amx" and (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("AMX's instructions are trapped on Linux on x86-64 alone")
    done = run(build(tmp_path, tiles, SANITIZERS[sanitizer]), 10)
    assert (done.returncode, done.stdout.strip()) == (0, "all right"), done.stdout + done.stderr[-3000:]


@pytest.mark.parametrize("sanitizer", SANITIZERS.values(), ids=SANITIZERS)
def test_the_way_back_of_the_watch_is_clean(sanitizer, tmp_path):
    isa = library.instructions() if library.library() else "portable"
    done = run(build(tmp_path, isa, sanitizer, names=ADJOINT), 60)
    assert (done.returncode, done.stdout.strip()) == (0, "all right"), done.stdout + done.stderr[-3000:]


@pytest.mark.parametrize(
    ("file", "right", "wrong", "complaint"),
    [
        ("adjoint.cpp", "if (mine_.by_units && run_.passes[p].barrier)", "if (false)", "data race"),
        ("include/scales.h", "std::ldexp(value[u], -shift)", "value[u]", "trial"),
        ("include/scales.h", "source >= 0 && source != at_", "false", "trial"),
        ("adjoint.cpp", "if (!(cut >> (first + b) & 1))", "", "trial"),
        ("adjoint.cpp", "r % R_ == 0)", "true)", "trial"),
        ("adjoint.cpp", "blocks + (call_.apart ? 2 * pass.n_products : 0)", "blocks", "heap-buffer-overflow"),
    ],
    ids=["no barrier", "a lost scale", "every step's loss", "nothing cut", "another's parts", "too little memory"],
)
def test_a_way_back_with_a_mistake_is_not(file, right, wrong, complaint, tmp_path):
    copy = copy_with(tmp_path, file, right, wrong)
    sanitizer = SANITIZERS["threads" if complaint == "data race" else "memory"]
    done = run(build(tmp_path, "portable", sanitizer, copy, ADJOINT), 60)
    assert done.returncode != 0
    assert complaint in done.stdout + done.stderr


@pytest.mark.parametrize("sanitizer", SANITIZERS.values(), ids=SANITIZERS)
@pytest.mark.parametrize("names", [STACK, TAPE, STOCK], ids=["stack", "tape", "stock"])
def test_prepared_calls_are_clean(names, sanitizer, tmp_path):
    done = run(build(tmp_path, "portable", sanitizer, names=names), 200)
    assert (done.returncode, done.stdout.strip()) == (0, "all right"), done.stdout + done.stderr[-3000:]


@pytest.mark.parametrize(
    ("file", "names", "right", "wrong", "complaint"),
    [
        ("tape.cpp", TAPE, "tape->bytes / sizeof(uint64_t) + 1", "tape->bytes / sizeof(uint64_t) / 2", OVERFLOW),
        ("tape.cpp", TAPE, "base ? base + address.offset : nullptr", "base", "trial"),
        ("tape.cpp", TAPE, "(job.parts ? job.columns : 0)", "job.columns", "trial"),
        ("stack.cpp", STACK, "all_rows() : 2 * call.B", "all_rows() : call.B", OVERFLOW),
        ("stack.cpp", STACK, "? stack_.sizes[0] * sizeof(uint16_t) : row_bytes(0)", "? 0 : row_bytes(0)", "trial"),
        ("stack.cpp", STACK, "p * call_.B * row_bytes(k); }", "0; }", "trial"),
        ("stack.cpp", STACK, "if (now.sum != was) same = false;", "", "trial"),
        ("stack.cpp", STACK, "stretches * (thread + 1) / threads", "stretches / threads", "trial"),
        ("stack.cpp", STACK, "std::memset(own_[k]", "if (false) std::memset(own_[k]", "trial"),
        ("checksum.cpp", STACK, "half = CHAINS / 2;", "half = CHAINS / 4;", "trial"),
        ("stock.cpp", STOCK, "from.block.exchange(nullptr, std::memory_order_acquire)", "from.block.load()", "trial"),
        ("stock.cpp", STOCK, "+ bytes > IDLE; ++k)", "+ bytes < 0; ++k)", "trial"),
        ("stock.cpp", STOCK, "rounded(bytes + sizeof(header))", "rounded(bytes)", OVERFLOW),
        ("stock.cpp", STOCK, "    give_up(oldest);\n", "", "detected memory leaks"),
        ("stock.cpp", STOCK, "!= whole ||", "< whole + PAGE ||", "trial"),
    ],
    ids=[
        "a tape with too little memory",
        "an address without its offset",
        "what is no zero",
        "a stack with too little memory",
        "one direction over the other",
        "another layer's states",
        "weights that changed",
        "what the other threads look at",
        "padding that is not zero",
        "weights half looked at",
        "memory lent twice",
        "more memory than may wait",
        "memory without its header",
        "memory lost",
        "memory that never comes back",
    ],
)
def test_prepared_calls_with_a_mistake_are_not(file, names, right, wrong, complaint, tmp_path):
    copy = copy_with(tmp_path, file, right, wrong)
    done = run(build(tmp_path, "portable", SANITIZERS["memory"], copy, names), 200)
    assert done.returncode != 0
    assert complaint in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "right", "wrong", "complaint"),
    [
        ("run.cpp", "if (mine_.by_units && run_.passes[p].barrier && !last)", "if (false && last)", "data race"),
        ("pack.cpp", "std::clamp<int64_t>(units() - unit, 0, HG_BLOCK)", "HG_BLOCK", "heap-buffer-overflow"),
        ("include/states.h", "own.to = std::min(own.to, state.rounded_units);", "", "heap-buffer-overflow"),
        ("sum.cpp", "if (valid >= COUNT)", "if (true)", "heap-buffer-overflow"),
        ("multiply.cpp", "const bool whole = width == panels * HG_BLOCK;", "const bool whole = true;", "overflow"),
    ],
    ids=["no barrier", "rows beyond the end", "padding rounded, too", "columns beyond the end", "last panel not whole"],
)
def test_the_sanitizers_see_mistakes(file, right, wrong, complaint, tmp_path):
    copy = copy_with(tmp_path, file, right, wrong)
    sanitizer = SANITIZERS["threads" if complaint == "data race" else "memory"]
    done = run(build(tmp_path, "portable", sanitizer, copy), 40)
    assert done.returncode != 0
    assert complaint in done.stdout + done.stderr
