"""``./kf leftovers``: what exists of a stack after ``pulumi destroy``, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.text import Text

from ops import targets
from ops.account_calls import CallFailed
from ops.cli_errors import Refused, errors_reported
from ops.karpenter_status import Object
from ops.leftover_search import Leftover, Place, Search, Status, build_place, own_place
from ops.live_cluster import LiveCluster
from settings import Settings
from settings.errors import listed
from terminal.exit_codes import FAILED, INCOMPLETE
from terminal.output import Columns, Format, Row, format_option, messages, show

_STYLES = {Status.FORGOTTEN: "red", Status.NOT_CHECKED: "red", Status.KEPT: "green"}


def leftovers(
    stack: targets.Stack = targets.DEFAULT,
    format_: Annotated[
        Format | None, format_option("status, what, id, where, why, command")
    ] = None,
) -> None:
    """Lists what exists of a stack in AWS and in its cluster after `pulumi destroy`; read-only.

    Each thing is kept, with the setting that keeps it, or forgotten, with the command that deletes
    it. As long as the cluster exists, it is in use. Exit code 1: something is forgotten. Exit code
    3: nothing is, as far as it was checked.

    Example: `./kf leftovers --stack cn-north-1 --format json`
    """
    with errors_reported():
        settings = targets.settings_of(stack)
        place = own_place(settings)
        cluster = place.account.one("eks", "describe_cluster", name=settings.cluster.name)
        found = examine(settings, stack, place, cluster.get("cluster"))
    report(found, format_)
    messages.print(_summary(stack, found, cluster=settings.cluster.name if cluster else ""))
    statuses = {each.status for each in found}
    if Status.FORGOTTEN in statuses:
        raise typer.Exit(FAILED)
    if Status.NOT_CHECKED in statuses:
        raise typer.Exit(INCOMPLETE)


def examine(
    settings: Settings, stack: str, own: Place, cluster: dict[str, Any] | None
) -> list[Leftover]:
    """Everything that exists of a stack, what is forgotten first.

    Args:
        settings: of the stack.
        stack: its name.
        own: its region.
        cluster: as EKS describes it; None: it is gone.
    """
    places, failures = [own], list[Leftover]()
    try:
        build = build_place(settings, own)
        places += [build] if build else []
    except CallFailed as failure:
        about = f"the account that copies images was not searched: {failure}"
        failures.append(Leftover(Status.NOT_CHECKED, "", "", "build", about))
    search = Search(settings, stack)
    found = [*search.everything(places, in_use=cluster is not None), *failures]
    if cluster:
        found += of_cluster(cluster, own.aws)
    order = list(Status)
    return sorted(found, key=lambda each: order.index(each.status))


def of_cluster(cluster: Mapping[str, Any], aws: str) -> list[Leftover]:
    """What exists in the cluster, if it answers.

    Args:
        cluster: as EKS describes it.
        aws: the start of a command of the AWS CLI.
    """
    where, found = f"cluster {cluster['name']}", list[Leftover]()
    try:
        api = LiveCluster()
        if api.host.lower().rstrip("/") != cluster["endpoint"].lower().rstrip("/"):
            connect = f"{aws} eks update-kubeconfig --name {cluster['name']}"
            raise Refused(f"the kubeconfig is of {api.host}: run `{connect}`.")
        found.extend(_objects(api, where))
    except Refused as refused:
        found.append(Leftover(Status.NOT_CHECKED, "", "", where, str(refused)))
    return found


def _objects(api: LiveCluster, where: str) -> Iterator[Leftover]:
    """Objects of which others depend or that outlive the cluster in AWS."""
    namespaces = {each["metadata"]["name"]: each for each in api.all("/api/v1/namespaces")}
    platform = _PLATFORM in namespaces

    def found(what: str, name: str, command: str) -> Leftover:
        if platform:
            return Leftover(Status.IN_USE, what, name, where, "the platform exists")
        return Leftover(Status.FORGOTTEN, what, name, where, "no setting keeps it", command)

    for name, namespace in namespaces.items():
        if namespace["metadata"].get("labels", {}).get(_PROFILE[0]) == _PROFILE[1]:
            yield found("namespace of a profile", name, f"kubectl delete namespace {name}")
    for service in api.all("/api/v1/services"):
        if service["spec"].get("type") == "LoadBalancer":
            name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
            command = f"kubectl delete service -n {namespace} {name}"
            yield found("Service with a load balancer", f"{namespace}/{name}", command)
    for volume in api.all("/api/v1/persistentvolumes"):
        spec, name = volume["spec"], volume["metadata"]["name"]
        claim = spec.get("claimRef") or {}
        of = f"{claim.get('namespace')}/{claim.get('name')}" if claim else "no claim"
        what = f"volume of {of}, reclaim policy {spec['persistentVolumeReclaimPolicy']}"
        command = f"kubectl delete pv {name}"
        if claim and volume.get("status", {}).get("phase") == "Bound":
            command = f"kubectl delete pvc -n {claim['namespace']} {claim['name']} && {command}"
        yield found(what, name, command)
    crds = api.all("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
    ours = [each for each in crds if _applied_by_the_stack(each)]
    if ours:
        status = Status.IN_USE if platform else Status.KEPT
        why = "users' objects would go with them; they exist as long as the cluster does"
        yield Leftover(status, "CustomResourceDefinitions", str(len(ours)), where, why)


_PLATFORM = "kubeflow"
# kubeflow/dashboard components/profile-controller, namespace-labels.
_PROFILE = ("app.kubernetes.io/part-of", "kubeflow-profile")
_FIELD_MANAGER = "kubeflow-crds"


def _applied_by_the_stack(crd: Object) -> bool:
    fields = crd["metadata"].get("managedFields", [])
    return any(each.get("manager") == _FIELD_MANAGER for each in fields)


def report(found: Sequence[Leftover], format_: Format | None) -> None:
    """Print everything to standard output."""
    columns: Columns = {
        "status": lambda row: Text(row["status"], style=_STYLES.get(row["status"], "yellow")),
        "what": lambda row: f"{row['what']} {row['id']}".strip(),
        "where": "where",
        "why": _why,
    }
    show([asdict(each) for each in found], format_, columns)


def _why(row: Row) -> str:
    return f"{row['why']}: {row['command']}" if row["command"] else row["why"]


def _summary(stack: str, found: Sequence[Leftover], cluster: str) -> str:
    counts = Counter(each.status for each in found)
    parts = [f"{counts[each]} {each}" for each in Status if counts[each]]
    sentence = f"{stack}: {listed(parts, 'and') if parts else 'nothing is left'}."
    if cluster:
        sentence = f"The cluster {cluster} exists, so its things are in use. {sentence}"
    if counts[Status.NOT_CHECKED]:
        sentence += " The list is incomplete."
    if counts[Status.FORGOTTEN]:
        sentence += " If `pulumi destroy` ended early, run it again first."
    return sentence
