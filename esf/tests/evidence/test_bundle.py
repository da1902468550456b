"""A stranger believes an honest bundle and no other. Tests are named after the attack."""

from contextlib import suppress
from dataclasses import replace
from time import process_time

import base58
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thermogen_esf.evidence.bundle import BUNDLE, CONTEXT, Bundle, BundleError
from thermogen_esf.evidence.canonical import canonical, parse
from thermogen_esf.evidence.check import Reason
from thermogen_esf.evidence.ledger_record import LedgerRecord
from thermogen_esf.evidence.methodology import Methodology, by_identifier
from thermogen_esf.evidence.mint import EpochClaim, MintRequest
from thermogen_esf.evidence.verification import verify_bundle
from thermogen_esf.frames import RootSource, frame_hash
from thermogen_esf.signatures import SIGNATURE_BYTES

GRID = by_identifier("TZ-DISPLACED-GRID")


def _reasons(bundle, trust, previous=None):
    return {check.reason for check in verify_bundle(bundle, trust, previous).refusals}


def _sealed_again(data, key):
    """The bytes before the signature, signed again."""
    signed = data[:-SIGNATURE_BYTES]
    return signed + key.sign(signed, CONTEXT)


def _with(data, key, **sections):
    """A bundle with other sections, signed again."""
    fields = {**BUNDLE.parse(data), **sections}
    return _sealed_again(BUNDLE.build(fields), key)


@pytest.fixture
def small(world, first_epoch):
    """A bundle of one short batch, small enough to flip every byte: all is right but the amount, which is below the least mint."""
    batch = world.site.epoch(first_epoch, leaves=3)
    amount, carry = GRID.amount(21_000_000, 0)
    request = MintRequest(
        demonstration=True,
        site="tz-test-01",
        methodology=GRID.identifier,
        methodology_hash=GRID.hash,
        epochs=(EpochClaim(first_epoch, frame_hash(batch)),),
        energy_mj=21_000_000,
        amount=amount,
        carry_in=0,
        carry_out=carry,
        vintage=2026,
        serial="SC-2026-TZ-000001",
        previous=None,
    )
    return world.bundle([batch], request)


def test_an_honest_bundle_is_believed_and_says_what_it_rests_on(world, six_hours):
    report = verify_bundle(world.bundle(six_hours), world.trust)
    assert report.believed, report.refusals
    rests_on = " ".join(report.rests_on)
    assert "not sealed, not witnessed" in rests_on
    assert "believed only because the trust list is a demonstration list" in rests_on
    assert world.trust.fingerprint.hex() in rests_on


def test_restarts_and_missing_epochs_are_believed_for_what_they_are(world, first_epoch):
    world.site.scale = 9
    batches = [world.site.epoch(first_epoch + index) for index in range(2)]
    world.site.epoch(first_epoch + 2, leaves=40, root_source=RootSource.HOST)
    world.site.reboot()
    batches += [world.site.epoch(first_epoch + 2, leaves=40, skip=50)]
    batches += [world.site.epoch(first_epoch + 3 + index) for index in range(2)]
    report = verify_bundle(world.bundle(batches), world.trust)
    assert report.believed, report.refusals
    assert report.request.energy_mj == 9_450_000 * (1_790 + 390 + 1_800)


def test_twenty_four_epochs_are_verified_in_less_than_a_second(world, six_hours):
    bundle, trust = world.bundle(six_hours), world.trust
    begin = process_time()
    assert verify_bundle(bundle, trust).believed
    assert process_time() - begin < 1


def _flip(data, position, bit=0):
    return data[:position] + bytes([data[position] ^ 1 << bit]) + data[position + 1 :]


def _refuses(data, trust):
    try:
        return not verify_bundle(data, trust).believed
    except BundleError:
        return True


