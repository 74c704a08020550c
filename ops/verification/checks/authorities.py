"""Checks of certificates: of cert-manager, gateways and webhooks, and who signed the last.

All read objects only. Fields: cert-manager v1.19 pkg/apis/certmanager/v1 (CertificateStatus).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from components.mirror.pods import NAMESPACE as MIRROR_NAMESPACE
from ops.findings import Finding, good, note, problem
from ops.verification.check import Check
from ops.verification.checks.admission import WORKLOADS, Hook, behind, decoded, hooks_of
from ops.verification.checks.live_objects import (
    age_minutes,
    by_name,
    condition,
    is_own_namespace,
    is_true,
    listed,
    name_of,
    namespace_of,
    now,
    time_of,
    why,
)
from ops.verification.platform import Platform
from rendering.objects import Object, annotations_of, pod_spec
from rendering.pod_references import named_by
from settings.errors import listed as in_words

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_FROM_SECRET = "cert-manager.io/inject-ca-from-secret"  # noqa: S105 - an annotation
_BEGIN = b"-----BEGIN CERTIFICATE-----"
_EXPIRING = timedelta(days=14)
"""A certificate with less time left is not renewed by itself any more: cert-manager begins a month
before the end, the certificate controllers of the platform's webhooks three months."""
_SHORT_LIFE, _EXPIRING_SHORT = timedelta(days=60), timedelta(hours=12)
"""Knative's certificates are valid for a week or a month and renewed a day before, at the latest
ten hours later (knative/pkg webhook/certificates/certificates.go, knative/networking
pkg/certificates/reconciler/certificates.go)."""
_RENEWED_BY_UP = timedelta(days=90)
"""The platform's own certificates are renewed by any `pulumi up` in their last year."""
_LATE = timedelta(hours=1)
_NEW_MINUTES = 5
"""cert-manager signs within seconds, and the authority's own Certificate comes first."""


def certificates(platform: Platform) -> Iterator[Finding]:
    """Certificates of cert-manager, webhooks and gateways are issued, valid and renewed in time."""
    issued = 0
    for obj in listed(platform, "Certificate"):
        trouble = _not_issued(obj)
        issued += not trouble
        if trouble:
            young = age_minutes(obj) < _NEW_MINUTES
            again = "it is new, look again; " if young else ""
            others = not is_own_namespace(platform, namespace_of(obj))
            yield (note if young or others else problem)(
                f"Certificate {name_of(obj)}",
                f"{trouble}: {again}read `kubectl -n {namespace_of(obj)} describe "
                f"certificate {obj['metadata']['name']}`",
            )
    if issued:
        yield good("cert-manager", f"{issued} certificates are issued and not due for renewal")
    yield from _expiries(platform)
    yield from _gateways(platform)


def _not_issued(obj: Object) -> str:
    status = obj.get("status") or {}
    if not is_true(obj, "Ready"):
        return f"is not issued ({why(condition(obj, 'Ready'))})"
    end, renewal = time_of(status.get("notAfter")), time_of(status.get("renewalTime"))
    if end and end <= now():
        return f"ended on {end:%Y-%m-%d}"
    if renewal and renewal + _LATE < now():
        return (
            f"should have been renewed on {renewal:%Y-%m-%d}, and ends on {end:%Y-%m-%d}"
            if end
            else f"should have been renewed on {renewal:%Y-%m-%d}"
        )
    return ""


def _expiries(platform: Platform) -> Iterator[Finding]:
    """Certificates in Secrets of the platform; what nothing uses is a note."""
    used, ends = _used(platform), list[datetime]()
    for name, obj in sorted(by_name(platform, "Secret").items()):
        if not is_own_namespace(platform, namespace_of(obj)):
            continue
        wrong = problem if name in used else note
        for key, pem in _certificates_of(obj).items():
            try:
                certificate = _loaded(pem)[0]
            except ValueError:
                yield wrong(
                    f"Secret {name}",
                    f"{key} is no certificate: delete the Secret, so that it is made again, or run "
                    "`pulumi up`",
                )
                continue
            trouble = _ending(obj, certificate)
            if trouble:
                yield wrong(f"Secret {name}", f"{key} {trouble}")
            else:
                ends.append(certificate.not_valid_after_utc)
    if ends:
        yield good(
            "certificates in Secrets",
            f"{len(ends)} are valid; the first ends on {min(ends):%Y-%m-%d}",
        )


