"""The states of the TCP state machine by what they are for, in the order in which they follow each other, as the proofs name them."""

FIELDS = ("IP_UPPER", "IP_LOWER", "MAC_LOW", "MAC_HIGH", "PORT", "ACK_UPPER", "ACK_LOWER", "WINDOW", "SEQ_UPPER", "SEQ_LOWER", "FLAGS")
SENDS = tuple(f"SEGMENT_{of}" for of in (*FIELDS, "SOURCE", "LENGTH", "OPTION", "OPTION_SIZE", "GO"))
SENT = ("ARM", "TIME", "TIME_NOW", "WORK_DONE")
ANSWERED = ("ANSWERED", "ANSWERED_END", "ANSWERED_CONSUMED", "ANSWERED_UNA", "ANSWERED_ROOM")
ARRIVAL = (
    "ARRIVAL",
    "JUDGE",
    "CHALLENGE",
    "HEARD",
    "ELAPSED",
    "HEARD_NOW",
    "SEQUENCE",
    "MEASURE",
    "SMOOTH",
    "RTT",
    "TIMER",
    "ASKED",
    "ARRIVAL_END",
)
WORK = tuple("WORK" + of for of in ("", "_CONTROL", "_UNA", "_NXT", "_END", "_USABLE", "_LENGTH", "_DECIDE", "_SENDS"))
PREPARE = tuple("PREPARE" + of for of in ("", "_CONTROL", "_PORT", "_IP", "_MAC_LOW", "_MAC_HIGH", "D"))
VISIT = tuple("VISIT" + of for of in ("", "_CONTROL", "_UNA", "_END", "_RECEIVED", "_IP", "_START", "_BEGIN"))
HANDSHAKE = ("COOKIE_START", "COOKIE", "COOKIE_EARLIER", "CANDIDATE", "CANDIDATE_IP", "CANDIDATE_AGE", "CHOSEN")


def following(name: str, states: tuple[str, ...]) -> tuple[str, ...]:
    """A state and those that follow it."""
    return states[states.index(name) :]


RECEIVER_SAYS = ("store", "store_address", "store_byte", "arrived", "dropped", "segment", "expects", "simple", "consumed", "end", "address")
"""What the receiver tells the engine, where a proof has the one without the other."""
