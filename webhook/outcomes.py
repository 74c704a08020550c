"""What became of the images of a pod: in its annotation, and for the Events of its owner.

An admission warning reaches whoever sends the request. For the pod of a Deployment, a Job or a
Workflow that is a controller, which drops it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

ANNOTATION = "image-mirror/decisions"
"""Of a pod at its creation: JSON with ``review``, the uid of the AdmissionReview, and ``images``,
what each image was, the copy that replaced it, and the outcome; ``more`` counts those left out."""
_MOST_IMAGES = 16
_LONGEST_NAME = 512
_encoded = json.JSONEncoder(separators=(",", ":")).encode


class Outcome(StrEnum):
    """What was decided about an image; the ``reason`` of its Event."""

    MIRRORED = "ImageMirrored"
    """The pod names the copy, which is there or whose state is unknown."""
    COPYING = "ImageCopying"
    """The pod names the copy, which is not there yet; the kubelet tries again until it is."""
    COPY_FAILED = "ImageCopyFailed"
    """The pod names the copy, which could not be made."""
    KEPT = "ImageKept"
    """The pod names the source still, for a reason that its author may not expect."""
    REFUSED = "ImageRefused"
    """The pod was refused because of this image."""


class Finding(NamedTuple):
    """One image; there is one for every image of every review.

    Attributes:
        outcome: what was decided.
        image: as the pod named it.
        pulled: as the pod names it now.
        warning: of its author; empty: there is none.
        awaited: the image in the table of copies, whose copy is under way; empty: none is.
    """

    outcome: Outcome
    image: str
    pulled: str
    warning: str
    awaited: str = ""

    @property
    def text(self) -> str:
        """A sentence without its end, with both names or the reason."""
        return self.warning or f"{self.image} is pulled from {self.pulled}"


@dataclass(frozen=True)
class Report:
    """The outcome of one review of a pod.

    Attributes:
        review: uid of the AdmissionReview.
        namespace: of the pod.
        metadata: of the pod as it was reviewed.
        findings: of its images.
        created: whether the review was of the pod's creation, before which it has no uid and
            perhaps no name.
    """

    review: str
    namespace: str
    metadata: Mapping[str, Any]
    findings: Sequence[Finding]
    created: bool

    @property
    def refused(self) -> bool:
        """Whether there is no pod after this review."""
        return any(each.outcome is Outcome.REFUSED for each in self.findings)


def annotation(review: str, findings: Sequence[Finding]) -> str:
    """The value of ``ANNOTATION``; of bounded length."""
    images = [
        {
            "image": each.image[:_LONGEST_NAME],
            **({"copy": each.pulled[:_LONGEST_NAME]} if each.pulled != each.image else {}),
            "outcome": each.outcome,
        }
        for each in findings[:_MOST_IMAGES]
    ]
    left_out = len(findings) - len(images)
    more = {"more": left_out} if left_out else {}
    value = {"review": review[:_LONGEST_NAME], "images": images, **more}
    return _encoded(value)
