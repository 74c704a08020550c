"""The parts of a stack around its components: settings, providers, renders, values, outputs."""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from keyword import iskeyword
from operator import getitem
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pulumi
import pulumi_aws as aws

from advisories.sentences import notices, refusals
from advisories.table import NONE, Advisories, of_release
from components.backend import KubeflowRdsS3Backend
from components.backend.existing_backend import left_files
from components.backend.existing_backend import look_up as look_up_backend
from components.cluster import EksCluster
from components.cluster.existing_vpc import look_up, ranges_of
from components.dynamic.release_advisories import ReleaseAdvisories
from components.gpu.node_images import absent_images
from components.kubeflow.notebook_form import data_volumes
from components.mirror.accounts import provider_credentials
from images.reference import parse
from regions.region import Region
from rendering import Rendered, RenderError, render, require_sources
from rendering import lock as locks
from rendering.database_users import users_of
from rendering.installed import installed
from rendering.parts import Parts
from rendering.release import DatabaseUser, stand_alone
from rendering.release import load as load_release
from settings import Settings, SettingsError, load, model_catalog, package_sources
from settings.context import StackContext
from settings.errors import full_key
from settings.existing_backend import problems_of_backend
from settings.existing_vpc import problems_of_vpc
from settings.field_types import PRIVATE_RANGES
from settings.mirror_mode import MirrorMode
from settings.node_images import problems_of_images
from settings.rules_access import problems_of_caller
from settings.section import MANIFESTS

_IMAGE_PREFIX = "<<image.prefix>>"
DASHBOARD_PORT = 8080
_UPSTREAMS_IDLE_MINUTES = 1440  # without effect while nothing is stopped
_LONGEST_REASON = 300  # characters
_ALL_PODS_READY = (
    "kubectl wait pods --all -A --for=condition=Ready "
    "--field-selector='status.phase!=Succeeded' --timeout=10m"
)


def stack_settings() -> Settings:
    """The stack's settings; a pulumi.RunError, one sentence per problem, ends the program."""
    try:
        return load()
    except SettingsError as error:
        raise pulumi.RunError("\n".join(error.problems)) from error


def stack_tags(settings: Settings) -> dict[str, str]:
    """Tags of every resource that can have some; the setting ``tags`` overrides them."""
    return {
        "project": pulumi.get_project(),
        "stack": pulumi.get_stack(),
        "cluster": settings.cluster.name,
        **settings.own_tags,
    }


def aws_provider(settings: Settings, tags: Mapping[str, str]) -> aws.Provider:
    """The provider of the stack's own region and account.

    An explicit provider reads no ``aws:...`` key of the stack file: all come from the settings.
    ``endpoints`` has other URLs of services (private endpoints, an emulator).
    """
    return aws.Provider(
        "aws",
        region=settings.region,
        **provider_credentials(settings.aws),
        allowed_account_ids=settings.allowed_accounts or None,
        forbidden_account_ids=settings.aws.forbidden_account_ids or None,
        default_tags=aws.ProviderDefaultTagsArgs(tags=dict(tags)),
        endpoints=[endpoints(settings.endpoints)] if settings.endpoints else None,
    )


def endpoints(urls: Mapping[str, str]) -> aws.ProviderEndpointArgs:
    """The URLs of services for the provider; the SDK's ``lambda_`` has the name of a keyword."""
    arguments = {f"{name}_" if iskeyword(name) else name: url for name, url in urls.items()}
    return aws.ProviderEndpointArgs(**arguments)


def stack_context(settings: Settings) -> tuple[StackContext, aws.Provider]:
    """The context of the stack's components, and the provider of its own account."""
    tags = stack_tags(settings)
    provider = aws_provider(settings, tags)
    identity = aws.get_caller_identity(opts=pulumi.InvokeOptions(provider=provider))
    check_access(settings, identity.arn)
    check_network(settings, provider)
    context = StackContext.of(settings, identity.account_id, tags)
    check_backend(settings, provider, context.bucket(settings.artifacts))
    check_node_images(settings, provider)
    kept = context.keeps_key or leaves_files(settings, context, provider)
    return replace(context, keeps_key=kept), provider


