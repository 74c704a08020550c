"""A stack with two profiles as the program plans it: policies, and values for manifests.

The first profile has a bucket of its team beside the artifacts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from components.objects.kubernetes_objects import bind
from program import static_values
from regions.region import Region
from settings import Settings
from settings.context import StackContext
from tests.components.backend.simulated_backend import ACCOUNT, USERS, backend, issuer
from tests.consumers.access_decisions import Caller, Document, UnknownConstruct
from tests.consumers.aws_requests import Token
from tests.harness import Recorded
from tests.rendering.beijing import Release, kubeflow
from tests.rendering.profile_hooks import SYNC, namespace

PROFILES = tuple(user["namespace"] for user in USERS)
Secrets = Mapping[str, Mapping[str, str]]
AUTHORITIES = "database.authorities"
HOST, PORT = "database.host", "database.port"
TEAM_BUCKET, TEAM_PREFIX = "models-of-the-team", "llm"


@dataclass(frozen=True)
class Role:
    """A role of the plan.

    Attributes:
        name: of the resource in Pulumi.
        arn: of the role.
        trust: who may assume it.
        documents: what it may do.
    """

    name: str
    arn: str
    trust: Document
    documents: tuple[Document, ...]


@dataclass(frozen=True)
class Bucket:
    """A bucket of the stack's account.

    Attributes:
        name: of the bucket.
        policy: its own; None: it has none.
        key_arn: of the key that encrypts its objects.
        key_policy: of that key.
    """

    name: str
    policy: Document | None
    key_arn: str
    key_policy: Document


@dataclass(frozen=True)
class Stack:
    """What the plan of one region says.

    Attributes:
        region: of the stack.
        values: for the markers in manifests.
        profiles: namespace -> the ARN of its role.
        roles: by ARN.
        bucket: name of the artifacts' bucket.
        buckets: by name.
    """

    region: Region
    values: Mapping[str, str]
    profiles: Mapping[str, str]
    roles: Mapping[str, Role]
    bucket: str
    buckets: Mapping[str, Bucket]

    @property
    def key_arn(self) -> str:
        """Of the key that encrypts the artifacts."""
        return self.buckets[self.bucket].key_arn

    def policy(self, bucket: Bucket, action: str, resource: str) -> Document | None:
        """The policy of the bucket, or of the key, that a request to the bucket takes."""
        if not action.startswith("kms:"):
            return bucket.policy
        keys = {each.key_arn: each.key_policy for each in self.buckets.values()}
        return keys.get(resource)

    @property
    def issuer(self) -> str:
        """The OIDC issuer of the cluster, without ``https://``."""
        return issuer(self.region.name)

    def token(self, subject: tuple[str, str]) -> Token:
        """What EKS puts into the pods of a service account, given by namespace and name."""
        name = ":".join(("system:serviceaccount", *subject))
        return Token(self.issuer, name, (self.region.oidc_audience,))

    def federated(self, token: Token) -> Caller:
        """Who presents the token: IAM knows the issuer of this cluster alone."""
        if token.issuer != self.issuer:
            return Caller({})
        rest = f"oidc-provider/{self.issuer}"
        provider = self.region.arn("iam", rest, account=ACCOUNT, region="")
        return Caller({"Federated": frozenset({provider})})

    def session(self, role: str) -> Caller:
        """A session of one of the roles."""
        root = self.region.arn("iam", "root", account=ACCOUNT, region="")
        return Caller({"AWS": frozenset({role})}, root, self.roles[role].documents)

    def with_values(self, values: Mapping[str, str]) -> Stack:
        """The same stack with other values for some markers."""
        return replace(self, values={**self.values, **values})

    def bound(self, value: Any) -> Any:
        """An object, or a part of one, with the stack's values in place of markers."""
        return bind(value, self.values)

    def variables(
        self, release: Release, deployment: str, secrets: Secrets | None = None
    ) -> dict[str, str]:
        """The variables of a Deployment's container, without those that the kubelet fills in.

        Args:
            release: that has it.
            deployment: its name.
            secrets: content of the Secrets by name; None: variables from Secrets are left out.
        """
        values: dict[str, str] = {}
        for name, value in self.bound(release.environment(deployment)).items():
            if isinstance(value, str):
                values[name] = value
            elif reference := value.get("configMapKeyRef"):
                data = self.bound(release.get("ConfigMap", reference["name"])["data"])
                if not reference.get("optional") or reference["key"] in data:
                    values[name] = data[reference["key"]]
            elif secrets is not None and (reference := value.get("secretKeyRef")):
                values[name] = secrets[reference["name"]][reference["key"]]
        return values

    def of_profile(self, release: str, profile: str) -> dict[str, dict[str, Any]]:
        """``Kind name`` -> an object that the release's hook makes in a profile."""
        variables = self.variables(kubeflow(release), "kubeflow-pipelines-profile-controller")
        sync = SYNC[release]
        objects = sync.desired(namespace(profile), sync.settings_from(variables))
        return {f"{each['kind']} {each['metadata']['name']}": each for each in objects}


