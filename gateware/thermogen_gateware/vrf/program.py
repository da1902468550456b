"""What the prover does, in its own instructions, and the numbers that this starts from.

Reference: RFC 9381 5.1 (proving), 5.2 (proof to hash), 5.4.1.1 (try and increment), 5.4.2.2 (nonce), 5.4.3 (challenge); RFC 8032 5.1.2 to
5.1.5 (encodings, secret scalar). Points are in extended coordinates (X : Y : Z : T), with the complete formulas for a = -1 of Hisil, Wong,
Carter and Dawson (2008); a table's entries are (Y + X, Y - X, 2dT, 2Z). A scalar goes four bits at a time, 64 times four doublings and
an addition, whatever its bits. The order's arithmetic is Montgomery's. The only branch that depends on data is on whether a try gave
a point, which anybody can compute.
"""

from __future__ import annotations

from .assembler import assemble

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)
BASE_Y = 4 * pow(5, -1, P) % P


def _base_x() -> int:
    square = (BASE_Y**2 - 1) * pow(D * BASE_Y**2 + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    root = root if root * root % P == square else root * SQRT_MINUS_1 % P
    return P - root if root & 1 else root


BASE_X = _base_x()

ELEMENTS_COUNT = 128
TABLE = 0
"""Sixteen entries of four elements, entry by entry; entry 0 is the neutral point and stays."""

CONSTANTS = {
    "ZERO": 0,
    "TOP_BIT": 2**255,
    "NOUGHT": 0,
    "ONE": 1,
    "P": P,
    "D": D,
    "TWO_D": 2 * D % P,
    "ROOT": SQRT_MINUS_1,
    "BASE_X": BASE_X,
    "BASE_Y": BASE_Y,
    "BASE_T": BASE_X * BASE_Y % P,
    "ORDER": ORDER,
    "ORDER_2": 2 * ORDER,
    "ORDER_4": 4 * ORDER,
    "ORDER_8": 8 * ORDER,
    "MONTGOMERY": -pow(ORDER, -1, 2**256) % 2**256,
    "MONTGOMERY_SQUARE": 2**512 % ORDER,
}
VARIABLES = (
    # Pairs of which a flag picks one.
    *("CANONICAL", "LESS", "OTHER_ROOT", "SQUARE_ROOT"),
    # Two halves of a digest.
    *("SECRET", "PREFIX", "LOW", "HIGH", "POINT_HASH", "UNUSED", "BETA", "BETA_END"),
    # What a key and a proof are made of.
    *("PUBLIC", "HASHED", "GAMMA", "EIGHT_GAMMA", "K_BASE", "K_HASHED", "NONCE", "CHALLENGE", "SCALAR"),
    *("SIGN", "U", "V", "V3"),
    # A point, and a point put aside.
    *("X", "Y", "Z", "T", "KEPT_X", "KEPT_Y", "KEPT_Z"),
    *("A", "B", "C", "E", "F", "G", "H"),
    # Exponentiation.
    *("BASE", "POWER", "POWER_11", "POWER_R"),
)
SCRATCH = ("SCRATCH_LOW", "SCRATCH_HIGH")
SCRATCH_LOW = ELEMENTS_COUNT - 2

ELEMENTS = {
    **{name: TABLE + number for number, name in enumerate(("TABLE_SUM", "TABLE_DIFFERENCE", "TABLE_T", "TABLE_Z"))},
    **{name: TABLE + 64 + number for number, name in enumerate((*CONSTANTS, *(("PAD",) if len(CONSTANTS) % 2 else ()), *VARIABLES))},
    **{name: SCRATCH_LOW + number for number, name in enumerate(SCRATCH)},
}
"""Names of the elements."""


def initial_elements() -> list[int]:
    """What the arithmetic unit's memory begins with."""
    values = {ELEMENTS[name]: value for name, value in CONSTANTS.items()}
    values |= dict(enumerate((1, 1, 0, 2), TABLE))
    return [values.get(number, 0) for number in range(ELEMENTS_COUNT)]


SOURCE = """
; ---- a new key: its public part is given
load:
    hash_seed
    hash_end SECRET, clamped
    call base_point
    call table
    addr SCALAR, ZERO, SECRET
    call multiply
    call encode
    addr PUBLIC, ZERO, CANONICAL
    give PUBLIC, 32, last
    end

; ---- a proof
prove:
    hash_byte 3
    hash_byte 1
    hash_element PUBLIC, 32
    hash_alpha
    hash_try
    hash_byte 0
    hash_end POINT_HASH, whole
    call decode
    call double
    call double
    call double_with_t
    addr CANONICAL, ZERO, X
    call canonical
    fail_if zero                    ; the neutral point
    retry prove
    addr KEPT_X, ZERO, X
    addr KEPT_Y, ZERO, Y
    addr KEPT_Z, ZERO, Z
    call table
    addr X, ZERO, KEPT_X
    addr Y, ZERO, KEPT_Y
    addr Z, ZERO, KEPT_Z
    call encode
    addr HASHED, ZERO, CANONICAL

    addr SCALAR, ZERO, SECRET
    call multiply
    addr KEPT_X, ZERO, X
    addr KEPT_Y, ZERO, Y
    addr KEPT_Z, ZERO, Z
    call encode
    addr GAMMA, ZERO, CANONICAL
    addr X, ZERO, KEPT_X
    addr Y, ZERO, KEPT_Y
    addr Z, ZERO, KEPT_Z
    call double
    call double
    call double
    call encode
    addr EIGHT_GAMMA, ZERO, CANONICAL

    hash_element PREFIX, 32
    hash_element HASHED, 32
    hash_end LOW, whole
    call modulo_order
    addr NONCE, ZERO, CANONICAL
    addr SCALAR, ZERO, NONCE
    call multiply
    call encode
    addr K_HASHED, ZERO, CANONICAL
    call base_point
    call table
    addr SCALAR, ZERO, NONCE
    call multiply
    call encode
    addr K_BASE, ZERO, CANONICAL

    hash_byte 3
    hash_byte 2
    hash_element PUBLIC, 32
    hash_element HASHED, 32
    hash_element GAMMA, 32
    hash_element K_BASE, 32
    hash_element K_HASHED, 32
    hash_byte 0
    addr CHALLENGE, ZERO, ZERO
    hash_end CHALLENGE, quarter
    rmul CHALLENGE, SECRET
    addr LOW, NONCE, SCRATCH_LOW
    adcr HIGH, ZERO, SCRATCH_HIGH
    call modulo_order

    hash_byte 3
    hash_byte 3
    hash_element EIGHT_GAMMA, 32
    hash_byte 0
    hash_end BETA, whole
    give GAMMA, 32, more
    give CHALLENGE, 16, more
    give CANONICAL, 32, more
    give BETA, 32, more
    give BETA_END, 32, last
    end

; ---- points
base_point:                         ; point = base point
    addr X, ZERO, BASE_X
    addr Y, ZERO, BASE_Y
    addr Z, ZERO, ONE
    addr T, ZERO, BASE_T
    return

double:                             ; point = 2 point, T aside: it is E H
    mul A, X, X
    mul B, Y, Y
    mul C, Z, Z
    add C, C, C
    add E, X, Y
    mul E, E, E
    add H, A, B
    sub E, E, H
    sub G, B, A
    sub F, C, G
    mul X, E, F
    mul Y, H, G
    mul Z, G, F
    return

double_with_t:
    call double
    mul T, E, H
    return

add_entry:                          ; point = point + entry of the table, T aside: it is E H
    sub A, Y, X
    mul A, A, TABLE_DIFFERENCE[digit]
    add B, Y, X
    mul B, B, TABLE_SUM[digit]
    mul C, T, TABLE_T[digit]
    mul G, Z, TABLE_Z[digit]
    sub E, B, A
    sub F, G, C
    add G, G, C
    add H, B, A
    mul X, E, F
    mul Y, G, H
    mul Z, F, G
    return

table:                              ; entries 1 to 15: as many times the point
    count 14
table_entry:
    entry
    add TABLE_SUM[digit], Y, X
    sub TABLE_DIFFERENCE[digit], Y, X
    mul TABLE_T[digit], T, TWO_D
    add TABLE_Z[digit], Z, Z
    first_entry
    call add_entry
    mul T, E, H
    loop table_entry
    return

multiply:                           ; point = SCALAR times the table's first entry
    addr X, ZERO, ZERO
    addr Y, ZERO, ONE
    addr Z, ZERO, ONE
    count 63
multiply_digit:
    call double
    call double
    call double
    call double_with_t
    digit SCALAR
    call add_entry
    loop multiply_digit
    return

encode:                             ; CANONICAL = encoding of the point
    addr BASE, ZERO, Z
    call power_of_ones
    addr POWER, ZERO, POWER_R
    count 4
    call square
    mul POWER, POWER, POWER_11      ; 1 / Z
    mul A, X, POWER
    mul CANONICAL, Y, POWER
    call canonical
    addr B, ZERO, CANONICAL
    addr CANONICAL, ZERO, A
    call canonical
    addr CANONICAL, B, ZERO[odd]
    return

decode:                             ; point = the one that POINT_HASH is the encoding of, or the try fails
    addr A, ZERO, POINT_HASH
    addr SIGN, ZERO, NOUGHT[top]
    addr A, ZERO, POINT_HASH
    subr Y, POINT_HASH, ZERO[top]
    subr A, Y, P
    fail_if carry
    mul A, Y, Y
    sub U, A, ONE
    mul V, A, D
    add V, V, ONE
    mul A, V, V
    mul V3, A, V
    mul A, V3, V3
    mul A, A, V
    mul BASE, U, A                  ; u v^7
    call power_of_ones
    addr POWER, ZERO, POWER_R
    count 1
    call square
    mul POWER, POWER, BASE          ; (u v^7)^((p - 5) / 8)
    mul A, U, V3
    mul SQUARE_ROOT, A, POWER
    mul OTHER_ROOT, SQUARE_ROOT, ROOT
    mul A, SQUARE_ROOT, SQUARE_ROOT
    mul A, A, V
    sub CANONICAL, A, U
    call canonical
    addr X, ZERO, OTHER_ROOT[zero]
    mul A, X, X
    mul A, A, V
    sub CANONICAL, A, U
    call canonical
    fail_if not zero
    addr CANONICAL, ZERO, X
    call canonical
    addr OTHER_ROOT, ZERO, CANONICAL
    sub SQUARE_ROOT, ZERO, CANONICAL
    addr A, CANONICAL, SIGN
    addr CANONICAL, ZERO, OTHER_ROOT[odd]
    call canonical
    addr X, ZERO, CANONICAL
    addr A, X, SIGN
    fail_if odd                     ; x = 0 has no other sign
    addr Z, ZERO, ONE
    mul T, X, Y
    return

; ---- the field
canonical:                          ; CANONICAL below p
    subr LESS, CANONICAL, P
    addr CANONICAL, ZERO, CANONICAL[carry]
    subr LESS, CANONICAL, P
    addr CANONICAL, ZERO, CANONICAL[carry]
    return

square:                             ; POWER squared as many times as the counter, and once
    mul POWER, POWER, POWER
    loop square
    return

power_of_ones:                      ; POWER_R = BASE^(2^250 - 1), POWER_11 = BASE^11
    mul POWER_11, BASE, BASE
    mul POWER, POWER_11, POWER_11
    mul POWER, POWER, POWER
    mul POWER_R, BASE, POWER        ; 9
    mul POWER_11, POWER_11, POWER_R
    mul POWER, POWER_11, POWER_11   ; 22
    mul POWER_R, POWER_R, POWER     ; 2^5 - 1
    addr POWER, ZERO, POWER_R
    count 4
    call square
    mul POWER_R, POWER, POWER_R     ; 2^10 - 1
    addr POWER, ZERO, POWER_R
    count 9
    call square
    mul A, POWER, POWER_R           ; 2^20 - 1
    addr POWER, ZERO, A
    count 19
    call square
    mul POWER, POWER, A             ; 2^40 - 1
    count 9
    call square
    mul POWER_R, POWER, POWER_R     ; 2^50 - 1
    addr POWER, ZERO, POWER_R
    count 49
    call square
    mul A, POWER, POWER_R           ; 2^100 - 1
    addr POWER, ZERO, A
    count 99
    call square
    mul POWER, POWER, A             ; 2^200 - 1
    count 49
    call square
    mul POWER_R, POWER, POWER_R     ; 2^250 - 1
    return

; ---- the group's order
modulo_order:                       ; CANONICAL = HIGH, LOW modulo the order
    addr CANONICAL, ZERO, HIGH
    subr LESS, CANONICAL, ORDER_8
    addr CANONICAL, ZERO, CANONICAL[carry]
    subr LESS, CANONICAL, ORDER_4
    addr CANONICAL, ZERO, CANONICAL[carry]
    subr LESS, CANONICAL, ORDER_2
    addr CANONICAL, ZERO, CANONICAL[carry]
    subr LESS, CANONICAL, ORDER
    addr HIGH, ZERO, CANONICAL[carry]
    call divide_by_radix
    rmul CANONICAL, MONTGOMERY_SQUARE
    addr LOW, ZERO, SCRATCH_LOW
    addr HIGH, ZERO, SCRATCH_HIGH
divide_by_radix:                    ; CANONICAL = HIGH, LOW / 2^256 modulo the order, for less than 2^256 times it
    rmul LOW, MONTGOMERY
    addr A, ZERO, SCRATCH_LOW
    rmul A, ORDER
    addr A, LOW, SCRATCH_LOW
    adcr CANONICAL, HIGH, SCRATCH_HIGH
    subr LESS, CANONICAL, ORDER
    addr CANONICAL, ZERO, CANONICAL[carry]
    return
"""

PROGRAM = assemble(SOURCE, ELEMENTS)
