"""The resource that pods wait for: it holds the inventory, and copies what a change adds."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from components.dynamic.mirrored_images import MirroredImages, MirroredImagesProvider
from components.dynamic.provider import CredentialsEnded
from settings.errors import CREDENTIALS_ENDED
from tests.harness import Registered, run

TYPE = "pulumi-python:dynamic:MirroredImages"
REGISTRY = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow"


def registered(*images: str) -> Registered:
    def program() -> None:
        MirroredImages(
            "images",
            images=images,
            registry=REGISTRY,
            region="cn-north-1",
            project="copier",
            table="copies",
            build_region="ap-southeast-1",
            build_profile="kubeflow-build",
        )

    return run(program).only(TYPE)


def props(*images: str, **changed: str) -> dict[str, Any]:
    return {**registered(*images).inputs, **changed}


def test_its_inputs_are_sorted_and_none_is_a_secret() -> None:
    made = registered("b:1", "a:1")
    assert made.inputs["images"] == ["a:1", "b:1"]
    assert not made.secrets


@pytest.mark.parametrize(
    ("news", "changes", "replaces"),
    [
        (props("a:1"), False, []),
        (props("a:1", "b:1"), True, []),
        (props("a:1", buildProfile="other"), False, []),
        (props("a:1") | {"digests": {"a:1": "sha256:a"}}, True, []),
        (props("a:1", project="other"), False, []),
        (props("a:1", registry="elsewhere/kubeflow"), True, ["registry"]),
    ],
)
def test_another_inventory_is_an_update_and_another_registry_a_new_one(
    news: dict[str, Any], changes: bool, replaces: list[str]
) -> None:
    found = MirroredImagesProvider().diff("id", props("a:1"), news)
    assert (found.changes, found.replaces) == (changes, replaces)


@pytest.mark.parametrize("step", ["create", "update"])
def test_it_exists_only_once_every_image_is_copied(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[Any] = []
    known = {"a:1": {"copy": "sha256:a", "source": "sha256:b"}}

    def copy(*arguments: Any) -> Any:
        copied.append(arguments)
        return known

    monkeypatch.setattr("components.dynamic.mirrored_images._copy", copy)
    news, before = props("a:1"), {}
    if step == "create":
        result = MirroredImagesProvider().create(news)
        assert result.id == news["registry"]
    else:
        before = {"a:1": {"copy": "sha256:c", "source": "sha256:d"}}
        result = MirroredImagesProvider().update("id", {"copied": before}, news)
    assert copied == [(news, before)]
    assert result.outs == {**news, "copied": known}


@pytest.mark.parametrize("step", ["create", "update"])
@pytest.mark.parametrize("code", ["ExpiredTokenException", "AccessDenied"])
def test_credentials_that_end_while_it_waits_are_said_with_the_way_out(
    step: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = ClientError({"Error": {"Code": code, "Message": "m"}}, "DescribeImages")

    def copy(*_: object) -> None:
        raise refused

    monkeypatch.setattr("components.dynamic.mirrored_images._copy", copy)
    provider, news = MirroredImagesProvider(), props("a:1")
    with pytest.raises(Exception, match=r".") as failed:
        provider.create(news) if step == "create" else provider.update("id", {}, news)
    if code == "AccessDenied":
        assert failed.value is refused
    else:
        assert type(failed.value) is CredentialsEnded
        assert str(failed.value) == CREDENTIALS_ENDED
        assert failed.value.__suppress_context__


@pytest.mark.parametrize("profile", ["kubeflow-build", ""])
def test_each_client_has_the_credentials_of_its_side(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[Any] = []

    class Stop(Exception):
        """After the session of the builds."""

    def session(*arguments: Any) -> Any:
        sessions.append(arguments)
        if len(sessions) == 2:
            raise Stop
        return boto3.Session(region_name="cn-north-1")

    monkeypatch.setattr("settings.aws_session.aws_session", session)
    own = {"profile": "ops"}
    news = props("a:1", buildProfile=profile) | {"credentials": own, "endpoints": {"sts": "url"}}
    with pytest.raises(Stop):
        MirroredImagesProvider().create(news)
    there = ({"profile": profile} if profile else own, "ap-southeast-1", None)
    assert sessions == [(own, "cn-north-1", "url"), there]