def test_a_flipped_bit_anywhere(world, credit):
    bundle, trust = world.bundle(credit), world.trust
    assert verify_bundle(bundle, trust).believed

    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, len(bundle) - 1), st.integers(0, 7))
    def refuses(position, bit):
        assert _refuses(_flip(bundle, position, bit), trust)

    refuses()


@pytest.mark.slow
def test_a_flipped_bit_in_every_single_byte(world, small):
    trust, before_the_contents = world.trust, {Reason.UNKNOWN_KEY, Reason.KEY_NOT_VALID, Reason.BAD_SIGNATURE}
    for position in range(len(small)):
        with suppress(BundleError):
            assert _reasons(_flip(small, position, position % 8), trust) <= before_the_contents, position


def test_the_cloud_itself_cannot_change_a_byte_of_the_evidence(world, small):
    honest = {Reason.BELOW_LEAST_MINT}
    assert _reasons(small, world.trust) == honest
    transaction = small.index(b'"transaction":') + len('"transaction":"')
    own_word = {*range(10, 14), *range(transaction, transaction + 88)}  # the time of the bundle and the transaction's signature
    trust = world.trust

    @settings(max_examples=120, deadline=None)
    @given(st.integers(0, len(small) - SIGNATURE_BYTES - 1), st.integers(0, 7))
    def refuses(position, bit):
        changed = _sealed_again(_flip(small, position, bit), world.cloud)
        with suppress(BundleError):
            assert _reasons(changed, trust) != honest or position in own_word

    refuses()


def test_truncated_anywhere(world, small):
    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, len(small) - 1))
    def unreadable(length):
        with pytest.raises(BundleError):
            verify_bundle(small[:length], world.trust)

    unreadable()


@pytest.mark.parametrize("more", [b"\0", b"TZBUNDLE", bytes(5_000)])
def test_trailing_bytes(world, small, more):
    with pytest.raises(BundleError, match="bytes follow the signature"):
        verify_bundle(small + more, world.trust)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_typed_error(data):
    for attempt in (data, b"TZBUNDLE\0\x01" + data):
        with pytest.raises(BundleError):
            Bundle.parse(attempt)


def test_wholly_signed_again_with_other_keys(world, credit):
    pinned = world.trust
    for holder in (world.site, world.other):
        holder.key = world.eve
    world.site.number, world.site.sequence, world.site.previous = 0, 0, bytes(32)
    world.alice = world.cloud = world.eve
    forged = world.bundle([world.site.epoch(1_990_000 + index) for index in range(3)])
    assert _reasons(forged, pinned) == {Reason.UNKNOWN_KEY}


def test_another_key_that_goes_by_the_clouds_identifier(world, credit):
    bundle = world.bundle(credit, key=world.eve)
    at = len(bundle) - SIGNATURE_BYTES - 8
    assert bundle[at : at + 8] == world.eve.key_id
    forged = bundle[:at] + world.cloud.key_id + bundle[at + 8 :]
    assert _reasons(_sealed_again(forged, world.eve), world.trust) == {Reason.BAD_SIGNATURE}


def test_a_cloud_that_writes_its_own_batches(world, credit):
    world.site.number, world.site.sequence, world.site.previous = 0, 0, bytes(32)
    own = [world.site.epoch(1_990_000 + index, key=world.cloud) for index in range(3)]
    assert _reasons(world.bundle(own), world.trust) == {Reason.UNKNOWN_KEY}


def test_a_cloud_that_approves_its_own_mints(world, credit):
    request = world.request(credit)
    signature = world.approval(request).sign(world.cloud)
    assert _reasons(world.bundle(credit, request, approval_signature=signature), world.trust) == {Reason.BAD_SIGNATURE}


def test_an_expired_cloud_key(world, credit):
    trust = replace(world.trust, cloud=(replace(world.trust.cloud[0], valid_to=(1_990_000 + 101) * 900 - 1),))
    assert _reasons(world.bundle(credit), trust) == {Reason.KEY_NOT_VALID}


