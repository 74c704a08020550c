"""What a request to STS or S3 takes: its IAM actions, on which resources, with which keys.

The table is that of the S3 user guide, using-with-s3-policy-actions.html ("Mapping of S3 API
operations to policy actions"), and of the KMS actions for objects that a key encrypts,
UsingKMSEncryption.html. A request that is not in it is an ``UnknownRequest``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

from regions.region import Region
from tests.consumers.access_decisions import Access

_SECURE = {"aws:SecureTransport": "true"}
_ENCRYPTION = "x-amz-server-side-encryption"
_KEY_NAMED = f"{_ENCRYPTION}-aws-kms-key-id"
_KEY_ARN = re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/[\w-]+")
_AMAZON = "x-amz-"
_SIGNATURE = {
    f"{_AMAZON}{name}"
    for name in (
        *("algorithm", "credential", "date", "expires", "security-token"),
        *("signature", "signedheaders", "content-sha256"),
    )
}
"""Headers, and parameters of a presigned URL (sigv4-query-string-auth.html). Any other header may
stand among those parameters too."""
_NO_RIGHT = _SIGNATURE | {
    f"{_AMAZON}{name}"
    for name in (
        *("user-agent", "trailer", "decoded-content-length", "sdk-checksum-algorithm"),
        *("checksum-mode", "checksum-algorithm", "checksum-type", "checksum-crc32"),
        *("checksum-crc32c", "checksum-crc64nvme", "checksum-sha1", "checksum-sha256"),
    )
}
"""Of Amazon's headers those by which a request takes no further right."""
_LISTING = {
    *("list-type", "prefix", "delimiter", "max-keys", "encoding-type", "fetch-owner"),
    *("continuation-token", "start-after", "marker"),
}
_HARMLESS = {"x-id"}
"""aws-sdk-go-v2 names the operation in it."""


class UnknownRequest(AssertionError):
    """The request is not in the table."""


@dataclass(frozen=True)
class Request:
    """One HTTP request.

    Attributes:
        method: ``GET``.
        host: that the client asked.
        path: decoded, without its query.
        query: parameters in small letters; without the signature's.
        headers: in small letters.
        body: of the request.
    """

    method: str
    host: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


def query_of(text: str) -> dict[str, str]:
    """The parameters of a query, without those of a signature."""
    pairs = parse_qsl(text, keep_blank_values=True)
    return {k.lower(): v for k, v in pairs if k.lower() not in _SIGNATURE}


# -- STS ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Token:
    """The token of a service account, a JWT that the cluster's OIDC provider issued."""

    issuer: str
    subject: str
    audiences: Sequence[str]

    @classmethod
    def read(cls, text: str) -> Token:
        """Reads the claims; nothing here checks a signature."""
        claims = text.split(".")[1]
        read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(claims + "=" * 2))
        return cls(read["iss"].removeprefix("https://"), read["sub"], read["aud"])

    def written(self) -> str:
        """The JWT, signed by nobody."""
        claims = {"iss": f"https://{self.issuer}", "sub": self.subject, "aud": self.audiences}
        parts = ({"alg": "RS256"}, claims, "signature")
        texts = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts)
        return ".".join(text.decode().rstrip("=") for text in texts)


def role_asked_for(request: Request) -> tuple[str, Token]:
    """The ARN and the token of an AssumeRoleWithWebIdentity, the one request to STS in the table.

    Raises:
        UnknownRequest: it is another request.
    """
    form = dict(parse_qsl(request.body.decode())) | dict(request.query)
    if form.get("Action") != "AssumeRoleWithWebIdentity":
        raise UnknownRequest(f"STS: {form.get('Action')}")
    return form["RoleArn"], Token.read(form["WebIdentityToken"])


def assumption(role: str, token: Token) -> Access:
    """What assuming ``role`` takes; its trust policy decides."""
    context = {f"{token.issuer}:sub": token.subject, f"{token.issuer}:aud": token.audiences}
    return Access("sts:AssumeRoleWithWebIdentity", role, {**context, **_SECURE})


# -- S3 -------------------------------------------------------------------------------------------


def bucket_and_key(request: Request, region: Region) -> tuple[str, str]:
    """The names in an S3 request of any style; the key is empty for the bucket itself.

    Raises:
        UnknownRequest: the host is none of S3's.
    """
    regional = region.service_host("s3")
    for host in (regional, regional.replace("s3.", "s3.dualstack.", 1)):
        if request.host == host:
            bucket, _, key = request.path.removeprefix("/").partition("/")
            return bucket, key
        if request.host.endswith(f".{host}"):
            return request.host.removesuffix(f".{host}"), request.path.removeprefix("/")
    raise UnknownRequest(_line(request))


