"""A credit's ledger address follows from its request, as the ledger's own software derives it."""

from hashlib import sha3_256

import pytest
from thermogen_esf.evidence.ledger_address import AddressError, mint_address, mint_seed


@pytest.mark.parametrize(
    ("base", "request_text", "address"),
    [
        # Made with solders 0.29, Pubkey.create_with_seed.
        ("1thX6LZfHDZZKUs92febYZhYRcXddmzfzF2NvTkPNE", b"request", "EYRiQiTYueCskXAQL7aDLto8avTzYvv2VkHojYXdQUHf"),
        ("1thX6LZfHDZZKUs92febYZhYRcXddmzfzF2NvTkPNE", b"another", "HGdFcrVk3TXDWAUxdiamxndVrTkWnz8SrWUA8G2DRtG3"),
        ("JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFG", b"request", "CMEniGTjiwTaTpcs5GRRhLYkUAjnKuEdLH1XdaED1vhB"),
        ("JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFG", b"another", "3FCe3tpf9Fxu54itskmQayd2SoKAnxgBJEAKjha58WYU"),
    ],
)
def test_addresses_are_those_of_an_independent_implementation(base, request_text, address):
    assert mint_address(base, sha3_256(request_text).digest()) == address


def test_the_seed_is_the_first_half_of_the_requests_hash():
    assert mint_seed(bytes(range(32))) == "000102030405060708090a0b0c0d0e0f"


@pytest.mark.parametrize(
    "base",
    [
        "",
        "1thX6LZfHDZZKUs92febYZhYRcXddmzfzF2NvTkPN",
        "0OIl",
        "é",
        "1" + "1thX6LZfHDZZKUs92febYZhYRcXddmzfzF2NvTkPNE",
        " 1thX6LZfHDZZKUs92febYZhYRcXddmzfzF2NvTkPNE",
    ],
)
def test_what_is_no_address_is_refused(base):
    with pytest.raises(AddressError):
        mint_address(base, bytes(32))
