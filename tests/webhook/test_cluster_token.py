"""The token of a role, as the API server of an EKS cluster judges it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from botocore.credentials import Credentials

from regions.region import Region
from tests.harness import REGIONS
from tests.webhook.eks_authenticator import Authenticator, TokenRefused
from webhook.cluster_token import ClusterToken, cluster_token

SESSION = "IQoJb3JpZ2luX2VjE/+A=" + "A" * 900
CALLER = Credentials("ASIAEXAMPLE", "secret/key+", SESSION)
KEYS = {"ASIAEXAMPLE": f"secret/key+ {SESSION}"}


def token(
    region: str = "us-gov-west-1",
    cluster: str = "research",
    host: str = "",
    caller: Credentials = CALLER,
) -> str:
    return cluster_token(cluster, region, host or Region.of(region).service_host("sts"), caller)


def server(region: str = "us-gov-west-1", cluster: str = "research") -> Authenticator:
    return Authenticator(cluster, Region.of(region), KEYS)


@pytest.mark.parametrize("region", [*REGIONS, "us-east-1", "ap-southeast-1", "us-gov-east-1"])
def test_the_cluster_knows_who_calls(region: str) -> None:
    assert server(region).caller(token(region)) == "ASIAEXAMPLE"


def test_another_cluster_refuses_the_token() -> None:
    with pytest.raises(TokenRefused, match=r"^SignatureDoesNotMatch$"):
        server(cluster="production").caller(token())


def test_nobody_else_signs_for_the_role() -> None:
    for stranger in (
        Credentials("ASIAEXAMPLE", "guessed", SESSION),
        Credentials("ASIAEXAMPLE", "secret/key+"),
        Credentials("ASIAOTHER", "secret/key+", SESSION),
    ):
        with pytest.raises(TokenRefused):
            server().caller(token(caller=stranger))


def test_a_token_ends_by_itself() -> None:
    with pytest.raises(TokenRefused, match="expired"):
        server().caller(token(), datetime.now(UTC) + timedelta(minutes=16))


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("cn-north-1", "sts.amazonaws.com"),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com"),
        ("us-gov-west-1", "sts.amazonaws.com"),
        ("us-west-2", "sts.cn-north-1.amazonaws.com.cn"),
        ("us-west-2", "sts.us-west-2.amazonaws.com.example.com"),
    ],
)
def test_the_host_of_another_partition_is_refused(region: str, host: str) -> None:
    """So the stand-in refuses what the real authenticator does."""
    with pytest.raises(TokenRefused, match=r"host|global"):
        server(region).caller(token(region, host=host))


@pytest.mark.parametrize(
    ("part", "changed", "reason"),
    [
        ("https:", "http:", "scheme"),
        ("/?", "/x?", "path"),
        ("&Version=", "&RoleArn=x&Version=", "non-whitelisted"),
        ("&Version=", "&Action=GetCallerIdentity&Version=", "duplicate"),
        ("GetCallerIdentity", "GetSessionToken", "action"),
        ("%3Bx-k8s-aws-id", "", "did not sign"),
        ("Expires=60", "Expires=901", "Expires"),
        ("&Version=", f"&Version={'A' * 4000}", "too large"),
        ("%3Bx-k8s-aws-id", "%3BX-K8s-Aws-Id", "SignatureDoesNotMatch"),
    ],
)
def test_the_stand_in_refuses_what_the_authenticator_refuses(
    part: str, changed: str, reason: str
) -> None:
    encoded = token().removeprefix("k8s-aws-v1.")
    url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    assert part in url
    other = base64.urlsafe_b64encode(url.replace(part, changed).encode()).decode().rstrip("=")
    with pytest.raises(TokenRefused, match=reason):
        server().caller(f"k8s-aws-v1.{other}")


def test_a_token_is_renewed_long_before_it_ends() -> None:
    now, made = [0.0], [0]

    def make() -> str:
        made[0] += 1
        return f"token-{made[0]}"

    renewing = ClusterToken(make, lambda: now[0])
    seen: set[str] = set()
    for now[0] in (0.0, 1.0, 299.0, 300.0, 700.0):
        seen.add(renewing())
    assert seen == {"token-1", "token-2", "token-3"}
