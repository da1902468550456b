"""Fixtures of the simulator's tests."""

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from thermogen_esf.frames import Telemetry
from thermogen_esf.hostlink import (
    CONTROL_REGISTERS,
    EPOCH_BASE,
    EPOCH_RECORD,
    EPOCH_RECORD_WORDS,
    EPOCH_RING,
    IMAGE_WORDS,
    STATUS_BASE,
    STATUS_REGISTERS,
    STATUS_WORDS,
)
from thermogen_esf.hostlink_codec import Request, build_transaction, parse_response
from thermogen_sim.compiler import SiteDesign, site_library
from thermogen_sim.electrical import Electrical
from thermogen_sim.harness import CompiledSite
from thermogen_sim.models import library, run_averaged


class EchoNode(wiring.Component):
    """Answers the byte before, on SPI mode 0; byte 0 is the number of pulses seen; runs the module when told 0xA5 first."""

    host_sclk: In(1)
    host_cs_n: In(1, init=1)
    host_copi: In(1)
    host_cipo: Out(1)
    module_sclk: Out(1)
    module_cs_n: Out(1, init=1)
    module_copi: Out(1)
    module_cipo: In(1)
    module_run: Out(1)
    adc_sclk: Out(1)
    adc_cs_n: Out(1, init=1)
    adc_copi: Out(1)
    adc_cipo: In(1)
    pulse: In(1)
    ov_comparator: In(1)
    led_link: Out(1)
    led_trip: Out(1)

    def elaborate(self, _platform):
        m = Module()
        sclk, cs_n, copi, pulse = Signal(3), Signal(3, init=7), Signal(3), Signal(3)
        m.d.sync += [
            sclk.eq(Cat(self.host_sclk, sclk)),
            cs_n.eq(Cat(self.host_cs_n, cs_n)),
            copi.eq(Cat(self.host_copi, copi)),
            pulse.eq(Cat(self.pulse, pulse)),
        ]
        pulses, received, out, bit = Signal(8), Signal(8), Signal(8), Signal(3)
        m.submodules.heard = heard = Memory(shape=8, depth=16, init=[])
        write, read = heard.write_port(), heard.read_port()
        place = Signal(4)
        m.d.comb += [write.addr.eq(place), write.data.eq(Cat(copi[1], received)), read.addr.eq(place)]
        with m.If(pulse[1] & ~pulse[2]):
            m.d.sync += pulses.eq(pulses + 1)
        m.d.comb += self.host_cipo.eq(out[7])
        with m.If(cs_n[1]):
            m.d.sync += [bit.eq(0), out.eq(pulses)]
        with m.Elif(sclk[1] & ~sclk[2]):
            m.d.sync += received.eq(Cat(copi[1], received))
            m.d.comb += write.en.eq(bit == 7)
        with m.Elif(~sclk[1] & sclk[2]):
            m.d.sync += [bit.eq(bit + 1), out.eq(out << 1)]
            with m.If(bit == 7):
                m.d.sync += [out.eq(read.data), place.eq(place + 1)]
        with m.If(received == 0xA5):
            m.d.sync += self.module_run.eq(1)
        m.d.comb += [self.module_sclk.eq(pulses[0]), self.led_trip.eq(self.ov_comparator)]
        return m


class FixedModule(wiring.Component):
    """Channel k switches its high side on for 24 + 8 k of 480 counts while `run`, low sides off."""

    link_sclk: In(1)
    link_cs_n: In(1, init=1)
    link_copi: In(1)
    link_cipo: Out(1)
    run: In(1)
    adc_sclk: Out(1)
    adc_cs_n: Out(1, init=1)
    adc_copi: Out(1)
    adc_cipo: In(1)
    pwm_hi: Out(12)
    pwm_lo: Out(12)
    driver_enable: Out(1)

    def elaborate(self, _platform):
        m = Module()
        count = Signal(range(480))
        with m.If(count == 479):
            m.d.sync += count.eq(0)
        with m.Else():
            m.d.sync += count.eq(count + 1)
        for channel in range(12):
            m.d.sync += self.pwm_hi[channel].eq(count < 24 + 8 * channel)
        m.d.comb += [self.driver_enable.eq(self.run), self.link_cipo.eq(self.link_sclk)]
        return m


