"""What a stack needs before its first component: settings, providers, renders, late values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import getitem

import pulumi
import pulumi_aws as aws

from components.backend import KubeflowRdsS3Backend
from components.cluster import EksCluster
from components.mirror.build import BuildSide
from images.reference import parse
from regions.region import Region
from rendering import Rendered, RenderError, render, require_sources
from rendering.release import stand_alone
from settings import Settings, SettingsError, load
from settings.context import StackContext
from settings.mirror_mode import MirrorMode
from settings.node_pools import KARPENTER
from settings.section import MANIFESTS

_IMAGE_PREFIX = "<<image.prefix>>"
_DASHBOARD_PORT = 8080
_PORT_FORWARD = (
    f"kubectl -n istio-system port-forward svc/istio-ingressgateway {_DASHBOARD_PORT}:80"
)
_ALL_PODS_READY = (
    "kubectl wait pods --all -A --for=condition=Ready "
    "--field-selector='status.phase!=Succeeded' --timeout=10m"
)


def stack_settings() -> Settings:
    """The stack's settings; every problem at once, as sentences and not as a traceback."""
    try:
        return load()
    except SettingsError as error:
        raise pulumi.RunError("\n".join(error.problems)) from error


def stack_tags(settings: Settings) -> dict[str, str]:
    """Tags of everything that can carry them; the settings' own tags win."""
    return {
        "project": pulumi.get_project(),
        "stack": pulumi.get_stack(),
        "cluster": settings.cluster.name,
        **settings.tags,
    }


def aws_provider(settings: Settings, tags: Mapping[str, str]) -> aws.Provider:
    """The provider of the stack's own region and account.

    ``accountId`` in the settings makes it refuse any other account; ``endpoints`` sends services
    elsewhere (private endpoints, an emulator).
    """
    return aws.Provider(
        "aws",
        region=settings.region,
        allowed_account_ids=[settings.account_id] if settings.account_id else None,
        default_tags=aws.ProviderDefaultTagsArgs(tags=dict(tags)),
        endpoints=[aws.ProviderEndpointArgs(**settings.endpoints)] if settings.endpoints else None,
    )


def stack_context(settings: Settings) -> tuple[StackContext, aws.Provider]:
    """What every component shares, and the provider of the stack's own side."""
    tags = stack_tags(settings)
    provider = aws_provider(settings, tags)
    return StackContext.of(settings, account_of(provider), tags), provider


def build_side(context: StackContext) -> BuildSide | None:
    """What copies images for the stack; None where ECR pulls them through by itself.

    IAM trust never crosses partitions, so the credentials of another partition's account come from
    a named profile.
    """
    if context.mirror.cached is not None:
        return None
    region = context.mirror.build_region
    provider = aws.Provider(
        "aws-build",
        region=region.name,
        profile=context.mirror.settings.build_profile
        if context.mirror.crosses_partitions
        else None,
        default_tags=aws.ProviderDefaultTagsArgs(tags=dict(context.tags)),
    )
    return BuildSide(region=region, provider=provider, account_id=account_of(provider))


def account_of(provider: aws.Provider) -> str:
    """The account the provider's credentials belong to; known in every preview."""
    return aws.get_caller_identity(opts=pulumi.InvokeOptions(provider=provider)).account_id


@dataclass(frozen=True)
class Renders:
    """Everything of this stack that comes out of kustomize.

    Attributes:
        kubeflow: the release.
        karpenter: the stack's version of Karpenter; None without GPU pool.
        image_mirror: the mirror's admission handler as pods; None where there are no such pods.
        add_ons: component -> name of an add-on that the settings enable -> its objects.
    """

    kubeflow: Rendered
    karpenter: Rendered | None
    image_mirror: Rendered | None
    add_ons: Mapping[str, Mapping[str, Rendered]]

    def all(self) -> list[Rendered]:
        """Each of them."""
        add_ons = [rendered for found in self.add_ons.values() for rendered in found.values()]
        own = (self.kubeflow, self.karpenter, self.image_mirror)
        return [*(rendered for rendered in own if rendered is not None), *add_ons]

    def inventory(self, registry: str | None, cached: Collection[str] | None) -> dict[str, str]:
        """Every image and chart the platform pulls: where it comes from, where it is pulled from.

        Args:
            registry: ``<ECR host>/<prefix>`` of the mirror; None: everything stays at its source.
            cached: the only registries that the mirror serves; None: it serves all.
        """
        sources = {image.source for part in self.all() for image in part.images}
        return {
            source: source
            if registry is None or (cached is not None and not parse(source).pulled_through(cached))
            else parse(source).mirrored(registry)
            for source in sorted(sources)
        }


