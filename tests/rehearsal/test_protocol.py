"""Properties between the protocol and plain values, and what stays secret on the way."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct

from rehearsal import protocol


def sent(**values: Any) -> Struct:
    return Struct(fields={key: protocol.encode(value) for key, value in values.items()})


def with_secret(key: str, value: Any, **others: Any) -> Struct:
    struct = sent(**others)
    struct.fields[key].CopyFrom(protocol.encode(value, secret=True))
    return struct


PLAIN = {"text": "x", "whole": 3, "half": 0.5, "yes": True, "list": [1, {"a": "b"}], "map": {}}


def test_plain_values_come_back_as_they_went() -> None:
    assert protocol.properties(sent(**PLAIN)) == PLAIN


def test_reading_a_property_that_is_not_there_does_not_create_it() -> None:
    struct = sent(metadata={"name": "x"})
    before = struct.SerializeToString(deterministic=True)
    protocol.properties(struct)
    assert struct.SerializeToString(deterministic=True) == before


def test_a_secret_is_readable_for_a_provider_and_masked_for_a_file() -> None:
    struct = with_secret("password", {"user": "root"}, name="x")
    assert protocol.properties(struct) == {"password": {"user": "root"}, "name": "x"}
    assert protocol.properties(struct, mask=True) == {"password": protocol.MASK, "name": "x"}


def test_an_echoed_secret_stays_secret_and_so_does_what_repeats_it() -> None:
    struct = with_secret("password", "correct-horse", user="root")
    outputs = {
        "password": "correct-horse",
        "user": "root",
        "url": "mysql://root:correct-horse@db",
        "port": 3306,
    }
    state = protocol.answer(struct, protocol.properties(struct), outputs)
    assert protocol.properties(state) == outputs
    assert protocol.properties(state, mask=True) == {
        "password": protocol.MASK,
        "user": "root",
        "url": protocol.MASK,
        "port": 3306,
    }


@pytest.mark.parametrize(
    ("value", "unknown"),
    [("x", False), (protocol.UNKNOWN, True), ({"a": [protocol.UNKNOWN]}, True), ([{"a": 1}], False)],
)
def test_unknown_values_are_found_at_any_depth(value: Any, unknown: bool) -> None:
    assert protocol.has_unknowns(value) is unknown
