"""`thermogen-build`: both bitstreams, with area, timing and checksums.

Exit code: 0 every image is built and every clock has its margin, 1 a clock missed its target, 2 a build failed or the command
line is wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from rich.console import Console

from .design import Design
from .errors import BuildError
from .flow import Result, build, keep_tool_cache_in, reserved
from .summary import as_json, as_table

PRODUCTS = ("node", "pcm")

DONE, TIMING_MISSED, FAILED, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the return value is the exit code."""
    options = _parser().parse_args(arguments)
    output: Path = options.output
    # The tools' own output is redirected at the descriptor, so what we say goes to a copy of it.
    with os.fdopen(os.dup(sys.__stderr__.fileno() if sys.__stderr__ else 2), "w") as terminal:
        console = Console(file=terminal)
        try:
            with reserved(output):
                results = _build_all(PRODUCTS if options.product == "all" else (options.product,), output, options.seed, console)
                _show(results, output, options.json)
        except BuildError as error:
            console.print(f"thermogen-build: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
            return FAILED
        except OSError as error:
            console.print(
                f"thermogen-build: {error}; is {output} writable, and the disk not full?", style="red", markup=False, soft_wrap=True
            )
            return FAILED
        except KeyboardInterrupt:
            return INTERRUPTED
    return DONE if all(result.met for result in results) else TIMING_MISSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="thermogen-build",
        description="Build the bitstreams: node.bit for the controller node (LIFCL-40), pcm.bin for the power module (iCE40HX8K).",
        epilog="Exit code: 0 built and fast enough, 1 a clock missed its target, 2 a build failed. Same sources and seed, same bytes.",
    )
    parser.add_argument("product", nargs="?", default="all", choices=(*PRODUCTS, "all"), help="what to build (default: all)")
    parser.add_argument("--seed", type=_seed, default=1, metavar="N", help="seed of the placer (default: 1)")
    parser.add_argument(
        "--output", type=Path, default=Path("build"), metavar="DIR", help="where images, report and logs go (default: build)"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead of the table")
    return parser


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{value} is not in 0 … {2**31 - 1}")
    return value


def _build_all(names: Sequence[str], output: Path, seed: int, console: Console) -> list[Result]:
    """One after the other: the tools take a core and the working folder each."""
    (output / "report.json").unlink(missing_ok=True)
    cache = keep_tool_cache_in(output)
    if not cache.is_dir():
        console.print("first use: the tools are compiled for this machine, which takes a few minutes", highlight=False)
    results = []
    for name in names:
        design: Design = import_module(f"thermogen_gateware.products.{name}").DESIGN
        with console.status(name) as status:

            def on_step(step: str, name: str = name, status: object = status) -> None:
                if console.is_terminal:
                    status.update(f"{name}: {step}")
                else:
                    console.print(f"{name}: {step}", highlight=False)

            results.append(build(design, output, seed, on_step))
    return results


def _show(results: Sequence[Result], output: Path, json_only: bool) -> None:
    report = json.dumps(as_json(results), indent=2) + "\n"
    partial = output / "report.json.partial"
    partial.write_text(report, encoding="utf-8")
    partial.replace(output / "report.json")
    if json_only:
        sys.stdout.write(report)
        return
    screen = Console()
    if not screen.is_terminal:
        screen = Console(width=130)
    screen.print(as_table(results))
    for result in results:
        if result.image:
            print(f"{result.sha256}  {result.image}")
            continue
        print(f"{result.design}: no image, because a clock is too slow; the packed bits are in {output / result.design}")
        for clock, path in result.critical_paths.items():
            print(f"slowest path of {clock}:", *path, sep="\n  ")


if __name__ == "__main__":
    sys.exit(main())
