"""The real webhook behind a real API server, and a registry that says what a test wants."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from benchmarks.certificates import Certificate, self_signed
from components.mirror.image_mirror_webhook import webhook_configuration
from images.reference import Reference
from rendering import Object
from tests.cluster.client import Answer, Cluster
from tests.cluster.installation import Installation
from tests.cluster.stand_ins import webhook_clients
from tests.ports import free_port
from tests.webhook.serving import PATH, serving
from webhook.admission import Copy, Policy, Presence, review
from webhook.budgets import Review
from webhook.image_places import OPT_OUT
from webhook.rules import WhenAbsent
from webhook.service import Decide

ECR = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn"
OWN = f"{ECR}/kubeflow"
SHA = "sha256:" + "0123456789abcdef" * 4
TEAM = "team"


@dataclass
class Judge:
    """The decision of a stack whose registry says what the test wants it to say.

    Attributes:
        copy: of every image.
        enforce: refuse what the registry cannot tell.
        reviews: of every call that came; each is the ``request`` of an AdmissionReview.
        asked: images whose copy was asked for.
        started: images whose copy would have been started.
    """

    when_absent: WhenAbsent = WhenAbsent.REWRITE
    copy: Copy = field(default_factory=lambda: Copy(Presence.PRESENT))
    enforce: bool = False
    reviews: list[Any] = field(default_factory=list[Any])
    asked: list[str] = field(default_factory=list[str])
    started: list[str] = field(default_factory=list[str])

    def ask(
        self,
        source: Reference,
        *,
        start: bool,
        follow: bool = False,
        deadline: float = math.inf,
        review: Review | None = None,
    ) -> Copy:
        self.asked.append(str(source))
        if start:
            self.started.append(str(source))
        return self.copy

    def decide(self, body: Any, deadline: float) -> dict[str, Any]:
        self.reviews.append(body["request"])
        policy = Policy(registry=OWN, when_absent=self.when_absent, enforce=self.enforce)
        return review(body, policy, self, deadline)


class Mirrored:
    """A cluster with the webhook, which can be taken away and brought back.

    Args:
        certificate: what the webhook shows, and the API server trusts.

    Attributes:
        decide: what the server decides by: ``judge``, unless a test puts something else here.
    """

    def __init__(
        self, installation: Installation, certificate: Certificate, *, enforce: bool = False
    ) -> None:
        self.cluster: Cluster = installation.cluster
        self.judge = Judge()
        self.decide: Decide = self.judge.decide
        self._certificate = certificate
        self._running = ExitStack()
        # Given up and taken again: nobody else may have it meanwhile.
        self._port = free_port()
        self.start()
        url = f"https://127.0.0.1:{self._port}{PATH}"
        configuration = webhook_configuration(url, enforce=enforce, conditions=True)
        for client in webhook_clients(configuration):
            client["caBundle"] = base64.b64encode(certificate.certificate.read_bytes()).decode()
        self.cluster.apply(configuration)
        installation.apply(namespace(TEAM))
        installation.apply(namespace("unmirrored", {OPT_OUT: "true"}))

    def judged_by(self, judge: Judge) -> None:
        """From now on."""
        self.judge, self.decide = judge, judge.decide

    def _decided(self, body: object, deadline: float) -> dict[str, Any]:
        return self.decide(body, deadline)

    def start(self) -> None:
        self._running.enter_context(serving(self._certificate, self._decided, port=self._port))

    def stop(self) -> None:
        self._running.close()

    @contextmanager
    def down(self) -> Generator[None]:
        """Nobody listens until the end of the block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def create(self, name: str, *images: str, **more: Any) -> Answer:
        return self.cluster.create(pod(name, *images, **more))

    def stored(self, made: Answer) -> list[str]:
        """The images of a pod as it was kept."""
        return images_of(self.cluster.read(made.body))


def namespace(name: str, labels: Mapping[str, str] | None = None) -> Object:
    metadata = {"name": name, "labels": dict(labels or {})}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def pod(
    name: str, *images: str, where: str = TEAM, metadata: Object | None = None, **spec: Any
) -> Object:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": where, **(metadata or {})},
        "spec": {"containers": containers, **spec},
    }


def images_of(made: Object) -> list[str]:
    """Every image a pod pulls: of its containers of all kinds, then of its image volumes."""
    kinds = ("initContainers", "containers", "ephemeralContainers")
    spec = made["spec"]
    images = [container["image"] for kind in kinds for container in spec.get(kind, [])]
    volumes = [volume["image"] for volume in spec.get("volumes", []) if "image" in volume]
    return images + [volume["reference"] for volume in volumes]


def rewritten(given: Answer) -> bool:
    return all(image.startswith(OWN) for image in images_of(given.body))


@contextmanager
def in_effect(
    new_cluster: Callable[[str], AbstractContextManager[Installation]],
    name: str,
    folder: Path,
    crds: Sequence[Object] = (),
    *,
    enforce: bool = False,
) -> Generator[Mirrored]:
    """A new server that asks the webhook, until the end of the block.

    Args:
        new_cluster: makes it.
        name: of the server.
        folder: for the webhook's certificate.
        crds: what the server has besides Kubernetes' own kinds.
        enforce: refuse what gets no answer.
    """
    certificate = self_signed(folder)
    with new_cluster(name) as installation:
        if crds:
            installation.crds(crds)
        made = Mirrored(installation, certificate, enforce=enforce)
        try:
            asked = Retrying(
                retry=retry_if_result(lambda found: not found),
                stop=stop_after_delay(300),
                wait=wait_fixed(0.1),
            )
            # The API server reads a new configuration when it gets to it.
            asked(lambda: rewritten(made.cluster.apply(pod("probe", "probe"), dry_run=True)))
            yield made
        finally:
            made.stop()
