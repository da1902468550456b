"""One value has one encoding, and nothing else is read."""

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thermogen_esf.evidence.canonical import CanonicalError, canonical, digest, parse

_TEXT = st.text(max_size=8).map(lambda text: unicodedata.normalize("NFC", text))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64) + 1, 2**64 - 1) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="ascii"), max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(_VALUES)
def test_what_is_encoded_reads_back(value):
    assert parse(canonical(value)) == value


@given(st.binary(max_size=64) | _VALUES.map(lambda value: json.dumps(value).encode()))
def test_whatever_is_read_is_its_own_only_encoding(data):
    try:
        value = parse(data)
    except CanonicalError:
        return
    assert canonical(value) == data


def test_an_example_that_others_can_compare_with():
    value = {"b": [1, -2, None, True], "a": {"z": 'ü"\\\n'}}
    assert canonical(value) == b'{"a":{"z":"\xc3\xbc\\"\\\\\\n"},"b":[1,-2,null,true]}'
    assert digest([]).hex() == "ca4510738395af1429224dd785675309c344b2b549632e20275c69b15ed1d210"


def _nested(levels):
    return [_nested(levels - 1)] if levels else []


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b"-0",
        b"NaN",
        b'"\\u0041"',
        b'"\\/"',
        b'"\\ud800"',
        '"e\u0301"'.encode(),
        '{"é":1}'.encode(),
        b"\xef\xbb\xbf1",
        b'"\xff"',
        b"18446744073709551616",
        b"9" * 5000,
        b"[" * 100_000,
        b"",
    ],
    ids=[
        "unsorted keys",
        "white space",
        "trailing newline",
        "key twice",
        "fraction",
        "exponent",
        "negative zero",
        "not a number",
        "needless escape",
        "escaped slash",
        "half a surrogate pair",
        "not NFC",
        "key not ASCII",
        "byte order mark",
        "not UTF-8",
        "65 bits",
        "5,000 digits",
        "nested without end",
        "nothing",
    ],
)
def test_another_spelling_is_refused(data):
    with pytest.raises(CanonicalError):
        parse(data)


@pytest.mark.parametrize("value", [1.0, {1: 2}, b"bytes", {"a": {2}}, "e\u0301", _nested(17)])
def test_a_value_without_an_encoding_is_refused(value):
    with pytest.raises(CanonicalError):
        canonical(value)