def check_release(settings: Settings) -> None:
    """Refuses a new stack on a release with an open critical advisory that it does not accept.

    Of every stack the open ones are warnings.
    """
    table, accepted = advisories_of(settings), settings.accepted_advisories
    patches, stack = patches_that_close(MANIFESTS / settings.release), pulumi.get_stack()
    for sentence in notices(settings.release, table, accepted, stack=stack, patches=patches):
        pulumi.log.warn(sentence)
    ReleaseAdvisories(
        "release",
        release=settings.release,
        critical=refusals(settings.release, table, patches),
        accepted=sorted(table.ids(accepted)),
    )


def advisories_of(settings: Settings) -> Advisories:
    """The list of the stack's release, without holes of images that its settings leave out."""
    folder, chosen = MANIFESTS / settings.release, optional_parts(settings)
    return advisories_with(folder, chosen, settings.patches)


def advisories_with(
    folder: Path, parts: Collection[str], versions: Mapping[str, str]
) -> Advisories:
    """The list of a release, without holes of images that nobody has who chooses these.

    Args:
        folder: of the release.
        parts: names of its optional parts.
        versions: component -> a version of ``Release.patches``.
    """
    release, locked = load_release(folder), locks.load(folder, folder.name).images
    sources = {image.source for image in installed(release, locked, parts, versions)}
    left_out = [parse(image.source) for image in locked if image.source not in sources]
    table = of_release(folder)
    return table if table is NONE else table.of_installed([*map(parse, sources)], left_out)


def patches_that_close(folder: Path) -> dict[str, str]:
    """Identifier of an open advisory -> the setting with the least change that closes it.

    Args:
        folder: of the release.
    """
    release = load_release(folder)

    def still_open(versions: Mapping[str, str]) -> set[str]:
        return {each.id for each in advisories_with(folder, parts, versions).still_open()}

    parts, found = list(release.optional), dict[str, str]()
    every = still_open({})
    for component, patch in release.patches.items():
        for version in patch.versions:
            for id_ in every - still_open({component: version}):
                found.setdefault(id_, f"patches: {{{component}: {version}}}")
    return found


def check_access(settings: Settings, caller: str) -> None:
    """Refuses an ``up`` that would end at its first object; a preview, which has none, warns.

    Args:
        settings: of the stack.
        caller: the ARN of the caller identity.

    Raises:
        pulumi.RunError: the cluster would refuse the caller, or nobody could reach it.
    """
    problems = problems_of_caller(settings, caller)
    if problems and not pulumi.runtime.is_dry_run():
        raise pulumi.RunError("\n".join(problems))
    for problem in problems:
        pulumi.log.warn(problem)


def check_network(settings: Settings, provider: aws.Provider) -> None:
    """Refuses an existing VPC that cannot hold the stack, before the first resource of it.

    Raises:
        pulumi.RunError: one sentence per problem.
    """
    if settings.network.vpc_id is None:
        return
    with _looking_up("network.vpcId"):
        vpc = look_up(settings, provider)
        _refuse(problems_of_vpc(settings, Region.of(settings.region), vpc))


def check_backend(settings: Settings, provider: aws.Provider, bucket: str) -> None:
    """Refuses a version that RDS would refuse, and what the stack cannot be made from.

    Raises:
        pulumi.RunError: one sentence per problem.
    """
    with _looking_up("database"):
        existing = look_up_backend(settings, provider, bucket)
        _refuse(problems_of_backend(settings, existing, bucket))


