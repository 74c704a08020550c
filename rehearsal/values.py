"""Values that AWS or Kubernetes refuses although their type is right.

Networks and ports; words and numbers, from the request models of botocore; policy documents; Lambda
handlers that their archive lacks; keys and encodings of Secrets and ConfigMaps.
"""

from __future__ import annotations

import ast
import base64
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import botocore.loaders

from rehearsal import protocol

Impossible = Iterator[tuple[str, str]]
"""Paths of properties, each with what is wrong there."""

_NETWORKS = re.compile(r"(?:^|\.)(?:\w+CidrBlock|cidrBlock|cidrIpv4)$")
_PORTS = re.compile(r"(?:^|\.)(?:port|fromPort|toPort|containerPort|nodePort|targetPort)$")
_POLICIES = re.compile(r"[pP]olicy$")

# Kubernetes API: Secret types and the keys that each must have (core/v1 types.go).
_KEYS_OF_SECRETS = {
    "kubernetes.io/tls": {"tls.crt", "tls.key"},
    "kubernetes.io/dockerconfigjson": {".dockerconfigjson"},
    "kubernetes.io/basic-auth": set[str](),
}

# IAM user guide, "Grammar of the IAM JSON policy language" and "IAM JSON policy elements: Condition
# operators".
_DOCUMENT = {"Version", "Id", "Statement"}
_STATEMENT = {"Sid", "Effect", "Condition"} | {
    f"{prefix}{element}"
    for prefix in ("", "Not")
    for element in ("Principal", "Action", "Resource")
}
_PRINCIPALS = {"AWS", "Service", "Federated", "CanonicalUser"}
_CONDITION = re.compile(
    r"(?:ForAllValues:|ForAnyValue:)?(?:String(?:Not)?(?:Equals(?:IgnoreCase)?|Like)"
    r"|Numeric(?:Not)?Equals|Numeric(?:Less|Greater)Than(?:Equals)?|Bool|BinaryEquals"
    r"|Date(?:Not)?Equals|Date(?:Less|Greater)Than(?:Equals)?|(?:Not)?IpAddress"
    r"|Arn(?:Not)?(?:Equals|Like))(?:IfExists)?|Null"
)
# IAM user guide, "IAM and AWS STS quotas": the most characters, without white space, that a
# document can have; a trust policy as in a new account.
_IDENTITY = {
    "aws:iam/policy:Policy": 6144,
    "aws:iam/rolePolicy:RolePolicy": 10240,
    "aws:iam/userPolicy:UserPolicy": 2048,
}
_TRUST, _TRUST_SIZE = "assumeRolePolicy", 2048
# "Max buildspec length is 25600": github.com/aws/aws-cdk/issues/30326.
_BUILDSPEC = 25600
_ACTION = re.compile(r"\*|[a-z0-9-]+:(?:[A-Z*][A-Za-z0-9*?]*)")
_KEY = re.compile(r".+[:/].+")


def impossible(type_: str, plain: Mapping[str, Any]) -> Impossible:
    """What is wrong with the values of a resource's inputs; unknown values pass.

    Args:
        type_: the resource's type token.
        plain: decoded inputs whose types are right.
    """
    for path, value in _leaves(plain, ""):
        yield from _of_any_type(path, value)
    if type_.startswith("aws:"):
        for key, value in plain.items():
            if _POLICIES.search(key) and isinstance(value, str) and value.startswith("{"):
                yield from _policy(type_, key, value)
        yield from _words(_request(type_), plain, "")
    if type_ == "aws:lambda/function:Function":
        yield from _handler(plain)
    if type_ == "aws:codebuild/project:Project":
        size = len(str((plain.get("source") or {}).get("buildspec") or ""))
        if size > _BUILDSPEC:
            yield "source.buildspec", f"has {size} characters, and may have {_BUILDSPEC}"
    if type_ in ("kubernetes:core/v1:Secret", "kubernetes:core/v1:ConfigMap"):
        yield from _data(plain, "data" if type_.endswith("Secret") else "binaryData")


def _leaves(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{at}.{key}" if at else str(key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{at}[{number}]")
    else:
        yield at, value


def _of_any_type(path: str, value: Any) -> Impossible:
    if value is None or value == protocol.UNKNOWN:
        return
    if _NETWORKS.search(path):
        try:
            IPv4Network(value)
        except ValueError as error:
            yield path, f"is no IPv4 network: {error}"
    if _PORTS.search(path) and re.fullmatch(r"-?\d+", str(value)):
        # Of rules in security groups, -1 is every port (EC2 API, IpPermission).
        lowest = -1 if path.endswith(("fromPort", "toPort")) else 1
        if not lowest <= int(value) <= 65535:
            yield path, f"is no port: {value}"


