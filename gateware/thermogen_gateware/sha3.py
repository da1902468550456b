"""SHA3-256 over a byte stream, in two forms behind one interface: small, or fast.

Reference: FIPS 202. `sha3_small.py` and `sha3_fast.py` say what each takes in clocks and cells; docs/decisions/0009 why a node has the
small one.
"""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .keccak import DIGEST_BYTES, DIGEST_LANES, LANES, RATE_BYTES, ROUNDS, HashSignature, byte_layout, message_layout
from .sha3_fast import Sha3Fast
from .sha3_small import Sha3Small

__all__ = ["DIGEST_BYTES", "DIGEST_LANES", "LANES", "RATE_BYTES", "ROUNDS", "HashSignature", "Sha3", "byte_layout", "message_layout"]


class Sha3(wiring.Component):
    """SHA3-256 of one message after the other.

    `message` takes the bytes, `digest` gives the 32 bytes of the digest, first byte first. Digests come in the order of the messages, and
    nothing is lost when one waits to be taken.
    """

    message: In(stream.Signature(message_layout()))
    digest: Out(stream.Signature(byte_layout()))

    def __init__(self, fast: bool = False):
        self._fast = fast
        super().__init__()

    def elaborate(self, _platform):
        m = Module()
        m.submodules.core = core = Sha3Fast() if self._fast else Sha3Small()
        connect(m, flipped(self.message), core.message)
        connect(m, core.digest, flipped(self.digest))
        return m
