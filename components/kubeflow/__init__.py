"""Kubeflow itself: the rendered objects, the logins and the people's profiles."""

from components.kubeflow.kubeflow_manifests import KubeflowManifests, KubeflowManifestsArgs

__all__ = ["KubeflowManifests", "KubeflowManifestsArgs"]
