"""What the server says of itself: the objects of function 43/14 and the answer of function 17, as bytes of a memory.

Reference: MODBUS application protocol V1.1b3, sections 6.13 and 6.21.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BASIC_OBJECTS = 3
REGULAR_OBJECTS = 7
CONFORMITY = 0x82
"""Regular identification, as a stream and object by object."""
_ADU_HEADER = 7
_MOST_BYTES = 260 - _ADU_HEADER - 7


@dataclass(frozen=True)
class Identification:
    """VendorName, ProductCode, MajorMinorRevision, VendorUrl, ProductName, ModelName, UserApplicationName; all must fit into one answer."""

    vendor_name: str
    product_code: str
    revision: str
    vendor_url: str = ""
    product_name: str = ""
    model_name: str = ""
    application_name: str = ""

    def objects(self) -> Sequence[bytes]:
        """The seven, in the order of their identifiers."""
        texts = (
            self.vendor_name,
            self.product_code,
            self.revision,
            self.vendor_url,
            self.product_name,
            self.model_name,
            self.application_name,
        )
        return [text.encode("ascii") for text in texts]

    def memory(self) -> tuple[bytes, list[int]]:
        """All objects one after the other, each with identifier and length before it, then function 17's answer; where each begins and the
        last ends, the end of function 17's answer last."""
        stored, starts = b"", []
        for identifier, text in enumerate(self.objects()):
            starts.append(len(stored))
            stored += bytes([identifier, len(text)]) + text
        starts.append(len(stored))
        if len(stored) > _MOST_BYTES:
            raise ValueError(f"the identification has {len(stored)} bytes, more than the {_MOST_BYTES} that an answer holds")
        # Server identifier, run indicator (on), and what the identifier stands for.
        server = self.product_code.encode("ascii") or b"\x00"
        stored += bytes([len(server) + 1]) + server + b"\xff"
        starts.append(len(stored))
        return stored, starts
