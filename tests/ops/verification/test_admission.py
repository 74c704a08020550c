"""Webhooks, their certificates and the image mirror of a platform that is right, and broken."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ops.cli_errors import Refused
from ops.findings import Level
from ops.live_cluster import Rejected, Unavailable
from ops.verification.checks import authorities
from settings.context import StackContext
from settings.image_mirror import ImageMirrorSettings, MirrorRule
from tests.ops.verification.played.api_server import PlayedCluster
from tests.ops.verification.played.certificates import certificate
from tests.ops.verification.played.live import Change, Live, condition
from tests.ops.verification.played.platforms import CN, examined, live_of, wrong
from tests.ops.verification.told import assert_right


@pytest.mark.parametrize(
    ("name", "about", "sentence"),
    [
        pytest.param(
            "webhooks",
            "webhooks",
            "46 webhooks of 31 configurations have ready pods behind 16 Services",
            marks=pytest.mark.check("webhooks", broken=False),
        ),
        pytest.param(
            "certificates",
            "cert-manager",
            "7 certificates are issued and not due for renewal",
            marks=pytest.mark.check("certificates", broken=False),
        ),
        pytest.param(
            "webhook-authorities",
            "authorities",
            "signed what their webhooks serve",
            marks=pytest.mark.check("webhook-authorities", broken=False),
        ),
        pytest.param(
            "image-mirror",
            "image mirror",
            "2 pods serve it",
            marks=pytest.mark.check("image-mirror", broken=False),
        ),
    ],
)
def test_a_right_platform_is_good_and_the_sentence_has_numbers(
    name: str, about: str, sentence: str
) -> None:
    assert_right(name, about, sentence)


def no_service(live: Live) -> None:
    live.delete("Service", "kubeflow/katib-controller")


def no_endpoints(service: str) -> Change:
    def change(live: Live) -> None:
        live.get("EndpointSlice", f"{service}-abcde")["endpoints"] = []

    return change


def unready(service: str) -> Change:
    def change(live: Live) -> None:
        for each in live.get("EndpointSlice", f"{service}-abcde")["endpoints"]:
            each["conditions"]["ready"] = False

    return change


def another_port(live: Live) -> None:
    live.get("Service", "kubeflow/katib-controller")["spec"]["ports"] = [{"port": 8443}]


def not_issued(live: Live) -> None:
    message = "Issuing certificate as Secret does not exist"
    state = condition("Ready", "False", reason="DoesNotExist", message=message)
    live.get("Certificate", "kubeflow/katib-webhook-cert")["status"] = {"conditions": [state]}


def overdue(live: Live) -> None:
    status = live.get("Certificate", "kubeflow/katib-webhook-cert")["status"]
    status["renewalTime"] = "2026-11-02T00:00:00Z"


def another_authority(configuration: str, kind: str = "MutatingWebhookConfiguration") -> Change:
    def change(live: Live) -> None:
        pem = certificate("of.another.cluster")["authority"]
        for hook in live.get(kind, configuration)["webhooks"]:
            hook["clientConfig"]["caBundle"] = base64.b64encode(pem.encode()).decode()

    return change


def no_authority(live: Live) -> None:
    for hook in live.get("MutatingWebhookConfiguration", "katib.kubeflow.org")["webhooks"]:
        hook["clientConfig"]["caBundle"] = ""


def no_mirror(live: Live) -> None:
    live.delete("MutatingWebhookConfiguration", "image-mirror")


def mirror_down(live: Live) -> None:
    live.get("Deployment", "image-mirror/image-mirror")["status"]["readyReplicas"] = 0


def tls_without_secret(live: Live) -> None:
    (server,) = live.get("Gateway", "kubeflow/kubeflow-gateway")["spec"]["servers"]
    server["tls"] = {"mode": "SIMPLE", "credentialName": "kubeflow-tls"}


def damaged(live: Live) -> None:
    secret = live.get("Secret", "image-mirror/image-mirror-certificate")
    text = b"-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"
    secret["data"]["tls.crt"] = base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("name", "change", "about", "sentence"),
    [
        pytest.param(
            "webhooks",
            no_service,
            "MutatingWebhookConfiguration katib.kubeflow.org",
            "its Service kubeflow/katib-controller does not exist: the API server refuses what "
            "they "
            "judge (defaulter.experiment.katib.kubeflow.org and mutator.pod.katib.kubeflow.org); "
            "run `pulumi up`",
            marks=pytest.mark.check("webhooks", broken=True),
        ),
        (
            "webhooks",
            no_endpoints("kubeflow/katib-controller"),
            "ValidatingWebhookConfiguration katib.kubeflow.org",
            "has no ready pod: the API server refuses what they judge",
        ),
        (
            "webhooks",
            unready("image-mirror/image-mirror"),
            "MutatingWebhookConfiguration image-mirror",
            (
                "objects are stored without its judgement (failurePolicy Ignore); look at "
                "`kubectl -n "
                "image-mirror describe deployment/image-mirror`"
            ),
        ),
        (
            "webhooks",
            another_port,
            "MutatingWebhookConfiguration katib.kubeflow.org",
            "has no port 443, only 8443",
        ),
        pytest.param(
            "certificates",
            not_issued,
            "Certificate kubeflow/katib-webhook-cert",
            "is not issued (DoesNotExist: Issuing certificate as Secret does not exist): read "
            "`kubectl -n kubeflow describe certificate katib-webhook-cert`",
            marks=pytest.mark.check("certificates", broken=True),
        ),
        (
            "certificates",
            overdue,
            "Certificate kubeflow/katib-webhook-cert",
            "should have been renewed on 2026-11-02",
        ),
        (
            "certificates",
            tls_without_secret,
            "Gateway kubeflow/kubeflow-gateway",
            "serves TLS by the Secret istio-system/kubeflow-tls, which does not exist",
        ),
        (
            "certificates",
            damaged,
            "Secret image-mirror/image-mirror-certificate",
            "tls.crt is no certificate",
        ),
        pytest.param(
            "webhook-authorities",
            another_authority("katib.kubeflow.org"),
            "MutatingWebhookConfiguration katib.kubeflow.org",
            "did not sign the certificate in Secret kubeflow/katib-webhook-cert, so that the API "
            "server trusts no answer of kubeflow/katib-controller: restart `kubectl -n "
            "cert-manager "
            "rollout restart deploy/cert-manager-cainjector`",
            marks=pytest.mark.check("webhook-authorities", broken=True),
        ),
        (
            "webhook-authorities",
            another_authority("image-mirror"),
            "MutatingWebhookConfiguration image-mirror",
            (
                "did not sign the certificate in Secret image-mirror/image-mirror-certificate, so "
                "that the "
                "API server trusts no answer of image-mirror/image-mirror: run `pulumi up`"
            ),
        ),
        (
            "webhook-authorities",
            another_authority("istio-sidecar-injector"),
            "MutatingWebhookConfiguration istio-sidecar-injector",
            "is not what ConfigMap istio-system/istio-ca-root-cert has",
        ),
        (
            "webhook-authorities",
            another_authority("cert-manager-webhook"),
            "MutatingWebhookConfiguration cert-manager-webhook",
            "is not what Secret cert-manager/cert-manager-webhook-ca has",
        ),
        (
            "webhook-authorities",
            no_authority,
            "MutatingWebhookConfiguration katib.kubeflow.org",
            "has no caBundle",
        ),
        pytest.param(
            "image-mirror",
            no_mirror,
            "image mirror",
            "there is no MutatingWebhookConfiguration image-mirror, so that pods name public "
            "registries: run `pulumi up`",
            marks=pytest.mark.check("image-mirror", broken=True),
        ),
        (
            "image-mirror",
            mirror_down,
            "image mirror",
            "no pod of Deployment image-mirror/image-mirror is ready",
        ),
    ],
)
def test_a_broken_platform_gets_the_true_reason(
    name: str, change: Change, about: str, sentence: str
) -> None:
    live = live_of(CN).changed()
    change(live)
    sentences = [said for what, said in wrong(examined(name, live)) if what == about]
    assert sentences
    assert any(sentence in each for each in sentences), sentences


@pytest.mark.parametrize(
    ("days", "about", "sentence"),
    [
        (
            365 * 2 - 80,
            "Secret image-mirror/image-mirror-certificate",
            "and has not been renewed: run `pulumi up`, which renews it",
        ),
        (365 * 2 + 1, "Secret image-mirror/image-mirror-certificate", "so that nobody trusts what"),
        (
            365 * 2 - 10,
            "Secret kubeflow/katib-webhook-cert",
            (
                "and has not been renewed: read `kubectl -n kubeflow describe certificate "
                "katib-webhook-"
            ),
        ),
    ],
)
def test_serving_certificates_end_and_the_days_are_counted(
    monkeypatch: pytest.MonkeyPatch, days: int, about: str, sentence: str
) -> None:
    later = datetime.now(UTC) + timedelta(days=days)
    monkeypatch.setattr(authorities, "now", lambda: later)
    findings = dict(wrong(examined("certificates", live_of(CN))))
    assert sentence in findings[about]


@pytest.mark.parametrize("days", [7, 30])
def test_a_short_certificate_is_not_late_with_a_day_left(days: int) -> None:
    secret = live_of(CN).get("Secret", "knative-serving/webhook-certs")
    soon = authorities.warning_time(secret, timedelta(days=days))
    assert soon < timedelta(hours=14)


def test_a_certificate_made_a_moment_ago_is_a_note() -> None:
    live = live_of(CN).changed()
    not_issued(live)
    new = live.get("Certificate", "kubeflow/katib-webhook-cert")
    new["metadata"]["creationTimestamp"] = datetime.now(UTC).isoformat()
    (found,) = [each for each in examined("certificates", live) if each.level is not Level.GOOD]
    assert found.level is Level.NOTE
    assert "DoesNotExist" in found.sentence
    assert "it is new, look again" in found.sentence


@pytest.mark.parametrize(
    ("change", "kind", "name"),
    [
        (not_issued, "Certificate", "kubeflow/katib-webhook-cert"),
        (tls_without_secret, "Gateway", "kubeflow/kubeflow-gateway"),
    ],
)
def test_what_other_software_lacks_is_a_note(change: Change, kind: str, name: str) -> None:
    live = live_of(CN).changed()
    change(live)
    other = live.get(kind, name)
    live.delete(kind, name)
    other["metadata"]["namespace"] = "shop"
    live.put(other)
    (found,) = [each for each in examined("certificates", live) if each.level is not Level.GOOD]
    assert (found.level, found.about) == (Level.NOTE, f"{kind} shop/{name.partition('/')[2]}")


def chain(host: str) -> tuple[str, str]:
    """PEM of a root, and of a server's certificate with the two intermediates that signed it."""
    made = list[x509.Certificate]()
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(4)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in "abcd"]
    for number in range(4):
        signer, begin = max(number - 1, 0), datetime.now(UTC) - timedelta(days=1)
        builder = (
            x509.CertificateBuilder(names[signer], names[number], keys[number].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=900))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        )
        made.append(builder.sign(keys[signer], hashes.SHA256()))
    root, *others = (each.public_bytes(Encoding.PEM).decode() for each in made)
    return root, "".join(reversed(others))