def s3_accesses(request: Request, region: Region, key_arn: str | None) -> list[Access]:
    """Everything that an S3 request takes.

    Args:
        request: to S3.
        region: gives the partition.
        key_arn: of the key that encrypts the bucket's objects by default; None: S3's own.

    Raises:
        UnknownRequest: it is not in the table.
    """
    _check_headers(request)
    bucket, key = bucket_and_key(request, region)
    arn = region.arn("s3", bucket, account="", region="")
    if not key:
        return list(_of_bucket(request, arn))
    accesses = [
        Access(action, f"{arn}/{key}", {**_SECURE, **_encryption(request.headers)})
        for action in _of_object(request)
    ]
    key_arn = _key_of_object(request, key_arn)
    if key_arn is None:
        return accesses
    actions = {each.action for each in accesses}
    use = _KMS_OF_MULTIPART if "uploadid" in request.query or "uploads" in request.query else _KMS
    named = {kms for action in actions for kms in use.get(action, ())}
    return accesses + [Access(each, key_arn, _SECURE) for each in sorted(named)]


def _check_headers(request: Request) -> None:
    amazons = {name for name in request.headers if name.startswith(_AMAZON)}
    unknown = amazons - _NO_RIGHT
    if (request.method, *({*request.query} - _HARMLESS)) in _STARTS_OF_UPLOADS:
        unknown -= {_ENCRYPTION, _KEY_NAMED}
    if request.method not in ("GET", "HEAD"):
        # A conditional write reads the object (conditional-writes.html).
        unknown |= {*request.headers} & {"if-match"}
    if unknown:
        raise UnknownRequest(f"{_line(request)} with {sorted(unknown)}")


def _key_of_object(request: Request, default: str | None) -> str | None:
    """The ARN of the key by which an object is encrypted; None: S3's own."""
    algorithm, named = (request.headers.get(name) for name in (_ENCRYPTION, _KEY_NAMED))
    if algorithm is None and named is None:
        return default
    if algorithm == "AES256" and named is None:
        return None
    if algorithm == "aws:kms" and named is not None and _KEY_ARN.fullmatch(named):
        return named
    raise UnknownRequest(f"{_line(request)} in the encryption {algorithm} with the key {named}")


_KMS = {
    "s3:GetObject": ("kms:Decrypt",),
    "s3:GetObjectVersion": ("kms:Decrypt",),
    "s3:PutObject": ("kms:GenerateDataKey",),
}
_KMS_OF_MULTIPART = {"s3:PutObject": ("kms:Decrypt", "kms:GenerateDataKey")}
"""mpuoverview.html, "Multipart upload API and permissions"."""


def _encryption(headers: Mapping[str, str]) -> dict[str, str]:
    return {f"s3:{name}": text for name, text in headers.items() if name.startswith(_ENCRYPTION)}


def _of_bucket(request: Request, arn: str) -> Iterator[Access]:
    query = {**request.query}
    names = {*query} - _HARMLESS
    if request.method == "HEAD" and not names:
        yield Access("s3:ListBucket", arn, _SECURE)
    elif request.method == "GET" and names == {"location"}:
        yield Access("s3:GetBucketLocation", arn, _SECURE)
    elif request.method == "GET" and names <= _LISTING:
        keys = {f"s3:{name}": query[name] for name in ("prefix", "delimiter") if name in query}
        yield Access("s3:ListBucket", arn, {**_SECURE, **keys})
    elif request.method == "POST" and names == {"delete"}:
        for key in deleted_keys(request):
            yield Access("s3:DeleteObject", f"{arn}/{key}", _SECURE)
    else:
        raise UnknownRequest(_line(request))


def deleted_keys(request: Request) -> list[str]:
    """The keys in a DeleteObjects.

    Raises:
        UnknownRequest: it is about versions, or has another condition.
    """
    root = ElementTree.fromstring(request.body)  # noqa: S314 - of a consumer under test
    elements = [(each.tag.rpartition("}")[2], each.text or "") for each in root.iter()]
    if unknown := {name for name, _ in elements} - {"Delete", "Object", "Key", "Quiet"}:
        raise UnknownRequest(f"{_line(request)} with {sorted(unknown)}")
    return [text for name, text in elements if name == "Key"]


def _of_object(request: Request) -> list[str]:
    names = {*request.query} - _HARMLESS
    row = (request.method, *sorted(names))
    if row not in _OBJECT:
        raise UnknownRequest(_line(request))
    return list(_OBJECT[row])


_STARTS_OF_UPLOADS = {("PUT",), ("POST", "uploads")}
"""They name the encryption; a part has that of its upload."""
_OBJECT: dict[tuple[str, ...], tuple[str, ...]] = {
    ("GET",): ("s3:GetObject",),
    ("HEAD",): ("s3:GetObject",),
    ("GET", "versionid"): ("s3:GetObjectVersion",),
    ("HEAD", "versionid"): ("s3:GetObjectVersion",),
    ("PUT",): ("s3:PutObject",),
    ("POST", "uploads"): ("s3:PutObject",),
    ("PUT", "partnumber", "uploadid"): ("s3:PutObject",),
    ("POST", "uploadid"): ("s3:PutObject",),
    ("DELETE", "uploadid"): ("s3:AbortMultipartUpload",),
    ("GET", "uploadid"): ("s3:ListMultipartUploadParts",),
    ("DELETE",): ("s3:DeleteObject",),
}
"""Method and query parameters -> actions."""


def _line(request: Request) -> str:
    return f"S3: {request.method} {request.host}{request.path}?{'&'.join(request.query)}"
