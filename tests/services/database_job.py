"""The Job database-init as rendered, with its files below one folder, against MariaDB.

Script and table come from the rendered ConfigMap, and the mounted files from the rendered
ExternalSecret, except for client.cnf, whose ssl-mode line MariaDB's client refuses.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.database_users import users
from tests.rendering.beijing import ROTATION, kubeflow
from tests.rendering.secret_writer import written
from tests.services import mariadb

COMPONENTS = tuple(users("26.03.1"))
"""Of the release that has the most."""
NAMESPACE = "kubeflow-database"


@dataclass
class Job:
    """The Job's files below one folder; ``remote`` has the names of users and databases.

    ``release`` is the one whose Job it is.
    """

    server: mariadb.Server
    folder: Path
    remote: dict[str, dict[str, str]]
    release: str = "26.03.1"

    def user(self, component: str) -> dict[str, str]:
        return self.remote[f"<<secret.{component}>>"]

    def query(self, component: str, statement: str, *, tls: bool = True) -> tuple[int, str]:
        """Runs a statement as the component's user, with the password in its secret."""
        user = self.user(component)
        answer = self.server.query(statement, user["username"], user["password"], tls=tls)
        return answer.returncode, answer.stdout + answer.stderr

    def mount(self) -> None:
        release = kubeflow(self.release)
        script = release.get("ConfigMap", "database-script", NAMESPACE)
        name = f"database-init-{ROTATION}"
        credentials = release.get("ExternalSecret", name, NAMESPACE)
        self.put("script", script["data"])
        secrets = written(credentials, self.remote)
        secrets["client.cnf"] = self.server.options(mariadb.MASTER, mariadb.MASTER_PASSWORD)
        mounted = str(self.folder / "secrets")
        self.put(
            "secrets", {k: v.replace("/etc/database-secrets", mounted) for k, v in secrets.items()}
        )

    def put(self, folder: str, files: dict[str, str]) -> None:
        (self.folder / folder).mkdir(exist_ok=True)
        for name, text in files.items():
            (self.folder / folder / name).write_text(text)

    def run(self) -> subprocess.CompletedProcess[str]:
        self.put("bin", {"mysql": self.client()})
        (self.folder / "bin/mysql").chmod(0o755)
        return subprocess.run(
            ["bash", self.folder / "script/init.sh", self.folder / "secrets"],
            env={"PATH": f"{self.folder}/bin:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def client(self) -> str:
        """MariaDB's client by the name of MySQL's, which newer Debians lack; writes down how it is
        called."""
        seen = self.folder / "seen"
        return (
            f'#!/bin/bash\ntr "\\0" "\\n" < /proc/$$/cmdline >> {seen}\nenv >> {seen}\n'
            f'exec {mariadb.tool("mariadb")} "$@"\n'
        )

    def accounts(self) -> list[str]:
        """How the server describes every user of this test, its hashed password included."""
        names = [self.user(component)["username"] for component in COMPONENTS]
        statements = [f"SHOW CREATE USER '{n}'@'%'; SHOW GRANTS FOR '{n}'@'%';" for n in names]
        answer = self.server.query("\n".join(statements))
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.splitlines()
