"""The notebook form offers a volume of the shared file system exactly where there is one."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from components.objects.kubernetes_objects import bind
from program import static_values
from rehearsal.clouds import ACCOUNT
from settings import from_mapping
from settings.context import StackContext
from tests.harness import REGIONS
from tests.rendering.beijing import kubeflow


def data_volumes(region: str, **files: Any) -> list[dict[str, Any]]:
    """The data volumes of the form, as its web app reads them."""
    settings = from_mapping({"region": region, "sharedFiles": files})
    values = static_values(StackContext.of(settings, ACCOUNT, {}), settings)
    text = kubeflow().text("jupyter-web-app-config", "spawner_ui_config.yaml")
    form = yaml.safe_load(bind(text, {**values, "image.prefix": "registry"}))
    return form["spawnerFormDefaults"]["dataVolumes"]["value"]


@pytest.mark.parametrize("region", REGIONS)
def test_a_shared_volume_is_in_the_form_where_files_are_shared(region: str) -> None:
    (volume,) = data_volumes(region, enabled=True)
    assert volume["mount"] == "/home/jovyan/shared"
    claim = volume["newPvc"]
    # No other notebook of the namespace makes a claim of the same name.
    assert claim["metadata"]["name"].startswith("{notebook-name}-")
    assert claim["spec"]["storageClassName"] == "efs"
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert data_volumes(region) == []
    assert data_volumes(region, retainOnDelete=False) == []
