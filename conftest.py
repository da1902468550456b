"""What holds for every room's tests."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")  # a busy machine is no failure


@pytest.fixture
def on_a_full_disk(tmp_path: Path) -> Callable[[Path, str, dict[str, str]], "subprocess.CompletedProcess[str]"]:
    """Runs a shell script in a folder whose disk has no space left; `rm ballast` makes room again.

    The disk is one in memory with the folder's files, mounted over it for the script alone: others see nothing of it.
    """
    disk = tmp_path / "full-disk"
    disk.mkdir()
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]
    if subprocess.run([*alone, *mount], capture_output=True, check=False).returncode != 0:
        pytest.skip("WHAT A FULL DISK DOES IS NOT TESTED: a mount of its own needs root, or user namespaces")
    fill = 'cp -a . "$1" && mount --bind "$1" "$2" && cd "$2" && { cat /dev/zero >ballast 2>/dev/null || true; }'

    def run(folder: Path, script: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        command = [*alone, "sh", "-c", f'mount -t tmpfs -o size=4m tmpfs "$1" && {fill} && eval "$3"', "sh", disk, folder, script]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120)

    return run
