"""An image and its copy in the account's registry; the grammar is in ``test_reference_table``."""

from __future__ import annotations

import pytest

from images.reference import InvalidReference, parse

SHA = "sha256:" + "0123456789abcdef" * 4
ECR = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn"
OWN = f"{ECR}/kubeflow"


def test_every_tag_of_an_over_long_repository_has_one_short_repository() -> None:
    first, second = (parse(f"quay.io/{'a' * 250}{tag}") for tag in ("", ":2"))
    assert first.mirrored_repository == second.mirrored_repository
    assert first.mirrored_repository.startswith("hashed/")


def test_another_prefix_of_the_same_account_is_not_our_own_registry() -> None:
    assert not parse(f"{ECR}/kubeflow-other/x").belongs_to(OWN)
    assert not parse(f"{ECR}/kubeflow:1").belongs_to(OWN)
    assert parse(f"{ECR}/kubeflow/x").belongs_to(OWN)


@pytest.mark.parametrize(
    "image",
    [
        "python:3.9",
        f"quay.io/x/y@{SHA}",
        "localhost/x:1",
        f"reg.example.com:5000/x/y:1@{SHA}",
        "MYHOST/x:1",
        "registry:5000/x",
        "[2001:db8::1]:5000/x",
    ],
)
def test_the_source_can_be_read_back_from_the_copy(image: str) -> None:
    assert parse(parse(image).mirrored(OWN)).origin(OWN) == parse(image)


@pytest.mark.parametrize(
    "image", [f"{OWN}/my-app:1", f"{OWN}/port-1/my-app:1", f"{OWN}/host/my-app:1", "quay.io/x/y"]
)
def test_an_image_of_our_own_has_no_source(image: str) -> None:
    assert parse(image).origin(OWN) is None


@pytest.mark.parametrize(
    "copy",
    [
        "registry-1.docker.io/evil/miner",
        "index.docker.io/evil/miner",
        "port-443/docker.io/evil/miner",
        "port-443/registry.hub.docker.com/evil/miner",
    ],
)
def test_a_name_that_no_copy_gets_still_tells_its_source(copy: str) -> None:
    image = parse(f"{OWN}/{copy}:1")
    assert image.origin(OWN) is None
    assert image.told_origin(OWN) == parse("evil/miner:1")


def test_a_hashed_name_hides_its_source() -> None:
    copy = parse(parse(f"quay.io/{'a' * 250}").mirrored(OWN))
    assert (copy.told_origin(OWN), copy.hides_origin(OWN)) == (None, True)
    assert not parse(f"{OWN}/my-app:1").hides_origin(OWN)


@pytest.mark.parametrize(
    "host",
    [
        "111122223333.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
        "111122223333.dkr.ecr-fips.cn-north-1.amazonaws.com.cn:443",
        "111122223333.DKR.ECR.CN-NORTH-1.amazonaws.com.cn",
    ],
)
def test_every_host_of_our_own_registry_is_our_own(host: str) -> None:
    assert parse(f"{host}/kubeflow/docker.io/evil/miner:1").origin(OWN) == parse("evil/miner:1")


@pytest.mark.parametrize(
    "host",
    [
        "111122223334.dkr.ecr.cn-north-1.amazonaws.com.cn",
        "111122223333.dkr.ecr.cn-northwest-1.amazonaws.com.cn",
        "111122223333.dkr.ecr.cn-north-1.amazonaws.com",
        "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn:80",
    ],
)
def test_another_account_region_partition_or_port_is_not(host: str) -> None:
    assert not parse(f"{host}/kubeflow/x").belongs_to(OWN)


@pytest.mark.parametrize(
    "image", ["https://user:hunter2@x.io/y", "x:hunter2:", "Hunter2/Hunter2", "x@sha256:hunter2"]
)
def test_a_fault_has_nothing_of_the_text(image: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        parse(image)
    assert "hunter2" not in caught.value.fault.lower()
    assert caught.value.fault in str(caught.value) or caught.value.fault.startswith("it")
