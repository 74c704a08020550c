"""The program's own dynamic resources; see ``components/dynamic/``."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from rehearsal.sample_outputs.resource import SimulatedResource


def _crds(resource: SimulatedResource) -> dict[str, Any]:
    return {"applied": replace(resource, name=str(resource.inputs["digests"])).hex(16)}


def _hash(resource: SimulatedResource) -> dict[str, Any]:
    salted = replace(resource, name=f"{resource.name} {resource.inputs.get('password')}")
    return {"value": f"$2b$12$simulated{salted.hex(44)}"}


def _authorities(resource: SimulatedResource) -> dict[str, Any]:
    text = f"no certificate of {resource.region.name} {resource.hex(48)}"
    begin, end = (f"-----{word} CERTIFICATE-----" for word in ("BEGIN", "END"))
    body = base64.b64encode(text.encode()).decode()
    return {"id": resource.inputs["url"], "pem": f"{begin}\n{body}\n{end}\n"}


def _secret(resource: SimulatedResource) -> dict[str, Any]:
    length, alphabet = int(resource.inputs["length"]), str(resource.inputs["alphabet"])
    drawn = replace(resource, name=f"{resource.name}{resource.inputs.get('generation', '')}")
    # A replacement has another id too; the id is unrelated to the value.
    identity = replace(drawn, name=f"{drawn.name} of {length}")
    value = drawn.hex(length)
    # Capitals where they are allowed: what refuses them shall refuse this one, too.
    return {"id": identity.hex(16), "value": value.upper() if "A" in alphabet else value}


def _serving_certificate(resource: SimulatedResource) -> dict[str, Any]:
    texts = ("authority", "certificate", "key", "authorityKey")
    samples = {text: f"simulated {text} {resource.hex(24)}" for text in texts}
    return samples | {"ends": "2099-01-01T00:00:00+00:00"}


OUTPUTS = {
    "pulumi-python:dynamic:BcryptHash": _hash,
    "pulumi-python:dynamic:CustomResourceDefinitions": _crds,
    "pulumi-python:dynamic:DatabaseAuthorities": _authorities,
    "pulumi-python:dynamic:GeneratedSecret": _secret,
    "pulumi-python:dynamic:ServingCertificate": _serving_certificate,
}