def check_node_images(settings: Settings, provider: aws.Provider) -> None:
    """Refuses a version of Kubernetes for which an image of a pool's machines is not published.

    Raises:
        pulumi.RunError: one sentence per setting.
    """
    with _looking_up("gpuPool.amiAlias"):
        _refuse(problems_of_images(settings, absent_images(settings, provider)))


def leaves_files(settings: Settings, context: StackContext, provider: aws.Provider) -> bool:
    """Whether the key must outlive the stack for ``left_files``; also where AWS does not tell."""
    with _looking_up("sharedFiles"):
        return left_files(settings, context, provider)
    return True


@contextmanager
def _looking_up(key: str) -> Generator[None]:
    """A look-up that AWS refuses is a warning: it takes rights that making the stack does not."""
    try:
        yield
    except pulumi.RunError:
        raise
    except Exception as failure:  # the SDK has no narrower class for a look-up that fails
        reason = " ".join(str(failure).split())[:_LONGEST_REASON]
        pulumi.log.warn(f"{full_key(key)} was not checked: {reason}")


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise pulumi.RunError("\n".join(problems))


def database_users(settings: Settings) -> dict[str, DatabaseUser]:
    """Component of the release that the stack has -> its user of the database."""
    return users_of(load_release(MANIFESTS / settings.release), optional_parts(settings))


@dataclass(frozen=True)
class Renders:
    """Everything that is rendered for one stack.

    Attributes:
        kubeflow: the release.
        parts: which of its objects do what.
        karpenter: the stack's version of Karpenter; None without GPU pool.
        image_mirror: the pods of the mirror's admission handler; None where it has none.
        package_defaults: the pods that give others their package sources; None without any.
        add_ons: component -> name of an enabled add-on -> its objects.
        folders: of all that is rendered, below ``manifests``.
    """

    kubeflow: Rendered
    parts: Parts
    karpenter: Rendered | None
    image_mirror: Rendered | None
    package_defaults: Rendered | None
    add_ons: Mapping[str, Mapping[str, Rendered]]
    folders: Sequence[str] = ()

    def digests(self) -> dict[str, str]:
        """Source -> digest, of every image whose lock has one."""
        return {image.source: image.digest for image in self._locked if image.digest}

    def sizes(self) -> dict[str, int]:
        """Source -> bytes of its copy, of every image whose lock has them."""
        return {image.source: image.bytes for image in self._locked if image.bytes}

    @cached_property
    def _locked(self) -> list[locks.LockedImage]:
        return [
            image
            for folder in self.folders
            for image in locks.load(MANIFESTS / folder, folder).images
        ]

    def all(self) -> list[Rendered]:
        """The present ones."""
        add_ons = (rendered for part in self.add_ons.values() for rendered in part.values())
        single = (self.kubeflow, self.karpenter, self.image_mirror, self.package_defaults)
        return [*(rendered for rendered in single if rendered is not None), *add_ons]

    def inventory(self, registry: str | None, cached: Collection[str] | None) -> dict[str, str]:
        """Every image and chart of the platform: source -> the reference that is pulled.

        Args:
            registry: ``<ECR host>/<prefix>`` of the mirror; None: no mirror.
            cached: the only registries in the mirror; None: all.
        """
        sources = {image.source for part in self.all() for image in part.images}
        return {
            source: source
            if registry is None or (cached is not None and not parse(source).pulled_through(cached))
            else parse(source).mirrored(registry)
            for source in sorted(sources)
        }


