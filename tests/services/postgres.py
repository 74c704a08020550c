"""A real PostgreSQL server of one test module's own, on a temporary folder, with TLS forced.

It needs Debian's package postgresql, which brings the client.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tenacity import retry, stop_after_delay, wait_fixed

from tests.ports import free_port
from tests.services.certificates import Authority

USER, PASSWORD, DATABASE = "kubeflow", "passwordOfcatalog1", "modelcatalog"
_OWNER = "rdsadmin"
"""The superuser, whom RDS keeps to itself."""
_DEBIAN = Path("/usr/lib/postgresql")
_NOT_ROOT = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
"""The server refuses to be root, as whom these tests may run."""
# RDS with rds.force_ssl answers "no pg_hba.conf entry ... no encryption" too.
_RULES = """
local all all trust
hostssl all all 127.0.0.1/32 scram-sha-256
"""
# Of the master user of RDS, which is no superuser (RDS user guide,
# Appendix.PostgreSQL.CommonDBATasks.Roles).
_MASTER = f"""
CREATE ROLE {USER} LOGIN CREATEDB CREATEROLE NOSUPERUSER PASSWORD '{PASSWORD}';
CREATE DATABASE {DATABASE} OWNER {USER};
"""


@dataclass(frozen=True)
class Server:
    """A running server; its master user has what RDS gives one.

    Attributes:
        port: on 127.0.0.1.
        authority: the PEM file of the authority that signed the server's certificate.
        folder: of the socket.
    """

    port: int
    authority: Path
    folder: Path

    def query(self, statement: str, database: str = DATABASE) -> str:
        """The answer to a statement of the superuser, as tab separated lines."""
        command = [tool("psql"), f"--host={self.folder}", f"--port={self.port}"]
        command += [f"--username={_OWNER}", f"--dbname={database}", "--no-psqlrc"]
        command += ["--tuples-only", "--no-align", "--field-separator=\t", "--quiet"]
        done = subprocess.run(
            [*command, "--set=ON_ERROR_STOP=1"],
            input=statement,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def tool(name: str) -> str:
    """The path of one of PostgreSQL's programs, whose servers Debian keeps off the PATH.

    Raises:
        AssertionError: it is not installed.
    """
    places = [str(each) for each in sorted(_DEBIAN.glob("*/bin"), reverse=True)]
    found = shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", "")]))
    assert found, f"{name} is not installed: run tests/packages.sh postgresql"
    return found


@contextmanager
def running(folder: Path, host: str) -> Generator[Server]:
    """Starts a server that keeps everything in ``folder`` and ends with the block.

    Args:
        folder: an empty one.
        host: the name in its certificate.
    """
    data, authority = folder / "data", Authority(folder)
    certificate, key = authority.sign(host, folder)
    key.chmod(0o600)
    as_user = _NOT_ROOT if os.geteuid() == 0 else ()
    made = [tool("initdb"), f"--pgdata={data}", f"--username={_OWNER}", "--auth=trust", "--no-sync"]
    done = subprocess.run(
        [*as_user, *made, "--encoding=UTF8", "--locale=C"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (data / "pg_hba.conf").write_text(_RULES)
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(folder),
        "ssl": "on",
        "ssl_cert_file": str(certificate),
        "ssl_key_file": str(key),
        "fsync": "off",
        "shared_buffers": "16MB",
    }
    server = Server(free_port(), authority.file, folder)
    command = [*as_user, tool("postgres"), "-D", str(data), "-p", str(server.port)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _await(server)
            for statement in _MASTER.strip().splitlines():
                server.query(statement, "postgres")
            yield server
        finally:
            # SIGTERM would wait for clients that are still connected.
            process.send_signal(2)
            process.wait(timeout=300)


@retry(stop=stop_after_delay(300), wait=wait_fixed(0.2), reraise=True)
def _await(server: Server) -> None:
    server.query("SELECT 1", "postgres")
