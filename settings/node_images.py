"""The images of Karpenter's machines: which parameters of SSM name them, and what if there is none.

Karpenter takes the version of the control plane and asks SSM for the image of that version. Where
there is none, it goes on with those that it had found before, and a new pool gets no machine
(aws/karpenter-provider-aws v1.14.1 pkg/controllers/nodeclass/ami.go): machines would stay behind
with the old kubelet until the API server serves it no longer, and nothing would tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from settings.errors import full_key, refusal
from settings.node_pools import BOTTLEROCKET
from settings.sections import Settings

Path = tuple[str, ...]
_COMMON: Path = ("gpuPool", "amiAlias")
_RELEASES = {
    True: "github.com/bottlerocket-os/bottlerocket/releases",
    False: "github.com/awslabs/amazon-eks-ami/releases",
}
"""Whether it is Bottlerocket -> where its versions are."""


def parameter_of(alias: str, kubernetes: str, *, gpus: bool) -> str:
    """The parameter that names the image of a machine of amd64, the only one that pools use.

    Args:
        alias: ``al2023@v<date>`` or ``bottlerocket@v<version>``.
        kubernetes: the version of the control plane.
        gpus: whether the machine has GPUs of NVIDIA.
    """
    _, _, version = alias.partition("@v")
    if alias.startswith(BOTTLEROCKET):
        variant = f"aws-k8s-{kubernetes}{'-nvidia' if gpus else ''}"
        return f"/aws/service/bottlerocket/{variant}/x86_64/{version}/image_id"
    variant = "nvidia" if gpus else "standard"
    name = f"amazon-eks-node-al2023-x86_64-{variant}-{kubernetes}-v{version}"
    folder = f"/aws/service/eks/optimized-ami/{kubernetes}/amazon-linux-2023/x86_64/{variant}"
    return f"{folder}/{name}/image_id"


def parameters_of(settings: Settings) -> dict[str, Path]:
    """Parameter -> the setting that asks for it, of every pool of a stack; none without pools."""
    wanted: dict[str, Path] = {}
    for path, alias, gpus in _pools(settings):
        wanted.setdefault(parameter_of(alias, settings.cluster.version, gpus=gpus), path)
    return wanted


def _pools(settings: Settings) -> Iterator[tuple[Path, str, bool]]:
    """The setting, the alias, and whether it is for GPUs, of each pool."""
    if not settings.gpu_pool.enabled:
        return
    common = settings.gpu_pool.ami_alias
    yield _COMMON, common, True
    for name, pool in settings.node_pools.items():
        path = ("nodePools", name, "amiAlias") if pool.ami_alias else _COMMON
        yield path, pool.ami_alias or common, pool.max_gpus is not None


def problems_of_images(settings: Settings, absent: Collection[str]) -> list[str]:
    """A sentence for each setting whose image is not published.

    Args:
        settings: of the stack.
        absent: parameters that SSM has not.
    """
    version, region = settings.cluster.version, settings.region
    aliases = {path: alias for path, alias, _ in _pools(settings)}
    problems: list[str] = []
    for name, path in parameters_of(settings).items():
        if name in absent:
            alias = aliases[path]
            reason = (
                f"{region} has no such image for Kubernetes {version} (SSM: {name}), and Karpenter "
                f"would go on with those of the version before, or with none: pin one of "
                f"{_RELEASES[alias.startswith(BOTTLEROCKET)]} that names {version}, or put "
                f"{full_key('cluster.version')} back"
            )
            problems.append(refusal(path, alias, reason))
    return problems
