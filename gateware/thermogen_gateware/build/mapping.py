"""How gates become LUTs on LIFCL: as few as the clock lets them be.

`synth_nexus` has abc9 look for the shortest ways through one structure of the logic, however many LUTs that takes. Here it is told how long
a way may be, and tries several structures, each upon the best so far. On the node this is one COMB in 28, for a minute more of building;
what comes of it goes through the same proofs as the short sums.
"""

from __future__ import annotations

LONGEST_WAY_PS = 6_000
"""By abc9's own delays, 0.3 ns a wire. Placed, a LUT and its wire take two to three times that, so this is about a clock of 16 ns.
8,000 saves 185 COMB more on the node and costs margin; with 19,000 the router found no way in time."""

_MAP = "&if {W} {D} {R} -v; &mfs"
_STRUCTURES = (
    "&syn2",
    "&if -g -K 6; &dch -f",
    "&if -g -K 6; &synch2",
    "&syn2",
    "&if -g -K 6; &synch2",
    "&dch -f",
)
"""Tried in this order; a second round takes in what the first one opened, a third finds next to nothing."""

_SCRIPT = "; ".join(
    (
        "&scorr; &sweep; &if {W} {D}; &save",
        *(f"&st; {structure}; {_MAP}; &save; &load" for structure in _STRUCTURES),
        "&mfs",
    )
)

SETTINGS = f'scratchpad -set abc9.D {LONGEST_WAY_PS}\nscratchpad -set abc9.script "+{_SCRIPT}"'
