"""Kubeflow itself: the rendered objects, the logins and the users' profiles."""

from components.kubeflow.kubeflow_manifests import KubeflowManifests, KubeflowManifestsArgs

__all__ = ["KubeflowManifests", "KubeflowManifestsArgs"]
