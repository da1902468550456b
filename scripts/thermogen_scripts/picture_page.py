"""`make picture`: docs/page.png, the cloud's page as a demonstration left it.

    DEMO_FAULT=no-approval make demo; make picture    # the picture in the README: its mint waits for an approver

Broker and cloud of the demonstration are started again over its run directory, and headless Chromium looks at the page.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from selenium import webdriver

from .demo import DEFAULTS
from .launch import require_free_ports, start_broker, start_cloud
from .processes import ProcessError, StopRequestedError, Supervisor, told_to_stop
from .provision import ProvisionError, provision
from .run_directory import DEMONSTRATION, RunDirectoryError, owned
from .settings import SettingError, read_settings
from .world import World

PICTURE = Path(__file__).parents[2] / "docs" / "page.png"
WIDTH, FIRST_HEIGHT = 1280, 900
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")


def picture(address: str, path: Path) -> None:
    """The whole page at `address` as a PNG at `path`."""
    options = webdriver.ChromeOptions()
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.binary_location = _installed("chromium")
        browser = webdriver.Chrome(options, webdriver.ChromeService(_installed("chromedriver")))
        try:
            browser.get(address)
            height = FIRST_HEIGHT
            for _ in range(2):  # as high as the window at first, then as high as what is in it
                screen = {"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False}
                browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
                height = browser.execute_script("return document.documentElement.scrollHeight")
            browser.save_screenshot(str(path))
        finally:
            browser.quit()


def picture_demonstration(world: World, path: Path) -> None:
    """Starts broker and cloud of `world`, which a demonstration has filled, and pictures the page."""
    if not (world.settings.run_dir / DEMONSTRATION).exists():
        raise RunDirectoryError(f"{world.settings.run_dir} is not a demonstration's: run `make demo` first, or set THERMOGEN_RUN_DIR")
    require_free_ports(world)
    provision(world)
    with Supervisor(world.settings.run_dir / "logs") as supervisor:
        start_broker(world, supervisor)
        start_cloud(world, supervisor)
        password = world.viewer_password_file.read_text().strip()
        picture(world.page.replace("//", f"//{world.settings.viewer}:{password}@", 1), path)


def _installed(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ProcessError(f"{name} is not installed: run `make setup`")
    return found


def main() -> int:
    """The picture in docs/, of the demonstration in THERMOGEN_RUN_DIR."""
    try:
        with told_to_stop():
            world = World(read_settings(os.environ, DEFAULTS))
            with owned(world.settings.run_dir):
                picture_demonstration(world, PICTURE)
    except (SettingError, RunDirectoryError, ProvisionError, ProcessError, StopRequestedError, OSError) as error:
        print(f"picture: {error}", file=sys.stderr)
        return 1
    print(f"written: {PICTURE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
