"""The image mirror alone: on an EKS cluster that a program has, without anything of Kubeflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from components.aws.roles import OidcProvider
from components.mirror.accounts import account_of, build_side
from components.mirror.events import PODS, ApiServer
from components.mirror.image_mirror_webhook import ImageMirrorWebhook, ImageMirrorWebhookArgs
from images.reference import InvalidReference, parse
from regions.region import Region
from rendering.images import Registries
from rendering.plain_folder import objects_of
from rendering.rendered import Rendered, rendered
from settings.errors import AWS, SettingsError
from settings.mirror_alone import MirrorAlone, mirror_alone
from settings.mirror_context import MirrorContext
from settings.mirror_mode import POLICIES_SINCE, MirrorMode
from webhook.outcomes import ANNOTATION

_CREDENTIALS = ("profile", "assumeRole", "assumeRoles")
_ISSUER = ":oidc-provider/"
_WITH_ENTRIES = ("API", "API_AND_CONFIG_MAP")
# hashicorp/terraform-provider-aws internal/tfresource/not_found_error.go
_ABSENT = "couldn't find resource"
_LONGEST_REASON = 300  # characters


def image_mirror(
    name: str,
    *,
    cluster: str,
    region: str,
    oidc_provider_arn: pulumi.Input[str],
    aws_provider: aws.Provider,
    kubernetes_provider: pulumi.ProviderResource,
    kubernetes_version: str = POLICIES_SINCE,
    images: Sequence[str] = (),
    settings: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
    ready: Sequence[pulumi.Resource] = (),
    api_server: ApiServer | None = None,
    opts: pulumi.ResourceOptions | None = None,
) -> ImageMirrorWebhook:
    """Makes: the image mirror of a cluster.

    The keys ``imageMirror`` and ``iam`` of the program's own stack file hold its settings, with the
    names of docs/settings.md; ``aws:profile`` and ``aws:assumeRole`` its credentials.

    Args:
        name: of the component, and the start of the names of its resources.
        cluster: the cluster's name; names in the account begin with it.
        region: of the cluster, as both providers have it.
        oidc_provider_arn: the cluster's OIDC provider in IAM, for the role of the mirror's pods.
        aws_provider: of the cluster's account and region.
        kubernetes_provider: of the cluster.
        kubernetes_version: of the cluster, such as 1.36.
        images: copied before pods use the mirror; all others are copied when a pod names them.
        settings: the section ``imageMirror``; None: as in the stack file.
        tags: of everything that can have AWS tags; None: project, stack and cluster.
        ready: prerequisites of pods, such as nodes that the program makes.
        api_server: for Events behind an API Gateway, of a cluster that the program makes; None:
            as EKS describes the cluster.
        opts: of the component.

    Raises:
        pulumi.RunError: one sentence per wrong setting or image.
    """
    own = _settings(region, kubernetes_version, settings)
    account = account_of(aws_provider)
    context = MirrorContext(
        region=Region.of(region),
        account_id=account,
        cluster=cluster,
        tags={"project": pulumi.get_project(), "stack": pulumi.get_stack(), "cluster": cluster}
        if tags is None
        else tags,
        endpoints={},
        aws=own.aws,
        iam=own.iam,
        mirror=own.mirror,
    )
    pods = pods_of(own.mirror)
    platform = [use.source for use in pods.images] if pods else []
    return ImageMirrorWebhook(
        name,
        ImageMirrorWebhookArgs(
            context=context,
            build=build_side(context),
            images=sorted({*map(_named, images), *platform}),
            pods=pods,
            oidc=OidcProvider(oidc_provider_arn, _issuer_of(oidc_provider_arn)),
            ready=ready,
            kubernetes=kubernetes_version,
            api_server=None if pods else api_server or _described(cluster, aws_provider),
        ),
        pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(providers=[aws_provider, kubernetes_provider])
        ),
    )


def pods_of(mirror: MirrorMode) -> Rendered | None:
    """The objects of the pods that answer admissions; None where an API Gateway does."""
    if not mirror.in_cluster:
        return None
    region = mirror.region
    return rendered(
        objects_of(PODS),
        digest="",
        partition=region.partition,
        dns_suffix=region.dns_suffix,
        registries=Registries(
            "<<image.prefix>>", [region.ecr_registry(region.eks_addon_account)], mirror.cached
        ),
    )


def _described(cluster: str, provider: aws.Provider) -> ApiServer | None:
    """The API server of a cluster; a warning where a function cannot post Events to it.

    Raises:
        pulumi.RunError: AWS does not describe the cluster.
    """
    try:
        found = aws.eks.get_cluster(name=cluster, opts=pulumi.InvokeOptions(provider=provider))
    except Exception as failure:  # the SDK has no narrower class for a look-up that fails
        if _ABSENT in str(failure):
            _warn(f"there is no cluster {cluster} yet", "give image_mirror its api_server")
            return None
        reason = " ".join(str(failure).split())[:_LONGEST_REASON]
        raise pulumi.RunError(
            f"cluster {cluster} cannot be described, which Events take: {reason}; give the caller "
            "eks:DescribeCluster, or image_mirror an api_server."
        ) from failure
    mode = next((each.authentication_mode for each in found.access_configs), "")
    if mode not in _WITH_ENTRIES:
        _warn(
            f"cluster {cluster} has the authentication mode {mode or 'CONFIG_MAP'}, in which no "
            "role has an access entry",
            "set it to API_AND_CONFIG_MAP",
        )
        return None
    network = found.vpc_config
    if not network.endpoint_private_access:
        _warn(f"cluster {cluster} has no private endpoint", "turn its private access on")
        return None
    return ApiServer(
        cluster=found.name,
        endpoint=found.endpoint,
        authority=found.certificate_authorities[0].data,
        vpc_id=network.vpc_id,
        subnet_ids=network.subnet_ids,
        security_group_id=network.cluster_security_group_id,
    )


def _warn(reason: str, way_out: str) -> None:
    pulumi.log.warn(
        f"{reason}: what became of a pod's images is told by its annotation {ANNOTATION} and by no "
        f"Event; {way_out}, or set imageMirror.transport to in-cluster."
    )


def _settings(region: str, version: str, given: Mapping[str, object] | None) -> MirrorAlone:
    config, credentials = pulumi.Config(), pulumi.Config(AWS.removesuffix(":"))
    of_aws = {key: _value(credentials, key) for key in _CREDENTIALS}
    sections: dict[str, Any] = {"cluster": {"version": version}}
    sections |= {AWS: {key: value for key, value in of_aws.items() if value}}
    if (iam := _value(config, "iam")) is not None:
        sections["iam"] = iam
    mirror = _value(config, "imageMirror") if given is None else given
    try:
        return mirror_alone(
            mirror, region, namespace="" if given is not None else config.name, **sections
        )
    except SettingsError as error:
        raise pulumi.RunError("\n".join(error.problems)) from error


def _value(config: pulumi.Config, key: str) -> Any:
    """A value of the stack file: structured where it is JSON, else its text."""
    try:
        return config.get_object(key)
    except pulumi.ConfigTypeError:
        return config.get(key)


def _named(image: str) -> str:
    try:
        return str(parse(image))
    except InvalidReference as error:
        raise pulumi.RunError(f"images: {image} is no image reference: {error}.") from error


def _issuer_of(oidc_provider_arn: pulumi.Input[str]) -> pulumi.Input[str]:
    """The issuer in the ARN of an OIDC provider; of an ARN in the program it is checked at once."""
    if isinstance(oidc_provider_arn, str):
        return _issuer_in(oidc_provider_arn)
    return pulumi.Output.from_input(oidc_provider_arn).apply(_issuer_in)


def _issuer_in(arn: str) -> str:
    before, _, issuer = arn.partition(_ISSUER)
    if not (issuer and before.startswith("arn:")):
        raise pulumi.RunError(
            f"oidc_provider_arn is {arn}: write the ARN that `aws iam "
            "list-open-id-connect-providers` prints for the cluster."
        )
    return issuer
