import socket
import sys
from pathlib import Path

import pytest
from thermogen_scripts.processes import PortInUseError, ProcessError, Supervisor, require_alive, require_free_port, wait_until

SLEEPER = [sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"]
STUBBORN = [sys.executable, "-c", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"]


def test_leaving_the_supervisor_stops_everything_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thermogen_scripts.processes.STOP_S", 0.5)
    with Supervisor(tmp_path / "logs") as supervisor:
        running = [supervisor.start("polite", SLEEPER), supervisor.start("stubborn", STUBBORN)]
        wait_until(lambda: all(item.last_lines() == "up" for item in running), "both are up", 20, running)
    assert [item.process.returncode for item in running] == [-15, -9]


def test_a_process_that_ends_by_itself_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Supervisor(tmp_path / "logs") as supervisor:
        running = supervisor.start("broken", [sys.executable, "-c", "raise SystemExit('no such thing')"])
        running.process.wait()
        with pytest.raises(ProcessError, match=r"broken ended by itself with exit code 1(.|\n)*no such thing"):
            require_alive([running])


def test_a_condition_that_never_holds_says_what_was_awaited(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="the moon rises: not within"):
        wait_until(lambda: False, "the moon rises", 0.1)


def test_a_port_in_use_says_which_setting_moves_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {port} is in use.*THERMOGEN_CLOUD_PORT"):
            require_free_port(port, "THERMOGEN_CLOUD_PORT")
