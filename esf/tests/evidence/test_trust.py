"""Nobody slips into a trust list, and a list that contradicts itself is none."""

from dataclasses import replace
from hashlib import sha3_256

import pytest
from thermogen_esf.evidence.canonical import canonical, parse
from thermogen_esf.evidence.trust import TrustError, TrustList


def test_a_list_reads_back_and_its_fingerprint_is_that_of_the_file(world):
    data = world.trust.encode()
    assert TrustList.parse(data) == world.trust
    assert world.trust.fingerprint == sha3_256(data).digest()


@pytest.mark.parametrize(
    "change", [lambda data: data + b"\n", lambda data: b" " + data, lambda data: data[:-1], lambda data: b"{}", lambda data: b"[]"]
)
def test_other_bytes_are_no_list(world, change):
    with pytest.raises(TrustError):
        TrustList.parse(change(world.trust.encode()))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 2),
        (("demonstration",), 1),
        (("sites", 0, "nameplate_w"), 0),
        (("sites", 0, "nameplate_w"), "1140"),
        (("sites", 0, "channels"), 109),
        (("sites", 0, "hot_fluid"), "water"),
        (("sites", 0, "name"), "TZ-ALPHA"),
        (("sites", 0, "name"), "tz‑alpha"),
        (("sites", 0, "public_key"), "00"),
        (("sites", 0, "valid_from"), None),
        (("sites", 0, "clocks_per_site_second"), 50_000_001),
        (("cloud", 0, "valid_to"), 1),
        (("approvers", 0, "unknown"), 1),
    ],
)
def test_a_field_out_of_range_or_unknown_is_refused_and_named(world, path, value):
    document = parse(world.trust.encode())
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(TrustError) as error:
        TrustList.parse(canonical(document))
    assert path[-1] in str(error.value) or path[-1] == "valid_to"


def test_a_production_list_names_no_simulated_site(world):
    with pytest.raises(TrustError, match="10000 clocks"):
        replace(world.trust, demonstration=False)


def test_one_key_cannot_speak_for_two(world):
    trust = world.trust
    approver = replace(trust.approvers[0], public_key=world.cloud.public_key)
    with pytest.raises(TrustError, match="share key"):
        replace(trust, approvers=(approver,))


def test_a_site_has_one_key_at_a_time(world):
    trust = world.trust
    old = replace(trust.sites[0], valid_to=trust.sites[0].valid_from + 100)
    new = replace(old, public_key=world.eve.public_key, valid_from=old.valid_to + 1, valid_to=None)
    assert replace(trust, sites=(new, old)).site_key(new.key_id) == new
    with pytest.raises(TrustError, match="two keys"):
        replace(trust, sites=(old, replace(new, valid_from=old.valid_to)))


def test_an_approver_has_one_key_in_a_role_at_a_time(world):
    second = replace(world.trust.approvers[0], public_key=world.eve.public_key)
    with pytest.raises(TrustError, match="two keys"):
        replace(world.trust, approvers=(*world.trust.approvers, second))