def test_an_auditors_approval(world, credit):
    request = world.request(credit)
    approval = world.approval(request, approver="oscar")
    bundle = world.bundle(credit, request, approval=approval, approval_signature=approval.sign(world.oscar))
    assert _reasons(bundle, world.trust) == {Reason.WRONG_ROLE}


def test_a_batch_that_is_not_believed(world, credit, first_epoch):
    batches = [*credit[:-1], world.site.epoch(first_epoch + 3, root_source=RootSource.HOST)]
    assert _reasons(world.bundle(batches), world.trust) == {Reason.ROOT_NOT_FROM_GATEWARE}


def test_another_sites_batches(world, credit, first_epoch):
    theirs = [world.other.epoch(first_epoch + index) for index in range(3)]
    assert _reasons(world.bundle(theirs), world.trust) == {Reason.OTHER_SITE}


def test_energy_that_uses_up_every_epochs_allowance_for_lag(world, first_epoch):
    world.site.scale, world.site.power_mw = 9, 1_144_444
    batches = [world.site.epoch(first_epoch + index, bend=lambda sequence, raw: {"hot_flow": 31_590}) for index in range(3)]
    report = verify_bundle(world.bundle(batches), world.trust)
    assert {part.title for part in report.parts if not part.believed} == {"whole claim"}
    assert {check.reason for check in report.refusals} == {Reason.ABOVE_HEAT}


def test_an_epoch_twice(world, credit):
    request = world.request(credit)
    doubled = replace(request, epochs=(*request.epochs, request.epochs[-1]))
    assert Reason.WRONG_EPOCHS in _reasons(world.bundle([*credit, credit[-1]], doubled), world.trust)


def test_a_batch_of_the_request_left_out(world, credit):
    bundle = _with(world.bundle(credit), world.cloud, batches=[credit[0], credit[2]])
    assert _reasons(bundle, world.trust) == {Reason.WRONG_EPOCHS, Reason.WRONG_ENERGY}


def test_batches_in_another_order(world, credit):
    request = world.request(credit)
    assert Reason.WRONG_BATCH in _reasons(world.bundle([credit[1], credit[0], *credit[2:]], request), world.trust)


@pytest.mark.parametrize("step", [-1, 1])
def test_an_amount_that_is_off_by_one(world, credit, step):
    request = world.request(credit)
    request = replace(request, amount=request.amount + step)
    assert _reasons(world.bundle(credit, request), world.trust) == {Reason.WRONG_AMOUNT}


def test_a_supply_that_is_off_by_one(world, credit):
    request = world.request(credit)
    ledger = world.ledger(request, supply=request.amount + 1)
    assert _reasons(world.bundle(credit, request, ledger=ledger), world.trust) == {Reason.WRONG_SUPPLY}


@pytest.mark.parametrize("field", ["mint", "base", "program", "seed"])
def test_an_address_that_is_not_the_requests(world, credit, field):
    request = world.request(credit)
    other = "0" * 32 if field == "seed" else base58.b58encode(bytes([7] * 32)).decode()
    ledger = world.ledger(request, **{field: other})
    assert _reasons(world.bundle(credit, request, ledger=ledger), world.trust) == {Reason.WRONG_ADDRESS}


def test_metadata_that_says_more_than_the_request(world, credit):
    request = world.request(credit)
    honest = world.ledger(request).metadata
    for metadata in (honest[::-1], honest[1:], tuple((field, "false" if field == "demonstration" else text) for field, text in honest)):
        bundle = world.bundle(credit, request, ledger=world.ledger(request, metadata=metadata))
        assert _reasons(bundle, world.trust) == {Reason.WRONG_METADATA}


