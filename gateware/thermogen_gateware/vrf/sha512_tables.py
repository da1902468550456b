"""What SHA-512 reads from its block RAMs: the standard's constants, bit by bit, and what goes with each bit of a word.

Reference: FIPS 180-4 (4.1.3 functions, 4.2.3 constants, 5.3.5 the hash that a message begins with).
"""

from amaranth.lib import data

WORD_BITS = 64
WORD_MASK = 2**WORD_BITS - 1
WORDS = 8
"""Of the hash, and of the working variables."""
SCHEDULE = 16
ROUNDS = 80

POSITION_BITS = 6
PASS_BITS = 7
ABSORB_AT = 8
"""The first pass of a block. Its last is also the last of the counter's."""
PREPARE_AT = ABSORB_AT + SCHEDULE
ROUNDS_AT = PREPARE_AT + SCHEDULE
ADD_AT = ROUNDS_AT + ROUNDS
PASSES = SCHEDULE + SCHEDULE + ROUNDS + WORDS
"""Of a block."""

COLUMN_CLOCKS = 11
"""How long a bit stays in one column of the delay lines' block RAM: with 28 columns, of 36 that there are, flip-flops are fewest."""

# How far each of the four functions turns its word to the right. The third of the schedule's two is a shift.
TURNS_A = (28, 34, 39)
TURNS_E = (14, 18, 41)
TURNS_EARLY = (1, 8, 7)
"""Of the schedule's word that is fifteen before."""
TURNS_LATE = (19, 61, 6)
"""Of the one that is two before."""
EARLY_CLOCKS = max(TURNS_EARLY)
"""After its word has begun to come by, the first of the schedule's functions begins."""


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _root_fraction(number: int, degree: int) -> int:
    """The first 64 bits of the fraction of a root."""
    target = number << degree * WORD_BITS
    root = 1 << (target.bit_length() // degree + 1)
    while root**degree > target:
        root = ((degree - 1) * root + target // root ** (degree - 1)) // degree
    fraction: int = root & WORD_MASK
    return fraction


def constants() -> list[int]:
    """The bits of the word that each pass has: a round its constant, the others 0; then once more, for the first block of a message, where
    the eight passes before the rounds have the hash to begin with, last word first."""
    following = [0] * 2**PASS_BITS
    following[ROUNDS_AT:ADD_AT] = [_root_fraction(prime, 3) for prime in _primes(ROUNDS)]
    first = list(following)
    first[ROUNDS_AT - WORDS : ROUNDS_AT] = [_root_fraction(prime, 2) for prime in reversed(_primes(WORDS))]
    return [word >> position & 1 for word in following + first for position in range(WORD_BITS)]


class Controls(data.Struct):
    """What goes with a position, 0 to 63."""

    position: POSITION_BITS
    past_position: POSITION_BITS
    """Where the bits are that leave the delay lines' columns in the next clock."""
    last: 1
    last_but_one: 1
    # For each turn, whether the bit that comes here has already come by in this pass; for a shift, whether none comes.
    a: len(TURNS_A)
    e: len(TURNS_E)
    early: len(TURNS_EARLY)
    late: len(TURNS_LATE)


def controls() -> list[dict[str, object]]:
    """Of each position."""

    def wrapped(position: int, turns: tuple[int, ...]) -> int:
        return sum(int(position + turn >= WORD_BITS) << number for number, turn in enumerate(turns))

    return [
        {
            "position": position,
            "past_position": (position + 1 - COLUMN_CLOCKS) % WORD_BITS,
            "last": int(position == WORD_BITS - 1),
            "last_but_one": int(position == WORD_BITS - 2),
            "a": wrapped(position, TURNS_A),
            "e": wrapped(position, TURNS_E),
            "early": wrapped((position - EARLY_CLOCKS) % WORD_BITS, TURNS_EARLY),
            "late": wrapped(position, TURNS_LATE),
        }
        for position in range(WORD_BITS)
    ]
