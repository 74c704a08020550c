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

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


class RegistryMissing(AssertionError):
    """The test cannot run here; the message says what to install."""


@dataclass(frozen=True)
class Registry:
    """A running registry without a login, over plain HTTP."""

    host: str

    def push(self, repository: str, tag: str, platforms: tuple[str, ...] = ()) -> str:
        """Pushes an image that holds nothing; with platforms, an index of one for each.

        Returns:
            The digest that a pull of the tag gets.
        """
        if not platforms:
            return self._manifest(repository, tag, self._image(repository, f"{repository}:{tag}"))
        members: list[dict[str, Any]] = []
        for platform in platforms:
            image = self._image(repository, platform)
            digest = self._manifest(repository, _digest(_text(image)), image)
            described = {"architecture": platform, "os": "linux"}
            size = len(_text(image))
            members.append(
                {"mediaType": MANIFEST, "digest": digest, "size": size, "platform": described}
            )
        return self._manifest(
            repository, tag, {"schemaVersion": 2, "mediaType": INDEX, "manifests": members}
        )

    def _image(self, repository: str, said: str) -> dict[str, Any]:
        config = json.dumps({"os": "linux", "rootfs": {"type": "layers"}, "said": said}).encode()
        digest = _digest(config)
        begun = requests.post(f"http://{self.host}/v2/{repository}/blobs/uploads/", timeout=10)
        place = begun.headers["Location"]
        done = requests.put(place, params={"digest": digest}, data=config, timeout=10)
        done.raise_for_status()
        described = {"mediaType": CONFIG, "digest": digest, "size": len(config)}
        return {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": []}

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
def registry(folder: Path) -> Generator[Registry]:
    """Serves until the end of the block; ``folder`` gets its data and log."""
    program = shutil.which("docker-registry", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise RegistryMissing("no docker-registry here: run `tests/packages.sh docker-registry`")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    described = folder / "registry.yml"
    described.write_text(
        yaml.safe_dump(
            {
                "version": "0.1",
                "log": {"level": "error"},
                "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
                "http": {"addr": f"127.0.0.1:{port}", "secret": "of this test"},
            }
        )
    )
    made = Registry(f"127.0.0.1:{port}")
    with (
        (folder / "registry.log").open("wb") as log,
        subprocess.Popen([program, "serve", str(described)], stdout=log, stderr=log) as server,
    ):
        try:
            _await_answer(made.host)
            yield made
        finally:
            server.kill()


@retry(stop=stop_after_delay(20), wait=wait_fixed(0.1), reraise=True)
def _await_answer(host: str) -> None:
    requests.get(f"http://{host}/v2/", timeout=5).raise_for_status()
