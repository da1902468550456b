"""How this room says no: what happened, to what, and what the person can do."""

from __future__ import annotations


class CloudError(Exception):
    """Something that a person can do something about.

    `str(error)` says what happened and to what; `remedy` says what to do.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


class OperatorError(CloudError):
    """The machine or its configuration does not allow what was asked: a port in use, a file missing, no space."""


NOT_USABLE_REMEDY = (
    "end other programs that hold it, and check its disk and that this user may write it and its folder; "
    "the file may be whole; what was not stored is sent again by itself"
)
"""For a database that the disk, the permissions or another program withhold."""


class StorageFullError(OperatorError):
    """The disk took no more. Nothing was half stored."""

    def __init__(self, where: str) -> None:
        super().__init__(f"no space left to store in {where}", "free space on that disk; what was not stored is sent again by itself")


class RefusedError(CloudError):
    """A request that is understood and not granted. Each reason is a subclass, with the HTTP status that carries it."""

    slug = "refused"
    title = "The request was refused"
    status = 409
