"""Every departure from the stock FPGA flow, in one place, each with its symptom and the way to learn that it can go.

Versions that these are about: yosys 0.70, nextpnr 0.11 (nexus and ice40), Project Oxide, all as WebAssembly. iCE40 needs none of the
design transforms; it shares the two that concern running and reproducibility.

A  carry chains (LIFCL)     `carry_chain_techmap`, `AFTER_SYNTHESIS_NEXUS`
B  ports of several bits    `brace_bus_ports`
C  default router           `NEXTPNR_NEXUS_ARGUMENTS`
D  clock constraints        `frequency_arguments`, `without_clocks`
E  /tmp and working folder  `inside`
F  paths in the netlist     `relative_sources`
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

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

Symptom: `CCU2 … CIN net … driven by non-CCU2 cell … VLO`, for anything wider than four bits (yosys issues 4081 and 5639). Cause: yosys
builds a chain with a feed-in cell whose CIN is unconnected; its abc9 pass ties that to 0, `hilomap` makes a VLO cell of the 0,
and the placer accepts only another carry cell there. Only the feed-in is touched (INIT0 0xFFFF passes CIN on, INIT1 0x00AA, with D1 = 1,
replaces it by A1): its outputs do not depend on CIN, so dropping it changes nothing. Any other cell with a constant there
stays as it is, and the placer refuses it: a loud failure instead of a wrong sum.
Can go when `test_build_flow.py::test_the_stock_flow_still_needs_the_carry_chain_workaround` fails.
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

AFTER_SYNTHESIS_ICE40 = "tee -q -o stat.json stat -json"

NEXTPNR_NEXUS_ARGUMENTS = ("--router", "router1")
"""C. Symptom: `Failed to route arc … to … DCC` from router2, the default, once a design fills a part of the chip. router1 is slower and
finds the way. Can go when the node routes without it.
"""


def brace_bus_ports(constraints: str) -> str:
    """B. Put braces round the bits of a bus in a `.pdc` file: `[get_ports {name[3]}]`.

    Symptom: nextpnr-nexus never ends and writes nothing. Cause: brackets are command substitution in Tcl, and its parser waits for a
    command that never closes. Names without brackets stay as they are.
    """
    return re.sub(r"\[get_ports (\w+\[\d+\])\]", r"[get_ports {\1}]", constraints)


def frequency_arguments(clock_hz: float, margin: float) -> tuple[str, str]:
    """D. State on the command line what the placer shall aim for: the clock and its margin (0.25 for a quarter).

    Symptom: a design that is far too slow is reported as "PASS at 12 MHz". Cause: a clock constraint on a pin does not reach the
    clock net behind the input buffer. So the tool's own verdict is never used either: `report.py` compares with our targets.
    """
    return "--freq", f"{clock_hz * (1 + margin) / 1e6:.3f}"


def without_clocks(constraints: str) -> str:
    """D. Take the clock constraints out of a `.pdc` or `.pcf` file.

    Symptom: on iCE40 a constraint does reach the clock and wins over `--freq`, so that the placer stops at the bare frequency and leaves
    the margin to luck. One place says what to aim for: the command line.
    """
    return "".join(line for line in constraints.splitlines(keepends=True) if not line.startswith(("set_frequency ", "create_clock ")))


@contextlib.contextmanager
def inside(directory: Path) -> Iterator[None]:
    """E. Work inside a folder, with relative names only.

    Symptom: `can't open input file` for a file that is there. Cause: the tools see the root's folders through WebAssembly's sandbox, with
    `/tmp` replaced by a folder of their own. The working folder is always visible, and relative names keep this machine's paths
    out of logs and netlists. The working folder belongs to the whole process: one build at a time.
    """
    with contextlib.chdir(directory):
        yield


def relative_sources(rtlil: str, roots: tuple[Path, ...]) -> str:
    """F. Make the source locations in a netlist relative to the first of `roots` that holds them.

    Symptom: equal sources in two folders give netlists with different text, so that a build cannot be compared between machines. The
    locations stay: the critical path in the report names our lines.
    """
    for root in roots:
        rtlil = re.sub(r'(?<=["|])' + re.escape(str(root)) + "/", "", rtlil)
    return rtlil
