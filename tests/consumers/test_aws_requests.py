"""A request to S3 takes the rights that AWS documents for it; another one is an error."""

from __future__ import annotations

import pytest

from regions.region import Region
from tests.consumers.aws_requests import (
    Request,
    Token,
    UnknownRequest,
    query_of,
    role_asked_for,
    s3_accesses,
)

REGION = Region.of("cn-north-1")
S3, DUAL_STACK = REGION.service_host("s3"), "s3.dualstack.cn-north-1.amazonaws.com.cn"
BUCKET, KEY = "arn:aws-cn:s3:::b", "arn:aws-cn:kms:cn-north-1:111122223333:key/k"
HOST = f"b.{S3}"


def _deletion(more: str, headers: dict[str, str]) -> Request:
    body = f"<Delete><Object><Key>a</Key>{more}</Object></Delete>"
    return Request("POST", HOST, "/", {"delete": ""}, headers, body.encode())


def _upload(algorithm: str | None, key: str | None) -> Request:
    name = "x-amz-server-side-encryption"
    headers = {name: algorithm, f"{name}-aws-kms-key-id": key}
    return Request("PUT", HOST, "/a", headers={k: v for k, v in headers.items() if v})


def taken(request: Request, key: str | None = KEY) -> list[tuple[str, str]]:
    return [(each.action, each.resource) for each in s3_accesses(request, REGION, key)]


@pytest.mark.parametrize(
    ("host", "path"), [(HOST, "/a/c"), (f"b.{DUAL_STACK}", "/a/c"), (S3, "/b/a/c")]
)
def test_the_three_styles_of_host_mean_the_same_object(host: str, path: str) -> None:
    read = [("s3:GetObject", f"{BUCKET}/a/c"), ("kms:Decrypt", KEY)]
    assert taken(Request("GET", host, path)) == read


@pytest.mark.parametrize(
    ("method", "query", "actions"),
    [
        ("GET", "", ["s3:GetObject", "kms:Decrypt"]),
        ("HEAD", "", ["s3:GetObject", "kms:Decrypt"]),
        ("GET", "versionId=1&x-id=GetObject", ["s3:GetObjectVersion", "kms:Decrypt"]),
        ("PUT", "x-id=PutObject", ["s3:PutObject", "kms:GenerateDataKey"]),
        ("POST", "uploads=", ["s3:PutObject", "kms:Decrypt", "kms:GenerateDataKey"]),
        ("PUT", "partNumber=1&uploadId=u", ["s3:PutObject", "kms:Decrypt", "kms:GenerateDataKey"]),
        ("DELETE", "uploadId=u", ["s3:AbortMultipartUpload"]),
        ("GET", "uploadId=u", ["s3:ListMultipartUploadParts"]),
        ("DELETE", "", ["s3:DeleteObject"]),
    ],
)
def test_a_request_for_an_object_takes_these_actions(
    method: str, query: str, actions: list[str]
) -> None:
    request = Request(method, HOST, "/a/c", query_of(query))
    assert [action for action, _ in taken(request)] == actions
    plain = [action for action, _ in taken(request, None)]
    assert plain == [action for action in actions if action.startswith("s3:")]


@pytest.mark.parametrize(
    ("method", "query", "action"),
    [
        ("HEAD", "", "s3:ListBucket"),
        ("GET", "list-type=2&prefix=a%2F&delimiter=%2F", "s3:ListBucket"),
        ("GET", "location=", "s3:GetBucketLocation"),
    ],
)
def test_a_request_for_the_bucket_takes_this_action(method: str, query: str, action: str) -> None:
    assert taken(Request(method, HOST, "/", query_of(query))) == [(action, BUCKET)]


def test_only_a_listing_that_names_a_prefix_has_one() -> None:
    (with_prefix,) = s3_accesses(Request("GET", HOST, "/", query_of("prefix=a%2F")), REGION, KEY)
    (without,) = s3_accesses(Request("HEAD", HOST, "/"), REGION, KEY)
    assert with_prefix.context["s3:prefix"] == "a/"
    assert "s3:prefix" not in without.context


def test_an_upload_has_the_encryption_that_it_names() -> None:
    header = "x-amz-server-side-encryption"
    request = Request("PUT", HOST, "/a", headers={header: "AES256", "host": HOST})
    (upload,) = s3_accesses(request, REGION, KEY)
    assert upload.context == {f"s3:{header}": "AES256", "aws:SecureTransport": "true"}