@pytest.mark.parametrize("whole", [True, False])
def test_an_authority_may_have_signed_by_an_intermediate(*, whole: bool) -> None:
    live = live_of(CN).changed()
    root, served = chain("katib-controller.kubeflow.svc")
    if not whole:
        served = served[: served.index("-----BEGIN", 1)]
    secret = live.get("Secret", "kubeflow/katib-webhook-cert")
    secret["data"]["tls.crt"] = base64.b64encode(served.encode()).decode()
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        for hook in live.get(kind, "katib.kubeflow.org")["webhooks"]:
            hook["clientConfig"]["caBundle"] = base64.b64encode(root.encode()).decode()
    found = wrong(examined("webhook-authorities", live))
    assert len(found) == (0 if whole else 2)


def mirror(live: Live, **changed: object) -> Live:
    section: ImageMirrorSettings = live.settings.image_mirror
    return live.with_settings(image_mirror=section.model_copy(update=changed))


class Unanswered(PlayedCluster):
    """The mirror's webhook answers too late: the API server goes on without it."""

    def answer(
        self, method: str, path: str, query: dict[str, str], body: Any = None
    ) -> dict[str, Any]:
        return body if method == "POST" else super().answer(method, path, query, body)


def test_an_image_that_stays_foreign_is_a_problem_with_both_names() -> None:
    live = live_of(CN)
    _, found = examined("image-mirror", live, Unanswered(live))
    assert found.level is Level.PROBLEM
    assert "gets docker.io/alpine/k8s:1.36.2, and should get " in found.sentence
    assert "amazonaws.com.cn/kubeflow/docker.io/alpine/k8s:1.36.2" in found.sentence


