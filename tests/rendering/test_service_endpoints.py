"""Nothing that a stack renders sends all of a pod's AWS calls to one host.

``AWS_ENDPOINT_URL`` is taken for every service, so a pod with a role would ask it for STS too;
``AWS_ENDPOINT_URL_S3`` is the narrow one (docs.aws.amazon.com, SDKs and tools, "Service-specific
endpoints").
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from program import render_stack
from regions.region import Region
from rendering.objects import ObjectKey
from settings import from_stack_file
from tests.rendering.beijing import MANIFESTS, strings

STACKS = sorted(MANIFESTS.parent.glob("Pulumi.*.yaml"))
FOR_EVERY_SERVICE = re.compile(r"\bAWS_ENDPOINT_URL\b")


@pytest.mark.parametrize("stack", STACKS, ids=lambda path: path.name)
def test_no_variable_names_one_host_for_every_service_of_aws(stack: Path) -> None:
    settings = from_stack_file(stack)
    renders = render_stack(settings, Region.of(settings.region))
    found = {
        str(ObjectKey.of(obj))
        for part in renders.all()
        for obj in part.objects
        for text in strings(obj)
        if FOR_EVERY_SERVICE.search(text)
    }
    assert found == set()
