"""The types of the project's own resources, as every deployed stack has them in its state.

Another token is another resource: the next ``pulumi up`` would delete a component's children and
make them again. Names are added, never edited; one is removed with its resource.
"""

from __future__ import annotations

_COMPONENTS = """
    ArtifactStore BlockStorage CatalogDatabase ControlPlane Database DatabaseUsers EksCluster
    ImageMirrorApi ImageMirrorBuild ImageMirrorEvents ImageMirrorFunctions
    ImageMirrorPods ImageMirrorWebhook KarpenterController KarpenterGpuPool KarpenterInterruptions
    KarpenterNodes KarpenterPools KubeflowManifests KubeflowRdsS3Backend Logins
    Network NodeGroup PackageDefaults PullThroughCache SharedFiles VpcEndpoints
"""
_DYNAMIC = """
    BcryptHash CustomResourceDefinitions DatabaseAuthorities GeneratedSecret
    ImageRepositories MirroredImages ReleaseAdvisories ServingCertificate
"""

TYPE_TOKENS = {
    *(f"kubeflow:platform:{name}" for name in _COMPONENTS.split()),
    *(f"pulumi-python:dynamic:{name}" for name in _DYNAMIC.split()),
}
