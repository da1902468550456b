"""What has to hold at the pins of a whole power module, as large as the product's, whatever comes in by the others."""

from __future__ import annotations

from amaranth.hdl import Module

from .mutant import Mutant
from .proof import Property, Task
from .spec import Spec, internal

CHANNELS, CONVERTERS = 36, 3


class Pins(Spec):
    """A gate needs kill wire and supply without a clock, and link, enable and its own converter."""

    def build(self, m: Module) -> None:
        from thermogen_gateware.pcm import Pcm

        core = Pcm(CHANNELS, CONVERTERS)
        inside = self.around(core)
        gates = core.pwm_hi | core.pwm_lo
        on = gates.any() | core.driver_enable
        self.always(~on | (core.run & core.supply_good), "on against the kill wire or without supply")
        self.always(~on | (internal(inside, "link.valid") & internal(inside, "link.enable")), "on without link or enable")
        believed = internal(inside, "reference.believed")
        for converter in range(CONVERTERS):
            own = gates[12 * converter : 12 * (converter + 1)]
            self.always(~own.any() | believed[converter], "a channel is on whose converter is not believed")
        self.possible(gates.all() & core.driver_enable)


PROPERTIES = (
    Property(
        name="module_pins",
        core="pcm",
        says="At the module's pins no gate and no driver is on, without waiting for a clock, while the kill wire is low or the supply bad; "
        "nor without link and enable, nor a channel whose converter is not believed.",
        parameters="36 channels, 3 converters, 48 MHz",
        spec=Pins,
        mutant=Mutant("the gates do not see the kill wire", "pcm", "pwm.run.eq(release.gate)", "pwm.run.eq(1)"),
        depth=2,
        reach=2,
        anywhere=frozenset({Task.COVER, Task.REFUTE}),
    ),
)