def _ending(obj: Object, certificate: Certificate) -> str:
    """Why a certificate is of no use now or soon; empty: it is valid."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    left = end - now()
    if left <= timedelta(0):
        return f"ended on {end:%Y-%m-%d}, so that nobody trusts what serves it: {_renewal(obj)}"
    if begin > now():
        return f"begins on {begin:%Y-%m-%d}: compare the clocks"
    if left < warning_time(obj, end - begin):
        return (
            f"ends on {end:%Y-%m-%d}, in {left.days} days, and has not been renewed: "
            f"{_renewal(obj)}"
        )
    return ""


def _used(platform: Platform) -> set[str]:
    """``namespace/name`` of Secrets that workloads mount, webhooks serve or cert-manager writes."""
    mounted = {
        f"{namespace_of(obj)}/{reference.name}"
        for kind in WORKLOADS
        for obj in listed(platform, kind)
        for reference in named_by(pod_spec(obj) or {})
        if reference.kind == "Secret"
    }
    issued = {
        f"{namespace_of(obj)}/{obj['spec']['secretName']}"
        for obj in listed(platform, "Certificate")
    }
    services = {hook.service for hook in hooks_of(platform)}
    served = {name for service in services for name in _served(platform, service)}
    return mounted | issued | served


def warning_time(obj: Object, life: timedelta) -> timedelta:
    """How long before the end of a certificate its renewal is overdue."""
    if _own(obj):
        return _RENEWED_BY_UP
    return _EXPIRING_SHORT if life <= _SHORT_LIFE else _EXPIRING


def _own(obj: Object) -> bool:
    """Whether the stack makes the certificate (components/objects/webhook_code.py)."""
    return str(obj["metadata"]["name"]) == f"{namespace_of(obj)}-certificate"


def _renewal(obj: Object) -> str:
    metadata = obj["metadata"]
    if _own(obj):
        return "run `pulumi up`, which renews it"
    of = annotations_of(obj).get("cert-manager.io/certificate-name")
    if of:
        return (
            f"read `kubectl -n {namespace_of(obj)} describe certificate {of}`, and look at "
            "cert-manager's pods"
        )
    return (
        f"its controller renews it; restart that, or delete its data with `kubectl -n "
        f"{namespace_of(obj)} delete secret {metadata['name']}` and run `pulumi up`"
    )


def _certificates_of(secret: Object) -> dict[str, bytes]:
    """Key -> PEM certificates, of authorities too."""
    data = {key: decoded(value) for key, value in (secret.get("data") or {}).items()}
    return {key: value for key, value in data.items() if value.lstrip().startswith(_BEGIN)}


@lru_cache(maxsize=512)
def _loaded(pem: bytes) -> tuple[Certificate, ...]:
    """Raises ValueError: the text is no certificate."""
    # Imported here: the import takes 0.1 s, and no other command needs it.
    from cryptography import x509

    return tuple(x509.load_pem_x509_certificates(pem))


def _gateways(platform: Platform) -> Iterator[Finding]:
    """The Secrets that Istio's gateways serve TLS by."""
    secrets, named = by_name(platform, "Secret"), 0
    for obj in listed(platform, "Gateway"):
        for server in obj["spec"].get("servers") or []:
            credential = (server.get("tls") or {}).get("credentialName")
            if not credential:
                continue
            named += 1
            # Of the namespace of the gateway's pods (istio.io, Gateway, ServerTLSSettings).
            if f"istio-system/{credential}" not in secrets:
                own = is_own_namespace(platform, namespace_of(obj))
                yield (problem if own else note)(
                    f"Gateway {name_of(obj)}",
                    f"serves TLS by the Secret istio-system/{credential}, which does not exist: "
                    "make it, or correct credentialName",
                )
    if not named:
        yield good("gateways", "none ends TLS, so that none has a certificate of its own")


def webhook_authorities(platform: Platform) -> Iterator[Finding]:
    """The authority in each webhook's configuration signed what its pods serve."""
    verified, unseen, seen = 0, list[str](), dict[tuple[str, str, bytes], str]()
    for hook in hooks_of(platform):
        key = (hook.about, hook.service, hook.bundle)
        if key in seen:
            continue
        seen[key] = verdict = _authority(platform, hook)
        if verdict == "verified":
            verified += 1
        elif verdict == "unseen":
            unseen.append(hook.service)
        else:
            yield problem(hook.about, verdict)
    if verified:
        more = (
            f"; the certificate of {in_words(sorted(set(unseen)), 'and')} is in its pods' memory"
            if unseen
            else ""
        )
        yield good("authorities", f"{verified} signed what their webhooks serve{more}")


