"""What may be done with the repositories of the stack's own registry."""

from __future__ import annotations

from components.registry.policies import lifecycle_policy


def test_only_images_that_lost_their_tag_are_swept() -> None:
    (rule,) = lifecycle_policy()["rules"]
    assert rule["selection"] == {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 90,
    }