def render_stack(settings: Settings, region: Region) -> Renders:
    """Renders release and add-ons; mirrored images get names in the account's registry."""
    mirror = MirrorMode(settings.image_mirror, region)

    folders: list[str] = []

    def one(
        folder: str, parts: Collection[str] = (), versions: Mapping[str, str] = MappingProxyType({})
    ) -> Rendered:
        folders.append(folder)
        return render(
            MANIFESTS / folder,
            partition=region.partition,
            dns_suffix=region.dns_suffix,
            registry=_IMAGE_PREFIX if mirror.enabled else None,
            in_region_registries=[region.ecr_registry(region.eks_addon_account)],
            cached_registries=mirror.cached,
            bundles=settings.bundles_path,
            high_availability=settings.node_group.highly_available,
            optional_parts=parts,
            versions=versions,
        )

    try:
        require_sources(MANIFESTS / settings.release, settings.bundles_path)
        return Renders(
            kubeflow=one(settings.release, optional_parts(settings), settings.patches),
            parts=load_release(MANIFESTS / settings.release).parts,
            karpenter=one(settings.gpu_pool.karpenter_folder)
            if settings.gpu_pool.enabled
            else None,
            image_mirror=one("addons/image-mirror")
            if mirror.enabled and mirror.in_cluster
            else None,
            package_defaults=one("addons/package-defaults")
            if package_sources.variables(settings, ())
            else None,
            add_ons={
                component: {name: one(f"addons/{name}") for name in names}
                for component, names in enabled_add_ons(settings).items()
            },
            folders=folders,
        )
    except RenderError as error:
        raise pulumi.RunError(str(error)) from error


def enabled_add_ons(settings: Settings) -> dict[str, list[str]]:
    """Component -> its add-ons (``part_of``) that the settings enable (``enabled_by``)."""
    values = settings.model_dump(by_alias=True)
    add_ons: dict[str, list[str]] = {}
    for folder, release in stand_alone(MANIFESTS).items():
        enabled = [_enabled(values, key, folder) for key in release.enabled_by]
        if release.part_of and all(enabled):
            add_ons.setdefault(release.part_of, []).append(folder.removeprefix("addons/"))
    return add_ons


def optional_parts(settings: Settings) -> list[str]:
    """The parts of the stack's release that its settings ask for."""
    values, release = settings.model_dump(by_alias=True), load_release(MANIFESTS / settings.release)
    return [
        name
        for name, part in release.optional.items()
        if _enabled(values, part.setting, settings.release)
    ]


def _enabled(values: Mapping[str, Any], key: str, folder: str) -> Any:
    try:
        return reduce(getitem, key.split("."), values)
    except (KeyError, TypeError):  # no such key, or a key below a plain value
        raise pulumi.RunError(
            f"manifests/{folder}/release.yaml: {key} is not a setting: correct the "
            "key, or add it to the models in settings/."
        ) from None


def static_values(context: StackContext, settings: Settings) -> dict[str, str]:
    """The values for markers in manifests that need no resource.

    ``image.prefix`` is host and repository prefix of every copy; ``serving.node-registries`` are
    the hosts of registries that nodes alone may pull from, first of all the account's own.
    """
    region = context.region
    return {
        "account.id": context.account_id,
        "cluster.name": context.cluster,
        "region.name": region.name,
        "region.partition": region.partition,
        "region.dns-suffix": region.dns_suffix,
        "image.prefix": context.image_prefix,
        "s3.host": region.service_host("s3"),
        "sts.host": region.service_host("sts"),
        "bucket.prefix": settings.artifacts.prefix,
        "database.rotation": str(settings.database.rotation),
        "notebooks.culling": "false" if settings.notebooks.idle_minutes is None else "true",
        "notebooks.idle-minutes": str(settings.notebooks.idle_minutes or _UPSTREAMS_IDLE_MINUTES),
        "pipelines.v1": str(settings.pipelines.v1).lower(),
        "model-catalog.sources": model_catalog.sources_yaml(settings.model_catalog),
        "notebooks.data-volumes": data_volumes(settings.shared_files),
        "serving.domain": settings.serving.domain,
        "serving.url-scheme": settings.serving.url_scheme,
        "serving.node-registries": ",".join(
            [region.ecr_registry(context.account_id), *settings.serving.knative_registries]
        ),
        "user.email": settings.users[0].email,
        "user.namespace": settings.users[0].namespace,
    }