def _authority(platform: Platform, hook: Hook) -> str:
    """``verified``, ``unseen``, or what is wrong with the way out."""
    way_out = _written_by(platform, hook)
    refused = f"so that the API server trusts no answer of {hook.service}: {way_out}"
    try:
        trusted = _loaded(hook.bundle)
    except ValueError:
        return f"{hook.name} has no caBundle, {refused}"
    ends = max(each.not_valid_after_utc for each in trusted)
    if ends <= now():
        return f"the authority of {hook.name} ended on {ends:%Y-%m-%d}, {refused}"
    known = _known_authority(platform, hook)
    if known is not None:
        where, pem = known
        right, wrong = _same(pem, trusted), f"is not what {where} has"
    else:
        served = _served(platform, hook.service)
        if not served:
            return "unseen"
        right = any(_verified(chain, trusted) for chain in served.values())
        wrong = f"did not sign the certificate in Secret {in_words(sorted(served), 'and')}"
    return "verified" if right else f"the caBundle of {hook.name} {wrong}, {refused}"


def _written_by(platform: Platform, hook: Hook) -> str:
    if any(key.startswith("cert-manager.io/inject-ca-from") for key in annotations_of(hook.obj)):
        namespace, _, name = platform.parts.cert_manager_injector.deployments[0].partition("/")
        return f"restart `kubectl -n {namespace} rollout restart deploy/{name}`, which writes it"
    if hook.service.partition("/")[0] in (MIRROR_NAMESPACE, "package-defaults"):
        return "run `pulumi up`, which writes it"
    namespace, _, _ = hook.service.partition("/")
    return f"the webhook's own pods write it when they start; restart them in {namespace}"


def _known_authority(platform: Platform, hook: Hook) -> tuple[str, bytes] | None:
    """Where the authority of pods that keep their certificate in memory stands; None: elsewhere."""
    name = annotations_of(hook.obj).get(_FROM_SECRET)
    if name:
        secret = by_name(platform, "Secret").get(name) or {}
        return f"Secret {name}", decoded((secret.get("data") or {}).get("ca.crt"))
    # istiod publishes its authority there, in every namespace (istio 1.28
    # pilot/pkg/serviceregistry/kube/controller/namespacecontroller.go).
    name = "istio-system/istio-ca-root-cert"
    found = by_name(platform, "ConfigMap").get(name)
    if hook.service in platform.parts.istio.deployments and found:
        return f"ConfigMap {name}", str((found.get("data") or {}).get("root-cert.pem")).encode()
    return None


def _same(pem: bytes, trusted: Sequence[Certificate]) -> bool:
    try:
        return any(certificate in trusted for certificate in _loaded(pem))
    except ValueError:
        return False


def _served(platform: Platform, service: str) -> dict[str, tuple[Certificate, ...]]:
    """Secrets with a certificate for a Service's name -> that certificate and what follows it.

    Of Secrets that its pods mount; where none of them has one, of its namespace: some controllers
    read theirs through the API (knative/pkg webhook/certificates, spark-operator).
    """
    namespace, _, name = service.partition("/")
    host = f"{name}.{namespace}.svc"
    here = {
        full_name: obj
        for full_name, obj in by_name(platform, "Secret").items()
        if namespace_of(obj) == namespace
    }
    mounted = {
        f"{namespace}/{reference.name}"
        for _, workload in behind(platform, service)
        for reference in named_by(pod_spec(workload) or {})
        if reference.kind == "Secret"
    }
    found = {
        full_name: chain
        for full_name, secret in here.items()
        for chain in _readable(secret)
        if _serves(chain[0], host)
    }
    return {name: each for name, each in found.items() if name in mounted} or found


def _readable(secret: Object) -> Iterator[tuple[Certificate, ...]]:
    """The certificates of each key: a server's own comes before those that signed it."""
    for pem in _certificates_of(secret).values():
        with suppress(ValueError):
            yield _loaded(pem)


def _serves(certificate: Certificate, host: str) -> bool:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return host in names.get_values_for_type(x509.DNSName)


def _verified(chain: Sequence[Certificate], trusted: Sequence[Certificate]) -> bool:
    """Whether what is trusted signed a server's certificate, or what follows it in the chain."""
    known = list(trusted)
    for each in reversed(chain[1:]):
        if _signed(each, known):
            known.append(each)
    return _signed(chain[0], known)


def _signed(certificate: Certificate, trusted: Sequence[Certificate]) -> bool:
    """Whether one of the trusted certificates is the certificate itself, or signed it."""
    from cryptography.exceptions import InvalidSignature

    for authority in trusted:
        if certificate == authority:
            return True
        try:
            certificate.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return True
    return False


CHECKS: tuple[Check, ...] = (
    Check("certificates", "certificates of cert-manager, webhooks and gateways", certificates),
    Check(
        "webhook-authorities",
        "the authorities that the API server trusts, against what webhooks serve",
        webhook_authorities,
    ),
)
