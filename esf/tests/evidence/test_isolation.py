"""The rules of belief depend on no server: they import no other room, open no socket, run no program and write no file."""

import subprocess
import sys

from thermogen_sim.fleet.attested_day import AttestedDay
from thermogen_sim.fleet.enrolling import Fleet

_PROGRAM = """
import sys

def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if event.startswith(("socket.", "urllib.", "subprocess.", "tempfile.", "os.posix_spawn", "os.system", "os.fork")) or writes:
        raise AssertionError(f"{event} {arguments}")

sys.dont_write_bytecode = True
sys.addaudithook(watch)
from thermogen_esf.evidence.command import main
status = main(sys.argv[1:])
rooms = {name.split(".")[0] for name in sys.modules if name.startswith("thermogen_")}
assert rooms == {"thermogen_esf"}, rooms
forbidden = {"socket", "ssl", "sqlite3", "asyncio", "fastapi", "sqlalchemy", "solders", "paho"} & set(sys.modules)
assert not forbidden, forbidden
sys.exit(status)
"""


def _verified_alone(tmp_path, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout


def test_a_verification_touches_nothing_but_the_two_files(world, credit, tmp_path):
    (tmp_path / "credit.bundle").write_bytes(world.bundle(credit))
    (tmp_path / "trust.json").write_bytes(world.trust.encode())
    _verified_alone(tmp_path, "credit.bundle", "--trust", "trust.json")


def test_the_verification_of_an_attested_day_touches_nothing_but_its_files(tmp_path):
    fleet = Fleet.of(5, 5)
    fleet.changes = {"tz-0000": {"nameplate_w": 1_140 * 9}}
    day = AttestedDay(fleet, epochs=2)
    day.measure()
    day.witness()
    day.history_mj = (day.outcome.energy_mj,) * 30
    del day.outcome
    for name, data in (("bundle", day.bundle().encode()), ("root", fleet.root.encode()), ("frames", day.frames())):
        (tmp_path / name).write_bytes(data)
    _verified_alone(tmp_path, "bundle", "--root", "root", "--frames", "frames")
