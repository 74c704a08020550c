"""State that a deployed stack has stored can be read by every later version of the program."""

from __future__ import annotations

import base64
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import dill  # pyright: ignore[reportMissingTypeStubs]
import pytest
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.proto import provider_pb2

from components.dynamic.crds import CrdProvider
from components.dynamic.database_authorities import DatabaseAuthoritiesProvider
from components.dynamic.generated_secret import BcryptHashProvider, GeneratedSecretProvider
from components.dynamic.image_repositories import ImageRepositoriesProvider
from components.dynamic.mirrored_images import MirroredImagesProvider
from components.dynamic.provider import DynamicProvider
from components.dynamic.release_advisories import ReleaseAdvisoriesProvider
from components.dynamic.serving_certificate import ServingCertificateProvider
from tests.components.dynamic import pulumi_plugin

ROOT = Path(__file__).resolve().parents[3]

# What `serialize_provider` gave when the path was frozen. Texts are added, never edited or removed.
STORED: dict[str, type[ResourceProvider]] = {
    "gASVLgAAAAAAAACMF2NvbXBvbmVudHMuZHluYW1pYy5jcmRzlIwLQ3JkUHJvdmlkZXKUk5QpgZQu": CrdProvider,
    "gASVTgAAAAAAAACMJ2NvbXBvbmVudHMuZHluYW1pYy5kYXRhYmFzZV9hdXRob3JpdGllc5SMG0RhdGFiYXNlQXV0aG9y"
    "aXRpZXNQcm92aWRlcpSTlCmBlC4=": DatabaseAuthoritiesProvider,
    "gASVQQAAAAAAAACMI2NvbXBvbmVudHMuZHluYW1pYy5nZW5lcmF0ZWRfc2VjcmV0lIwSQmNyeXB0SGFzaFByb3ZpZGVy"
    "lJOUKYGULg==": BcryptHashProvider,
    "gASVRgAAAAAAAACMI2NvbXBvbmVudHMuZHluYW1pYy5nZW5lcmF0ZWRfc2VjcmV0lIwXR2VuZXJhdGVkU2VjcmV0UHJv"
    "dmlkZXKUk5QpgZQu": GeneratedSecretProvider,
    "gASVSgAAAAAAAACMJWNvbXBvbmVudHMuZHluYW1pYy5pbWFnZV9yZXBvc2l0b3JpZXOUjBlJbWFnZVJlcG9zaXRvcmll"
    "c1Byb3ZpZGVylJOUKYGULg==": ImageRepositoriesProvider,
    "gASVRAAAAAAAAACMImNvbXBvbmVudHMuZHluYW1pYy5taXJyb3JlZF9pbWFnZXOUjBZNaXJyb3JlZEltYWdlc1Byb3Zp"
    "ZGVylJOUKYGULg==": MirroredImagesProvider,
    "gASVSgAAAAAAAACMJWNvbXBvbmVudHMuZHluYW1pYy5yZWxlYXNlX2Fkdmlzb3JpZXOUjBlSZWxlYXNlQWR2aXNvcmll"
    "c1Byb3ZpZGVylJOUKYGULg==": ReleaseAdvisoriesProvider,
    "gASVTAAAAAAAAACMJmNvbXBvbmVudHMuZHluYW1pYy5zZXJ2aW5nX2NlcnRpZmljYXRllIwaU2VydmluZ0NlcnRpZmlj"
    "YXRlUHJvdmlkZXKUk5QpgZQu": ServingCertificateProvider,
}

NAMES = [provider.__name__ for provider in STORED.values()]


def subclasses(of: type) -> Iterator[type]:
    for each in of.__subclasses__():
        yield each
        yield from subclasses(each)


def providers_of_the_product() -> set[type]:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    for package in packages:
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if not module.name.endswith(".__main__"):
                importlib.import_module(module.name)
    return {c for c in subclasses(ResourceProvider) if c.__module__.partition(".")[0] in packages}


@pytest.mark.parametrize(("text", "provider"), STORED.items(), ids=NAMES)
def test_a_stored_provider_is_the_class(text: str, provider: type[ResourceProvider]) -> None:
    # As pulumi.dynamic.__main__.get_provider does it.
    assert type(dill.loads(base64.b64decode(text))) is provider  # noqa: S301


@pytest.mark.parametrize("text", STORED, ids=NAMES)
def test_pulumis_plugin_loads_a_stored_provider_first_of_all(text: str) -> None:
    # A new process for each: a circle of imports shows only in the module that is loaded first.
    with pulumi_plugin.started() as plugin:
        news = pulumi_plugin.sent(text, hosts=["a.example"])
        answer = plugin.Check(provider_pb2.CheckRequest(news=news))
    assert dict(answer.inputs)["__provider"] == text


@pytest.mark.parametrize("provider", sorted(set(STORED.values()), key=str))
def test_what_a_deployment_stores_today_is_among_the_stored(
    provider: type[ResourceProvider],
) -> None:
    # The first two bytes are the protocol of pickle, which follows the version of Python.
    now = base64.b64decode(serialize_provider(provider()))
    assert now[2:] in {base64.b64decode(text)[2:] for text in STORED}


def test_every_provider_of_the_product_is_below_the_frozen_path_and_stored_here() -> None:
    # No resource has the base class itself as its provider.
    providers = providers_of_the_product() - {DynamicProvider}
    assert {c for c in providers if not c.__module__.startswith("components.dynamic.")} == set()
    assert providers == set(STORED.values())