def _handler(plain: Mapping[str, Any]) -> Impossible:
    """A Lambda function's handler: a function of a module that its archive has."""
    handler, code = plain.get("handler"), plain.get("code")
    if not isinstance(handler, str) or not isinstance(code, Mapping) or handler == protocol.UNKNOWN:
        return
    module, _, name = handler.rpartition(".")
    file = code.get("assets", {}).get(f"{module.replace('.', '/')}.py", {})
    if "path" not in file:
        yield "handler", f"is of the module {module}, which the archive has not"
        return
    functions = [
        node.name
        for node in ast.parse(Path(file["path"]).read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    ]
    if name not in functions:
        yield "handler", f"is the function {name}, which {module} has not"


def _data(plain: Mapping[str, Any], encoded: str) -> Impossible:
    keys = {*(plain.get("data") or {}), *(plain.get("stringData") or {})}
    missing = _KEYS_OF_SECRETS.get(plain.get("type") or "", set[str]()) - keys
    if encoded == "data" and missing:
        yield "data", f"has no {' and no '.join(sorted(missing))}, which its type requires"
    data = plain.get(encoded) or {}
    for key, value in data.items() if isinstance(data, Mapping) else ():
        try:
            base64.b64decode("" if value == protocol.UNKNOWN else value, validate=True)
        except ValueError:
            yield f"{encoded}.{key}", "is no base64"


def _policy(type_: str, path: str, text: str) -> Impossible:
    """What IAM calls a malformed policy document."""
    try:
        document = json.loads(text)
    except ValueError as error:
        yield path, f"is no JSON: {error}"
        return
    if "rules" in document:  # a lifecycle policy of ECR
        return
    size = _TRUST_SIZE if path == _TRUST else _IDENTITY.get(type_)
    if size and len("".join(text.split())) > size:
        yield path, f"has more than {size} characters"
    yield from _unknown(document, _DOCUMENT, path)
    if document.get("Version", "2008-10-17") not in ("2012-10-17", "2008-10-17"):
        yield f"{path}.Version", "is no version of IAM's policy language"
    statements = _listed(document.get("Statement"))
    if not statements:
        yield f"{path}.Statement", "is missing"
    for number, statement in enumerate(statements):
        at = f"{path}.Statement[{number}]"
        yield from _elements(statement, type_ in _IDENTITY, path == _TRUST, at)
        yield from _statement(statement, at)


def _elements(statement: Mapping[str, Any], identity: bool, trust: bool, path: str) -> Impossible:
    """Elements that a policy of its kind must have, and those that it cannot have."""
    needed = {"Action": True, "Principal": not identity, "Resource": identity}
    refused = {"Principal": identity, "Resource": trust}
    for element, must in needed.items():
        count = len({element, f"Not{element}"} & statement.keys())
        if count > 1 or (count and refused.get(element)):
            yield f"{path}.{element}", "cannot be in this policy"
        elif must and not count:
            yield f"{path}.{element}", "is missing"


def _statement(statement: Mapping[str, Any], path: str) -> Impossible:
    yield from _unknown(statement, _STATEMENT, path)
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield f"{path}.Effect", "must be Allow or Deny"
    if not re.fullmatch("[A-Za-z0-9]*", statement.get("Sid", "")):
        yield f"{path}.Sid", "must be letters and digits"
    for action in _listed(statement.get("Action", statement.get("NotAction"))):
        if not _ACTION.fullmatch(action):
            yield f"{path}.Action", f"is no action: {action}"
    principal = statement.get("Principal", {})
    if principal != "*":
        yield from _unknown(principal, _PRINCIPALS, f"{path}.Principal")
    for operator, keys in statement.get("Condition", {}).items():
        if not _CONDITION.fullmatch(operator):
            yield f"{path}.Condition.{operator}", "is no condition operator"
        for key, value in keys.items():
            if not _KEY.fullmatch(key):
                yield f"{path}.Condition.{operator}.{key}", "is no condition key"
            if operator in ("Bool", "Null") and not {*_listed(value)} <= {"true", "false"}:
                yield f"{path}.Condition.{operator}.{key}", "must be true or false"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _unknown(value: Mapping[str, Any], known: set[str], path: str) -> Impossible:
    for key in value.keys() - known:
        yield f"{path}.{key}", f"is none of {', '.join(sorted(known))}"


# -- words ----------------------------------------------------------------------------------------

_SERVICES = {"cloudwatch": ("events", "logs"), "vpc": ("ec2",)}
_VERBS = ("Create", "Put", "Register", "Set", "Add")


@cache
def _models(service: str) -> Mapping[str, Any] | None:
    try:
        return botocore.loaders.Loader().load_service_model(service, "service-2")
    except botocore.loaders.UnknownServiceError:
        return None


@cache
def _request(type_: str) -> tuple[str, str] | None:
    """Service and shape of the request that makes a resource, where one has the type's name."""
    _, module, kind = type_.split(":")
    package = module.partition("/")[0]
    for service in _SERVICES.get(package, (package,)):
        model = _models(service)
        operations = model["operations"] if model else {}
        for verb in _VERBS:
            if (operation := operations.get(f"{verb}{kind}")) and "input" in operation:
                return service, operation["input"]["shape"]
    return None


def _words(request: tuple[str, str] | None, value: Any, at: str) -> Impossible:
    """Words and numbers that the service does not list for a parameter of the property's name."""
    model = _models(request[0]) if request else None
    if request is None or model is None:
        return
    service, name = request
    shape = model["shapes"][name]
    if shape["type"] == "structure" and isinstance(value, Mapping):
        members = {key.lower(): member["shape"] for key, member in shape["members"].items()}
        for key, item in value.items():
            if (member := members.get(key.lower())) is not None:
                yield from _words((service, member), item, f"{at}.{key}" if at else key)
    elif shape["type"] == "list" and isinstance(value, list):
        for number, item in enumerate(value):
            yield from _words((service, shape["member"]["shape"]), item, f"{at}[{number}]")
    elif isinstance(value, (int, float)) and shape["type"] == "integer":
        least, most = shape.get("min", value), shape.get("max", value)
        if not least <= value <= most:
            yield at, f"must be from {least} to {most}"
    elif isinstance(value, str) and value not in (
        *shape.get("enum", [value]),
        protocol.UNKNOWN,
        "",
    ):
        yield at, f"must be one of {', '.join(shape['enum'][:8])}"
