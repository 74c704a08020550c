"""MariaDB under the host name that RDS will have, with the users that the Job database-init makes.

A consumer finds it by a file in place of /etc/hosts, in a mount namespace of its own (util-linux'
``unshare``), as its pod would by the VPC's DNS; the certificate carries that name.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rendering import Object
from tests.consumers.stack import AUTHORITIES, HOST, PORT, Secrets, Stack
from tests.database_users import users
from tests.releases import PIPELINES_2
from tests.rendering.beijing import Release
from tests.rendering.secret_writer import OF_CATALOG, Remote, written
from tests.services import mariadb
from tests.services.database_job import Job

_NAMESPACE = ("unshare", "--map-root-user", "--mount")
_WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'


def with_hosts(hosts: Path, *command: str) -> list[str]:
    """A command that reads the file in place of /etc/hosts."""
    return [*_NAMESPACE, "sh", "-c", _WITH_HOSTS, "sh", str(hosts), *command]


@dataclass(frozen=True)
class Database:
    """The running server.

    Attributes:
        server: MariaDB.
        stack: with the server's port and authorities among its values.
        job: the Job that made the users.
        hosts: the file in place of /etc/hosts.
    """

    server: mariadb.Server
    stack: Stack
    job: Job
    hosts: Path

    @property
    def remote(self) -> Remote:
        """Secrets Manager."""
        return {**OF_CATALOG, **self.job.remote}

    def command(self, *command: str) -> list[str]:
        """A command that finds the server by the name of RDS."""
        return with_hosts(self.hosts, *command)

    def secrets(self, release: Release, namespace: str) -> dict[str, dict[str, str]]:
        """Name -> content of each Secret that External Secrets would write."""
        listed = [each for each in release.all("ExternalSecret") if _is_in(each, namespace)]
        return {
            self.stack.bound(each["spec"]["target"]["name"]): written(each, self.remote)
            for each in listed
        }

    def pod(
        self, release: Release, deployment: str, folder: Path
    ) -> tuple[list[str], dict[str, str]]:
        """Arguments and environment of the container of a Deployment, with its files in ``folder``.

        A path that a volume mounts is a path below the folder.
        """
        workload = self.stack.bound(release.get("Deployment", deployment))
        secrets = self.secrets(release, workload["metadata"]["namespace"])
        pod = workload["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        volumes = {each["name"]: each for each in pod.get("volumes", [])}
        moved: dict[str, str] = {}
        for mount in container.get("volumeMounts", []):
            content = self._content(release, volumes[mount["name"]], secrets)
            place = folder / mount["name"]
            place.mkdir(parents=True)
            for name, text in content.items():
                (place / name).write_text(text)
            moved[mount["mountPath"]] = str(place)
        values = self.stack.variables(release, deployment, secrets)
        arguments: list[str] = container.get("args", [])
        return (
            [_moved(_expanded(text, values), moved) for text in arguments],
            {name: _moved(value, moved) for name, value in values.items()},
        )

    def _content(
        self, release: Release, volume: Mapping[str, Any], secrets: Secrets
    ) -> Mapping[str, str]:
        if "secret" in volume:
            return secrets[volume["secret"]["secretName"]]
        name = volume["configMap"]["name"]
        if volume["configMap"].get("optional"):
            assert name not in {each["metadata"]["name"] for each in release.all("ConfigMap")}
            return {}
        return self.stack.bound(release.get("ConfigMap", name)["data"])


def _is_in(obj: Object, namespace: str) -> bool:
    return obj["metadata"]["namespace"] == namespace


def _expanded(text: str, values: Mapping[str, str]) -> str:
    """An argument as the kubelet gives it: with the container's variables in place of $(NAME)."""
    return re.sub(r"\$\(([^)]*)\)", lambda found: values.get(found[1], found[0]), text)


def _moved(text: str, moved: Mapping[str, str]) -> str:
    for path, place in moved.items():
        text = text.replace(path, place)
    return text


@contextmanager
def database(
    stack: Stack, folder: Path, *, release: str = PIPELINES_2[-1], snapshot: Path | None = None
) -> Generator[Database]:
    """Starts the server, empty or with a snapshot, and runs the Job of a release, or of the newest
    one; ends with the block."""
    host = stack.values[HOST]
    with mariadb.running(folder, host, snapshot=snapshot) as server:
        values = {PORT: str(server.port), AUTHORITIES: server.authority.read_text()}
        address = {"host": host, "port": str(server.port)}
        remote = {
            f"<<secret.{component}>>": {
                **address,
                "username": user.user,
                "password": f"passwordOf{component.replace('-', '')}1",
                "database": user.database,
            }
            for component, user in users(release).items()
        }
        master = {**address, "username": mariadb.MASTER, "password": mariadb.MASTER_PASSWORD}
        (folder / "job").mkdir()
        job = Job(server, folder / "job", {"<<secret.database-master>>": master, **remote}, release)
        job.mount()
        done = job.run()
        assert done.returncode == 0, done.stderr
        hosts = folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {host}\n")
        yield Database(server, stack.with_values(values), job, hosts)
