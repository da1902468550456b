# amaranth: UnusedElaboratable=no
"""What has to hold of the counters of energy and gas, whatever is measured."""

from __future__ import annotations

from amaranth.hdl import Module, Shape, Signal, signed

from .mutant import Mutant
from .proof import Property, Task
from .spec import Spec, internal

CHANNELS, MODULES = 36, 3
SUM_BITS = 21
"""Of the tracker's `channel_sum` for so many channels."""
SAMPLES_MOST = (1 << 20) - 1


class NoWrap(Spec):
    """A counter moves by what is added to it and no further, or stays and says so; the sum of a second holds every sample there can be."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.energy import Energy
        from thermogen_gateware.tracker import Tracker

        shape = Shape.cast(Tracker(CHANNELS, MODULES).sum_shape)
        assert shape == signed(SUM_BITS), f"the product's sum is {shape}: prove it for that"
        core = Energy(shape)
        inside = self.around(core)
        reset = self.past(self.domain.rst)
        said = self.past(core.saturated) & ~reset
        self.always(~said | core.saturated, "what was said of a counter is taken back")

        # As signed numbers with room for a carry, each counter's step is the amount, whose own bounds are far below the counter's.
        for name, counter, most in (("bus", core.bus_energy, 1 << 31), ("gas", core.gas_volume, (1 << 16) - 1)):
            before = self.past(counter)
            step = Signal(signed(len(counter) + 2), name=f"{name}_step")
            m.d.comb += step.eq(counter - before)
            self.always(reset | ((step <= most) & (step >= -most)), f"{name}: the counter moved further than anything adds")
        gas_before = self.past(core.gas_volume)
        self.always(reset | (core.gas_volume >= gas_before), "the gas meter ran backwards")
        self.always(reset | (core.electrical_energy >= self.past(core.electrical_energy)), "the energy meter ran backwards")
        energy, made_good = core.electrical_energy, internal(inside, "made_good")
        self.always((energy[-1] == 0) & (reset | (energy == self.past(energy)) | (energy == self.past(made_good))), "energy out of nothing")

        # The sum that electrical energy follows stands still, and with it the other two.
        for counter in (made_good, core.bus_energy, core.gas_volume):
            self.always(reset | self.past(core.counts) | (counter == self.past(counter)), "a second that does not count moved a counter")

        # A second's sum: each sample is less than 2^SUM_BITS after its bias, and they are counted.
        running, samples = internal(inside, "running"), internal(inside, "running_samples")
        closed, closed_samples = internal(inside, "closed"), internal(inside, "closed_samples")
        for total, count in ((running, samples), (closed, closed_samples)):
            self.always(total <= (count << SUM_BITS), "a sum is more than its samples can be")
        again = self.past(core.channel_strobe & ~core.pulse)
        self.always(reset | ~again | (samples > self.past(samples)) | (samples == SAMPLES_MOST), "samples are counted anew in a second")
        full = self.past(samples) == SAMPLES_MOST
        self.always(reset | ~again | ~full | (running == self.past(running)), "the sum goes on without being counted")
        self.possible(core.saturated)
        self.possible(core.done & (core.bus_energy < 0))


PROPERTIES = (
    Property(
        name="no_wrap",
        core="energy",
        says="No counter of energy or gas wraps: it moves by at most what is added, energy and gas never backwards; at its end it stays "
        "and says so. A second that does not count moves none. The sums of a second hold every sample that is counted.",
        parameters=f"{CHANNELS * MODULES} channels ({SUM_BITS} bits of sum)",
        spec=NoWrap,
        mutant=Mutant("a counter at its end goes on", "energy", "with m.If(kept == after):", "with m.If(C(1)):"),
        depth=3,
        reach=4,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
    ),
)