def test_an_upload_takes_the_use_of_the_key_that_it_names() -> None:
    header, other = "x-amz-server-side-encryption", f"{KEY}2"
    named = {header: "aws:kms", f"{header}-aws-kms-key-id": other}
    for key in (KEY, None):
        assert taken(Request("PUT", HOST, "/a", headers=named), key) == [
            ("s3:PutObject", f"{BUCKET}/a"),
            ("kms:GenerateDataKey", other),
        ]
    started = Request("POST", HOST, "/a", {"uploads": ""}, named)
    assert taken(started)[1:] == [("kms:Decrypt", other), ("kms:GenerateDataKey", other)]


def test_headers_that_take_no_right_are_known() -> None:
    """Those of the programs of the tier: signature, checksum, encoding of the body."""
    names = ("x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-checksum-crc32")
    request = Request("PUT", HOST, "/a", headers={**dict.fromkeys(names, "1"), "range": "0-"})
    assert taken(request, None) == [("s3:PutObject", f"{BUCKET}/a")]


def test_a_deletion_of_many_takes_the_right_for_each() -> None:
    body = b"<Delete><Object><Key>a/1</Key></Object><Object><Key>b/2</Key></Object></Delete>"
    request = Request("POST", HOST, "/", {"delete": ""}, body=body)
    assert taken(request) == [("s3:DeleteObject", f"{BUCKET}/{key}") for key in ("a/1", "b/2")]


@pytest.mark.parametrize(
    "request_",
    [
        Request("PUT", HOST, "/"),
        Request("GET", HOST, "/", {"acl": ""}),
        Request("GET", HOST, "/a", {"acl": ""}),
        Request("PUT", HOST, "/a", headers={"x-amz-copy-source": "/other/a"}),
        Request("PUT", HOST, "/a", headers={"x-amz-tagging": "a=b"}),
        Request("PUT", HOST, "/a", headers={"x-amz-acl": "public-read"}),
        Request("PUT", HOST, "/a", query_of("X-Amz-Signature=1&x-amz-acl=public-read")),
        Request("POST", HOST, "/a", {"uploads": ""}, {"x-amz-grant-read": "id=1"}),
        Request("PUT", HOST, "/a", headers={"x-amz-object-lock-mode": "GOVERNANCE"}),
        Request("DELETE", HOST, "/a", headers={"x-amz-bypass-governance-retention": "true"}),
        Request("PUT", HOST, "/a", headers={"if-match": "etag"}),
        Request("GET", HOST, "/a", headers={"x-amz-header-of-tomorrow": "1"}),
        Request("GET", HOST, "/a", headers={"x-amz-server-side-encryption": "AES256"}),
        Request("GET", HOST, "/", headers={"x-amz-optional-object-attributes": "RestoreStatus"}),
        _deletion("<VersionId>1</VersionId>", {}),
        _deletion("", {"x-amz-bypass-governance-retention": "true"}),
        _upload("aws:kms", None),
        _upload("aws:kms", "alias/a"),
        _upload("aws:kms:dsse", KEY),
        _upload("AES256", KEY),
        _upload(None, KEY),
        Request("GET", "b.s3.amazonaws.com", "/a"),
    ],
    ids=lambda request: f"{request.method} {request.path} {[*request.query, *request.headers]}",
)
def test_a_request_outside_the_table_is_an_error(request_: Request) -> None:
    with pytest.raises(UnknownRequest):
        taken(request_, None)


def test_a_signature_in_the_address_is_no_part_of_the_request() -> None:
    assert query_of("X-Amz-Signature=1&X-Amz-Credential=2&versionId=3") == {"versionid": "3"}


def test_a_token_is_read_as_it_was_written() -> None:
    token = Token("oidc.example/id/A", "system:serviceaccount:a:b", ["sts.amazonaws.com"])
    form = f"Action=AssumeRoleWithWebIdentity&RoleArn=r&WebIdentityToken={token.written()}"
    assert role_asked_for(Request("POST", "sts", "/", body=form.encode())) == ("r", token)
    with pytest.raises(UnknownRequest):
        role_asked_for(Request("POST", "sts", "/", body=b"Action=GetCallerIdentity"))
