"""Status copied word by word: each copy is of one instant, the host's of its own, whoever comes in between."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator
from thermogen_gateware.status_words import COPY_CLOCKS, STEPS, FrozenWords, StatusSteps

PLACES = {0: ("a", 1), 1: ("a", 0), 57: ("b", 0), STEPS - 2: ("c", 0)}
WIDTHS = {"a": 32, "b": 16, "c": 12}


class Bench:
    """Values that are all the number of the clock, and the words of each copy that was whole."""

    def __init__(self):
        self.steps, self.frozen = StatusSteps(), FrozenWords(WIDTHS, PLACES)
        self.host, self.second = {}, {}
        self.clock, self.ended = 0, 0

    def run(self, script):
        async def watch(ctx):
            steps, place = self.steps.steps, None
            signals = (steps.step, steps.for_host, steps.for_second, steps.ends, self.frozen.word)
            async for _, _, step, for_host, for_second, ends, word in ctx.tick().sample(*signals):
                if place is not None:
                    for kept, copies in ((self.host, place[1]), (self.second, place[2])):
                        if copies:
                            kept[place[0]] = word
                    if place[0] not in PLACES:
                        assert word == 0
                place = (step, for_host, for_second)
                self.ended += ends
                self.clock += 1
                for name in WIDTHS:
                    ctx.set(getattr(self.frozen, name), self.clock << 16 | self.clock if name == "a" else self.clock)

        top = Module()
        top.submodules.steps, top.submodules.frozen = self.steps, self.frozen
        wiring.connect(top, self.steps.steps, self.frozen.steps)
        simulator = Simulator(top)
        simulator.add_clock(20e-9)
        simulator.add_testbench(watch, background=True)
        simulator.add_testbench(script)
        simulator.run()

    async def freeze(self, ctx):
        """The clock that the host's copy is to be of."""
        clock = self.clock
        ctx.set(self.steps.freeze, 1)
        await ctx.tick()
        ctx.set(self.steps.freeze, 0)
        return clock

    async def take(self, ctx):
        ctx.set(self.steps.take, 1)
        while True:
            _, _, frozen = await ctx.tick().sample(self.steps.steps.freezes)
            if frozen:
                break
        ctx.set(self.steps.take, 0)

    def of(self, kept):
        """The one clock that all words of a copy are of."""
        (clock,) = {kept[place] for place in PLACES}
        return clock


def test_a_copy_is_of_the_clock_in_which_it_was_frozen():
    bench = Bench()

    async def script(ctx):
        await ctx.tick().repeat(3)
        clock = await bench.freeze(ctx)
        await ctx.tick().repeat(COPY_CLOCKS)
        assert bench.of(bench.host) == clock
        assert not bench.second and not bench.ended

    bench.run(script)


def test_the_host_comes_first_and_the_second_is_whole_all_the_same():
    for between in (-STEPS - 3, -STEPS, -STEPS // 2, -1, 1, 2, STEPS // 2, STEPS - 2, STEPS - 1, STEPS, STEPS + 3):
        bench = Bench()

        async def script(ctx, bench=bench, between=between):
            await ctx.tick().repeat(3)
            if between < 0:
                clock = await bench.freeze(ctx)
                await ctx.tick().repeat(-between)
                await bench.take(ctx)
            else:
                await bench.take(ctx)
                await ctx.tick().repeat(between)
                clock = await bench.freeze(ctx)
            await ctx.tick().repeat(2 * COPY_CLOCKS)
            assert bench.of(bench.host) == clock
            # What was under way is begun again with the host's; what was over stays.
            assert (bench.of(bench.second) == clock) == (0 <= between < STEPS)
            assert bench.ended == 1

        bench.run(script)


def test_the_second_is_not_of_what_is_half_written():
    for begins in range(1, STEPS, 7):
        bench = Bench()

        async def script(ctx, bench=bench, begins=begins):
            await ctx.tick().repeat(3)
            await bench.take(ctx)
            await ctx.tick().repeat(begins)
            ctx.set(bench.steps.hold, 1)
            await ctx.tick().repeat(20)
            written = bench.clock
            ctx.set(bench.steps.hold, 0)
            await ctx.tick().repeat(COPY_CLOCKS)
            assert bench.of(bench.second) == written - 1
            assert bench.ended == 1

        bench.run(script)
