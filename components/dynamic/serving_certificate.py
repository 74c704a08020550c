"""A serving certificate for a webhook's pods, and the authority that signs it.

A dynamic resource: it needs nothing that runs in the cluster, and no provider plugin
(docs/decisions/0060-own-secrets-and-certificates-stay.md). The authority is valid for ten years,
the certificate for two; any deployment in its second year makes a new one, which the pods load from
their Secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pulumi
from pulumi.dynamic import DiffResult, Resource

from components.dynamic.provider import DynamicProvider, refusals_as_sentences, with_secret_outputs

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 730
RENEW_DAYS = 365
"""A certificate with fewer days left is renewed by the next deployment."""


class ServingCertificateProvider(DynamicProvider):
    """Renews the certificate only: webhook configurations already trust the authority."""

    updating = ("hosts",)
    identity = "{hosts[0]}"

    def outputs(self, news: dict[str, Any], _olds: dict[str, Any]) -> dict[str, Any]:
        """Issue a certificate; the first deployment also makes the authority that signs it."""
        hosts = news["hosts"]
        signer = (_olds["authority"], _olds["authorityKey"]) if _olds else None
        signer = signer or _issued(f"authority of {hosts[0]}", AUTHORITY_DAYS)[:2]
        certificate, key, ends = _issued(hosts[0], CERTIFICATE_DAYS, hosts=hosts, signer=signer)
        own = {"certificate": certificate, "key": key, "ends": ends}
        return {**news, "authority": signer[0], "authorityKey": signer[1], **own}

    @refusals_as_sentences()
    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compare the hosts, and the end of the certificate with today."""
        left = datetime.fromisoformat(_olds["ends"]) - datetime.now(UTC)
        changed = super().diff(_id, _olds, _news).changes
        return DiffResult(changes=changed or left < timedelta(days=RENEW_DAYS))


def _issued(
    subject: str, days: int, *, hosts: Sequence[str] = (), signer: tuple[str, str] | None = None
) -> tuple[str, str, str]:
    """A new certificate and its key as PEM texts, and the time of its end.

    Args:
        subject: its common name; clients compare the hosts instead.
        days: from now.
        hosts: DNS names that it serves; none: it is an authority.
        signer: PEM texts of the authority and of its key; None: the certificate signs itself.
    """
    # Imported here: the import takes 0.1 s, and a preview issues no certificate.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    # X.520 allows a common name 64 characters.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])])
    issuer, signing_key = name, key
    if signer:
        issuer = x509.load_pem_x509_certificate(signer[0].encode()).subject
        signing_key = cast(
            ec.EllipticCurvePrivateKey,
            serialization.load_pem_private_key(signer[1].encode(), password=None),
        )
    # The clock of the cluster may be slow.
    begin = datetime.now(UTC) - timedelta(hours=1)
    authority = not hosts
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.BasicConstraints(authority, 0 if authority else None), critical=True)
    )
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(signing_key, hashes.SHA256())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return (
        certificate.public_bytes(pem).decode(),
        key.private_bytes(pem, pkcs8, serialization.NoEncryption()).decode(),
        certificate.not_valid_after_utc.isoformat(),
    )


class ServingCertificate(Resource, name="ServingCertificate"):
    """Makes: an authority of its own, and a certificate for ``hosts`` signed by it.

    Args:
        name: of the resource.
        hosts: DNS names, the first is the subject.
        opts: of the resource.

    Attributes:
        authority: PEM certificate to trust.
        certificate: PEM certificate to serve.
        key: its PEM key; a secret. The authority's own key is a secret of the state.
    """

    authority: pulumi.Output[str]
    certificate: pulumi.Output[str]
    key: pulumi.Output[str]

    def __init__(
        self, name: str, *, hosts: Sequence[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        outputs = ("authority", "authorityKey", "certificate", "key", "ends")
        super().__init__(
            ServingCertificateProvider(),
            name,
            {"hosts": list(hosts), **dict.fromkeys(outputs)},
            with_secret_outputs(opts, "authorityKey", "key"),
        )
        # A secret also before the engine responds, and if a provider returns plain text.
        self.key = pulumi.Output.secret(self.key)
