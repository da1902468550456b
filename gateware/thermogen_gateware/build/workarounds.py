"""Every departure from the stock FPGA flow, in one place, each with its public issue and the test that says when it can go.

Versions that these are about: yosys 0.70, nextpnr 0.11 (nexus and ice40), Project Oxide, all as WebAssembly. iCE40 needs none of the
design transforms; it shares the ones that concern running, timing targets and reproducibility. `WORKAROUNDS` is the list; a canary
builds the smallest failing case without the workaround and passes as long as the tool fails on it.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workaround:
    """One departure, for whoever wants to be rid of it."""

    letter: str
    about: str
    symptom: str
    issues: tuple[str, ...]
    """Public issues; empty where none was found, and then `origin` says what is known."""
    canary: str
    """Name of the test in `test_build_canaries.py` that fails when the tool is mended."""
    code: tuple[str, ...]
    """Names in this module that go with it."""
    origin: str = ""


WORKAROUNDS = (
    Workaround(
        "A",
        "carry chains (LIFCL)",
        "`CCU2 … CIN net … driven by non-CCU2 cell … VLO` for anything wider than four bits",
        ("YosysHQ/yosys#5639", "YosysHQ/yosys#4081", "YosysHQ/nextpnr#1261"),
        "test_canary_a_the_synthesiser_still_ties_the_head_of_a_carry_chain",
        ("CARRY_TECHMAP_FILE", "CARRY_TECHMAP", "AFTER_SYNTHESIS_NEXUS"),
    ),
    Workaround(
        "B",
        "ports of several bits (LIFCL)",
        "nextpnr-nexus never ends and writes nothing",
        (),
        "test_canary_b_the_placer_still_hangs_on_a_bracket_in_a_port_name",
        ("brace_bus_ports",),
        "no issue found; nextpnr's nexus/pdc.cc ends a name at its first `]`, and its loop over the lines never gets past the second",
    ),
    Workaround(
        "C",
        "router (LIFCL)",
        "`Failed to route arc … to … DCC` on larger designs",
        ("YosysHQ/nextpnr#1317",),
        "test_canary_c_the_router_still_looks_for_the_oscillators_clock_in_too_small_a_box",
        ("ROUTER_SETTINGS", "with_router_settings"),
        "the issue is closed, its words are those that 0.11 still ends with",
    ),
    Workaround(
        "D",
        "clock constraints",
        "a design that is far too slow is reported as `PASS at 12 MHz`",
        ("YosysHQ/nextpnr#324", "YosysHQ/nextpnr#1335", "amaranth-lang/amaranth#201"),
        "test_canary_d_a_clock_constraint_on_a_pin_still_ends_at_its_buffer",
        ("frequency_arguments", "without_clocks"),
    ),
    Workaround(
        "E",
        "the working folder and slash tmp",
        "`File … not found` for a file that is there",
        (),
        "test_canary_e_a_tool_still_does_not_see_slash_tmp",
        ("inside",),
        "no issue found; the WebAssembly runtime of the tools (yowasp-runtime) mounts a folder of its own as /tmp, on purpose",
    ),
    Workaround(
        "F",
        "paths in the netlist",
        "equal sources in two folders give netlists with different text",
        (),
        "test_canary_f_the_netlist_still_names_this_machines_folders",
        ("relative_sources",),
        "no issue found; Amaranth writes source locations with the whole path, as Python has it",
    ),
    Workaround(
        "G",
        "PLL (LIFCL)",
        "nextpnr-nexus crashes after routing (`thrown Wasm exception`) on a PLL of which only the dividers are given",
        ("YosysHQ/nextpnr#952", "enjoy-digital/litex#692"),
        "test_canary_g_the_placer_still_crashes_on_a_pll_without_analogue_parameters",
        ("NEXUS_PLL_PARAMETERS",),
        "neither is about the crash: the first is where the placer got its defaults, the second how the values are computed",
    ),
    Workaround(
        "H",
        "flip-flops in I/O cells (LIFCL)",
        "nextpnr-nexus has no way to place Amaranth's `io.FFBuffer`",
        (),
        "test_canary_h_the_placer_still_refuses_a_flip_flop_in_an_io_cell",
        ("NEXUS_INPUT_REGISTER", "NEXUS_OUTPUT_REGISTER"),
        "no issue found; nextpnr's nexus/ has no packing for the cells IFD1P3DX and OFD1P3DX that Amaranth makes of it",
    ),
)

CARRY_TECHMAP_FILE = "lifcl_carry.vmap"
"""Not `.v`, or Amaranth's script would read it as part of the design."""

