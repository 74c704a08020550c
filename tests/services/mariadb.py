"""A real MySQL-protocol server of one test module's own: MariaDB on a temporary folder, with TLS.

It needs Debian's package mariadb-server, which brings the client.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tenacity import retry, stop_after_delay, wait_fixed

from tests.ports import free_port
from tests.services.certificates import Authority

HOST = "localhost"
MASTER = "kubeflow"
MASTER_PASSWORD = "masterOfThisTest1"
MASTER_RIGHTS = """
    SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER,
    SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW,
    CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER
"""
"""Of the master user of RDS, which is no superuser (RDS user guide, "Master user account
privileges"), as far as MariaDB knows them."""


_DATA = "data"


class ServerMissing(AssertionError):
    """The test cannot run here; the message says what to install."""


@dataclass(frozen=True)
class Server:
    """A running server; its master user has what RDS gives one, and logs in from anywhere."""

    port: int
    authority: Path
    """The PEM file of the authority that signed the server's certificate."""
    folder: Path

    def options(self, user: str, password: str, *, tls: bool = True, verified: bool = True) -> str:
        """An option file of MariaDB's client. MySQL's client says ssl-mode=VERIFY_IDENTITY where
        MariaDB's says ssl-verify-server-cert, and neither reads the other's line."""
        lines = ["[client]", "protocol=tcp", f"host={HOST}", f"port={self.port}"]
        lines += [f"user={user}", f"password={password}"]
        if tls and verified:
            lines += [f"ssl-ca={self.authority}", "ssl-verify-server-cert"]
        elif not tls:
            lines += ["skip-ssl"]
        return "\n".join([*lines, ""])

    def query(
        self,
        statement: str,
        user: str = MASTER,
        password: str = MASTER_PASSWORD,
        *,
        tls: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Runs one statement as a user; rows come as tab separated lines."""
        file = self.folder / "client.cnf"
        file.write_text(self.options(user, password, tls=tls))
        command = [tool("mariadb"), f"--defaults-file={file}", "--batch", "--skip-column-names"]
        return subprocess.run(
            command, input=statement, capture_output=True, text=True, timeout=300, check=False
        )

    def snapshot(self, to: Path) -> None:
        """A copy of the whole volume at one moment, as a snapshot of RDS is, in a new folder."""
        process = int((self.folder / "pid").read_text())
        os.kill(process, signal.SIGSTOP)
        try:
            _await_stopped(process)
            shutil.copytree(self.folder / _DATA, to)
        finally:
            os.kill(process, signal.SIGCONT)


def tool(name: str) -> str:
    """The path of one of MariaDB's programs.

    Raises:
        ServerMissing: it is not installed.
    """
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which(name, path=search)
    if found is None:
        raise ServerMissing(
            f"{name} is not installed: run tests/packages.sh mariadb-server, or install MariaDB"
        )
    return found


@contextmanager
def running(folder: Path, *names: str, snapshot: Path | None = None) -> Generator[Server]:
    """Starts a server that keeps everything in ``folder`` and ends with the block.

    Args:
        folder: for everything.
        names: that its certificate has besides ``HOST``.
        snapshot: what it begins with; None: an empty server.
    """
    data = folder / _DATA
    if snapshot is None:
        data.mkdir()
    else:
        shutil.copytree(snapshot, data)
    authority = Authority(folder)
    certificate, key = authority.sign(HOST, folder, *names)
    server = Server(free_port(), authority.file, folder)
    basics = ["--no-defaults", f"--datadir={data}", f"--tmpdir={folder}"]
    if os.geteuid() == 0:
        # The server refuses to be root by accident, and the folder belongs to root here.
        basics.append("--user=root")
    if snapshot is None:
        _install(basics)
    command = [
        tool("mariadbd"),
        *basics,
        f"--port={server.port}",
        "--bind-address=127.0.0.1",
        f"--socket={folder / 's'}",
        f"--pid-file={folder / 'pid'}",
        f"--ssl-cert={certificate}",
        f"--ssl-key={key}",
        "--innodb-buffer-pool-size=16M",
        # A commit is in the log's file when it is answered, for a snapshot to have it; no disk is
        # waited for. With 0 it is there up to a second later, after FLUSH ENGINE LOGS too.
        "--innodb-flush-log-at-trx-commit=2",
        "--general-log=0",
    ]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _await(server)
            yield server
        finally:
            process.terminate()
            process.wait(timeout=300)


def _install(basics: list[str]) -> None:
    """Makes the system tables, then the master user as the only one that can log in."""
    statements = (
        "FLUSH PRIVILEGES;\n"
        "DELETE FROM mysql.global_priv WHERE User IN ('', 'root');\n"
        "FLUSH PRIVILEGES;\n"
        f"CREATE USER '{MASTER}'@'%' IDENTIFIED BY '{MASTER_PASSWORD}';\n"
        f"GRANT {' '.join(MASTER_RIGHTS.split())} ON *.* TO '{MASTER}'@'%' WITH GRANT OPTION;\n"
    )
    for command, text in (
        ([tool("mariadb-install-db"), *basics, "--skip-test-db"], ""),
        ([tool("mariadbd"), *basics, "--bootstrap"], statements),
    ):
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr


@retry(stop=stop_after_delay(300), wait=wait_fixed(0.2), reraise=True)
def _await(server: Server) -> None:
    answer = server.query("SELECT 1")
    assert answer.returncode == 0, answer.stderr


@retry(stop=stop_after_delay(60), wait=wait_fixed(0.01), reraise=True)
def _await_stopped(process: int) -> None:
    """A thread in a system call stops at the end of the call, after the signal was sent."""
    states = {
        file.read_text().rpartition(")")[2].split()[0]
        for file in Path(f"/proc/{process}/task").glob("*/stat")
    }
    assert states == {"T"}, states
