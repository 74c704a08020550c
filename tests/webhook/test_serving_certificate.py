"""A renewed certificate: shown to whoever connects next, and never a reason to stop serving."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import pytest

from benchmarks.certificates import Certificate, self_signed
from tests.webhook.serving import admit, ask, connected, decide, serving


class Mounted:
    """A Secret as the kubelet mounts it: names that lead over one symbolic link."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.files = Certificate(folder / "tls.crt", folder / "tls.key")
        self.renew()
        for name in ("tls.crt", "tls.key"):
            (folder / name).symlink_to(Path("..data") / name)

    def renew(self) -> bytes:
        """Another certificate and key at the same moment; its DER bytes."""
        self._count += 1
        version = self._folder / f"..{self._count}"
        version.mkdir()
        pair = self_signed(version)
        link = self._folder / "..data_tmp"
        link.symlink_to(version.name)
        link.replace(self._folder / "..data")
        return ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())


def shown(port: int) -> bytes:
    """The certificate that a new connection is shown."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=10))


def test_a_renewed_certificate_is_shown_to_new_connections_and_old_ones_go_on(
    tmp_path: Path,
) -> None:
    mounted = Mounted(tmp_path)
    with (
        serving(mounted.files, decide) as port,
        connected(port, mounted.files.certificate) as old,
    ):
        first = shown(port)
        second = mounted.renew()
        assert shown(port) == second != first
        assert ask(old, admit()).status == 200


def test_files_that_do_not_fit_leave_the_last_pair_in_use_and_are_each_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "other").mkdir()
    pair, other = self_signed(tmp_path), self_signed(tmp_path / "other")
    with serving(pair, decide) as port:
        before = shown(port)
        shutil.copy(other.key, pair.key)
        assert [shown(port), shown(port)] == [before, before]
        assert caplog.text.count("cannot be renewed") == 1
        (tmp_path / "third").mkdir()
        shutil.copy(self_signed(tmp_path / "third").key, pair.key)
        assert [shown(port), shown(port)] == [before, before]
        assert caplog.text.count("cannot be renewed") == 2
        pair.key.unlink()
        assert shown(port) == before
        shutil.copy(other.key, pair.key)
        shutil.copy(other.certificate, pair.certificate)
        assert shown(port) == ssl.PEM_cert_to_DER_cert(other.certificate.read_text()) != before
