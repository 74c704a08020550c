"""The repositories of the mirror: made or mended, whoever was there first. ECR is moto's."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from components.dynamic.image_repositories import ImageRepositories, ImageRepositoriesProvider
from components.dynamic.provider import Refused
from components.registry.ecr_repositories import EcrRepositories, copied_to, mutability
from components.registry.policies import lifecycle_policy
from regions.region import Region
from tests.harness import REGIONS, Registered, run
from webhook.copy_job import MADE, new_repository, stack_tag

TYPE = "pulumi-python:dynamic:ImageRepositories"
ACCOUNT = "123456789012"  # moto's
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": "x", "config": {}, "layers": []})
SHA = f"sha256:{'a' * 64}"
TAGS = {"stack": "test", "cluster": "kubeflow"}


@pytest.fixture(params=REGIONS)
def region(request: pytest.FixtureRequest) -> Region:
    return Region.of(request.param)


@pytest.fixture
def ecr(region: Region, monkeypatch: pytest.MonkeyPatch) -> Generator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield boto3.client("ecr", region_name=region.name)


def registered(
    region: Region,
    *images: str,
    account: str = ACCOUNT,
    cluster: str = "kubeflow",
    shared: bool = False,
) -> Registered:
    def program() -> None:
        ImageRepositories(
            "repositories",
            images=images,
            registry=f"{region.ecr_registry(account)}/kubeflow",
            region=region.name,
            tags=TAGS,
            cluster=cluster,
            shared=shared,
        )

    return run(program).only(TYPE)


def props(region: Region, *images: str, **changed: Any) -> dict[str, Any]:
    return {**registered(region, *images).inputs, **changed}


def of_stack(cluster: str, *images: str, shared: bool = False) -> dict[str, Any]:
    """Inputs of a stack that has the same prefix as all others."""
    return registered(Region.of(REGIONS[0]), *images, cluster=cluster, shared=shared).inputs


def names(ecr: Any) -> set[str]:
    return {each["repositoryName"] for each in ecr.describe_repositories()["repositories"]}


def described(ecr: Any, name: str) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    (found,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    tags = ecr.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]
    policy = ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
    return found, {tag["Key"]: tag["Value"] for tag in tags}, json.loads(policy)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (["quay.io/a/b:1"], {"p/quay.io/a/b": "MUTABLE"}),
        ([f"quay.io/a/b@{SHA}"], {"p/quay.io/a/b": "IMMUTABLE"}),
        ([f"quay.io/a/b:1@{SHA}"], {"p/quay.io/a/b": "IMMUTABLE"}),
        ([f"quay.io/a/b@{SHA}", "quay.io/a/b:1"], {"p/quay.io/a/b": "MUTABLE"}),
        ([f"{Region.of(REGIONS[0]).ecr_registry(ACCOUNT)}/x:1"], {}),
    ],
)
def test_tags_are_immutable_where_every_image_is_named_by_digest(
    images: list[str], expected: dict[str, str]
) -> None:
    assert mutability(copied_to(images, "p")) == expected


def test_its_inputs_are_plain_and_none_is_a_secret(region: Region) -> None:
    made = registered(region, "quay.io/b/c:1", "quay.io/a/b:1", "quay.io/a/b:2")
    assert set(made.inputs["repositories"]) == {"kubeflow/quay.io/a/b", "kubeflow/quay.io/b/c"}
    assert not made.secrets


def test_a_repository_is_scanned_encrypted_tagged_and_swept(region: Region, ecr: Any) -> None:
    wanted = props(region, "quay.io/a/b:1", f"quay.io/c/d@{SHA}")
    made = ImageRepositoriesProvider().create(wanted)
    assert made.id == wanted["registry"]
    found, tags, policy = described(ecr, "kubeflow/quay.io/a/b")
    assert found["imageTagMutability"] == "MUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    assert found["encryptionConfiguration"] == {"encryptionType": "AES256"}
    assert tags == {**TAGS, "Name": "kubeflow/quay.io/a/b", "kubeflow-cluster/kubeflow": "made"}
    assert policy == lifecycle_policy()
    assert described(ecr, "kubeflow/quay.io/c/d")[0]["imageTagMutability"] == "IMMUTABLE"


def test_a_repository_of_others_is_corrected_and_keeps_its_tags_beside_a_mark(
    region: Region, ecr: Any
) -> None:
    ecr.create_repository(
        repositoryName="kubeflow/quay.io/a/b",
        imageTagMutability="IMMUTABLE",
        tags=[{"Key": "owner", "Value": "me"}, {"Key": "stack", "Value": "other"}],
    )
    provider = ImageRepositoriesProvider()
    made = provider.create(props(region, "quay.io/a/b:1")).outs or {}
    found, tags, policy = described(ecr, "kubeflow/quay.io/a/b")
    assert found["imageTagMutability"] == "MUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    assert tags == {"owner": "me", "stack": "other", "kubeflow-cluster/kubeflow": "used"}
    assert policy == lifecycle_policy()
    # Its tags of images may move at their owner's wish, whatever this stack's images need.
    provider.update("id", made, props(region, f"quay.io/a/b@{SHA}"))
    found, tags, _ = described(ecr, "kubeflow/quay.io/a/b")
    assert found["imageTagMutability"] == "MUTABLE"
    provider.delete("id", made)
    assert described(ecr, "kubeflow/quay.io/a/b")[1] == {"owner": "me", "stack": "other"}


def test_a_repository_that_the_copier_made_meanwhile_is_corrected(
    region: Region, ecr: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecr.create_repository(repositoryName="kubeflow/quay.io/a/b")
    monkeypatch.setattr(EcrRepositories, "existing", lambda _: dict[str, Any]())  # pyright: ignore[reportUnknownLambdaType]
    ImageRepositoriesProvider().create(props(region, "quay.io/a/b:1"))
    found, _, policy = described(ecr, "kubeflow/quay.io/a/b")
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    assert policy == lifecycle_policy()


A, B = "quay.io/one/a:1", "quay.io/two/b:1"
BOTH = "quay.io/both/c:1"


@pytest.mark.parametrize("region", REGIONS[:1], indirect=True)
@pytest.mark.parametrize(
    ("first_gone", "left", "in_the_end"),
    [
        # The second found what both name, so the first one's destroy leaves it to the second.
        ("one", {"both/c", "two/b"}, {"both/c"}),
        ("two", {"both/c", "one/a"}, set[str]()),
    ],
)
def test_stacks_of_one_prefix_go_in_any_order_and_each_takes_what_is_its_own(
    ecr: Any, first_gone: str, left: set[str], in_the_end: set[str]
) -> None:
    provider = ImageRepositoriesProvider()
    wanted = {"one": of_stack("one", A, BOTH), "two": of_stack("two", B, BOTH)}
    made = {name: provider.create(inputs).outs or {} for name, inputs in wanted.items()}
    before = described(ecr, "kubeflow/quay.io/both/c")[1]
    assert before == {
        **TAGS,
        "Name": "kubeflow/quay.io/both/c",
        "kubeflow-cluster/one": "made",
        "kubeflow-cluster/two": "used",
    }
    # Tags of images move for the second, whatever the first one's images need.
    provider.update("id", made["one"], of_stack("one", A, f"quay.io/both/c@{SHA}"))
    assert described(ecr, "kubeflow/quay.io/both/c")[0]["imageTagMutability"] == "MUTABLE"
    provider.delete("id", made.pop(first_gone))
    assert names(ecr) == {f"kubeflow/quay.io/{name}" for name in left}
    ((stays, outs),) = made.items()
    if stays == "one":
        provider.update("id", outs, of_stack("one", A, f"quay.io/both/c@{SHA}"))
        assert described(ecr, "kubeflow/quay.io/both/c")[0]["imageTagMutability"] == "IMMUTABLE"
    assert not provider.diff("id", outs, wanted[stays]).changes
    assert provider.read("id", outs).outs == outs
    provider.delete("id", outs)
    assert names(ecr) == {f"kubeflow/quay.io/{name}" for name in in_the_end}


@pytest.mark.parametrize("region", REGIONS[:1], indirect=True)
def test_a_shared_inventory_outlives_every_stack_until_one_no_longer_shares_it(
    ecr: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = ImageRepositoriesProvider()
    made = [provider.create(of_stack(name, A, shared=True)).outs or {} for name in ("one", "two")]
    for outs in made:
        provider.delete("id", outs)
        assert names(ecr) == {"kubeflow/quay.io/one/a"}
        said = capsys.readouterr().err
        assert said.startswith("1 repositories remain, which stacks share")
        assert said.endswith(" uses: kubeflow/quay.io/one/a\n")
    provider.update("id", made[1], of_stack("two", A))
    alone = provider.update("id", made[0], of_stack("one", A)).outs or {}
    provider.delete("id", {**alone, "cluster": "two"})
    provider.delete("id", alone)
    assert names(ecr) == set()
    assert capsys.readouterr().err.count("remain") == 1


@pytest.mark.parametrize("region", REGIONS[:1], indirect=True)
def test_a_state_from_before_the_marks_deletes_nothing_and_is_updated(ecr: Any) -> None:
    provider, wanted = ImageRepositoriesProvider(), of_stack("one", A)
    made = provider.create(wanted).outs or {}
    earlier = {key: value for key, value in made.items() if key not in ("cluster", "shared")}
    assert provider.diff("id", earlier, wanted).changes
    provider.delete("id", earlier)
    assert names(ecr) == {"kubeflow/quay.io/one/a"}


@pytest.mark.parametrize("region", REGIONS[:1], indirect=True)
def test_what_the_webhook_made_first_is_the_stacks_own(ecr: Any) -> None:
    tags = {stack_tag("one"): MADE}
    ecr.create_repository(**new_repository("kubeflow/quay.io/one/a", tags))
    provider = ImageRepositoriesProvider()
    made = {name: provider.create(of_stack(name, A)).outs or {} for name in ("two", "one")}
    provider.delete("id", made["two"])
    assert names(ecr) == {"kubeflow/quay.io/one/a"}
    provider.delete("id", made["one"])
    assert names(ecr) == set()


def test_what_an_update_no_longer_names_stays_for_running_pods_and_goes_at_the_end(
    region: Region, ecr: Any
) -> None:
    provider = ImageRepositoriesProvider()
    first = provider.create(props(region, "quay.io/old/a:1")).outs
    second = provider.update("id", first or {}, props(region, "quay.io/new/a:1")).outs
    assert names(ecr) == {"kubeflow/quay.io/old/a", "kubeflow/quay.io/new/a"}
    ecr.create_repository(repositoryName="kubeflow/quay.io/users/own")
    ecr.put_image(repositoryName="kubeflow/quay.io/new/a", imageTag="1", imageManifest=MANIFEST)
    provider.delete("id", second or {})
    assert names(ecr) == {"kubeflow/quay.io/users/own"}


def test_a_repository_that_is_gone_already_does_not_stop_a_destroy(
    region: Region, ecr: Any
) -> None:
    provider = ImageRepositoriesProvider()
    made = provider.create(props(region, "quay.io/a/b:1", "quay.io/c/d:1")).outs or {}
    ecr.delete_repository(repositoryName="kubeflow/quay.io/a/b")
    provider.delete("id", made)
    assert names(ecr) == set()


def test_a_refresh_notices_what_is_gone_and_the_next_update_makes_it(
    region: Region, ecr: Any
) -> None:
    provider, wanted = ImageRepositoriesProvider(), props(region, "quay.io/a/b:1")
    made = provider.create(wanted).outs or {}
    assert not provider.diff("id", made, wanted).changes
    ecr.delete_repository(repositoryName="kubeflow/quay.io/a/b")
    seen = provider.read("id", made).outs or {}
    assert provider.diff("id", seen, wanted).changes
    provider.update("id", seen, wanted)
    assert names(ecr) == {"kubeflow/quay.io/a/b"}


@pytest.mark.parametrize(
    ("changed", "changes", "replaces"),
    [
        ({}, False, []),
        ({"endpoints": {"ecr": "https://private.example"}}, False, []),
        ({"tags": {"stack": "other"}}, True, []),
        ({"shared": True}, True, []),
        ({"lifecycle": "{}"}, True, []),
        ({"repositories": {}}, True, []),
        ({"registry": "elsewhere/kubeflow"}, True, ["registry"]),
    ],
)
def test_another_registry_is_another_resource_and_all_else_an_update(
    changed: dict[str, Any], changes: bool, replaces: list[str]
) -> None:
    before = props(Region.of(REGIONS[0]), "quay.io/a/b:1")
    found = ImageRepositoriesProvider().diff("id", {**before, "kept": []}, {**before, **changed})
    assert (found.changes, found.replaces) == (changes, replaces)


def test_credentials_of_another_account_make_nothing(region: Region, ecr: Any) -> None:
    wanted = registered(region, "quay.io/a/b:1", account="999988887777").inputs
    with pytest.raises(Refused, match=rf"of account {ACCOUNT} and .* 999988887777"):
        ImageRepositoriesProvider().create(wanted)
    assert names(ecr) == set()


def test_other_credentials_are_an_update_so_that_a_deletion_has_them() -> None:
    olds = {"registry": "r", "repositories": {}, "tags": {}, "lifecycle": "", "kept": []}
    found = ImageRepositoriesProvider().diff("r", olds, {**olds, "credentials": {"profile": "ops"}})
    assert (found.changes, found.replaces) == (True, [])
