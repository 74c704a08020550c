"""``./kf users``: who uses a platform, with what, by the stack file and by the cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from components.kubeflow.profiles import limits_of
from ops import targets
from ops.cli_errors import Refused, errors_reported
from ops.karpenter_status import Object
from ops.live_cluster import LiveCluster
from settings import Settings
from settings.errors import listed
from settings.users import TeamBucket, User
from terminal.output import Columns, Format, Row, format_option, messages, show, tab_separated

_PROFILES = "/apis/kubeflow.org/v1/profiles"
_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/rolebindings"
_QUOTAS = "/api/v1/resourcequotas"
_HASHES = "/api/v1/namespaces/auth/secrets/dex-passwords"
KEYS = (
    "user, namespace, profile (protected, deletable, unprotected), exists, quota (resource -> set, "
    "used), contributors, buckets, rotation, passwords_changed; null: the cluster was not asked"
)


def users(
    stack: targets.Stack = targets.DEFAULT,
    format_: Annotated[Format | None, format_option(KEYS)] = None,
) -> None:
    """Lists the users of a stack: namespace, quota, buckets, rotation.

    What is used, contributors that owners let in, and when any user's password changed last are
    read from the cluster of the current kubeconfig; without it, the list is that of the stack file.
    No password and no hash of one is read.

    Example: `./kf users --stack cn-north-1 --format json`
    """
    with errors_reported():
        settings = targets.settings_of(stack)
        try:
            live = Live.of(LiveCluster.of_stack(stack, settings))
        except Refused as refused:
            live = None
            messages.print(f"By the stack file alone, without what is used: {refused}")
        rows = rows_of(settings, live)
    show(rows, format_, _COLUMNS, line=_line)
    for notice in notices(settings, live):
        messages.print(notice, style="yellow")


@dataclass(frozen=True)
class Live:
    """What the cluster has of users.

    Attributes:
        owners: namespace -> the user whose profile it is.
        quotas: namespace -> resource -> limit and use, as Kubernetes writes quantities.
        contributors: namespace -> users whom its owner, or the stack, has let in.
        passwords_changed: when the secret with the hashes was written last; None: unknown.
    """

    owners: Mapping[str, str]
    quotas: Mapping[str, Mapping[str, Mapping[str, str | None]]]
    contributors: Mapping[str, Sequence[str]]
    passwords_changed: str | None

    @classmethod
    def of(cls, cluster: LiveCluster) -> Live:
        """Read from a cluster. Raises as ``LiveCluster.all``."""
        owners = {
            each["metadata"]["name"]: str(each["spec"].get("owner", {}).get("name"))
            for each in cluster.all(_PROFILES)
        }
        quotas: dict[str, dict[str, Mapping[str, str | None]]] = {}
        for each in cluster.all(_QUOTAS):
            status = each.get("status") or {}
            own = quotas.setdefault(each["metadata"]["namespace"], {})
            for name, limit in (status.get("hard") or each["spec"].get("hard") or {}).items():
                own[name] = {"set": limit, "used": (status.get("used") or {}).get(name)}
        contributors: dict[str, list[str]] = {}
        for each in cluster.all(_BINDINGS):
            noted = each["metadata"].get("annotations") or {}
            # kubeflow/dashboard components/access-management/kfam/bindings.go; the owner's own
            # binding has the role admin.
            if noted.get("user") and noted.get("role") in ("edit", "view"):
                contributors.setdefault(each["metadata"]["namespace"], []).append(noted["user"])
        return cls(owners, quotas, contributors, _written(cluster.metadata(_HASHES)))


def _written(metadata: Object | None) -> str | None:
    if metadata is None:
        return None
    times = [each.get("time") for each in metadata.get("managedFields") or []]
    return max((time for time in times if time), default=metadata.get("creationTimestamp"))


def rows_of(settings: Settings, live: Live | None) -> list[dict[str, Any]]:
    """One row per user of the stack file, in its order.

    Args:
        settings: of the stack.
        live: of its cluster; None: not asked.
    """
    return [
        {
            "user": user.email,
            "namespace": user.namespace,
            "profile": _protection(user, settings),
            "exists": user.namespace in live.owners if live else None,
            "quota": _quota(user, live),
            "contributors": _contributors(user, live),
            "buckets": [_bucket(bucket) for bucket in user.buckets],
            "rotation": user.rotation,
            "passwords_changed": live.passwords_changed if live else None,
        }
        for user in settings.users
    ]


def _protection(user: User, settings: Settings) -> str:
    if user.namespace in settings.deletable_namespaces:
        return "deletable"
    return "protected" if settings.protected else "unprotected"


def _quota(user: User, live: Live | None) -> dict[str, Mapping[str, str | None]]:
    by_file = limits_of(user.quota) if user.quota else {}
    in_cluster = live.quotas.get(user.namespace) if live else None
    return {
        **{name: {"set": limit, "used": None} for name, limit in by_file.items()},
        **(in_cluster or {}),
    }


def _contributors(user: User, live: Live | None) -> list[str]:
    added = live.contributors.get(user.namespace, ()) if live else ()
    return list(dict.fromkeys([*user.contributors, *sorted(added)]))


def _bucket(bucket: TeamBucket) -> str:
    places = [f"{bucket.name}/{prefix}" for prefix in bucket.prefixes] or [bucket.name]
    return f"{', '.join(places)} ({'write' if bucket.write else 'read'})"


def notices(settings: Settings, live: Live | None) -> Iterable[str]:
    """What the stack file and the cluster do not agree on, in sentences."""
    namespaces = {user.namespace: user.email for user in settings.users}
    if live is None:
        return
    for namespace, owner in live.owners.items():
        if namespace not in namespaces:
            yield f"The profile {namespace} of {owner} is in the cluster and not in kubeflow:users."
    absent = [name for name in namespaces if name not in live.owners]
    if absent:
        yield f"There is no profile {listed(absent, 'and')} in the cluster: run `pulumi up`."


def _amounts(row: Row) -> list[str]:
    """The quota as ``cpu 3/8``: used, set; a dash where the cluster was not asked."""
    return [
        f"{name.removeprefix('requests.').removeprefix('nvidia.com/')} "
        f"{amount['used'] or '-'}/{amount['set']}"
        for name, amount in row["quota"].items()
    ]


def _line(row: Row) -> str:
    return tab_separated({**row, "quota": _amounts(row)})


def _lines(values: Iterable[str]) -> str:
    return "\n".join(values)


_COLUMNS: Columns = {
    "user, namespace": lambda row: f"{row['user']}\n{row['namespace']}",
    "quota used/set": lambda row: _lines(_amounts(row)) or "none",
    "contributors": lambda row: _lines(row["contributors"]),
    "buckets": lambda row: _lines(row["buckets"]),
    "rotation": lambda row: str(row["rotation"]),
    "profile": lambda row: row["profile"] if row["exists"] is not False else "absent",
}
