"""`thermogen-build`: the bitstreams, with area by core, timing, checksums and the difference to the last release; and programming them.

Exit code: 0 every image is built and every clock has its margin, 1 a clock missed its target, 2 a build failed, a board could not be
programmed or the command line is wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from ..products.boards import BOARDS, PRODUCT, designs
from .design import Design
from .errors import BuildError
from .flashing import flash, judged_image, loader_command
from .flow import REPORT, STEPS, Result, build, keep_tool_cache_in, placement_folder, reserved
from .picture import draw
from .progress import Progress
from .releases import difference, last_release, load_release
from .summary import as_json, as_table, core_table, path_lines

PRODUCTS = ("node", "pcm")

DONE, TIMING_MISSED, FAILED, INTERRUPTED = 0, 1, 2, 130

SEEDS = (4, 3, 1, 2, 5, 6, 7, 8)
"""Tried in this order; the first is the one under which the node of these sources meets its clock."""

BOARD_HELP = "\n".join(["boards:", *(f"  {name:20} {board.description}" for name, board in BOARDS.items())])

BUILD_EPILOG = f"""{BOARD_HELP}

what is written to DIR (to DIR/BOARD for another than the product's boards):
  node.bit, pcm.bin    the images; none of a design that missed a clock
  report.json          area by core, timing, critical paths, hashes; a release keeps it as docs/releases/VERSION.json
  area-*.png           a picture of the area by core
  node/, pcm/          everything that the tools read and wrote

exit code: 0 built and fast enough, 1 a clock missed its target, 2 a build failed. Same sources and seed, same bytes.
programming a board: thermogen-build flash --help"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the return value is the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    programming = list(arguments[:1]) == ["flash"]
    options = _flash_parser().parse_args(arguments[1:]) if programming else _parser().parse_args(arguments)
    output: Path = options.output if options.board == PRODUCT else options.output / options.board
    console = Console(stderr=True)
    try:
        chosen = designs(options.product, options.board)
        if programming:
            return _program(chosen[0], output, options, console)
        with reserved(output):
            results = _build_all(chosen, output, options, console)
            _show(results, output, options)
    except BuildError as error:
        console.print(f"thermogen-build: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return FAILED
    except OSError as error:
        console.print(f"thermogen-build: {error}; is {output} writable, and the disk not full?", style="red", markup=False, soft_wrap=True)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return DONE if all(result.met for result in results) else TIMING_MISSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="thermogen-build",
        description="Build the bitstreams: node for the controller node (LIFCL-40), pcm for the power module (iCE40).",
        epilog=BUILD_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "product", nargs="?", default="all", choices=(*PRODUCTS, "all"), help="what to build (default: all that the board carries)"
    )
    _add_board_and_output(parser, "where images, reports and logs go")
    parser.add_argument(
        "--seed",
        type=_seed,
        metavar="N",
        help=f"place with this seed alone (default: {', '.join(map(str, SEEDS))}, until every clock has its margin)",
    )
    parser.add_argument("--against", type=Path, metavar="FILE", help="the report to compare with (default: the last of docs/releases)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead of the tables")
    return parser


def _flash_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="thermogen-build flash",
        description="Program a board with the image that the last build made, through openFPGALoader.",
        epilog=f"{BOARD_HELP}\n\nThe gate drivers' supply has to be off: while it is programmed, an FPGA drives nothing.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("product", choices=PRODUCTS, help="what to program")
    _add_board_and_output(parser, "where it was built")
    parser.add_argument("--cable", default="", metavar="NAME", help="JTAG adapter, as openFPGALoader calls it")
    parser.add_argument("--dry-run", action="store_true", help="only print the command")
    return parser


def _add_board_and_output(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--board", default=PRODUCT, metavar="BOARD", help=f"one of the boards below (default: {PRODUCT})")
    parser.add_argument("--output", type=Path, default=Path("build"), metavar="DIR", help=f"{what} (default: build)")


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{value} is not in 0 … {2**31 - 1}")
    return value


def _program(design: Design, output: Path, options: argparse.Namespace, console: Console) -> int:
    if options.dry_run:
        print(*loader_command(design, judged_image(design, output), options.cable))
    else:
        flash(design, output, options.cable)
        console.print(f"{design.name} is programmed; it runs from the next power-up, or has begun by itself", highlight=False)
    return DONE


def _build_all(chosen: Sequence[Design], output: Path, options: argparse.Namespace, console: Console) -> list[Result]:
    """One after the other: the tools take a core and the working folder each."""
    expected = _seconds_of(output / REPORT)
    (output / REPORT).unlink(missing_ok=True)
    cache = keep_tool_cache_in(options.output)
    if not cache.is_dir():
        console.print("first use: the tools are compiled for this machine, which takes a few minutes", highlight=False)
    results = []
    for design in chosen:
        progress = Progress(design.name, expected.get(design.name, {}))
        with progress.shown(console):
            results.append(build(design, output, SEEDS if options.seed is None else (options.seed,), progress.step))
    return results


def _seconds_of(report: Path) -> Mapping[str, Mapping[str, float]]:
    """How long the steps of an earlier build took, a placement as the last of them; nothing where there is none."""
    try:
        built = json.loads(report.read_text(encoding="utf-8"))["designs"]
        return {name: {**design["seconds"], STEPS[2]: design["attempts"][-1]["seconds"]} for name, design in built.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return {}


def _show(results: Sequence[Result], output: Path, options: argparse.Namespace) -> None:
    report = as_json(results, options.board)
    release, since = _since(report, options.against)
    text = json.dumps(report, indent=2) + "\n"
    partial = output / f"{REPORT}.partial"
    partial.write_text(text, encoding="utf-8")
    partial.replace(output / REPORT)
    for result in results:
        draw(
            f"{result.design} on {result.device}, {report['version']}: area by core",
            result.cores,
            result.area,
            output / f"area-{result.design}.png",
        )
    if options.json:
        sys.stdout.write(text)
        return
    screen = Console()
    if not screen.is_terminal:
        screen = Console(width=160)
    screen.print(as_table(results, since))
    for result in results:
        screen.print(core_table(result, since.get(result.design, {})))
    print(f"changes are since release {release}" if release else "no release of this board to compare with")
    for result in results:
        print(*path_lines(result), sep="\n")
        if result.image:
            print(f"{result.sha256}  {result.image}")
        else:
            folder = output / result.design / placement_folder(result.seed)
            print(f"{result.design}: no image, because a clock is too slow; the packed bits of the nearest placement are in {folder}")


def _since(report: Mapping[str, Any], against: Path | None) -> tuple[str, dict[str, Any]]:
    """The release compared with and the differences by design; empty where there is nothing to compare. Into the report, too."""
    path = against or last_release()
    if path is None:
        return "", {}
    release = load_release(path)
    if release["board"] != report["board"]:
        return "", {}
    since = {name: difference(design, release["designs"][name]) for name, design in report["designs"].items() if name in release["designs"]}
    for name, changes in since.items():
        report["designs"][name]["since"] = {"release": release["version"], **changes}
    return release["version"], since


if __name__ == "__main__":
    sys.exit(main())