CARRY_TECHMAP = """\
(* techmap_celltype = "VLO" *)
module tie_low(output Z);
  assign Z = 1'b0;
endmodule

(* techmap_celltype = "CCU2" *)
module carry_feed_in(
  input CIN, A0, B0, C0, D0, A1, B1, C1, D1,
  output S0, S1, COUT
);
  parameter INIT0 = "0x0000";
  parameter INIT1 = "0x0000";
  parameter INJECT = "YES";
  parameter _TECHMAP_CONSTMSK_CIN_ = 0;
  parameter _TECHMAP_CONSTVAL_CIN_ = 0;
  wire _TECHMAP_FAIL_ = !(_TECHMAP_CONSTMSK_CIN_ === 1'b1 && _TECHMAP_CONSTVAL_CIN_ === 1'b0
                          && INIT0 == "0xFFFF" && INIT1 == "0x00AA" && INJECT == "NO");
  CCU2 #(.INIT0(INIT0), .INIT1(INIT1), .INJECT(INJECT)) _TECHMAP_REPLACE_ (
    .A0(A0), .B0(B0), .C0(C0), .D0(D0), .A1(A1), .B1(B1), .C1(C1), .D1(D1),
    .S0(S0), .S1(S1), .COUT(COUT));
endmodule
"""
"""A. Takes the constant off the carry input at the head of a chain.

Cause: yosys builds a chain with a feed-in cell whose CIN is unconnected; its abc9 pass ties that to 0, `hilomap` makes a VLO cell of the 0,
and the placer accepts only another carry cell there. Only the feed-in is touched (INIT0 0xFFFF passes CIN on, INIT1 0x00AA, with D1 = 1,
replaces it by A1): its outputs do not depend on CIN, so dropping it changes nothing. Any other cell with a constant there
stays as it is, and the placer refuses it: a loud failure instead of a wrong sum.
"""

AFTER_SYNTHESIS_NEXUS = "\n".join(
    (
        f"techmap -map {CARRY_TECHMAP_FILE} t:VLO",
        f"techmap -map {CARRY_TECHMAP_FILE} t:CCU2",
        "opt_clean",
        "hilomap -singleton -hicell VHI Z -locell VLO Z",
        "tee -q -o stat.json stat -json",
    )
)
"""A. The second `hilomap` gives their VLO back to all constants that are not on a carry input."""

NEXUS_PLL_PARAMETERS = {
    # The core's supply is 1.0 V.
    "V2I_1V_EN": "ENABLED",
    "V2I_KVCO_SEL": "60",
    "KP_VCO": "0b00011",
    "V2I_PP_ICTRL": "0b11111",
    "IPI_CMPN": "0b0011",
    # Loop filter for a phase detector at 12 MHz and a feedback division by 100: bandwidth 1.07 MHz, peaking 0.9 dB, phase margin 68°.
    "CSET": "8P",
    "CRIPPLE": "9P",
    "V2I_PP_RES": "9P3K",
    "IPP_CTRL": "0b0101",
    "IPP_SEL": "0b0111",
    "BW_CTL_BIAS": "0b1111",
    "IPI_CMP": "0b0110",
    "PLLPD_N": "USED",
    "PLLRESET_ENA": "ENABLED",
    "REF_INTEGER_MODE": "ENABLED",
    "REF_MMD_DIG": "1",
    "FBK_INTEGER_MODE": "ENABLED",
    "FBK_MASK": "0b00000000",
    "FBK_MMD_DIG": "1",
    "SEL_FBK": "FBKCLK5",
    "ENCLK_CLKOS5": "ENABLED",
    "CLKMUX_FB": "CMUX_CLKOS5",
}
"""G. What the vendor's generator adds to the dividers; the loop filter by the transfer function that LiteX published for this PLL, not yet
tried on a bench. The feedback divider is output CLKOS5, which nothing else uses.
"""

