"""A certificate for a webhook's pods, and the authority the API server is told to trust.

A dynamic resource, like generated_secret.py beside it: nothing has to run in the cluster before
it, and no provider plugin has to be downloaded. The authority lives ten years; the certificate two,
and any deployment in its second year makes a new one, which the pods pick up from their Secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 730
RENEW_DAYS = 365
"""A certificate with fewer days left is renewed by the next deployment."""


class ServingCertificateProvider(ResourceProvider):
    """Makes both; renews the certificate, never the authority that webhooks already trust."""

    # The pickled provider is a reference to this class and captures no secret.
    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        key, authority = _authority(props["hosts"][0])
        outs = {
            **props,
            "authority": authority,
            "authorityKey": key,
            **_signed(props, authority, key),
        }
        return CreateResult(id_=props["hosts"][0], outs=outs)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        kept = {name: _olds[name] for name in ("authority", "authorityKey")}
        signed = _signed(_news, kept["authority"], kept["authorityKey"])
        return UpdateResult(outs={**_news, **kept, **signed})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        ends = datetime.fromisoformat(_olds["ends"])
        due = ends - datetime.now(UTC) < timedelta(days=RENEW_DAYS)
        return DiffResult(changes=due or _olds.get("hosts") != _news.get("hosts"))


def _authority(name: str) -> tuple[str, str]:
    """Key and certificate of a new authority, as PEM texts."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"authority of {name}")
    certificate = (
        _valid_for(x509.CertificateBuilder(), AUTHORITY_DAYS)
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _key_text(key), _certificate_text(certificate)


def _signed(props: dict[str, Any], authority: str, authority_key: str) -> dict[str, str]:
    """A new certificate for the hosts, its key, and when it ends."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    hosts: Sequence[str] = props["hosts"]
    issuer = x509.load_pem_x509_certificate(authority.encode())
    signer = serialization.load_pem_private_key(authority_key.encode(), password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)  # noqa: S101 - _authority made it
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _valid_for(x509.CertificateBuilder(), CERTIFICATE_DAYS)
        .subject_name(_name(hosts[0]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(h) for h in hosts]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    return {
        "certificate": _certificate_text(certificate),
        "key": _key_text(key),
        "ends": certificate.not_valid_after_utc.isoformat(),
    }


def _name(text: str) -> Any:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    # X.520 allows a common name 64 characters; who checks reads the alternative names.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _valid_for(builder: Any, days: int) -> Any:
    from cryptography import x509

    # A clock in the cluster may be a little behind the one here.
    begins = datetime.now(UTC) - timedelta(hours=1)
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
    )


def _key_text(key: Any) -> str:
    from cryptography.hazmat.primitives import serialization

    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, kind, serialization.NoEncryption()).decode()


def _certificate_text(certificate: Any) -> str:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM).decode()


class ServingCertificate(Resource, name="ServingCertificate"):
    """Makes: an authority of its own, and a certificate for ``hosts`` signed by it.

    Args:
        hosts: DNS names, the first is the subject.

    Outputs:
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
            pulumi.ResourceOptions.merge(
                opts, pulumi.ResourceOptions(additional_secret_outputs=["authorityKey", "key"])
            ),
        )
        # Secret also before the engine has answered, whatever a provider answers.
        self.key = pulumi.Output.secret(self.key)
