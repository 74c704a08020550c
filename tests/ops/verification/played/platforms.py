"""A live platform in memory: what a stack applies, and what everybody else makes of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from functools import cache
from typing import Any
from unittest.mock import sentinel

import boto3

from components.kubeflow.profiles import contributor_objects, profile, quota_objects
from ops.cli_errors import Refused
from ops.findings import Finding, Level
from ops.live_cluster import LiveCluster
from ops.verification.platform import Platform
from ops.verification.registry import CHECKS
from rendering import Object
from rendering.release import load
from settings import MANIFESTS, Settings, from_stack_file
from settings.context import StackContext
from settings.users import User
from tests.cluster.platform import platform as of_program
from tests.ops.verification.played.api_server import PlayedCluster
from tests.ops.verification.played.certificates import certificates
from tests.ops.verification.played.eks import eks_objects, karpenter_objects, namespaces
from tests.ops.verification.played.live import Live
from tests.ops.verification.played.pods import autoscalers, budgets, services, volumes, workloads
from tests.ops.verification.played.profiles import aggregated_roles, profile_objects
from tests.ops.verification.played.stored_secrets import logins, secrets
from tests.test_program import ACCOUNT, ROOT

CN = "cn-north-1"


def played(objects: Iterable[Object], settings: Settings, account: str = ACCOUNT) -> Live:
    """The platform as it runs, a while after its first ``up``."""
    live = Live(settings, StackContext.of(settings, account, {}))
    for obj in objects:
        live.put(copy.deepcopy(obj))
    namespaces(live)
    eks_objects(live)
    if settings.gpu_pool.enabled:
        karpenter_objects(live)
    for user in settings.users:
        profile_objects(live, user)
    aggregated_roles(live)
    secrets(live)
    certificates(live)
    workloads(live)
    services(live)
    volumes(live)
    autoscalers(live)
    budgets(live)
    logins(live)
    return live


@cache
def live_of(stack: str) -> Live:
    """A stack of the project as it runs; not to be changed (``Live.changed``)."""
    settings = from_stack_file(ROOT / f"Pulumi.{stack}.yaml")
    return played(of_program(stack).objects.values(), settings)


def live_with(stack: str, *users: User) -> Live:
    """A stack of the project with these users instead of its own."""
    settings = from_stack_file(ROOT / f"Pulumi.{stack}.yaml").model_copy(
        update={"users": list(users)}
    )
    return played(objects_with(stack, settings), settings)


def objects_with(stack: str, settings: Settings) -> list[Object]:
    """What the stack applies for the users of these settings."""
    context = StackContext.of(settings, ACCOUNT, {})
    role = context.region.arn("iam", "role/editor", account=ACCOUNT, region="")
    parts = load(MANIFESTS / settings.release).parts
    objects = [obj for obj in of_program(stack).objects.values() if obj["kind"] != "Profile"]
    for user in settings.users:
        own = (profile(user, role), *contributor_objects(user, parts), *quota_objects(user))
        objects += copy.deepcopy(own)
    return objects


def platform(live: Live, cluster: LiveCluster | None = None, client: Any = None) -> Platform:
    """A platform for checks; without ``client`` there are no AWS credentials."""

    def none(service: str) -> Any:
        raise Refused(f"there are no AWS credentials for {service}: set AWS_PROFILE.")

    return Platform(
        stack="cn-north-1",
        settings=live.settings,
        context=live.context,
        cluster=cluster or PlayedCluster(live),
        client=client or none,
        workspace=sentinel.workspace,
    )


def secrets_manager(live: Live) -> Any:
    """A client of moto's Secrets Manager with the secrets of a platform; inside ``mock_aws``."""
    client: Any = boto3.client("secretsmanager", region_name=live.context.region.name)
    for name, values in live.remote.items():
        client.create_secret(Name=name, SecretString=json.dumps(values))
    return client


def examined(name: str, live: Live, cluster: LiveCluster | None = None) -> list[Finding]:
    """What a check tells of a platform."""
    (check,) = (each for each in CHECKS if each.name == name)
    return list(check.examine(platform(live, cluster)))


def wrong(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """About and sentence of what is not good."""
    return [(each.about, each.sentence) for each in findings if each.level is not Level.GOOD]


def problems(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(each.about, each.sentence) for each in findings if each.level is Level.PROBLEM]
