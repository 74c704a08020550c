"""What the form for a new notebook offers beside its own workspace."""

from __future__ import annotations

import json

from settings.sections import SharedFilesSettings

_SHARED_VOLUME = {
    "mount": "/home/jovyan/shared",
    "newPvc": {
        # The web app fills in the notebook's name (kubeflow/kubeflow v1.10.0
        # components/crud-web-apps/jupyter/manifests/base/configs/spawner_ui_config.yaml).
        "metadata": {"name": "{notebook-name}-shared"},
        "spec": {
            "storageClassName": "efs",
            # EFS has no sizes; Kubernetes requires one, and quotas count it.
            "resources": {"requests": {"storage": "10Gi"}},
            "accessModes": ["ReadWriteMany"],
        },
    },
}


def data_volumes(shared_files: SharedFilesSettings) -> str:
    """The data volumes that the form has from the start, as JSON, which is YAML too."""
    return json.dumps([_SHARED_VOLUME] if shared_files.enabled else [])
