"""Properties between the protocol and plain values, and what stays secret on the way."""

from __future__ import annotations

from typing import Any

from google.protobuf.struct_pb2 import Struct

from rehearsal.protocol import MASK, answer, properties, secret, to_struct


def with_secret(key: str, value: Any, **others: Any) -> Struct:
    return to_struct({key: secret(value), **others})


PLAIN = {"text": "x", "whole": 3, "half": 0.5, "yes": True, "list": [1, {"a": "b"}], "map": {}}


def test_plain_values_come_back_as_they_went() -> None:
    assert properties(to_struct(PLAIN)) == PLAIN


def test_reading_a_property_that_is_not_there_does_not_create_it() -> None:
    struct = to_struct({"metadata": {"name": "x"}})
    before = struct.SerializeToString(deterministic=True)
    properties(struct)
    assert struct.SerializeToString(deterministic=True) == before


def test_a_secret_is_readable_for_a_provider_and_masked_for_a_file() -> None:
    struct = with_secret("password", {"user": "root"}, name="x")
    assert properties(struct) == {"password": {"user": "root"}, "name": "x"}
    assert properties(struct, mask=True) == {"password": MASK, "name": "x"}


def test_an_echoed_secret_stays_secret_and_so_does_what_repeats_it() -> None:
    struct = with_secret("password", "correct-horse", user="root")
    outputs = {
        "password": "correct-horse",
        "user": "root",
        "url": "mysql://root:correct-horse@db",
        "port": 3306,
    }
    state = answer(struct, properties(struct), outputs)
    assert properties(state) == outputs
    assert properties(state, mask=True) == {
        "password": MASK,
        "user": "root",
        "url": MASK,
        "port": 3306,
    }


def test_a_secret_inside_a_secret_stays_secret_where_it_is_repeated() -> None:
    struct = with_secret("logins", ["root", secret("correct-horse")])
    state = answer(struct, properties(struct), {"url": "mysql://root:correct-horse@db"})
    assert properties(state, mask=True)["url"] == MASK
