"""A real registry of one test's own: Debian's docker-registry on a temporary folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml
from tenacity import retry, stop_after_delay, wait_fixed

from tests.ports import free_port

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


class RegistryMissing(AssertionError):
    """The test cannot run here; the message says what to install."""


@dataclass(frozen=True)
class Registry:
    """A running registry; without a login and over plain HTTP unless it was started otherwise."""

    host: str

    def push(
        self, repository: str, tag: str, platforms: tuple[str, ...] = (), layers: int = 0
    ) -> str:
        """Pushes an image; with platforms, an index of one for each.

        Args:
            repository: within the registry.
            tag: of the image or index.
            platforms: architectures.
            layers: how many layers of a kilobyte each image has.

        Returns:
            The digest that a pull of the tag gets.
        """
        if not platforms:
            image = self._image(repository, f"{repository}:{tag}", layers)
            return self._manifest(repository, tag, image)
        members: list[dict[str, Any]] = []
        for platform in platforms:
            image = self._image(repository, platform, layers)
            digest = self._manifest(repository, _digest(_text(image)), image)
            described = {"architecture": platform, "os": "linux"}
            size = len(_text(image))
            members.append(
                {"mediaType": MANIFEST, "digest": digest, "size": size, "platform": described}
            )
        return self._manifest(
            repository, tag, {"schemaVersion": 2, "mediaType": INDEX, "manifests": members}
        )

    def push_chart(self, repository: str, version: str) -> str:
        """Pushes an OCI artifact as Helm makes one; returns its digest."""
        config = self._blob(repository, json.dumps({"name": repository, "version": version}))
        chart = self._blob(repository, f"the archive of {repository} {version}")
        return self._manifest(
            repository,
            version,
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": HELM_CONFIG, **config},
                "layers": [{"mediaType": HELM_CHART, **chart}],
            },
        )

    def manifest(self, repository: str, reference: str) -> tuple[str, dict[str, Any]] | None:
        """The digest and the manifest of a tag or digest; None: there is none."""
        answer = requests.get(
            f"http://{self.host}/v2/{repository}/manifests/{reference}",
            headers={"Accept": f"{INDEX}, {MANIFEST}"},
            timeout=10,
        )
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return _digest(answer.content), answer.json()

    def digest(self, repository: str, reference: str) -> str | None:
        """The digest of a tag; None: there is none."""
        found = self.manifest(repository, reference)
        return found[0] if found else None

    def blob(self, repository: str, digest: str) -> bytes:
        """A blob; an error of HTTP where there is none."""
        place = f"http://{self.host}/v2/{repository}/blobs/{digest}"
        answer = requests.get(place, timeout=10)
        answer.raise_for_status()
        return answer.content

    def _image(self, repository: str, said: str, layers: int) -> dict[str, Any]:
        text = json.dumps({"os": "linux", "rootfs": {"type": "layers"}, "said": said})
        config = {"mediaType": CONFIG, **self._blob(repository, text)}
        described = [
            {"mediaType": LAYER, **self._blob(repository, f"{said} {number} ".ljust(1000, "."))}
            for number in range(layers)
        ]
        return {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": described}

    def _blob(self, repository: str, text: str) -> dict[str, Any]:
        content = text.encode()
        digest = _digest(content)
        begun = requests.post(f"http://{self.host}/v2/{repository}/blobs/uploads/", timeout=10)
        place = begun.headers["Location"]
        done = requests.put(place, params={"digest": digest}, data=content, timeout=10)
        done.raise_for_status()
        return {"digest": digest, "size": len(content)}

    def _manifest(self, repository: str, reference: str, manifest: Mapping[str, Any]) -> str:
        done = requests.put(
            f"http://{self.host}/v2/{repository}/manifests/{reference}",
            data=_text(manifest),
            headers={"Content-Type": str(manifest["mediaType"])},
            timeout=10,
        )
        done.raise_for_status()
        return _digest(_text(manifest))


def _text(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextmanager
def registry(
    folder: Path, tls: tuple[Path, Path] | None = None, users: str | None = None
) -> Generator[Registry]:
    """Serves until the end of the block.

    Args:
        folder: gets its data and log.
        tls: files with a certificate and its key.
        users: lines ``name:bcrypt hash`` of those who may log in; None: everybody may do all.
    """
    program = shutil.which("docker-registry", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise RegistryMissing("no docker-registry here: run `tests/packages.sh docker-registry`")
    port = free_port()
    described = folder / "registry.yml"
    settings: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "of this test"},
    }
    if tls:
        settings["http"]["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
    if users is not None:
        (folder / "htpasswd").write_text(f"{users}\n")
        settings["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    described.write_text(yaml.safe_dump(settings))
    made = Registry(f"127.0.0.1:{port}")
    with (
        (folder / "registry.log").open("wb") as log,
        subprocess.Popen([program, "serve", str(described)], stdout=log, stderr=log) as server,
    ):
        try:
            _await_port(port)
            yield made
        finally:
            server.kill()


@retry(stop=stop_after_delay(120), wait=wait_fixed(0.1), reraise=True)
def _await_port(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
