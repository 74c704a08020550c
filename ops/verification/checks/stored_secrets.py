"""Checks of secrets that stand on two sides: in Secrets Manager and in the cluster.

All read objects only. Values are compared in memory and never shown. Fields: external-secrets
v2.9.0 apis/externalsecrets/v1 (ExternalSecretSpec, ExternalSecretStatus); secrets-store-csi-driver
v1.0.0 apis/v1 (SecretProviderClass, SecretProviderClassPodStatus).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from components.kubeflow.logins import DexAccount
from ops.account_calls import aws_call
from ops.findings import Finding, good, note, problem
from ops.parallel import in_order
from ops.verification.check import Check
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
from rendering.objects import Object, pod_spec
from rendering.pod_references import named_by
from settings.errors import listed as in_words
from settings.errors import looks_secret

_THREADS = 4
_STARTING_MINUTES = 10
_DURATION = re.compile(r"(\d+)(h|m|s)")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_NUMBERED = re.compile(r"(?P<stem>.+)-(?P<number>\d+)")
_HASHES = "auth/dex-passwords"
_CLIENT_SECRETS = ("OIDC_CLIENT_SECRET", "CLIENT_SECRET", "client-secret")
"""Keys of the secret between Dex and its client: of Dex, of authservice, of oauth2-proxy."""


# -- inside the cluster ----------------------------------------------------------------------------


def secrets_synced(platform: Platform) -> Iterator[Finding]:
    """Every secret that a controller copies into the cluster is there, read lately and of now."""
    copies = [*_own(platform, "ExternalSecret"), *_own(platform, "SecretProviderClass")]
    if not copies:
        yield problem("secrets", "none is copied from Secrets Manager: run `pulumi up`")
        return
    for store in _own(platform, "SecretStore"):
        if not is_true(store, "Ready"):
            yield problem(
                f"SecretStore {name_of(store)}",
                f"does not reach Secrets Manager ({why(condition(store, 'Ready'))}): look at its "
                "role, and at the pods in external-secrets",
            )
    read = 0
    for obj in _own(platform, "ExternalSecret"):
        trouble = _not_read(platform, obj)
        read += trouble is None
        if trouble is not None:
            yield trouble
    yield from _old_rotations(platform, copies)
    if _own(platform, "SecretProviderClass"):
        yield from _mounted(platform)
    if read:
        yield good("ExternalSecrets", f"{read} are in the cluster, read within their interval")


def _own(platform: Platform, kind: str) -> list[Object]:
    """Those of the platform: users may copy secrets of other stores into their namespaces."""
    return [obj for obj in listed(platform, kind) if is_own_namespace(platform, namespace_of(obj))]


def _not_read(platform: Platform, obj: Object) -> Finding | None:
    about, ready = f"ExternalSecret {name_of(obj)}", condition(obj, "Ready")
    describe = (
        f"read `kubectl -n {namespace_of(obj)} describe externalsecret {obj['metadata']['name']}`"
    )
    if ready.get("status") != "True":
        starting = not ready and age_minutes(obj) < _STARTING_MINUTES
        sentence = f"is not read from Secrets Manager ({why(ready)}): {describe}"
        return (note if starting else problem)(about, sentence)
    target = _target(obj)
    if target not in by_name(platform, "Secret"):
        return problem(about, f"is read, but Secret {target} is not there: {describe}")
    read, interval = time_of(obj["status"].get("refreshTime")), _interval(obj)
    if read and interval and now() - read > 2 * interval:
        return problem(
            about,
            f"was read last at {read:%Y-%m-%d %H:%M}Z, and should be every "
            f"{obj['spec']['refreshInterval']}, so that a rotation does not arrive: look at the "
            "pods in external-secrets",
        )
    return None


def _target(obj: Object) -> str:
    name = (obj["spec"].get("target") or {}).get("name") or obj["metadata"]["name"]
    return f"{namespace_of(obj)}/{name}"


def _interval(obj: Object) -> timedelta | None:
    text = str(obj["spec"].get("refreshInterval") or "")
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
    return timedelta(seconds=seconds) if seconds else None


def _old_rotations(platform: Platform, copies: Iterable[Object]) -> Iterator[Finding]:
    """Copies carry the number of the rotation in their name (addons/database-init)."""
    wanted, numbers = platform.settings.database.rotation, dict[str, list[int]]()
    for obj in copies:
        match = _NUMBERED.fullmatch(name_of(obj))
        if match:
            numbers.setdefault(f"{obj['kind']} {match['stem']}", []).append(int(match["number"]))
    for stem, found in sorted(numbers.items()):
        if wanted not in found:
            yield problem(
                stem,
                f"has the rotation {in_words(map(str, sorted(found)), 'and')}, and "
                f"kubeflow:database.rotation is {wanted}: the cluster's side is old, run "
                "`pulumi up`",
            )


def _mounted(platform: Platform) -> Iterator[Finding]:
    """Classes of the Secrets Store exist as Secrets while a pod mounts them."""
    path = "/apis/secrets-store.csi.x-k8s.io/v1/secretproviderclasspodstatuses"
    mounted = {
        f"{namespace_of(each)}/{each['status']['secretProviderClassName']}"
        for each in platform.cluster.all(path)
        if each["status"].get("mounted")
    }
    right = 0
    for obj in _own(platform, "SecretProviderClass"):
        name = name_of(obj)
        secrets = [
            f"{namespace_of(obj)}/{each['secretName']}"
            for each in obj["spec"].get("secretObjects") or []
        ]
        missing = [each for each in secrets if each not in by_name(platform, "Secret")]
        if name not in mounted:
            yield problem(
                f"SecretProviderClass {name}",
                "no pod mounts it, so that its Secrets do not exist: look at the pods of "
                f"{namespace_of(obj)} and at the DaemonSet kube-system/csi-secrets-store",
            )
        elif missing:
            yield problem(
                f"SecretProviderClass {name}",
                f"is mounted, but Secret {in_words(missing, 'and')} is not there: restart the pods "
                "that mount it",
            )
        else:
            right += 1
    if right:
        yield good("SecretProviderClasses", f"{right} are mounted and copied")


# -- against Secrets Manager -----------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """A secret of Secrets Manager, current version.

    Attributes:
        name: of the secret.
        text: its value.
        values: the same, where it is a JSON object of texts; else empty.
        written: when this version was made; None: unknown.
    """

    name: str
    text: str
    values: Mapping[str, str]
    written: datetime | None

    def __repr__(self) -> str:  # a value must never reach a traceback
        return f"Stored({self.name!r})"


DELETED = Stored("", "", {}, None)
"""A secret that is scheduled for deletion, the one reason for which a read is no valid request
(Secrets Manager API reference, GetSecretValue)."""


@dataclass(frozen=True)
class Pair:
    """What one Secret of the cluster must hold.

    Attributes:
        about: the object that copies it.
        obj: the same.
        secret: ``namespace/name`` of the Secret.
        names: of the secrets in Secrets Manager.
        read: when the cluster read it last; None: unknown.
    """

    about: str
    obj: Object
    secret: str
    names: Sequence[str]
    read: datetime | None


def secrets_equal(platform: Platform) -> Iterator[Finding]:
    """Each copied Secret has the values that Secrets Manager has now."""
    pairs = [*_of_external_secrets(platform), *_of_classes(platform)]
    names = sorted({name for pair in pairs for name in pair.names})
    client = platform.client("secretsmanager")
    stored = dict(
        zip(names, in_order(names, lambda name: _asked(client, name), _THREADS, ""), strict=True)
    )
    equal = 0
    for pair in pairs:
        secret = by_name(platform, "Secret").get(pair.secret)
        if secret is None:
            yield problem(
                pair.about, f"Secret {pair.secret} is not there: the check secrets-synced says why"
            )
            continue
        deleted = [name for name in pair.names if stored[name] is DELETED]
        if deleted:
            yield problem(
                pair.about,
                f"{in_words(deleted, 'and')} in Secrets Manager is scheduled for deletion: `aws "
                f"secretsmanager restore-secret --secret-id {deleted[0]}` keeps it",
            )
            continue
        missing = [name for name in pair.names if stored[name] is None]
        if missing:
            yield problem(
                pair.about,
                f"Secrets Manager has no {in_words(missing, 'and')}: run `pulumi up`",
            )
            continue
        sides = [found for name in pair.names if (found := stored[name])]
        differ = _differences(pair, secret, {each.name: each for each in sides})
        if differ:
            yield _older_side(pair, differ, sides)
        else:
            equal += 1
    if equal:
        yield good(
            "secrets", f"{equal} have on both sides the same values, of {len(names)} secrets"
        )
    yield from _client_secrets(platform)
    yield from _logins(platform, client)


def _asked(client: Any, name: str) -> Stored | None:
    with aws_call("secretsmanager:GetSecretValue"):
        try:
            answer = client.get_secret_value(SecretId=name)
        except client.exceptions.ResourceNotFoundException:
            return None
        except client.exceptions.InvalidRequestException:
            return DELETED
    text = str(answer.get("SecretString") or "")
    written = answer.get("CreatedDate")
    return Stored(name, text, _object(text), written if isinstance(written, datetime) else None)


def _object(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _of_external_secrets(platform: Platform) -> Iterator[Pair]:
    for obj in _own(platform, "ExternalSecret"):
        names = [
            *(
                str(each["extract"]["key"])
                for each in obj["spec"].get("dataFrom") or []
                if "extract" in each
            ),
            *(str(each["remoteRef"]["key"]) for each in obj["spec"].get("data") or []),
        ]
        read = time_of((obj.get("status") or {}).get("refreshTime"))
        yield Pair(f"ExternalSecret {name_of(obj)}", obj, _target(obj), names, read)


def _of_classes(platform: Platform) -> Iterator[Pair]:
    for obj in _own(platform, "SecretProviderClass"):
        names = [str(each["objectName"]) for each in _objects_of(obj)]
        for each in obj["spec"].get("secretObjects") or []:
            secret = f"{namespace_of(obj)}/{each['secretName']}"
            aliases = {str(entry["objectName"]) for entry in each.get("data") or []}
            own = [
                str(one["objectName"]) for one in _objects_of(obj) if aliases & _aliases(one).keys()
            ]
            yield Pair(f"SecretProviderClass {name_of(obj)}", obj, secret, own or names, None)


def _objects_of(obj: Object) -> list[Mapping[str, Any]]:
    """The objects of a SecretProviderClass for the provider of AWS, a YAML text."""
    found = yaml.safe_load(str((obj["spec"].get("parameters") or {}).get("objects") or ""))
    return found if isinstance(found, list) else []


def _aliases(one: Mapping[str, Any]) -> dict[str, str]:
    """Alias -> property; empty: the whole secret."""
    own = str(one.get("objectAlias") or one["objectName"])
    inner = {str(each["objectAlias"]): str(each["path"]) for each in one.get("jmesPath") or []}
    return {own: "", **inner}


def _differences(pair: Pair, secret: Mapping[str, Any], stored: Mapping[str, Stored]) -> list[str]:
    """Keys of a Secret that have another value than Secrets Manager; no values."""
    live = {key: _decoded(value) for key, value in (secret.get("data") or {}).items()}
    if pair.obj["kind"] == "SecretProviderClass":
        return _different(live, _by_class(pair, stored))
    target = pair.obj["spec"].get("target") or {}
    template = (target.get("template") or {}).get("data")
    if template is None:
        return _different(live, _by_external_secret(pair.obj, stored))
    # What a template makes of a value contains it.
    text, everything = json.dumps(template), b"\n".join(live.values())
    return sorted(
        f"{key} of {each.name}"
        for each in stored.values()
        for key, value in each.values.items()
        if looks_secret(key) and f".{key}" in text and value.encode() not in everything
    )


def _different(live: Mapping[str, bytes], wanted: Mapping[str, str]) -> list[str]:
    return sorted(
        key
        for key, value in wanted.items()
        if not hmac.compare_digest(live.get(key, b""), value.encode())
    )


def _by_external_secret(obj: Object, stored: Mapping[str, Stored]) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for each in obj["spec"].get("dataFrom") or []:
        if "extract" in each:
            wanted |= stored[each["extract"]["key"]].values
    for each in obj["spec"].get("data") or []:
        reference = each["remoteRef"]
        found = stored[reference["key"]]
        name = reference.get("property")
        wanted[each["secretKey"]] = found.values.get(name, "") if name else found.text
    return wanted


def _by_class(pair: Pair, stored: Mapping[str, Stored]) -> dict[str, str]:
    values: dict[str, str] = {}
    for one in _objects_of(pair.obj):
        found = stored.get(str(one["objectName"]))
        if found:
            for alias, name in _aliases(one).items():
                values[alias] = found.values.get(name, "") if name else found.text
    (own,) = [
        each
        for each in pair.obj["spec"]["secretObjects"]
        if f"{namespace_of(pair.obj)}/{each['secretName']}" == pair.secret
    ]
    return {
        str(entry["key"]): values[str(entry["objectName"])]
        for entry in own.get("data") or []
        if str(entry["objectName"]) in values
    }


def _decoded(value: object) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _older_side(pair: Pair, keys: Sequence[str], stored: Sequence[Stored]) -> Finding:
    differ = f"{in_words(keys, 'and')} differ between Secrets Manager and Secret {pair.secret}"
    written = max((each.written for each in stored if each.written), default=None)
    namespace, name = namespace_of(pair.obj), pair.obj["metadata"]["name"]
    if pair.read is None or written is None:
        return problem(
            pair.about, f"{differ}: restart the pods that mount it, so that it is read again"
        )
    if _aware(written) <= pair.read:
        return problem(
            pair.about,
            f"{differ}: somebody changed the cluster's side after {pair.read:%Y-%m-%d %H:%M}Z; "
            f"`kubectl -n {namespace} delete secret {pair.secret.partition('/')[2]}`, it is made "
            "again",
        )
    interval = _interval(pair.obj) or timedelta(0)
    waits = now() - _aware(written) < interval
    sentence = (
        f"{differ}: the cluster's side is old, read at {pair.read:%Y-%m-%d %H:%M}Z, before the "
        f"version of {written:%Y-%m-%d %H:%M}Z; at once by `kubectl -n {namespace} annotate "
        f"externalsecret {name} force-sync={_aware(written).timestamp():.0f} --overwrite`"
    )
    return (note if waits else problem)(pair.about, sentence)


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


# -- logins ----------------------------------------------------------------------------------------


def _client_secrets(platform: Platform) -> Iterator[Finding]:
    """The secret between Dex and its client, which each reads from a Secret of its own."""
    found: dict[str, bytes] = {}
    for kind, name in platform.parts.dex.workloads + platform.parts.login.workloads:
        workload = by_name(platform, kind).get(name)
        if workload is None:
            continue
        namespace = name.partition("/")[0]
        for reference in named_by(pod_spec(workload) or {}):
            secret = by_name(platform, "Secret").get(f"{namespace}/{reference.name}")
            if reference.kind != "Secret" or secret is None:
                continue
            for key in _CLIENT_SECRETS:
                value = (secret.get("data") or {}).get(key)
                if value is not None:
                    found[f"{namespace}/{reference.name}"] = _decoded(value)
    if len(found) > 1:
        names = in_words(sorted(found), "and")
        if len(set(found.values())) == 1:
            yield good("OIDC client", f"the same secret in {names}")
        else:
            yield problem(
                "OIDC client",
                f"{names} have different secrets, so that every login ends with invalid_client: "
                "run `pulumi up`, then restart both",
            )


def _logins(platform: Platform, client: Any) -> Iterator[Finding]:
    """The passwords that users look up are those behind Dex's hashes."""
    about, prefix = "passwords", f"{platform.context.cluster}/kubeflow/login-"
    with aws_call("secretsmanager:ListSecrets"):
        answer = client.list_secrets(Filters=[{"Key": "name", "Values": [prefix]}])
    names = [str(each["Name"]) for each in answer["SecretList"] if each["Name"].startswith(prefix)]
    stored = [found for name in names if (found := _asked(client, name)) and found is not DELETED]
    secret = by_name(platform, "Secret").get(_HASHES)
    if not stored or secret is None:
        missing = f"Secret {_HASHES}" if secret is None else f"a secret {prefix}... in AWS"
        yield problem(about, f"there is no {missing}: run `pulumi up`")
        return
    newest = max(stored, key=lambda each: _aware(each.written or datetime.min))
    hashes = {key: _decoded(value) for key, value in (secret.get("data") or {}).items()}
    users = [user.email for user in platform.settings.users]
    pairs = [
        (newest.values.get(email, "").encode(), hashes.get(DexAccount(email).variable, b""))
        for email in users
    ]
    right = 0
    for email, same in zip(users, in_order(pairs, _opens, _THREADS, ""), strict=True):
        right += same
        if not same:
            yield problem(
                email,
                f"the password in {newest.name} does not open the login, whose hash in Secret "
                f"{_HASHES} is missing or of another password: run `pulumi up`",
            )
    if right:
        yield good(about, f"{right} of {len(users)} in Secrets Manager open Dex's logins")


def _opens(pair: tuple[bytes, bytes]) -> bool:
    import bcrypt

    password, hashed = pair
    try:
        return bool(password) and bcrypt.checkpw(password, hashed)
    except ValueError:  # no hash
        return False


CHECKS: tuple[Check, ...] = (
    Check("secrets-synced", "ExternalSecrets, SecretProviderClasses and stores", secrets_synced),
    Check(
        "secrets-equal",
        "Secrets Manager's values against those of the cluster, and the login's",
        secrets_equal,
    ),
)