def test_rules_and_absent_copies_are_as_the_settings_promise() -> None:
    live = live_of(CN)
    kept = mirror(live, rules=[MirrorRule(action="keep", registries=["docker.io"])])
    _, found = examined("image-mirror", kept, Unanswered(kept))
    assert (found.level, found.sentence) == (
        Level.GOOD,
        (
            "a pod with docker.io/alpine/k8s:1.36.2 gets docker.io/alpine/k8s:1.36.2, and "
            "kubeflow:imageMirror.rules keep it"
        ),
    )
    _, found = examined("image-mirror", kept)
    assert found.level is Level.PROBLEM
    late = mirror(live, when_absent="keep")
    _, found = examined("image-mirror", late, Unanswered(late))
    assert found.level is Level.NOTE


def test_a_stack_without_mirror_says_so() -> None:
    (found,) = examined("image-mirror", mirror(live_of(CN), enabled=False))
    assert (found.level, found.sentence) == (
        Level.GOOD,
        "not part of the stack: images come from their publishers' registries",
    )


class Refusing(PlayedCluster):
    """The API server refuses the pod."""

    def __init__(self, live: Live, refusal: Refused) -> None:
        super().__init__(live)
        self.refusal = refusal

    def answer(
        self, method: str, path: str, query: dict[str, str], body: Any = None
    ) -> dict[str, Any]:
        if method == "POST":
            raise self.refusal
        return super().answer(method, path, query, body)


