"""Programming a board through openFPGALoader, which is not ours and not from PyPI: it is used where it is installed.

Only an image that the last build published is programmed: one that has changed since is refused, so that nobody flashes what nobody
has judged. LIFCL images go to the configuration flash behind the FPGA, over JTAG; iCE40 images straight to the flash.
Reference: openFPGALoader's documentation, "Boards" and "Lattice notes".
"""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import subprocess
from pathlib import Path

from .design import Design
from .errors import BuildError
from .flow import REPORT

LOADER = "openFPGALoader"
CABLE = "--cable"


class LoaderMissingError(BuildError):
    """The program that writes to a board is not installed."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        super().__init__(
            f"{LOADER} is not installed, so nothing was programmed. Install it (Debian and Ubuntu: apt install openfpgaloader; macOS: "
            "brew install openfpgaloader; otherwise https://github.com/trabucayre/openFPGALoader) and try again; it will run\n"
            f"  {shlex.join(command)}"
        )


class LoaderFailedError(BuildError):
    """The program that writes to a board did not succeed; it has said why above."""

    def __init__(self, command: list[str], code: int) -> None:
        self.command, self.code = command, code
        super().__init__(f"{shlex.join(command)}\nended with code {code}; is the board connected and powered, may you use its USB device?")


class ImageMissingError(BuildError):
    """There is no image of this product: it was not built for this board, or a clock was too slow."""

    def __init__(self, design: str, report: Path) -> None:
        self.design, self.report = design, report
        super().__init__(f"{report} has no image of {design}; build it first, with the same --board and --output")


class ImageChangedError(BuildError):
    """The image is not the one that was built."""

    def __init__(self, image: Path) -> None:
        self.image = image
        super().__init__(f"{image} is not what the last build made: its SHA-256 is not the report's; build it again")


def loader_command(design: Design, image: Path, cable: str = "") -> list[str]:
    """The command that programs `image`; `cable` is the JTAG adapter, where it is not the one that the design names."""
    loader = list(design.loader)
    if cable and CABLE in loader:
        loader[loader.index(CABLE) + 1] = cable
    elif cable:
        loader += [CABLE, cable]
    return [LOADER, *loader, str(image)]


def judged_image(design: Design, output: Path) -> Path:
    """The image of `design` as the last build into `output` published it. Raises ImageMissingError or ImageChangedError."""
    report = output / REPORT
    try:
        entry = json.loads(report.read_text(encoding="utf-8"))["designs"][design.name]
        image, sha256 = output / str(entry["image"]), entry["sha256"]
        content = image.read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageMissingError(design.name, report) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ImageChangedError(image)
    return image


def flash(design: Design, output: Path, cable: str = "") -> None:
    """Program the board with the last build's image. Raises a subclass of BuildError where that did not happen."""
    command = loader_command(design, judged_image(design, output), cable)
    if shutil.which(LOADER) is None:
        raise LoaderMissingError(command)
    code = subprocess.run(command, check=False).returncode
    if code != 0:
        raise LoaderFailedError(command, code)
