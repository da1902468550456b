"""A site as a process: one simulation, its servers, its pace and its saved state in one asyncio loop.

The simulation runs in slices of a few milliseconds and the sockets are served between them, so that whoever asks waits for one
slice at most. The site powers up when the first host connects (FPGA and Linux side share a supply) and runs at 1 site second a wall
second until the node's clock is set, which is seen on the host link; from then on at the pace that was asked for.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from thermogen_esf.hostlink import CONTROL_REGISTERS, Opcode
from thermogen_esf.hostlink_codec import HostLinkFrameError, parse_request, parse_response

from .burner_server import BurnerServer
from .clock_server import ClockServer
from .compiler import Progress
from .host_link_server import HostLinkServer
from .inputs import InputSource, OrdinaryDay
from .pacing import Pacer
from .plant import cold_state, warm_state
from .run_directory import RunDirectory
from .site import VirtualSite

CHANNELS = 12
"""Power channels of a module of the virtual site unless asked otherwise: one converter's."""
MODULES = 1
SLICE_S = 0.005
SAVE_INTERVAL_S = 10.0
STATUS_INTERVAL_S = 1.0
_LONGEST_NAP_S = 0.02
_LEAST_RESERVE_S = 30
_RESERVE_AT_FULL_SPEED_S = 3_600
_TIME_SET = CONTROL_REGISTERS["time_set"][0]


@dataclass(frozen=True)
class Settings:
    """What `thermogen-sim site` was asked for. `pace` None is as fast as possible, `start` None now or the series' beginning; ports None
    leave that server out."""

    name: str
    run_dir: Path
    host_link: Path
    rtu_port: int | None = None
    clock_port: int | None = None
    clocks_per_site_second: int = 10_000
    start: int | None = None
    pace: float | None = 1.0
    warm: bool = True
    inputs: InputSource | None = None
    seed: int = 0
    channels: int = CHANNELS
    """Of each module."""
    modules: int = MODULES
    seal: bool = False
    """Whether the node has a key of its own."""


