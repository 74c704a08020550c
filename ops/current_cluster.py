"""The cluster of the current kubeconfig, without a request to it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import yaml
from kubernetes import config

from ops.cli_errors import Refused
from ops.karpenter_status import Object
from settings import Settings
from settings.context import StackContext

_KINDS = ("clusters", "contexts", "users")
UNREADABLE = (
    *(config.ConfigException, OSError, yaml.YAMLError),
    *(LookupError, TypeError, ValueError, AttributeError),
)
"""What the client raises for a kubeconfig that is another thing, or not UTF-8."""
CONNECT = "aws eks update-kubeconfig --name <cluster>"


class Unreachable(Refused):
    """No answer from an API server; the message is one sentence with the way out."""


@dataclass(frozen=True)
class CurrentCluster:
    """The cluster of the kubeconfig's current context, by its entries; empty where they have none.

    ``aws eks update-kubeconfig`` names a cluster by its ARN, and its user's command has name and
    region; EKS has the region in each endpoint (aws/aws-cli awscli/customizations/eks/
    update_kubeconfig.py).

    Attributes:
        context: its name.
        server: URL of the API server.
        name: of the EKS cluster.
        region: likewise.
        account: likewise.
    """

    context: str
    server: str
    name: str = ""
    region: str = ""
    account: str = ""

    @classmethod
    def of(cls, kubeconfig: Object) -> CurrentCluster:
        """The cluster of a kubeconfig; all texts are empty where it has no current context."""
        current = str(kubeconfig.get("current-context") or "")
        context = _named(kubeconfig, "contexts", current).get("context") or {}
        cluster = str(context.get("cluster") or "")
        server = str(
            (_named(kubeconfig, "clusters", cluster).get("cluster") or {}).get("server") or ""
        )
        user = _named(kubeconfig, "users", str(context.get("user") or "")).get("user") or {}
        words = [str(word) for word in (user.get("exec") or {}).get("args") or []]
        options = dict(pairwise(words))
        name = options.get("--cluster-name") or options.get("--cluster-id") or options.get("-i", "")
        region = options.get("--region", "")
        if host := _EKS_HOST.search(server):
            region = host["region"]
        if arn := _CLUSTER_ARN.fullmatch(cluster):
            return cls(current, server, arn["name"], arn["region"], arn["account"])
        return cls(current, server, name, region)

    @property
    def tunnelled(self) -> bool:
        """Whether the API server is reached through a port of this machine."""
        return re.match(r"https?://(127\.|localhost[:/]|\[::1\])", self.server) is not None

    def refuse_another_than(self, stack: str, settings: Settings) -> None:
        """Refuses the cluster of another stack.

        Raises:
            Refused: the context is of a cluster with another name, region or account.
        """
        own = StackContext.of(settings, settings.account_id or "", {})
        pairs = (
            (self.name, own.cluster),
            (self.region, own.region.name),
            (self.account, own.account_id),
        )
        if all(said == wanted or not said or not wanted for said, wanted in pairs):
            return
        place = f"the cluster {self.name}" if self.name else "a cluster"
        place += f" in {self.region}" if self.region else ""
        account = f" of account {self.account}" if self.account else ""
        raise Refused(
            f"the kubeconfig's context {self.context} is of {place}{account}, and "
            f"{stack} has {own.cluster} in {own.region.name}: run `{connect_command(settings)}`."
        )


# The ARN of a cluster in any partition, and the host of its API server.
_CLUSTER_ARN = re.compile(
    r"arn:[a-z0-9-]+:eks:(?P<region>[a-z0-9-]+):(?P<account>\d+):cluster/(?P<name>[\w-]+)"
)
_EKS_HOST = re.compile(r"\.(?P<region>[a-z]+(?:-[a-z]+)+-\d+)\.eks\.")


def _named(kubeconfig: Object, kind: str, name: str) -> dict[str, Any]:
    return next((each for each in kubeconfig.get(kind) or [] if each.get("name") == name), {})


def connect_command(settings: Settings) -> str:
    """The command that puts the stack's cluster into the kubeconfig."""
    context = StackContext.of(settings, settings.account_id or "", {})
    return (
        f"{context.aws_cli} eks update-kubeconfig --region {context.region.name} "
        f"--name {context.cluster}"
    )


def current_cluster(connect: str = CONNECT) -> CurrentCluster:
    """The cluster of the kubeconfig's current context, without a request to it.

    Args:
        connect: the command that makes a kubeconfig, for the error.

    Raises:
        Unreachable: there is no usable kubeconfig.
    """
    try:
        merged = config.kube_config.KubeConfigMerger(kubeconfig_files()).config
        if merged is None:
            raise OSError("no such file")
        entries = {kind: [each.value for each in merged.value[kind]] for kind in _KINDS}
        current = CurrentCluster.of({**merged.value, **entries})
    except UNREADABLE as error:
        raise no_kubeconfig(error, connect) from None
    if not current.server:
        raise no_kubeconfig("no current context", connect)
    return current


def kubeconfig_files() -> str:
    """The paths of the kubeconfig, as ``KUBECONFIG`` has them."""
    # The client itself reads the variable only once, when it is imported.
    return os.environ.get("KUBECONFIG") or config.KUBE_CONFIG_DEFAULT_LOCATION


def no_kubeconfig(reason: object, connect: str) -> Unreachable:
    """The error of a kubeconfig that cannot be used, with the command that makes one."""
    return Unreachable(
        f"there is no usable kubeconfig ({reason}): run `{connect}`, or set KUBECONFIG."
    )
