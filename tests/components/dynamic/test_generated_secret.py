"""Secrets a stack invents: drawn once, kept, never readable in state."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from typing import Any

import bcrypt
import pulumi
import pytest
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.proto import provider_pb2

from components.dynamic.generated_secret import (
    LETTERS_AND_DIGITS,
    BcryptHash,
    BcryptHashProvider,
    GeneratedSecret,
    GeneratedSecretProvider,
)
from tests.components.dynamic import pulumi_plugin
from tests.harness import Recorded, run

DRAWN = "pulumi-python:dynamic:GeneratedSecret"
SHAPE: dict[str, Any] = {"length": 32, "alphabet": LETTERS_AND_DIGITS}
# RDS refuses these in a MySQL master password, which has 8 to 41 characters
# (docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html).
REFUSED_BY_RDS = set('/@" ')


def drawn(**shape: Any) -> str:
    return (GeneratedSecretProvider().create({**SHAPE, **shape}).outs or {})["value"]


def hashed(password: str) -> dict[str, Any]:
    return BcryptHashProvider().create({"password": password}).outs or {}


def registered(program: Callable[[], GeneratedSecret | BcryptHash]) -> Recorded:
    def exporting() -> dict[str, object]:
        return {"secret": pulumi.Output.from_input(program().value.is_secret())}

    return run(exporting)


# -- the drawn secret -----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [8, 20, 32, 41])
def test_a_secret_has_its_length(length: int) -> None:
    assert len(drawn(length=length)) == length


def test_a_secret_holds_nothing_but_its_alphabet() -> None:
    assert set(drawn(length=500, alphabet="abc")) == set("abc")


def test_the_usual_alphabet_is_one_rds_accepts() -> None:
    assert set(LETTERS_AND_DIGITS) == set(string.ascii_letters + string.digits)
    assert not REFUSED_BY_RDS & set(LETTERS_AND_DIGITS)


def test_no_two_stacks_draw_the_same() -> None:
    assert len({drawn() for _ in range(50)}) == 50


def test_the_id_is_independent_of_the_secret() -> None:
    made = GeneratedSecretProvider().create(dict(SHAPE))
    assert made.id not in (made.outs or {})["value"]
    assert made.id != GeneratedSecretProvider().create(dict(SHAPE)).id


@pytest.mark.parametrize("more", [{}, {"generation": "3"}])
def test_an_unchanged_secret_is_kept(more: dict[str, str]) -> None:
    # The first: secrets without a generation, which nothing rotates.
    state = {**SHAPE, **more, "value": "drawn before"}
    assert GeneratedSecretProvider().diff("id", state, {**SHAPE, **more}).changes is False


def test_a_generation_is_no_input_of_a_secret_that_has_none() -> None:
    plain = registered(lambda: GeneratedSecret("password", length=32)).only(DRAWN)
    rotated = registered(lambda: GeneratedSecret("password", length=32, generation="7")).only(DRAWN)
    assert "generation" not in plain.inputs
    assert rotated.inputs["generation"] == "7"


@pytest.mark.parametrize(
    ("key", "value"), [("length", 40), ("alphabet", "ab"), ("generation", "2")]
)
def test_another_shape_or_generation_draws_a_new_secret(key: str, value: Any) -> None:
    state = {**SHAPE, "generation": "1", "value": "drawn before"}
    diff = GeneratedSecretProvider().diff("id", state, {**SHAPE, "generation": "1", key: value})
    assert diff.changes
    assert diff.replaces == [key]


def test_a_refresh_keeps_the_secret() -> None:
    state = {**SHAPE, "value": "drawn before"}
    assert GeneratedSecretProvider().read("id", dict(state)).outs == state


# -- the hash -------------------------------------------------------------------------------------


def test_the_hash_is_the_passwords() -> None:
    made = hashed("correct horse")["value"]
    assert bcrypt.checkpw(b"correct horse", made.encode())
    assert not bcrypt.checkpw(b"battery staple", made.encode())


def test_the_salt_stays_while_the_password_does() -> None:
    assert BcryptHashProvider().diff("id", hashed("same"), {"password": "same"}).changes is False


def test_another_password_gets_another_hash_in_place() -> None:
    provider, before, news = BcryptHashProvider(), hashed("old"), {"password": "new"}
    diff = provider.diff("id", before, news)
    assert diff.changes
    assert not diff.replaces
    after = (provider.update("id", before, news).outs or {})["value"]
    assert bcrypt.checkpw(b"new", after.encode())


def test_a_refresh_keeps_the_hash() -> None:
    state = hashed("same")
    assert BcryptHashProvider().read("id", dict(state)).outs == state


def test_a_password_longer_than_bcrypt_reads_is_refused() -> None:
    with pytest.raises(ValueError, match="72 bytes"):
        hashed("x" * 73)


# -- what ends up in state -------------------------------------------------------------------------


def test_the_value_of_a_secret_is_marked_secret() -> None:
    recorded = registered(lambda: GeneratedSecret("password", length=32))
    made = recorded.only("pulumi-python:dynamic:GeneratedSecret", "password")
    assert list(made.options.additionalSecretOutputs) == ["value"]
    assert recorded.exports["secret"] is True
    assert made.inputs["length"] == 32
    assert not made.inputs.get("value")


def test_a_password_goes_in_encrypted_and_its_hash_comes_out_so() -> None:
    recorded = registered(lambda: BcryptHash("hash", "in plain text"))
    made = recorded.only("pulumi-python:dynamic:BcryptHash", "hash")
    assert "password" in made.secrets
    assert recorded.exports["secret"] is True
    assert set(made.options.additionalSecretOutputs) == {"password", "value"}


def test_the_caller_may_add_outputs_that_are_secret() -> None:
    recorded = registered(
        lambda: GeneratedSecret(
            "password",
            length=32,
            opts=pulumi.ResourceOptions(additional_secret_outputs=["alphabet"]),
        )
    )
    made = recorded.only("pulumi-python:dynamic:GeneratedSecret")
    assert set(made.options.additionalSecretOutputs) == {"alphabet", "value"}


# -- the plugin that runs it ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def plugin() -> Iterator[Any]:
    with pulumi_plugin.started() as started:
        yield started


def sent(provider: type[Any], **props: Any) -> Any:
    return pulumi_plugin.sent(serialize_provider(provider()), **props)


def test_the_plugin_draws_a_secret_and_then_sees_no_change(plugin: Any) -> None:
    news = sent(GeneratedSecretProvider, **SHAPE)
    made = plugin.Create(provider_pb2.CreateRequest(properties=news)).properties
    assert len(made["value"]) == 32
    again = plugin.Diff(provider_pb2.DiffRequest(id="id", olds=made, news=news))
    assert again.changes == provider_pb2.DiffResponse.DIFF_NONE
    longer = sent(GeneratedSecretProvider, **{**SHAPE, "length": 40})
    changed = plugin.Diff(provider_pb2.DiffRequest(id="id", olds=made, news=longer))
    assert list(changed.replaces) == ["length"]


def test_the_plugin_hashes_and_then_sees_no_change(plugin: Any) -> None:
    news = sent(BcryptHashProvider, password="correct horse")
    made = plugin.Create(provider_pb2.CreateRequest(properties=news)).properties
    assert bcrypt.checkpw(b"correct horse", made["value"].encode())
    again = plugin.Diff(provider_pb2.DiffRequest(id="id", olds=made, news=news))
    assert again.changes == provider_pb2.DiffResponse.DIFF_NONE
