"""A virtual site: compiled gateware, circuit and plant, advanced by clocks or by host link transactions."""

from __future__ import annotations

from .compiler import Progress, site_design, site_library
from .harness import CompiledSite, Stop
from .inputs import InputSource
from .plant import Plant, PlantState
from .sensors import input_ranges

_LONG = 1 << 40


class VirtualSite:
    """`site_time` counts seconds from `start`; nothing moves but in `run` and `transact`. `channels` are those of each module; the plant is
    sized for all of them. With `seal` the node has a key of its own, in a part that keeps it as the site is powered off and on."""

    def __init__(
        self,
        inputs: InputSource,
        state: PlantState,
        start: int,
        clocks_per_site_second: int = 10_000,
        channels: int = 12,
        seed: int = 0,
        progress: Progress = lambda _step: None,
        modules: int = 1,
        seal: bool = False,
    ):
        library = site_library(site_design(clocks_per_site_second, channels, modules, progress, seal), progress)
        ranges = input_ranges(channels * modules)
        self.compiled = CompiledSite(
            library,
            clocks_per_site_second,
            seed,
            bus_v_per_volt=ranges["bus_voltage"].per_volt,
            bus_a_per_volt=ranges["bus_current"].per_volt,
        )
        self.site_time = start
        self.plant = Plant(self.compiled, inputs, state, start, seed)

    @property
    def clocks(self) -> int:
        """Node clocks so far."""
        return self.compiled.clocks

    def run(self, clocks: int) -> None:
        """Advance by exactly `clocks` node clocks."""
        end = self.compiled.clocks + clocks
        while (left := end - self.compiled.clocks) > 0:
            self._passed(self.compiled.run(left))

    def run_seconds(self, seconds: int) -> None:
        """Advance by `seconds` site seconds' worth of clocks."""
        self.run(seconds * self.compiled.clocks_per_site_second)

    def transact(self, request: bytes) -> bytes:
        """One SPI transaction of the host: what COPI carried in, what CIPO carried out. 64 clocks a byte pass."""
        self.compiled.begin(request)
        while not self._passed(self.compiled.run(_LONG)) & Stop.TRANSACTION:
            pass
        return self.compiled.answer()

    def close(self) -> None:
        """Free the model."""
        self.compiled.close()

    def _passed(self, stop: Stop) -> Stop:
        if stop & Stop.SITE_SECOND:
            self.site_time += 1
            self.plant.second(self.site_time)
        return stop