@cache
def stack(region: str = "cn-north-1") -> Stack:
    """The stack of a region."""
    recorded = planned(region)
    settings = Settings.model_validate({"region": region, "users": _users(region)})
    outputs: dict[str, Any] = recorded.exports
    key = recorded.only("aws:kms/key:Key")
    artifacts = Bucket(
        outputs["bucket"],
        _parsed(recorded, "aws:s3/bucketPolicy:BucketPolicy"),
        key.outputs["arn"],
        json.loads(key.inputs["policy"]),
    )
    root = Region.of(region).arn("iam", "root", account=ACCOUNT, region="")
    team = Bucket(TEAM_BUCKET, None, _team_key(region), _default_key_policy(root))
    return Stack(
        region=Region.of(region),
        values={
            **static_values(StackContext.of(settings, ACCOUNT, {}), settings),
            "bucket.name": outputs["bucket"],
            HOST: outputs["host"],
            PORT: str(outputs["port"]),
            AUTHORITIES: outputs["authorities"],
            **{f"secret.{name}": secret for name, secret in outputs["secrets"].items()},
            **{f"role.{name}": arn for name, arn in outputs["roles"].items()},
        },
        profiles=outputs["profiles"],
        roles=roles_of(recorded),
        bucket=artifacts.name,
        buckets={each.name: each for each in (artifacts, team)},
    )


def planned(region: str) -> Recorded:
    """The component ``backend`` of the stack of a region."""
    return backend(region, users=_users(region))


def _users(region: str) -> list[dict[str, Any]]:
    bucket = {
        **{"bucket": TEAM_BUCKET, "prefixes": [TEAM_PREFIX]},
        "kmsKeyArn": _team_key(region),
    }
    first, *others = USERS
    return [{**first, "buckets": [bucket]}, *others]


def _team_key(region: str) -> str:
    key = "key/0badcafe-0000-4000-8000-000000000001"
    return Region.of(region).arn("kms", key, account=ACCOUNT)


def _default_key_policy(root: str) -> Document:
    """That of a key without one of its own (KMS developer guide, key-policy-default.html)."""
    statement = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _parsed(recorded: Recorded, type_: str) -> Document:
    return json.loads(recorded.only(type_).inputs["policy"])


_ELSEWHERE = ("permissionsBoundary", "inlinePolicies", "managedPolicyArns")


def roles_of(recorded: Recorded) -> dict[str, Role]:
    """The roles of a plan by ARN, with the policies that the plan itself makes for them.

    Raises:
        UnknownConstruct: a role has rights or limits whose documents the plan does not hold.
    """
    roles: dict[str, Role] = {}
    inline = recorded.of("aws:iam/rolePolicy:RolePolicy")
    attached = recorded.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    own = {each.outputs["arn"]: each for each in recorded.of("aws:iam/policy:Policy")}
    for role in recorded.of("aws:iam/role:Role"):
        name = role.outputs["name"]
        policies = [each for each in inline if each.inputs["role"] == name]
        arns = [each.inputs["policyArn"] for each in attached if each.inputs["role"] == name]
        elsewhere = {key for key in _ELSEWHERE if role.inputs.get(key)}
        foreign = {arn for arn in arns if arn not in own and ":iam::aws:policy/" not in arn}
        if elsewhere or foreign:
            raise UnknownConstruct(f"{role.name} with {sorted(elsewhere | foreign)}")
        policies += [own[arn] for arn in arns if arn in own]
        roles[role.outputs["arn"]] = Role(
            role.name,
            role.outputs["arn"],
            json.loads(role.inputs["assumeRolePolicy"]),
            tuple(json.loads(each.inputs["policy"]) for each in policies),
        )
    return roles
