"""Approvals: a person's signed decision over one mint request.

What is signed is the canonical JSON of the decision, which names the request's hash, with the approver's own key. The signature is kept
beside it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, ClassVar

from ..signatures import SigningKey, verify
from .canonical import Value
from .check import Check, Reason, passed, refused
from .document import Document
from .errors import EvidenceError
from .record import Record
from .trust import NAME, ROLE_APPROVER, TrustList, valid_at, validity

CONTEXT = b"thermogen/approval/v1"


class ApprovalError(EvidenceError):
    """Bytes that are not an approval, or a decision that cannot be written down."""


class Decision(enum.StrEnum):
    """What the approver decided."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Approval(Document):
    """A decision over a mint request. ApprovalError for fields that cannot be, for instance an empty reason."""

    what: ClassVar[str] = "approval"
    error: ClassVar[type[EvidenceError]] = ApprovalError

    request: bytes
    """Hash of the mint request, 32 bytes."""
    decision: Decision
    reason: str
    """Why: 1 to 1,000 bytes of text without control characters."""
    approver: str
    """Name in the trust list."""
    role: str
    """Role in which the approver signs."""
    time: int
    """Unix seconds, UTC, of the decision, as the approver's computer says."""

    def values(self) -> dict[str, Value]:
        """The fields as JSON values."""
        return {
            "request": self.request.hex(),
            "decision": self.decision.value,
            "reason": self.reason,
            "approver": self.approver,
            "role": self.role,
            "time": self.time,
        }

    @classmethod
    def fields(cls, record: Record) -> dict[str, Any]:
        """The fields from JSON values."""
        return {
            "request": record.octets("request", 32),
            "decision": Decision(record.text("decision", pattern="approve|reject")),
            "reason": record.text("reason", 1000),
            "approver": record.text("approver", pattern=NAME),
            "role": record.text("role", pattern=NAME),
            "time": record.time("time"),
        }

    def sign(self, key: SigningKey) -> bytes:
        """The approver's signature, 4,627 bytes."""
        return key.sign(self.encode(), CONTEXT)


def judge_approval(approval: Approval, signature: bytes, request_hash: bytes, trust: TrustList) -> list[Check]:
    """Whether an approval lets this request be minted: the request, the decision, the role, the key's validity and the signature.

    The approver's key is the one that the trust list holds for the name and role at the approval's time.
    """
    checks = [_request(approval, request_hash), _decision(approval)]
    known = trust.approver_keys(approval.approver)
    if not known:
        approvers = ", ".join(sorted({key.name for key in trust.approvers})) or "nobody"
        return [
            *checks,
            refused("approver known", Reason.UNKNOWN_APPROVER, f"{approval.approver} is not in the trust list, which names {approvers}"),
        ]
    in_role = [key for key in known if key.role == approval.role]
    roles = ", ".join(sorted({key.role for key in known}))
    if approval.role != ROLE_APPROVER or not in_role:
        detail = f"{approval.approver} signed as {approval.role} and is trusted as {roles}; a mint needs the role {ROLE_APPROVER}"
        return [*checks, refused("approver role", Reason.WRONG_ROLE, detail)]
    checks.append(passed("approver role", f"{approval.approver} is trusted as {approval.role}"))
    key = next((key for key in in_role if valid_at(key, approval.time)), None)
    if key is None:
        windows = "; ".join(validity(key) for key in in_role)
        detail = f"approved at {approval.time}; the approver's key is valid from {windows}"
        return [*checks, refused("approver key valid", Reason.KEY_NOT_VALID, detail, approved_at_s=approval.time)]
    checks.append(passed("approver key valid", f"approved at {approval.time}; key {key.key_id.hex()} is valid from {validity(key)}"))
    if not verify(key.public_key, approval.encode(), signature, CONTEXT):
        return [
            *checks,
            refused("approval signature", Reason.BAD_SIGNATURE, f"not the signature of {approval.approver}'s key {key.key_id.hex()}"),
        ]
    return [*checks, passed("approval signature", f"ML-DSA-87 by {approval.approver}'s key {key.key_id.hex()}")]


def _request(approval: Approval, request_hash: bytes) -> Check:
    if approval.request != request_hash:
        return refused(
            "approved request", Reason.WRONG_REQUEST, f"the approval names request {approval.request.hex()}, not {request_hash.hex()}"
        )
    return passed("approved request", f"the approval names request {request_hash.hex()}")


def _decision(approval: Approval) -> Check:
    if approval.decision is not Decision.APPROVE:
        return refused("decision", Reason.NOT_APPROVED, f"{approval.approver} rejected the request: {approval.reason}")
    return passed("decision", f"{approval.approver} approved: {approval.reason}")
