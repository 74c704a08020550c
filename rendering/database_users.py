"""The users of a release's database (``Release.databases``), written into the Job that makes them.

The Job ``database-init`` (manifests/addons/database-init) is the same in every release. Its table
of components and the secrets that it reads are those of the release, without the users of optional
parts that are not rendered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rendering.cache import sha256_of
from rendering.objects import Object, RenderError, annotate, pod_template
from rendering.optional import left_out
from rendering.release import DatabaseUser, Release

NAMESPACE = "kubeflow-database"
TABLE = "components"
"""The file that the Job's script reads beside itself."""
_SCRIPT = "init.sh"
_ANNOTATION = "checksum/components"
_FOLDER = "/etc/database-secrets"


def users_of(
    release: Release, optional_parts: Collection[str] | None = None
) -> dict[str, DatabaseUser]:
    """Component -> its user, in the order of release.yaml.

    Args:
        release: whose components have users.
        optional_parts: names of the parts (``Release.optional``) that are rendered; None: all.
    """
    gone = {
        component
        for part in left_out(release.optional, optional_parts).values()
        for component in part.databases
    }
    return {name: user for name, user in release.databases.items() if name not in gone}


def write(objects: Collection[Object], users: Mapping[str, DatabaseUser]) -> None:
    """Writes the users into the Job, its ConfigMap and its ExternalSecret, where those are.

    A Job's template cannot change: with the table's digest in it, another table is another run.

    Args:
        objects: as kustomize prints them; changed in place.
        users: component -> its user; without any, nothing is written.

    Raises:
        RenderError: there are users and no Job.
    """
    if not users:
        return
    own = [obj for obj in objects if obj["metadata"].get("namespace") == NAMESPACE]
    tables = [obj for obj in own if obj["kind"] == "ConfigMap" and _SCRIPT in obj.get("data", {})]
    if not tables:
        raise RenderError(
            f"release.yaml has databases, and the build has no ConfigMap with {_SCRIPT} in "
            f"namespace {NAMESPACE}: add addons/database-init to the kustomization"
        )
    text = table(users)
    for obj in tables:
        obj["data"][TABLE] = text
    for obj in own:
        if obj["kind"] == "Job":
            template: Any = pod_template(obj)
            annotate(template, {_ANNOTATION: sha256_of(text.encode())})
        elif obj["kind"] == "ExternalSecret":
            _write_files(obj["spec"], users)


def table(users: Mapping[str, DatabaseUser]) -> str:
    """What the script reads: a line per component with login, TLS and rights of its user."""
    lines = ["# component login tls rights"]
    lines += [f"{name} {u.login} {u.tls} {', '.join(u.rights)}" for name, u in users.items()]
    return "\n".join([*lines, ""])


def _write_files(spec: dict[str, Any], users: Mapping[str, DatabaseUser]) -> None:
    """The files of each component: an option file of MySQL's client, and its fields alone."""
    files, remote = spec["target"]["template"]["data"], spec["data"]
    for component in users:
        key = component.replace("-", "_")
        remote.append({"secretKey": key, "remoteRef": {"key": f"<<secret.{component}>>"}})
        files[f"{component}.cnf"] = (
            f"{{{{ $user := fromJson .{key} -}}}}\n"
            f"!include {_FOLDER}/client.cnf\n"
            "[client]\n"
            "user={{ $user.username }}\n"
            "password={{ $user.password }}\n"
        )
        for field in ("username", "password", "database"):
            files[f"{component}.{field}"] = f"{{{{ (fromJson .{key}).{field} }}}}"
