"""The colour of each component, the same in every picture."""

from __future__ import annotations

from rehearsal.pictures.canvas import GREY, Colour

CLUSTER = Colour("#1d5fd1", "#eef4ff")
KUBEFLOW = Colour("#0b7d74", "#e9f8f6")
BACKEND = Colour("#7440c9", "#f5f0fe")
GPU = Colour("#4d7a0c", "#f2f8e6")
MIRROR = Colour("#bd4a0a", "#fff3ea")
BORDER = Colour("#b3202c", "#fdeeee")

OF_COMPONENT = {
    "EksCluster": CLUSTER,
    "KubeflowManifests": KUBEFLOW,
    "KubeflowRdsS3Backend": BACKEND,
    "KarpenterGpuPool": GPU,
    "ImageMirrorWebhook": MIRROR,
    "stack": GREY,
}
