"""What the two sides of the image mirror hold of each other where a partition's border is between.

IAM trust never crosses partitions, so each side keeps a credential of the other in its Secrets
Manager: the build side one that may push below one prefix, the cluster's side one that may start
one project. Either a key pair that the stack makes and rotates, or sessions of an hour that a pod
of the cluster hands over (``image_mirror_sessions``); whoever reads the secret need not know which.

The token of such a pod is the only one both partitions take. Those of ``sts:GetWebIdentityToken``,
which any role could have, are refused by AssumeRoleWithWebIdentity (IAM user guide,
id_roles_providers_outbound_getting_started, the same at docs.amazonaws.cn).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import pulumi
import pulumi_aws as aws

from components import image_mirror_policies as policies
from components.irsa import irsa_trust
from components.region import Region
from components.settings import Settings

SESSIONS = ("image-mirror", "image-mirror-sessions")
"""Namespace and service account of the pod that hands sessions over."""


class Purpose(StrEnum):
    """What a credential is good for."""

    PUSH = "push"
    START = "start"


def user_name(cluster: str, region: Region, purpose: Purpose) -> str:
    """The IAM user of a key pair, on either side: `./kf doctor` asks how old its keys are.

    IAM allows 64 characters; a cluster's name has at most 40. The stack's region is part of it, for
    users belong to no region and stacks may share an account.
    """
    return f"{cluster}-{region.name}-{purpose}"


def secret_names(settings: Settings, region: Region) -> Mapping[Purpose, str]:
    """The secret that holds each credential, in the Secrets Manager of the other side."""
    return {
        Purpose.PUSH: f"{settings.image_mirror.credentials_secret}/{region.name}",
        Purpose.START: f"{settings.cluster.name}/image-mirror/start-build",
    }


@dataclass(frozen=True, kw_only=True)
class Place:
    """One side.

    Attributes:
        region: where its secret is, and whose partition its IAM belongs to.
        provider: AWS provider with credentials of that side; None: the parent's own.
    """

    region: Region
    provider: aws.Provider | None


@dataclass(frozen=True, kw_only=True)
class Credential:
    """Who gives what to whom.

    Attributes:
        policy: all it allows, on the giving side.
        giver: the side it is a credential of.
        holder: the side whose secret holds it.
        secret_name: of that secret.
        tags: AWS tags.
    """

    policy: policies.Policy
    giver: Place
    holder: Place
    secret_name: str
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """The cluster's OIDC issuer, as one side knows it: the provider's ARN there, and its host."""

    provider_arn: pulumi.Input[str]
    host: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class Handover:
    """What a pod needs to hand sessions of one purpose over.

    Attributes:
        session_role: its sessions are handed over.
        writer_role: may write the secret and nothing else.
        secret: where to.
        giver, holder: names of the regions of both sides.
    """

    session_role: pulumi.Output[str]
    writer_role: pulumi.Output[str]
    secret: str
    giver: str
    holder: str


def key_in_secret(
    name: str, wanted: Credential, *, user: str, rotation: int, parent: pulumi.Resource
) -> aws.secretsmanager.Secret:
    """A user of the giving side with one access key, and the secret that holds the key.

    Args:
        name: of every resource.
        wanted: what the key is good for.
        user: the IAM user's name.
        rotation: the setting ``imageMirror.rotation``; another number makes another key, writes it,
            and only then removes the present one (IAM allows a user two).
        parent: of every resource.
    """
    there = pulumi.ResourceOptions(parent=parent, provider=wanted.giver.provider)
    here = pulumi.ResourceOptions(parent=parent, provider=wanted.holder.provider)
    made = aws.iam.User(name, name=user, tags={**wanted.tags, "Name": user}, opts=there)
    allowed = aws.iam.UserPolicy(name, user=made.name, policy=json.dumps(wanted.policy), opts=there)
    key = aws.iam.AccessKey(
        f"{name}-{rotation}",
        user=made.name,
        # A key that replaces another is good for something from the start.
        opts=pulumi.ResourceOptions.merge(there, pulumi.ResourceOptions(depends_on=[allowed])),
    )
    secret = _secret(name, wanted, here)
    aws.secretsmanager.SecretVersion(
        name,
        secret_id=secret.id,
        secret_string=pulumi.Output.secret(
            pulumi.Output.json_dumps({"accessKeyId": key.id, "secretAccessKey": key.secret})
        ),
        opts=here,
    )
    return secret


def sessions_in_secret(
    name: str,
    wanted: Credential,
    *,
    issuers: Mapping[str, Issuer],
    parent: pulumi.Resource,
) -> tuple[aws.secretsmanager.Secret, Handover]:
    """A secret for sessions, and two roles for the pod that brings them: no key anywhere.

    One role's sessions are handed over, so it may do no more than ``wanted`` says; another writes
    the secret. Both trust one service account of the cluster. The secret is empty until then.

    Args:
        name: of every resource.
        wanted: what the sessions are good for.
        issuers: the cluster's issuer on each side, by partition.
        parent: of every resource.
    """
    here = pulumi.ResourceOptions(parent=parent, provider=wanted.holder.provider)
    secret = _secret(name, wanted, here)

    def role(called: str, place: Place, policy: pulumi.Input[str]) -> pulumi.Output[str]:
        issuer = issuers[place.region.partition]
        on_side = pulumi.ResourceOptions(parent=parent, provider=place.provider)
        return _role(called, place.region, issuer, policy=policy, tags=wanted.tags, opts=on_side)

    writing = secret.arn.apply(lambda arn: json.dumps(policies.write_secret_policy(arn)))
    return secret, Handover(
        session_role=role(name, wanted.giver, json.dumps(wanted.policy)),
        writer_role=role(f"{name}-writer", wanted.holder, writing),
        secret=wanted.secret_name,
        giver=wanted.giver.region.name,
        holder=wanted.holder.region.name,
    )


def registered_issuer(
    name: str,
    host: pulumi.Input[str],
    place: Place,
    *,
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> Issuer:
    """The cluster's issuer, made known to the IAM of a side that is not the cluster's own.

    An issuer belongs to one cluster, so no other stack registers it there. IAM and STS of that side
    read its keys over the internet, where they are public also for a private API server.
    """
    known = aws.iam.OpenIdConnectProvider(
        name,
        url=pulumi.Output.concat("https://", host),
        client_id_lists=[place.region.oidc_audience],
        tags={**tags, "Name": name},
        opts=pulumi.ResourceOptions(parent=parent, provider=place.provider),
    )
    return Issuer(provider_arn=known.arn, host=host)


def _secret(
    name: str, wanted: Credential, here: pulumi.ResourceOptions
) -> aws.secretsmanager.Secret:
    return aws.secretsmanager.Secret(
        name,
        name=wanted.secret_name,
        description="Credential of the image mirror on the other side of the partition border",
        # It is made again at will, so there is nothing to recover after a destroy, and a name in
        # recovery would stop the next `up`.
        recovery_window_in_days=0,
        tags={**wanted.tags, "Name": wanted.secret_name},
        opts=here,
    )


def _role(
    name: str,
    region: Region,
    issuer: Issuer,
    *,
    policy: pulumi.Input[str],
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    trust = pulumi.Output.all(issuer.provider_arn, issuer.host).apply(
        lambda found: json.dumps(irsa_trust(region, found[0], found[1], [SESSIONS]))
    )
    role = aws.iam.Role(
        name,
        description="Sessions of the image mirror for the other side of the partition border",
        assume_role_policy=trust,
        tags={**tags, "Name": name},
        opts=opts,
    )
    allowed = aws.iam.RolePolicy(name, role=role.name, policy=policy, opts=opts)
    # Whoever is given the role starts after it got its rights.
    return pulumi.Output.all(role.arn, allowed.role).apply(lambda found: found[0])
