"""An image and its copy in the account's registry; the grammar is in ``test_reference_table``."""

from __future__ import annotations

import pytest

from images.reference import parse

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


@pytest.mark.parametrize("image", ["python:3.9", f"quay.io/x/y@{SHA}", "localhost/x:1"])
def test_the_source_can_be_read_back_from_the_copy(image: str) -> None:
    assert parse(parse(image).mirrored(OWN)).origin(OWN) == parse(image)


@pytest.mark.parametrize("image", [f"{OWN}/my-app:1", f"{OWN}/port-1/a.b/x:1", "quay.io/x/y"])
def test_an_image_of_our_own_has_no_source(image: str) -> None:
    assert parse(image).origin(OWN) is None
