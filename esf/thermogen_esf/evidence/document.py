"""What the documents of evidence share: one canonical encoding, strict reading, a hash."""

from __future__ import annotations

from hashlib import sha3_256
from typing import Any, ClassVar, Self

from .canonical import Value, canonical, parse
from .errors import EvidenceError
from .record import Record


class Document:
    """Base of the frozen dataclasses that are written as canonical JSON.

    A subclass says how its fields are written (`values`) and read (`fields`). The same reading validates an object when it is made, so
    that nothing can be constructed which its own reader would refuse.
    """

    __slots__ = ()

    what: ClassVar[str]
    """Its name in errors."""
    error: ClassVar[type[EvidenceError]]
    """What is raised for bytes or fields that are not one."""
    version: ClassVar[int] = 1

    def values(self) -> dict[str, Value]:
        """The fields as JSON values, without the version."""
        raise NotImplementedError

    @classmethod
    def fields(cls, record: Record) -> dict[str, Any]:
        """The constructor's arguments from JSON values; raises EvidenceError subclasses."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        try:
            self.fields(Record(self.values(), self.what))
            self.encode()
        except self.error:
            raise
        except EvidenceError as error:
            raise self.error(str(error)) from None

    def encode(self) -> bytes:
        """The one encoding, in canonical JSON."""
        return canonical({"version": self.version, **self.values()})

    @property
    def hash(self) -> bytes:
        """SHA3-256 of the encoding, 32 bytes."""
        return sha3_256(self.encode()).digest()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read strictly; the class's `error` unless `data` is the exact encoding of such a document."""
        try:
            record = Record(parse(data), cls.what)
            record.integer("version", cls.version, cls.version)
            arguments = cls.fields(record)
            record.end()
            return cls(**arguments)
        except cls.error:
            raise
        except EvidenceError as error:
            raise cls.error(f"not a {cls.what} of version {cls.version}: {error}") from None