class PhasedModule(FixedModule):
    """The same with each channel's carrier 40 counts behind the one before, the on-time in its middle, and a supply supervisor."""

    supply_good: In(1)

    def elaborate(self, _platform):
        m = Module()
        for channel in range(12):
            high = 24 + 8 * channel
            carrier = Signal(range(480), name=f"carrier_{channel}", init=(480 - 40 * channel) % 480)
            m.d.sync += carrier.eq(Mux(carrier == 479, 0, carrier + 1))
            m.d.sync += self.pwm_hi[channel].eq((carrier >= 240 - high // 2) & (carrier < 240 + high // 2))
        m.d.comb += [self.driver_enable.eq(self.run & self.supply_good), self.link_cipo.eq(self.link_sclk)]
        return m


@pytest.fixture(scope="session")
def models() -> ctypes.CDLL:
    """The compiled chip and circuit models."""
    return library()


@pytest.fixture
def run_circuit() -> Callable[[Electrical, list[int], list[int], int], None]:
    """Step a circuit for some PWM periods with fixed high and low side counts (of 480) of each channel."""
    return run_averaged


@pytest.fixture(scope="session")
def small_designs() -> SiteDesign:
    """Designs with the pins of node and power module that echo, count and switch, and compile in seconds."""
    node, pcm = rtlil.convert(EchoNode(), name="tz_node", emit_src=False), rtlil.convert(FixedModule(), name="tz_pcm", emit_src=False)
    return SiteDesign(node, pcm, channels=12)


@pytest.fixture
def small_site(small_designs: SiteDesign) -> Iterator[CompiledSite]:
    """The small designs compiled into a site of 10,000 clocks a site second."""
    site = CompiledSite(site_library(small_designs), 10_000, seed=1, bus_v_per_volt=26.2144, bus_a_per_volt=65.536)
    yield site
    site.close()


@pytest.fixture
def phased_site(small_designs: SiteDesign) -> Iterator[CompiledSite]:
    """The same site with a module whose carriers are in twelve phases."""
    pcm = rtlil.convert(PhasedModule(), name="tz_pcm", emit_src=False)
    design = replace(small_designs, pcm_rtlil=pcm, slot_delay_counts=40, supply_good=True)
    site = CompiledSite(site_library(design), 10_000, seed=1, bus_v_per_volt=26.2144, bus_a_per_volt=65.536)
    yield site
    site.close()


@pytest.fixture
def series_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a series' text to a file."""

    def write(text: str) -> Path:
        path = tmp_path / "series.csv"
        path.write_text(text)
        return path

    return write


class Host:
    """The Linux side of a node: registers, leaves and epochs over a function that makes transactions."""

    def __init__(self, transact: Callable[[bytes], bytes]):
        self._transact = transact
        self._tag = 0

    def ask(self, request: Request) -> bytes:
        """The data of the answer."""
        return parse_response(request, self._transact(build_transaction(request)))

    def status(self) -> dict[str, int]:
        """All status registers by name."""
        data = self.ask(Request.read(self._next_tag(), STATUS_BASE, STATUS_WORDS))
        return {
            name: int.from_bytes(data[2 * (address - STATUS_BASE) : 2 * (address - STATUS_BASE + size)], "big")
            for name, (address, size) in STATUS_REGISTERS.items()
        }

    def control(self, name: str, value: int) -> None:
        """Write a control register."""
        address, size = CONTROL_REGISTERS[name]
        self.ask(Request.write(self._next_tag(), address, [value >> 16 & 0xFFFF, value & 0xFFFF][-size:]))

    def start(self, site_time: int, sequence: int = 0) -> None:
        """Set the time, arm, enable, and be heard once: 5 s of clock time are some 25,000 of these sites' seconds."""
        self.control("time_set", site_time)
        self.control("sequence_start", sequence)
        self.control("arm", 1)
        self.control("heartbeat", 1)
        self.control("enable", 1)

    def image(self) -> Telemetry:
        """The telemetry of the last whole site second."""
        return Telemetry(self.ask(Request.read(self._next_tag(), 0, IMAGE_WORDS)))

    def leaf(self, sequence: int) -> bytes:
        """A leaf by its sequence number."""
        return self.ask(Request.leaf(self._next_tag(), sequence))

    def epoch(self, number: int) -> dict[str, int]:
        """The record of the number-th epoch since power-up; `root` as an integer."""
        words = max(start + size for start, size in EPOCH_RECORD.values())
        data = self.ask(Request.read(self._next_tag(), EPOCH_BASE + number % EPOCH_RING * EPOCH_RECORD_WORDS, words))
        return {name: int.from_bytes(data[2 * start : 2 * (start + size)], "big") for name, (start, size) in EPOCH_RECORD.items()}

    def _next_tag(self) -> int:
        self._tag = (self._tag + 1) & 0xFF
        return self._tag


@pytest.fixture(scope="session")
def host() -> Callable[[Callable[[bytes], bytes]], Host]:
    """Makes a host from a function that makes transactions."""
    return Host
