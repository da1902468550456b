"""Why a mint is not requested, approved or made: one class a reason, each with its name and status over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

from thermogen_esf.evidence.check import Check, Reason

from .errors import RefusedError


class UnknownSiteError(RefusedError):
    """The trust list names no such site."""

    slug, title, status = "unknown-site", "The site is not enrolled", 404

    def __init__(self, site: str) -> None:
        super().__init__(f"no site named {site} is in the trust list", "check the name, or enrol it with `thermogen-cloud enrol-site`")


class AttestedSiteError(RefusedError):
    """The site is enrolled for attestation."""

    slug, title = "attested-site", "The site is minted by attested day"

    def __init__(self, site: str) -> None:
        super().__init__(
            f"{site} is enrolled for attestation: what it signs by itself is not minted", "see its days: each is minted once it is attested"
        )


class UnknownMethodologyError(RefusedError):
    """This release has no such methodology."""

    slug, title, status = "unknown-methodology", "The methodology is not known", 404

    def __init__(self, what: str) -> None:
        super().__init__(what, "name one that is known")


class EpochMissingError(RefusedError):
    """The range begins or ends with an epoch that nothing has arrived of."""

    slug, title = "epoch-missing", "An epoch has not arrived"

    def __init__(self, site: str, epochs: Sequence[int]) -> None:
        super().__init__(
            f"no batch of {site} for {_listed(epochs)} has arrived", "give a range whose first and last epochs are there, or wait for them"
        )


class EpochNotBelievedError(RefusedError):
    """An epoch of the range has only batches that are refused, or not judged yet."""

    slug, title = "epoch-not-believed", "An epoch is not believed"

    def __init__(self, site: str, epochs: Sequence[int]) -> None:
        super().__init__(
            f"of {site}, {_listed(epochs)} {'is' if len(epochs) == 1 else 'are'} not believed",
            "the batches say why; give a range without these epochs",
        )


class EpochAlreadyUsedError(RefusedError):
    """A mint has used an epoch of the range."""

    slug, title = "epoch-already-used", "An epoch was minted already"

    def __init__(self, site: str, epochs: Sequence[int], request: bytes) -> None:
        super().__init__(f"of {site}, {_listed(epochs)} was used by the mint {request.hex()}", "give a range that begins after it")


class NothingToMintError(RefusedError):
    """Every believed epoch of the site is minted already, or none is believed."""

    slug, title = "nothing-to-mint", "There is nothing to mint"

    def __init__(self, site: str) -> None:
        super().__init__(
            f"{site} has no believed epoch that is not minted yet", "wait for batches, or look at why those that came are refused"
        )


class BelowLeastMintError(RefusedError):
    """The energy is worth less than the methodology's least mint."""

    slug, title = "below-least-mint", "The amount is below the least mint"

    def __init__(self, what: str) -> None:
        super().__init__(what, "request more epochs at once; the remainder is never lost")


class NotMintableError(RefusedError):
    """The batches cannot be one request."""

    slug, title = "not-mintable", "These epochs cannot be one request"

    def __init__(self, what: str) -> None:
        super().__init__(what, "give another range")


class UnknownRequestError(RefusedError):
    """There is no request, or no attestation, with that hash."""

    slug, title, status = "unknown-request", "There is no such mint request", 404

    def __init__(self, request: bytes) -> None:
        super().__init__(
            f"no mint request has the hash {request.hex()}",
            "the page lists requests and attestations, and so does GET on the API's mints and attestation",
        )


class AlreadyDecidedError(RefusedError):
    """A second decision on one request."""

    slug, title = "already-decided", "The request was decided already"

    def __init__(self, request: bytes, state: str) -> None:
        super().__init__(f"request {request.hex()} is {state}: a request is decided once", "request anew where a decision was wrong")


class AlreadyIssuedError(RefusedError):
    """A mint that was interrupted after the ledger had issued it: the credit is there."""

    slug, title = "already-issued", "The ledger has the credit already"

    def __init__(self, attestation: bytes) -> None:
        text = f"the ledger issued the credit of attestation {attestation.hex()} before its mint was interrupted"
        super().__init__(text, "restore what the log of the cloud says is missing; the mint then ends by itself")


class StaleRequestError(RefusedError):
    """Another request of the site was minted since, and this one's carried remainder is no longer the right one."""

    slug, title = "stale-request", "Another request of the site was minted since"

    def __init__(self, request: bytes) -> None:
        super().__init__(
            f"request {request.hex()} carries a remainder that another mint of the site has used since",
            "reject it and request the same epochs anew",
        )


class WouldNotVerifyError(RefusedError):
    """The credit's bundle would be refused by whoever verifies it."""

    slug, title = "would-not-verify", "The evidence would not be believed"

    def __init__(
        self, refused: Sequence[str], remedy: str = "reject the request; what is refused here would be refused by every verifier"
    ) -> None:
        super().__init__("; ".join(refused[:5]), remedy)


class AnotherUnderWayError(RefusedError):
    """A mint of the same site was interrupted and has not ended."""

    slug, title = "another-under-way", "A mint of the site is under way"

    def __init__(self, site: str) -> None:
        super().__init__(f"an interrupted mint of {site} has not come to its end", "look at the page and the log, then decide again")


class UnknownApproverError(RefusedError):
    """The trust list does not name the approver."""

    slug, title, status = "unknown-approver", "The approver is not known", 403


class WrongRoleError(RefusedError):
    """The key's role does not approve mints."""

    slug, title, status = "wrong-role", "The key does not have the role approver", 403


class ApproverKeyNotValidError(RefusedError):
    """The approver's key was not valid at the time of the decision."""

    slug, title, status = "approver-key-not-valid", "The approver's key is not valid at that time", 403


class BadApprovalSignatureError(RefusedError):
    """The signature is not the approver's over this decision."""

    slug, title, status = "bad-approval-signature", "The signature is not the approver's", 403


class UnreadableDecisionError(RefusedError):
    """The decision does not have the form of one."""

    slug, title, status = "unreadable-decision", "The decision cannot be read", 422


_OF_APPROVAL: dict[Reason, tuple[type[RefusedError], str]] = {
    Reason.UNKNOWN_APPROVER: (UnknownApproverError, "let an approver that the trust list names decide, or enrol this one"),
    Reason.WRONG_ROLE: (WrongRoleError, "let somebody with the role approver decide"),
    Reason.KEY_NOT_VALID: (ApproverKeyNotValidError, "check the clock of the computer that signed, or enrol a new key"),
    Reason.BAD_SIGNATURE: (BadApprovalSignatureError, "sign the decision as it is sent, with the key that is enrolled for that name"),
}


def of_approval(check: Check) -> RefusedError:
    """The refusal of a check of an approval that did not hold."""
    assert check.reason is not None
    kind, remedy = _OF_APPROVAL[check.reason]
    return kind(check.detail, remedy)


def _listed(epochs: Sequence[int]) -> str:
    shown = ", ".join(map(str, epochs[:10]))
    more = f" and {len(epochs) - 10} more" if len(epochs) > 10 else ""
    return f"epoch{'s' if len(epochs) > 1 else ''} {shown}{more}"
