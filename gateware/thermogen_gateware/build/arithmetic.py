"""Which sums and comparisons get a carry chain on LIFCL: only those that are smaller with one.

`synth_nexus` makes a chain of everything wider than four bits. A chain of n bits takes n + 2 to n + 4 COMB and takes in no other logic; a
comparison with a constant needs about n / 3 LUTs, a short sum no more than its chain, and both join the logic around them. On the node
this is one COMB in twelve. `test_build_flow.py` proves the result equal to what was written.
"""

from __future__ import annotations

CONSTANT_BITS, VARIABLE_BITS = 14, 8
"""Sums up to these widths go without a chain, with a constant operand and without; by trial on the node (8 and 5 are larger)."""

SUM_FILE = "short_sums.vmap"
"""Not `.v`, or Amaranth's script would read it as part of the design."""

SUM = f"""\
(* techmap_celltype = "$alu" *)
module short_sum(A, B, CI, BI, X, Y, CO);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  parameter _TECHMAP_CONSTMSK_A_ = 0;
  parameter _TECHMAP_CONSTMSK_B_ = 0;
  (* force_downto *) input [A_WIDTH-1:0] A;
  (* force_downto *) input [B_WIDTH-1:0] B;
  input CI, BI;
  (* force_downto *) output [Y_WIDTH-1:0] X, Y, CO;

  wire _TECHMAP_FAIL_ = Y_WIDTH > ((&_TECHMAP_CONSTMSK_A_ || &_TECHMAP_CONSTMSK_B_) ? {CONSTANT_BITS} : {VARIABLE_BITS});

  (* force_downto *) wire [Y_WIDTH-1:0] a, b_given;
  \\$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(Y_WIDTH)) extend_a (.A(A), .Y(a));
  \\$pos #(.A_SIGNED(B_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)) extend_b (.A(B), .Y(b_given));
  wire [Y_WIDTH-1:0] b = BI ? ~b_given : b_given;
  wire [Y_WIDTH:0] carry = {{(a & b) | (carry[Y_WIDTH-1:0] & (a | b)), CI}};
  assign CO = carry[Y_WIDTH:1];
  assign X = a ^ b;
  assign Y = a ^ b ^ carry[Y_WIDTH-1:0];
endmodule
"""

COMPARISON_FILE = "comparisons.vmap"

COMPARISON = """\
(* techmap_celltype = "$lt $le $gt $ge" *)
module comparison(A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  parameter _TECHMAP_CELLTYPE_ = "";
  parameter _TECHMAP_CONSTMSK_A_ = 0;
  parameter _TECHMAP_CONSTMSK_B_ = 0;
  (* force_downto *) input [A_WIDTH-1:0] A;
  (* force_downto *) input [B_WIDTH-1:0] B;
  (* force_downto *) output [Y_WIDTH-1:0] Y;

  localparam CONSTANT_A = &_TECHMAP_CONSTMSK_A_;
  localparam STRICT = _TECHMAP_CELLTYPE_ == "$lt" || _TECHMAP_CELLTYPE_ == "$gt";
  localparam LESS = _TECHMAP_CELLTYPE_ == "$lt" || _TECHMAP_CELLTYPE_ == "$le";
  localparam WIDTH = A_WIDTH > B_WIDTH ? A_WIDTH : B_WIDTH;
  localparam SIGNED = A_SIGNED && B_SIGNED;
  wire _TECHMAP_FAIL_ = !(CONSTANT_A || &_TECHMAP_CONSTMSK_B_);

  (* force_downto *) wire [WIDTH-1:0] a, b;
  \\$pos #(.A_SIGNED(SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(WIDTH)) extend_a (.A(A), .Y(a));
  \\$pos #(.A_SIGNED(SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(WIDTH)) extend_b (.A(B), .Y(b));
  wire [WIDTH-1:0] sign = SIGNED << (WIDTH - 1);
  wire [WIDTH-1:0] x = (CONSTANT_A ? b : a) ^ sign;
  wire [WIDTH-1:0] k = (CONSTANT_A ? a : b) ^ sign;
  // Above the constant, or at it where that counts as well: from the lowest bit up, the last that differs decides.
  wire [WIDTH:0] above = {(k & above[WIDTH-1:0] & x) | (~k & (above[WIDTH-1:0] | x)), (LESS == CONSTANT_A) != STRICT};
  assign Y = (LESS == CONSTANT_A) ? above[WIDTH] : !above[WIDTH];
endmodule
"""

BEFORE_SYNTHESIS = "\n".join(
    (
        "hierarchy -top {top}",
        "proc",
        "flatten",
        "opt_expr",
        "opt_clean",
        "opt -nodffe -nosdff",
        "wreduce",
        f"techmap -map {COMPARISON_FILE}",
        "opt_expr",
        "opt_clean",
        "synth_nexus -top {top} -run begin:map_gates",
        f"techmap -map {SUM_FILE}",
        "opt",
    )
)
"""The first half of `synth_nexus`, with what it leaves out."""

SYNTHESIS_OPTIONS = "-run map_gates:"
"""The other half."""
