"""Secrets this stack invents for itself, so that no two stacks share a published one.

Dynamic resources: their plugin ships with the Pulumi CLI, so nothing has to be downloaded. Both
providers are importable classes without captured values; the pickle that ends up in state is a
reference of a few dozen bytes, the same in every process.
"""

from __future__ import annotations

import secrets
import string
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

LETTERS_AND_DIGITS = string.ascii_letters + string.digits


class GeneratedSecretProvider(ResourceProvider):
    """Draws once from the system's random source; the value lives until its shape changes.

    ``generation`` is missing where nobody rotates, also in states from before there was one.
    """

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        value = "".join(secrets.choice(props["alphabet"]) for _ in range(int(props["length"])))
        return CreateResult(id_=secrets.token_hex(8), outs={**props, "value": value})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        keys = ("alphabet", "generation", "length")
        changed = [key for key in keys if _olds.get(key) != _news.get(key)]
        return DiffResult(changes=bool(changed), replaces=changed)


class BcryptHashProvider(ResourceProvider):
    """Hashes with a fresh salt whenever the password changes, and only then."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(id_=secrets.token_hex(8), outs=_hashed(props))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=_olds.get("password") != _news.get("password"))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(outs=_hashed(_news))


def _hashed(props: dict[str, Any]) -> dict[str, Any]:
    # Imported here: only a create needs the native module, never a preview.
    import bcrypt

    return {**props, "value": bcrypt.hashpw(props["password"].encode(), bcrypt.gensalt()).decode()}


class GeneratedSecret(Resource, name="GeneratedSecret"):
    """Makes: one random text that differs in every stack and stays the same across updates.

    Args:
        length: characters.
        alphabet: what to draw from; letters and digits fit every consumer and need no quoting.
        generation: any text; another one draws a new value. Empty: it never changes.

    Outputs:
        value: the text; a secret.
        version: a random name of this very text, and no secret; another text has another. For
            whatever has to notice a new text without knowing it.
    """

    value: pulumi.Output[str]
    version: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        length: int = 32,
        alphabet: str = LETTERS_AND_DIGITS,
        generation: str = "",
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if length < 1 or len(set(alphabet)) < 2:
            raise ValueError(f"a secret of {length} characters from {alphabet!r} is none")
        super().__init__(
            GeneratedSecretProvider(),
            name,
            {
                "length": length,
                "alphabet": alphabet,
                **({"generation": generation} if generation else {}),
                "value": None,
            },
            _keeping_secret(opts, "value"),
        )
        # Secret also before the engine has answered, whatever a provider answers.
        self.value = pulumi.Output.secret(self.value)
        # A new text is always a replacement, which has an id of its own.
        self.version = self.id


class BcryptHash(Resource, name="BcryptHash"):
    """Makes: the bcrypt hash of a password, as Dex takes it.

    Args:
        password: at most 72 bytes, bcrypt's own limit; kept in state as a secret.

    Outputs:
        value: the hash; a secret.
    """

    value: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        password: pulumi.Input[str],
        *,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(
            BcryptHashProvider(),
            name,
            {"password": pulumi.Output.secret(password), "value": None},
            _keeping_secret(opts, "value", "password"),
        )
        self.value = pulumi.Output.secret(self.value)


def _keeping_secret(opts: pulumi.ResourceOptions | None, *outputs: str) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(
        opts, pulumi.ResourceOptions(additional_secret_outputs=list(outputs))
    )