@pytest.mark.parametrize(
    "refusal",
    [
        Refused("https://a does not let you use pods (403 Forbidden)."),
        Unavailable("https://a answers 503 Service Unavailable to pods."),
        Rejected('admission webhook "policy.example.org" denied the request: no limits', 403),
    ],
)
def test_a_refusal_for_another_reason_than_the_mirrors_is_no_answer(refusal: Refused) -> None:
    for live in (
        mirror(live_of(CN), when_absent="deny"),
        mirror(live_of(CN), rules=[MirrorRule(action="deny")]),
    ):
        with pytest.raises(type(refusal)):
            examined("image-mirror", live, Refusing(live, refusal))


def test_the_mirrors_own_refusal_of_a_platform_image_is_wrong() -> None:
    (hook,) = live_of(CN).get("MutatingWebhookConfiguration", "image-mirror")["webhooks"]
    refusal = Rejected(f'admission webhook "{hook["name"]}" denied the request: absent', 403)
    for live in (
        mirror(live_of(CN), rules=[MirrorRule(action="deny")]),
        mirror(live_of(CN), when_absent="deny"),
    ):
        _, found = examined("image-mirror", live, Refusing(live, refusal))
        assert found.level is Level.PROBLEM
        assert "its copy is missing" in found.sentence


def test_without_the_account_the_registry_is_not_guessed() -> None:
    live = live_of(CN).changed()
    live.context = StackContext.of(live.settings, "", {})
    with pytest.raises(Refused, match="the account whose registry has the images is unknown"):
        examined("image-mirror", live)