def render_stack(settings: Settings, region: Region) -> Renders:
    """Renders the release and the add-ons; images move to the account's registry where needed."""
    mirror = MirrorMode(settings.image_mirror, region)

    def one(folder: str) -> Rendered:
        return render(
            MANIFESTS / folder,
            partition=region.partition,
            dns_suffix=region.dns_suffix,
            registry=_IMAGE_PREFIX if mirror.enabled else None,
            in_region_registries=[region.ecr_registry(region.eks_addon_account)],
            cached_registries=mirror.cached,
            bundles=settings.bundles_path,
        )

    try:
        require_sources(MANIFESTS / settings.release, settings.bundles_path)
        return Renders(
            kubeflow=one(settings.release),
            karpenter=one(f"addons/{KARPENTER}{settings.gpu_pool.karpenter_version}")
            if settings.gpu_pool.enabled
            else None,
            image_mirror=one("addons/image-mirror")
            if mirror.enabled and mirror.in_cluster
            else None,
            add_ons={
                component: {name: one(f"addons/{name}") for name in names}
                for component, names in enabled_add_ons(settings).items()
            },
        )
    except RenderError as error:
        raise pulumi.RunError(str(error)) from error


def enabled_add_ons(settings: Settings) -> dict[str, list[str]]:
    """Component -> the add-ons that its folders declare for it and that the settings enable."""
    values = settings.model_dump(by_alias=True)
    found: dict[str, list[str]] = {}
    for folder, release in stand_alone(MANIFESTS).items():
        enabled = (reduce(getitem, key.split("."), values) for key in release.enabled_by)
        if release.part_of and all(enabled):
            found.setdefault(release.part_of, []).append(folder.removeprefix("addons/"))
    return found


def known_values(context: StackContext, settings: Settings) -> dict[str, str]:
    """The late values that are known before anything is made: facts of region and account.

    ``image.prefix`` is host and repository prefix of every copy; ``account.registry`` is the host
    alone, of every repository of the account in the region.
    """
    region = context.region
    return {
        "account.id": context.account_id,
        "account.registry": region.ecr_registry(context.account_id),
        "cluster.name": context.cluster,
        "region.name": region.name,
        "region.partition": region.partition,
        "region.dns-suffix": region.dns_suffix,
        "image.prefix": context.image_prefix,
        "s3.host": region.service_host("s3"),
        "sts.host": region.service_host("sts"),
        "bucket.prefix": settings.artifacts.prefix,
        "database.rotation": str(settings.database.rotation),
        "user.email": settings.users[0].email,
        "user.namespace": settings.users[0].namespace,
    }


def late_values(
    context: StackContext, settings: Settings, backend: KubeflowRdsS3Backend
) -> dict[str, pulumi.Input[str]]:
    """The values manifests name as ``<<name>>``: known ones, and what the backend made.

    None is a secret: ``secret.*`` are names of secrets, known when the secret has its value.
    """
    return {
        **known_values(context, settings),
        "bucket.name": backend.bucket_name,
        "database.host": backend.database_host,
        "database.port": backend.database_port.apply(str),
        "database.authorities": backend.database_authorities,
        **{f"secret.{name}": kept.name for name, kept in backend.secrets.items()},
        **{f"role.{name}": arn for name, arn in backend.role_arns.items()},
    }


def export_hints(
    context: StackContext, cluster: EksCluster, login_secret: pulumi.Input[str]
) -> None:
    """What a person does next, as stack outputs: each is one command for a shell, or one value.

    ``verify`` waits until every pod that has not ended is ready, and names those that are not after
    ten minutes. A pod's phase would not do: it is Running also while containers crash
    (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/).
    """
    region = context.region
    connect = f"aws eks update-kubeconfig --region {region.name} --name {context.cluster}"
    pulumi.export("dashboard", f"{connect} && {_PORT_FORWARD}")
    pulumi.export("dashboardUrl", f"http://localhost:{_DASHBOARD_PORT}")
    pulumi.export(
        "login",
        pulumi.Output.concat(
            f"aws secretsmanager get-secret-value --region {region.name} --secret-id ",
            login_secret,
            " --query SecretString --output text",
        ),
    )
    pulumi.export("verify", f"{connect} && {_ALL_PODS_READY}")
    pulumi.export("console", region.console_url)
    pulumi.export("cluster", cluster.cluster_name)