def config_files(settings: Settings) -> dict[str, dict[str, str]]:
    """ConfigMap, ``namespace/name`` -> the files that the stack adds to it."""
    return {"kubeflow/model-catalog-sources": model_catalog.files(settings.model_catalog)}


def vpc_ranges(settings: Settings, provider: aws.Provider) -> list[str]:
    """The address ranges of the stack's VPC, for what pods reach without their proxy.

    Of an existing VPC that cannot be described these are all private ones.
    """
    network, proxy = settings.network, settings.packages.proxy
    if network.vpc_id is None:
        return [network.cidr]
    ranges = list(PRIVATE_RANGES)
    if proxy.http or proxy.https:
        with _looking_up("network.vpcId"):
            ranges = ranges_of(network.vpc_id, provider)
    return ranges


def package_values(settings: Settings, ranges: Sequence[str]) -> dict[str, str]:
    """The values for markers of the setting ``packages``."""
    variables = package_sources.variables(settings, ranges)
    return {
        "packages.variables": json.dumps(variables, indent=2),
        "packages.names": " ".join(variables),
        "packages.authorities": package_sources.authorities(settings.packages),
    }


def deploy_values(
    context: StackContext,
    settings: Settings,
    backend: KubeflowRdsS3Backend,
    ranges: Sequence[str] = (),
) -> dict[str, pulumi.Input[str]]:
    """The values for markers ``<<name>>`` in manifests, with outputs that exist at deploy time.

    None is a secret: ``secret.*`` are names of secrets, known when the secret has its value.

    Args:
        context: what all components of the stack share.
        settings: of the stack.
        backend: database, bucket and roles.
        ranges: of the addresses in the VPC (``vpc_ranges``).
    """
    return {
        **static_values(context, settings),
        **package_values(settings, ranges),
        "bucket.name": backend.bucket_name,
        "database.host": backend.database.host,
        "database.port": backend.database.port,
        "database.authorities": backend.database_authorities,
        **{f"secret.{name}": secret.name for name, secret in backend.secrets.items()},
        **{f"role.{name}": arn for name, arn in backend.role_arns.items()},
    }


def export_outputs(
    context: StackContext,
    parts: Parts,
    cluster: EksCluster,
    backend: KubeflowRdsS3Backend,
    login_secret: pulumi.Input[str],
) -> None:
    """The stack's outputs; ``login``, ``dashboard`` and ``verify`` are shell commands.

    ``verify`` waits until every pod that has not ended is ready, and names the others after ten
    minutes; then it names the command that checks everything else. A pod's phase is no such test:
    it is Running also while containers crash
    (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/).
    """
    region = context.region
    cli = context.aws_cli
    namespace, _, gateway = str(parts.gateway.service).partition("/")
    forward = f"kubectl -n {namespace} port-forward svc/{gateway} {DASHBOARD_PORT}:80"
    connect = f"{cli} eks update-kubeconfig --region {region.name} --name {context.cluster}"
    outputs: dict[str, Any] = {
        "cluster": cluster.cluster_name,
        "kubeconfig": cluster.kubeconfig_json,
        "bucket": backend.bucket_name,
        "databaseEndpoint": backend.database.host,
        "registry": context.image_prefix,
        "roleArns": backend.role_arns,
        "console": region.console_url,
        "dashboard": f"{connect} && {forward}",
        "dashboardUrl": f"http://localhost:{DASHBOARD_PORT}",
        "login": pulumi.Output.concat(
            f"{cli} secretsmanager get-secret-value --region {region.name} --secret-id ",
            login_secret,
            " --query SecretString --output text",
        ),
        "verify": (
            f"{connect} && {_ALL_PODS_READY} && echo 'Everything else: ./kf verify --stack "
            f"{pulumi.get_stack()} --deep'"
        ),
    }
    for name, value in outputs.items():
        pulumi.export(name, value)
