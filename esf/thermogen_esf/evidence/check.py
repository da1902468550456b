"""One step of a judgement: what was looked at, what came out, and on which numbers."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Reason(enum.StrEnum):
    """Why a step refused. A published code never changes its meaning."""

    UNREADABLE = "unreadable"
    UNKNOWN_SITE = "unknown-site"
    UNKNOWN_KEY = "unknown-key"
    KEY_NOT_VALID = "key-not-valid"
    BAD_SIGNATURE = "bad-signature"
    ROOT_NOT_FROM_GATEWARE = "root-not-from-gateware"
    ROOT_DIFFERS = "root-differs"
    CHAIN_BROKEN = "chain-broken"
    SEQUENCE_GAP = "sequence-gap"
    SEQUENCE_OVERLAP = "sequence-overlap"
    OTHER_SITE = "other-site"
    LIVE_FRAME = "live-frame"
    WRONG_EPOCH = "wrong-epoch"
    WRONG_TIME = "wrong-time"
    WRONG_BOOT = "wrong-boot"
    TIME_QUALITY = "time-quality"
    WRONG_CLOCKS = "wrong-clocks"
    NOT_INSTALLED = "not-installed"
    COUNTER_WENT_BACK = "counter-went-back"
    ABOVE_NAMEPLATE = "above-nameplate"
    ABOVE_HEAT = "above-heat"
    ABOVE_GAS = "above-gas"
    ABOVE_SHUNT = "above-shunt"
    NOT_A_DEMONSTRATION_LIST = "not-a-demonstration-list"
    NOT_MARKED_AS_DEMONSTRATION = "not-marked-as-demonstration"
    UNKNOWN_METHODOLOGY = "unknown-methodology"
    WRONG_EPOCHS = "wrong-epochs"
    WRONG_BATCH = "wrong-batch"
    WRONG_ENERGY = "wrong-energy"
    WRONG_AMOUNT = "wrong-amount"
    WRONG_CARRY = "wrong-carry"
    BELOW_LEAST_MINT = "below-least-mint"
    WRONG_VINTAGE = "wrong-vintage"
    WRONG_REQUEST = "wrong-request"
    UNKNOWN_APPROVER = "unknown-approver"
    WRONG_ROLE = "wrong-role"
    NOT_APPROVED = "not-approved"
    WRONG_ADDRESS = "wrong-address"
    WRONG_SUPPLY = "wrong-supply"
    WRONG_METADATA = "wrong-metadata"
    PREVIOUS_REFUSED = "previous-refused"
    BAD_SEAL = "bad-seal"
    TWO_SEALS = "two-seals"
    SEAL_WITHHELD = "seal-withheld"
    WRONG_ROOT_KEYS = "wrong-root-keys"
    SUPERSEDED = "superseded"
    UNKNOWN_GATEWARE = "unknown-gateware"
    NOT_PROVISIONED = "not-provisioned"
    WRONG_BEACON = "wrong-beacon"
    LOG_FORKED = "log-forked"
    NOT_LOGGED = "not-logged"
    NOT_DRAWN = "not-drawn"
    OWN_WITNESS = "own-witness"
    OTHER_DRAWING = "other-drawing"
    WITNESS_LATE = "witness-late"
    NO_QUORUM = "no-quorum"
    DISSENT = "dissent"
    CLAIMS_DISAGREE = "claims-disagree"
    OFF_BASELINE = "off-baseline"
    WRONG_SET_UP = "wrong-set-up"
    ABOVE_CARNOT = "above-carnot"
    SENSORS_DISAGREE = "sensors-disagree"
    FROZEN_SENSORS = "frozen-sensors"
    REPEATED_VALUES = "repeated-values"
    WRONG_ATTESTATION = "wrong-attestation"
    LOGGED_TWICE = "logged-twice"
    UNKNOWN_LIST = "unknown-list"
    ATTESTED_TWICE = "attested-twice"


@dataclass(frozen=True, slots=True)
class Check:
    """One step. `passed` is None where the step cannot be decided from what is at hand; `detail` then says what is missing."""

    name: str
    passed: bool | None
    detail: str
    reason: Reason | None = None
    """Set exactly where the step refused."""
    numbers: Mapping[str, int] = field(default_factory=dict)
    """The integers that the step compared; the unit is the end of each name."""

    def to_json(self) -> dict[str, object]:
        """The step as JSON types."""
        return {
            "name": self.name,
            "passed": self.passed,
            "detail": self.detail,
            "reason": self.reason.value if self.reason else None,
            "numbers": dict(self.numbers),
        }


def passed(name: str, detail: str, **numbers: int) -> Check:
    """A step that holds."""
    return Check(name, True, detail, None, numbers)


def refused(name: str, reason: Reason, detail: str, **numbers: int) -> Check:
    """A step that does not hold."""
    return Check(name, False, detail, reason, numbers)


def undecided(name: str, detail: str, **numbers: int) -> Check:
    """A step that what is at hand cannot decide."""
    return Check(name, None, detail, None, numbers)
