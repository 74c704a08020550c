"""Secrets that the stack generates, so that no two stacks share a published one.

Dynamic resources, because their plugin is part of the Pulumi CLI: nothing has to be downloaded
(docs/decisions/0060-own-secrets-and-certificates-stay.md).
"""

from __future__ import annotations

import secrets
import string
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from components.dynamic.provider import DynamicProvider, with_secret_outputs

LETTERS_AND_DIGITS = string.ascii_letters + string.digits


class GeneratedSecretProvider(DynamicProvider):
    """Draws once from the system's random source; another input draws another value.

    ``generation`` is missing where nothing rotates the value.
    """

    replacing = ("alphabet", "generation", "length")

    def outputs(self, news: dict[str, Any], _olds: dict[str, Any]) -> dict[str, Any]:
        """Draw the value."""
        value = "".join(secrets.choice(news["alphabet"]) for _ in range(int(news["length"])))
        return {**news, "value": value}


class BcryptHashProvider(DynamicProvider):
    """Hashes with a new salt when the password changes, and only then."""

    updating = ("password",)

    def outputs(self, news: dict[str, Any], _olds: dict[str, Any]) -> dict[str, Any]:
        """Hash the password."""
        # Imported here: a preview hashes nothing and needs no native module.
        import bcrypt

        hashed = bcrypt.hashpw(news["password"].encode(), bcrypt.gensalt())
        return {**news, "value": hashed.decode()}


class GeneratedSecret(Resource, name="GeneratedSecret"):
    """Makes: a text of random letters and digits, which every consumer accepts unquoted.

    Args:
        name: of the resource.
        length: characters.
        alphabet: of the text, where not all letters are allowed.
        generation: any text; another one draws a new value. Empty: the value never changes.
        opts: of the resource.

    Attributes:
        value: the text; a secret.
        version: a random public text, another one for every value; for what must notice a new
            value without containing it.
    """

    value: pulumi.Output[str]
    version: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        length: int,
        alphabet: str = LETTERS_AND_DIGITS,
        generation: str = "",
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(
            GeneratedSecretProvider(),
            name,
            {
                "length": length,
                "alphabet": alphabet,
                **({"generation": generation} if generation else {}),
                "value": None,
            },
            with_secret_outputs(opts, "value"),
        )
        # A secret also before the engine responds, and if a provider returns plain text.
        self.value = pulumi.Output.secret(self.value)
        # Another value is always a replacement, which has another id.
        self.version = self.id


class BcryptHash(Resource, name="BcryptHash"):
    """Makes: the bcrypt hash of a password, as Dex takes it.

    Args:
        name: of the resource.
        password: at most 72 bytes, bcrypt's own limit; a secret in the state.
        opts: of the resource.

    Attributes:
        value: the hash; a secret.
    """

    value: pulumi.Output[str]

    def __init__(
        self, name: str, password: pulumi.Input[str], *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(
            BcryptHashProvider(),
            name,
            {"password": pulumi.Output.secret(password), "value": None},
            with_secret_outputs(opts, "value", "password"),
        )
        self.value = pulumi.Output.secret(self.value)
