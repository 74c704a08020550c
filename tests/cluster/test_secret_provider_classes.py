"""Release 1.5.1's own objects for secrets: the CSI driver, its provider, SecretProviderClasses.

Kubernetes 1.21 drops fields of custom resources that nobody knows; only newer ones refuse them.
"""

from __future__ import annotations

import json
import re

import pytest

from rendering import Object
from tests.cluster.client import Refused
from tests.cluster.conftest import CURRENT, NewCluster
from tests.rendering.beijing import rendered

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")


def bound(obj: Object) -> Object:
    """Late values are names, hosts and numbers; a digit is valid as any of them."""
    return json.loads(re.sub(r"<<[a-z0-9.-]+>>", "1", json.dumps(obj)))


def test_the_driver_and_the_classes_are_accepted_and_a_misspelt_class_is_not(
    new_cluster: NewCluster,
) -> None:
    driver, release = rendered("addons/secrets-store-csi"), rendered("1.5.1-aws-b1.0.0")
    classes = [bound(obj) for obj in release.objects if obj["kind"] == "SecretProviderClass"]
    names = {each["metadata"]["namespace"] for each in classes}
    namespaces = [
        bound(obj)
        for obj in release.objects
        if obj["kind"] == "Namespace" and obj["metadata"]["name"] in names
    ]
    with new_cluster("provider-classes") as made:
        made.crds(driver.crds)
        made.apply_all([*map(bound, driver.objects), *namespaces, *classes])
        assert len(classes) > 1
        assert {key.kind for key in made.pods} == {"DaemonSet"}
        wrong = {**classes[0], "spec": {**classes[0]["spec"], "misspelt": "value"}}
        with pytest.raises(Refused, match=r"SecretProviderClass .*\.spec\.misspelt"):
            made.apply(wrong)
