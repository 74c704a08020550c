"""Logins: what is derived from an e-mail address, and what is kept under it."""

from __future__ import annotations

import json
import re
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components.kubeflow.logins import DexAccount, Logins
from rehearsal.clouds import ACCOUNT
from settings import from_mapping
from settings.context import StackContext
from settings.users import User
from tests.harness import MASKED, REGIONS, Recorded, run

DRAWN = "pulumi-python:dynamic:GeneratedSecret"
HASH = "pulumi-python:dynamic:BcryptHash"
ALIKE = ["a.b@x.cn", "a_b@x.cn", "a-b@x.cn", "a.b@x-cn.cn", "ab@x.cn", "a+b@x.cn", "a.b@x.cn.cn"]


def logins(*emails: str, region: str = "cn-north-1") -> Recorded:
    users = [User(email=email, namespace=f"n{place}") for place, email in enumerate(emails)]

    settings = from_mapping({"region": region, "cluster": {"name": "ml"}})

    def program() -> dict[str, Any]:
        made = Logins(
            "login",
            StackContext.of(settings, ACCOUNT, {"team": "ml"}),
            users,
            pulumi.ResourceOptions(providers=[aws.Provider("aws", region=region)]),
        )
        secrets = [*made.hashes.values(), *made.versions.values()]
        return {
            "secret": made.secret_arn,
            "dex": made.static_passwords,
            "hashes": pulumi.Output.all(**made.hashes),
            "versions": pulumi.Output.all(**made.versions),
            "are secret": pulumi.Output.all(
                *(pulumi.Output.from_input(each.is_secret()) for each in secrets)
            ),
        }

    return run(program, region)


def secret_text(made: Recorded) -> dict[str, str]:
    version = made.only("aws:secretsmanager/secretVersion:SecretVersion")
    assert version.visible["secretString"] == MASKED
    return json.loads(version.inputs["secretString"])


# -- what an e-mail address gives -----------------------------------------------------------------


@pytest.mark.parametrize("email", [*ALIKE, "1$`&|~!#%^@x.cn", f"{'x' * 64}@{'y' * 63}.cn"])
def test_a_variable_has_a_name_that_every_shell_and_kubelet_takes(email: str) -> None:
    assert re.fullmatch(r"[A-Z][A-Z0-9_]{0,62}", DexAccount(email).variable)


def test_e_mail_addresses_that_look_alike_share_nothing() -> None:
    accounts = [DexAccount(email) for email in ALIKE]
    assert len({account.variable for account in accounts}) == len(ALIKE)
    assert len({account.user_id for account in accounts}) == len(ALIKE)


def test_the_same_e_mail_address_gives_the_same_in_every_stack_and_for_ever() -> None:
    assert DexAccount("ann@example.org").static_password == {
        "email": "ann@example.org",
        "hashFromEnv": "DEX_USER_PASSWORD_438C4C7AFE600CDF1E455C369BEC76DC",
        "username": "ann",
        "userID": "438c4c7afe600cdf1e455c369bec76dc",
    }


# -- what is made ---------------------------------------------------------------------------------


@pytest.mark.parametrize("region", REGIONS)
def test_everybody_has_a_password_in_one_secret_and_dex_its_hash(region: str) -> None:
    made = logins("bo@x.cn", "ann@x.cn", region=region)
    passwords = secret_text(made)
    assert passwords.keys() == {"ann@x.cn", "bo@x.cn"}
    assert made.exports["secret"] == made.only("aws:secretsmanager/secret:Secret").outputs["arn"]
    hashed = {each.inputs["password"]: each.outputs["value"] for each in made.of(HASH)}
    assert made.exports["hashes"] == {
        DexAccount(email).variable: hashed[password] for email, password in passwords.items()
    }


def test_the_order_of_the_users_changes_nothing_at_all() -> None:
    one, other = (logins(*order) for order in (("a@x.cn", "b@x.cn"), ("b@x.cn", "a@x.cn")))
    assert one.exports == other.exports
    assert {r.urn: r.inputs for r in one.all} == {r.urn: r.inputs for r in other.all}


def test_a_resource_is_called_by_the_e_mail_address() -> None:
    made = logins("ann@x.cn", "bo@x.cn")
    for kind in (DRAWN, HASH):
        assert [r.name for r in made.of(kind)] == ["login-ann@x.cn", "login-bo@x.cn"]


def test_hashes_are_secret_and_versions_are_not() -> None:
    made = logins("ann@x.cn", "bo@x.cn")
    assert made.exports["are secret"] == [True, True, False, False]
    drawn = {r.outputs["value"] for r in made.of(DRAWN)}
    versions = made.exports["versions"]
    assert versions.keys() == made.exports["hashes"].keys()
    assert len({*versions.values()}) == 2
    assert not {*versions.values()} & drawn
