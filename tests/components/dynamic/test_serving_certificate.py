"""A certificate that a real TLS client accepts, renewed in time under an authority that stays."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pulumi
import pytest

from components.dynamic.serving_certificate import (
    CERTIFICATE_DAYS,
    RENEW_DAYS,
    ServingCertificate,
    ServingCertificateProvider,
)
from tests.harness import run

HOST = "image-mirror.image-mirror.svc"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    result = ServingCertificateProvider().create({"hosts": [HOST]})
    assert result.id == HOST
    return dict(result.outs or {})


def shown(made: dict[str, Any], folder: Path, asked_for: str, trusted: str) -> dict[str, Any]:
    """What a client sees that asks a TLS server for ``asked_for`` and trusts one authority."""
    (folder / "tls.crt").write_text(made["certificate"])
    (folder / "tls.key").write_text(made["key"])
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    trusting = ssl.create_default_context(cadata=trusted)
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    theirs.settimeout(10)

    def serve() -> None:
        try:
            serving.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = Thread(target=serve)
    thread.start()
    try:
        with trusting.wrap_socket(ours, server_hostname=asked_for) as connection:
            return dict(connection.getpeercert() or {})
    finally:
        ours.close()
        thread.join()


def test_a_client_that_trusts_the_authority_accepts_the_service(
    made: dict[str, Any], tmp_path: Path
) -> None:
    assert shown(made, tmp_path, HOST, made["authority"])["subjectAltName"] == (("DNS", HOST),)


def test_another_name_and_another_authority_are_refused(
    made: dict[str, Any], tmp_path: Path
) -> None:
    other = ServingCertificateProvider().create({"hosts": [HOST]}).outs or {}
    with pytest.raises(ssl.SSLCertVerificationError):
        shown(made, tmp_path, "elsewhere.svc", made["authority"])
    with pytest.raises(ssl.SSLCertVerificationError):
        shown(made, tmp_path, HOST, other["authority"])


def test_a_renewed_certificate_is_of_the_authority_that_is_trusted_already(
    made: dict[str, Any], tmp_path: Path
) -> None:
    renewed = ServingCertificateProvider().update("id", made, {"hosts": [HOST]}).outs or {}
    assert renewed["certificate"] != made["certificate"]
    assert renewed["authority"] == made["authority"]
    assert shown(renewed, tmp_path, HOST, made["authority"])


def test_it_lasts_two_years(made: dict[str, Any]) -> None:
    left = datetime.fromisoformat(made["ends"]) - datetime.now(UTC)
    assert timedelta(days=CERTIFICATE_DAYS - 1) < left < timedelta(days=CERTIFICATE_DAYS)


@pytest.mark.parametrize(
    ("days_left", "hosts", "changes"),
    [
        (RENEW_DAYS + 1, [HOST], False),
        (RENEW_DAYS - 1, [HOST], True),
        (-1, [HOST], True),
        (RENEW_DAYS + 1, ["other"], True),
    ],
)
def test_a_deployment_renews_it_in_its_last_year(
    days_left: int, hosts: list[str], changes: bool
) -> None:
    ends = (datetime.now(UTC) + timedelta(days=days_left)).isoformat()
    found = ServingCertificateProvider().diff(
        "id", {"hosts": [HOST], "ends": ends}, {"hosts": hosts}
    )
    assert found.changes is changes
    assert not found.replaces


def test_its_key_is_a_secret() -> None:
    def program() -> dict[str, object]:
        served = ServingCertificate("served", hosts=[HOST])
        secret = pulumi.Output.from_input(served.key.is_secret())
        return {
            "key": secret,
            "certificate": pulumi.Output.from_input(served.certificate.is_secret()),
        }

    assert run(program).exports == {"key": True, "certificate": False}
