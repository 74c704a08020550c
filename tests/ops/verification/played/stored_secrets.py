"""Secrets as External Secrets and the Secrets Store write them: fields of their v1 types."""

from __future__ import annotations

import hashlib
import json

import bcrypt
import yaml

from components.kubeflow.logins import DexAccount
from ops.verification.checks.live_objects import namespace_of
from rendering import Object
from tests.ops.verification.played.live import Live, condition, just_now
from tests.rendering.secret_writer import written

PASSWORD = "a generated password"


def secrets(live: Live) -> None:
    for obj in live.all("SecretStore"):
        obj["status"] = {"conditions": [condition("Ready", reason="Valid")]}
    for obj in live.all("ExternalSecret"):
        names = [
            *(each["extract"]["key"] for each in obj["spec"].get("dataFrom") or []),
            *(each["remoteRef"]["key"] for each in obj["spec"].get("data") or []),
        ]
        for name in names:
            live.remote.setdefault(name, _remote(name))
        obj["status"] = {
            "conditions": [condition("Ready", reason="SecretSynced")],
            "refreshTime": just_now(),
        }
        target = f"{namespace_of(obj)}/{obj['spec']['target']['name']}"
        live.secret(target, written(obj, live.remote))
    for obj in live.all("SecretProviderClass"):
        _from_class(live, obj)


def _remote(name: str) -> dict[str, str]:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return {
        "host": "kubeflow.abcdefgh.rds.example",
        "port": "3306",
        "username": digest[:8],
        "password": digest[8:40],
        "database": digest[40:48],
        "accessKeyId": digest[:20],
        "secretAccessKey": digest[20:60],
    }


def _from_class(live: Live, obj: Object) -> None:
    """secrets-store-csi-driver v1.0.0 pkg/util/secretutil, as its AWS provider mounts files."""
    files: dict[str, str] = {}
    for one in yaml.safe_load(obj["spec"]["parameters"]["objects"]):
        name = one["objectName"]
        values = live.remote.setdefault(name, _remote(name))
        files[one.get("objectAlias") or name] = json.dumps(values)
        for each in one.get("jmesPath") or []:
            values.setdefault(each["path"], f"value of {each['path']}")
            files[each["objectAlias"]] = values[each["path"]]
    for each in obj["spec"].get("secretObjects") or []:
        data = {entry["key"]: files[entry["objectName"]] for entry in each["data"]}
        live.secret(f"{namespace_of(obj)}/{each['secretName']}", data)


def logins(live: Live) -> None:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    hashes = {DexAccount(user.email).variable: hashed for user in live.settings.users}
    live.secret("auth/dex-passwords", hashes)
    name = f"{live.context.cluster}/kubeflow/login-abcdef"
    live.remote[name] = {user.email: PASSWORD for user in live.settings.users}