def test_a_methodology_of_the_clouds_own(world, credit):
    document = parse(GRID.document)
    document["constants"][0]["value"] = 482
    own = Methodology.parse(canonical(document))
    request = world.request(credit)
    amount, carry = own.amount(request.energy_mj, 0)
    request = replace(request, methodology_hash=own.hash, amount=amount, carry_out=carry)
    assert _reasons(world.bundle(credit, request, methodology=own), world.trust) == {Reason.UNKNOWN_METHODOLOGY}
    assert _reasons(world.bundle(credit, methodology=own), world.trust) == {Reason.UNKNOWN_METHODOLOGY}


def test_a_credit_that_is_not_marked_as_a_demonstration(world, credit):
    request = replace(world.request(credit), demonstration=False)
    assert _reasons(world.bundle(credit, request), world.trust) == {Reason.NOT_MARKED_AS_DEMONSTRATION}


def test_a_demonstration_credit_under_a_production_list(world, first_epoch):
    world.site.clocks, world.site.scale = 50_000_000, 9
    batches = [world.site.epoch(first_epoch + index) for index in range(3)]
    sites = tuple(replace(site, clocks_per_site_second=50_000_000) for site in world.trust.sites)
    production = replace(world.trust, sites=sites, demonstration=False)
    assert _reasons(world.bundle(batches), production) == {Reason.NOT_A_DEMONSTRATION_LIST}


def test_a_simulated_site_under_a_production_list(world, credit):
    sites = tuple(replace(site, clocks_per_site_second=50_000_000) for site in world.trust.sites)
    production = replace(world.trust, sites=sites, demonstration=False)
    assert _reasons(world.bundle(credit), production) == {Reason.NOT_A_DEMONSTRATION_LIST, Reason.WRONG_CLOCKS}


def test_an_approval_before_the_last_epoch_of_a_real_site(world, first_epoch):
    world.site.clocks, world.site.scale = 50_000_000, 9
    batches = [world.site.epoch(first_epoch + index) for index in range(3)]
    trust = replace(world.trust, sites=(world.site_key(world.site, clocks_per_site_second=50_000_000),))
    assert verify_bundle(world.bundle(batches), trust).believed
    request = world.request(batches)
    early = world.approval(request, time=first_epoch * 900)
    assert _reasons(world.bundle(batches, request, approval=early), trust) == {Reason.WRONG_TIME}


@pytest.mark.parametrize(
    "change", [lambda data: data.replace(b":", b": ", 1), lambda data: data + b"\n", lambda data: data.replace(b"true", b"True")]
)
def test_a_request_in_another_spelling(world, credit, change):
    request = world.request(credit)
    bundle = world.bundle(credit, request)
    other = change(request.encode())
    assert _reasons(_with(bundle, world.cloud, request=other), world.trust) == {Reason.UNREADABLE}


def test_the_carry_is_followed_into_the_previous_bundle(world, credit, first_epoch):
    first = world.request(credit)
    more = [world.site.epoch(first_epoch + 3 + index) for index in range(3)]
    before, bundle = world.bundle(credit, first), world.bundle(more, world.request(more, number=2, previous=first))
    alone, followed = verify_bundle(bundle, world.trust), verify_bundle(bundle, world.trust, before)
    assert alone.believed and followed.believed
    assert any("--previous" in sentence for sentence in alone.rests_on)
    assert not any("--previous" in sentence for sentence in followed.rests_on)
    assert Reason.WRONG_CARRY in _reasons(bundle, world.trust, bundle)
    for spoilt in (_flip(before, len(before) - 1), before[:-1]):
        assert _reasons(bundle, world.trust, spoilt) == {Reason.PREVIOUS_REFUSED}


def test_a_ledger_record_reads_back(world, credit):
    record = world.ledger(world.request(credit))
    assert LedgerRecord.parse(record.encode()) == record


def test_a_bundle_is_not_sealed_with_other_batches_than_the_requests(world, credit):
    with pytest.raises(ValueError, match="claims 3 epochs and 2 batches"):
        world.bundle(credit[1:], world.request(credit))