class SiteService:
    """Runs until `stop` is called or SIGTERM or SIGINT comes. `report` gets a JSON line a wall second."""

    def __init__(self, settings: Settings, progress: Progress, report: Callable[[str], None]):
        self._settings = settings
        self._report = report
        self._directory = RunDirectory(settings.run_dir, settings.name)
        channels = settings.channels * settings.modules
        inputs = settings.inputs or OrdinaryDay.for_channels(channels)
        saved = self._directory.load()
        if saved is not None:
            start, state = saved.site_time, saved.plant
        else:
            start = settings.start if settings.start is not None else int(time.time())
            first = inputs.at(start)
            state = warm_state(first, channels, settings.seed) if settings.warm else cold_state(first)
        self._site = VirtualSite(
            inputs,
            state,
            start,
            settings.clocks_per_site_second,
            settings.channels,
            settings.seed,
            progress,
            settings.modules,
            settings.seal,
        )
        kept = self._directory.load_key_part() if settings.seal else None
        if kept is not None:
            self._site.compiled.key_part = kept
        self._key_part_changes = 0
        self._pacer = Pacer(settings.clocks_per_site_second, 0, 1.0)
        self._powered = asyncio.Event()
        self._ended = asyncio.Event()
        self._time_valid = False
        self._slice_clocks = 2_000
        reserve = _RESERVE_AT_FULL_SPEED_S if settings.pace is None else int(settings.pace * SAVE_INTERVAL_S * 1.5)
        self._reserve_s = max(_LEAST_RESERVE_S, reserve)
        self._host_link = HostLinkServer(settings.host_link, self._transact, self._powered.set)
        self._clock = None if settings.clock_port is None else ClockServer(settings.clock_port, start)
        self._burner = None if settings.rtu_port is None else BurnerServer(settings.rtu_port, self._site.plant.readings)

    def stop(self) -> None:
        """End in order: state saved, sockets closed."""
        self._ended.set()

    async def run(self) -> None:
        """Serve and simulate until stopped."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        servers = [server for server in (self._burner, self._clock, self._host_link) if server is not None]
        started: list[BurnerServer | ClockServer | HostLinkServer] = []
        try:
            for server in servers:
                await server.start()
                started.append(server)
            self._save()
            ready = {"ready": self._settings.name, "site_time": self._site.site_time, "host_link": str(self._settings.host_link)}
            self._report(json.dumps(ready))
            await self._simulate()
            self._save(clean=True)
        finally:
            for server in reversed(started):
                await server.stop()
            self._site.close()
            self._directory.close()

    async def _simulate(self) -> None:
        waiting = [asyncio.ensure_future(event.wait()) for event in (self._powered, self._ended)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        self._set_pace()  # from now on; the host may have set the clock already while this task slept
        next_status = time.monotonic()
        next_save = next_status + SAVE_INTERVAL_S
        while not self._ended.is_set():
            self._slice()
            now = time.monotonic()
            if self._clock is not None:
                self._clock.tick(self._site.site_time)
            if now >= next_save:
                self._save()
                next_save = now + SAVE_INTERVAL_S
            if now >= next_status:
                self._report(json.dumps(self._status()))
                next_status = max(next_status + STATUS_INTERVAL_S, now)
            await asyncio.sleep(min(_LONGEST_NAP_S, self._pacer.ahead_s(self._site.clocks)))

    def _slice(self) -> None:
        clocks = self._pacer.due(self._site.clocks, self._slice_clocks)
        if clocks == 0:
            return
        self._make_room(clocks)
        began = time.monotonic()
        self._site.run(clocks)
        self._keep_key_part()
        took = time.monotonic() - began
        if clocks == self._slice_clocks:
            # Towards slices of SLICE_S, slowly: another process may have had the processor meanwhile.
            wanted = self._slice_clocks * SLICE_S / max(took, 1e-6)
            self._slice_clocks = max(500, min(100_000, int(0.9 * self._slice_clocks + 0.1 * wanted)))

    def _transact(self, request: bytes) -> bytes:
        self._make_room(len(request) * 64 + 64)
        answer = self._site.transact(request)
        self._keep_key_part()
        if not self._time_valid and _sets_time(request, answer):
            self._time_valid = True
            self._set_pace()
        return answer

    def _set_pace(self) -> None:
        self._pacer.change(self._settings.pace if self._time_valid else 1.0, self._site.clocks)

    def _make_room(self, clocks: int) -> None:
        """Save first where the next clocks would pass the seconds that the last save reserved."""
        if self._site.site_time + clocks // self._settings.clocks_per_site_second + 2 >= self._directory.ceiling:
            self._save()

    def _save(self, clean: bool = False) -> None:
        self._directory.save(self._site.site_time, self._site.plant.state(), self._reserve_s, clean)

    def _keep_key_part(self) -> None:
        """A process that is killed must not take the node's counters back: what they led to may have been read."""
        changes = self._site.compiled.key_part_changes
        if changes != self._key_part_changes:
            self._directory.save_key_part(self._site.compiled.key_part)
            self._key_part_changes = changes

    def _status(self) -> dict[str, object]:
        plant, circuit = self._site.plant, self._site.compiled.electrical
        return {
            "site_time": self._site.site_time,
            "clocks": self._site.clocks,
            "bus_mv": round(circuit.bus_v * 1000),
            "power_w": round(plant.means.output_w, 1),
            "load_w": round(plant.means.load_w, 1),
            "battery_percent": round(100 * plant.battery.charge, 1),
            "gas_mcf_d": round(plant.flows.gas_mcf_d, 3),
            "hot_supply_degc": round(plant.thermal.state.hot_supply_degc, 1),
            "time_valid": self._time_valid,
            "host_connected": self._host_link.client is not None,
        }


def _sets_time(sent: bytes, received: bytes) -> bool:
    """Whether a transaction has set the node's clock."""
    try:
        request = parse_request(sent)
        parse_response(request, received)
    except HostLinkFrameError:
        return False
    return request.opcode is Opcode.WRITE and request.address <= _TIME_SET < request.address + request.count