NEXUS_INPUT_REGISTER, NEXUS_OUTPUT_REGISTER = "IDDRX1", "ODDRX1"
"""H. The cells of double data rate are known: what they take at the rising edge, and the same twice in a period.

The output's pin needs an enable that comes of a flip-flop.
"""

AFTER_SYNTHESIS_ICE40 = "tee -q -o stat.json stat -json"

ROUTER_SETTINGS = {"router2/bbMargin/x": 100, "router2/bbMargin/y": 100}
"""C. In tiles, more than the chip has: wires are looked for everywhere.

Cause: the router looks for the wires of a connection inside the box around its ends and three tiles more, and the way from the chip's own
oscillator to a clock buffer has none there. The other router (`--router router1`) has no such box, but takes half an hour for what this
one does in a minute once two thirds of the chip are used.
"""


def with_router_settings(netlist: str) -> str:
    """C. The netlist, as yosys writes it, with what the command line has no option for: the placer reads settings from there, too."""
    read = json.loads(netlist)
    for module in read["modules"].values():
        if module["attributes"].get("top"):
            module["settings"] = ROUTER_SETTINGS
    return json.dumps(read)


def brace_bus_ports(constraints: str) -> str:
    """B. Put braces round the bits of a bus in a `.pdc` file: `[get_ports {name[3]}]`.

    In braces the parser takes a name to the closing one, brackets and all. Names without brackets stay as they are.
    """
    return re.sub(r"\[get_ports (\w+\[\d+\])\]", r"[get_ports {\1}]", constraints)


def frequency_arguments(clock_hz: float, margin: float) -> tuple[str, str]:
    """D. State on the command line what the placer shall aim for: the clock and its margin (0.25 for a quarter).

    A clock constraint on a pin does not reach the clock net behind the input buffer. So the tool's own verdict is never used either:
    `report.py` compares with our targets.
    """
    return "--freq", f"{clock_hz * (1 + margin) / 1e6:.3f}"


def without_clocks(constraints: str) -> str:
    """D. Take the clock constraints out of a `.pdc` or `.pcf` file.

    On iCE40 a constraint does reach the clock and wins over `--freq`, so that the placer stops at the bare frequency and leaves the
    margin to luck. One place says what to aim for: the command line.
    """
    return "".join(line for line in constraints.splitlines(keepends=True) if not line.startswith(("set_frequency ", "create_clock ")))


@contextlib.contextmanager
def inside(directory: Path) -> Iterator[None]:
    """E. Work inside a folder, with relative names only.

    The tools see the root's folders through WebAssembly's sandbox, with `/tmp` replaced by a folder of their own. The working folder is
    always visible, and relative names keep this machine's paths out of logs and netlists. The working folder belongs to the whole
    process: one build at a time.
    """
    with contextlib.chdir(directory):
        yield


def relative_sources(rtlil: str, roots: tuple[Path, ...]) -> str:
    """F. Make the source locations in a netlist relative to the first of `roots` that holds them.

    So a build can be compared between machines. The locations stay: the critical path in the report names our lines.
    """
    for root in roots:
        rtlil = re.sub(r'(?<=["|])' + re.escape(str(root)) + "/", "", rtlil)
    return rtlil
