"""STS and S3 that answer as the plan's own IAM documents decide, and write every decision down.

moto serves the requests that are allowed; the rest gets the answer that AWS gives. A request whose
rights are not in the table of ``aws_requests``, or about which a document says something that
``access_decisions`` does not cover, fails the test when it ends.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from xml.sax.saxutils import escape

import pytest
from moto.moto_api._internal.models import moto_api_backend
from werkzeug.wrappers import Request as HttpRequest
from werkzeug.wrappers import Response

from tests.components.backend.simulated_backend import ACCOUNT
from tests.consumers import aws_requests
from tests.consumers.access_decisions import (
    Access,
    Caller,
    Decision,
    UnknownConstruct,
    decision,
)
from tests.consumers.aws_requests import Request, UnknownRequest, bucket_and_key
from tests.consumers.stack import Stack
from tests.services.regional_aws import RegionalAws, key_of, regional_aws

ADMINISTRATOR = "administrator"
"""The access key by which a test prepares buckets and looks into them; never judged."""
_ISSUED = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>")


@dataclass(frozen=True)
class Judged:
    """One access that a request took.

    Attributes:
        role: ARN of the role that was assumed, or that signed.
        request: its method, host and path.
        access: what it took.
        decision: the judge's.
    """

    role: str
    request: str
    access: Access
    decision: Decision


@dataclass
class JudgedAws:
    """The running services.

    Attributes:
        stack: whose documents decide.
        aws: the services themselves.
        journal: every access, in order.
        unknown: requests outside the table, and what documents say that is not covered.
    """

    stack: Stack
    aws: RegionalAws
    journal: list[Judged] = field(default_factory=list[Judged])
    unknown: list[str] = field(default_factory=list[str])

    def denied(self) -> list[str]:
        """The actions that were denied."""
        return [each.access.action for each in self.journal if each.decision == "denied"]

    def environment(self, folder: Path, subject: tuple[str, str], role: str) -> dict[str, str]:
        """What a pod of a service account has from EKS, and how it finds these services.

        Args:
            folder: for the token, and as the process' home.
            subject: namespace and name of the service account.
            role: that its annotation names.
        """
        folder.mkdir(parents=True, exist_ok=True)
        token = folder / "token"
        token.write_text(self.stack.token(subject).written())
        return {
            # aws/amazon-eks-pod-identity-webhook, pkg/handler/handler.go, addEnvToContainer
            "AWS_ROLE_ARN": role,
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
            "AWS_STS_REGIONAL_ENDPOINTS": "regional",
            "AWS_DEFAULT_REGION": self.stack.region.name,
            "AWS_REGION": self.stack.region.name,
            # of the test
            "HTTPS_PROXY": self.aws.proxy,
            "AWS_CA_BUNDLE": str(self.aws.authority),
            "SSL_CERT_FILE": str(self.aws.authority),
            "AWS_EC2_METADATA_DISABLED": "true",
            "HOME": str(folder),
        }


@contextmanager
def judged_aws(stack: Stack, folder: Path) -> Generator[JudgedAws]:
    """Runs the services of the stack's region, with its buckets, until the end of the block.

    Raises:
        UnknownRequest: at the end, about all ``unknown``.
    """
    judge = _Judge(stack)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
        patch.delenv("AWS_PROFILE", raising=False)
        moto_api_backend.reset()
        with regional_aws(stack.region, folder, around=judge.around) as aws:
            judged = JudgedAws(stack, aws, judge.journal, judge.unknown)
            client = aws.client("s3", ADMINISTRATOR)
            place: Any = {"LocationConstraint": stack.region.name}
            for name in stack.buckets:
                client.create_bucket(Bucket=name, CreateBucketConfiguration=place)
            yield judged
    if judged.unknown:
        raise UnknownRequest("; ".join(judged.unknown))


class _Judge:
    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.journal: list[Judged] = []
        self.unknown: list[str] = []
        self._roles: dict[str, str] = {}

    def around(self, service: str, app: WSGIApplication) -> WSGIApplication:
        """``app`` behind the judge."""
        answer = {"sts": self._sts, "s3": self._s3}.get(service, _of_no_table)

        def judged(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            if key_of(environ) == ADMINISTRATOR:
                return app(environ, start)
            try:
                response = answer(_read(environ), environ, app)
            except (UnknownRequest, UnknownConstruct) as unknown:
                self.unknown.append(str(unknown))
                response = Response("not in the table of the test", 400)
            return response(environ, start)

        return judged

    def _sts(self, request: Request, environ: WSGIEnvironment, app: WSGIApplication) -> Response:
        role, token = aws_requests.role_asked_for(request)
        access = aws_requests.assumption(role, token)
        known = self.stack.roles.get(role)
        caller = self.stack.federated(token)
        if known is None or not self._allows(role, request, caller, access, known.trust):
            return _refused("Not authorized to perform sts:AssumeRoleWithWebIdentity", _STS)
        response = Response.from_app(app, environ)
        issued = _ISSUED.search(response.get_data())
        assert issued is not None, response.get_data()
        self._roles[issued[1].decode()] = role
        return response

    def _s3(self, request: Request, environ: WSGIEnvironment, app: WSGIApplication) -> Response:
        role = self._roles.get(key_of(environ) or "")
        if role is None:
            raise UnknownRequest(f"{request.method} {request.path}, signed by no role of the stack")
        name, key = bucket_and_key(request, self.stack.region)
        bucket = self.stack.buckets.get(name)
        if bucket is None:
            raise UnknownRequest(f"{request.method} of the bucket {name}")
        accesses = aws_requests.s3_accesses(request, self.stack.region, bucket.key_arn)
        caller = self.stack.session(role)
        policies = [self.stack.policy(bucket, each.action, each.resource) for each in accesses]
        allowed = [
            self._allows(role, request, caller, access, policy)
            for access, policy in zip(accesses, policies, strict=True)
        ]
        if request.method == "POST" and not key and not all(allowed):
            return _not_deleted(request, allowed)
        if not all(allowed):
            return _refused("Access Denied", _S3)
        # moto has no host with both kinds of addresses.
        environ["HTTP_HOST"] = environ["HTTP_HOST"].replace("s3.dualstack.", "s3.", 1)
        return Response.from_app(app, environ)

    def _allows(
        self, role: str, request: Request, caller: Caller, access: Access, policy: Any
    ) -> bool:
        made = decision(caller, access, policy)
        line = f"{request.method} {request.host}{request.path}"
        self.journal.append(Judged(role, line, access, made))
        return made == "allowed"


def _of_no_table(request: Request, _environ: WSGIEnvironment, _app: WSGIApplication) -> Response:
    raise UnknownRequest(f"{request.method} {request.host}{request.path}")


def _read(environ: WSGIEnvironment) -> Request:
    """The request; its body can be read again."""
    http = HttpRequest(environ)
    body = http.get_data()
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return Request(
        method=environ["REQUEST_METHOD"],
        host=environ["HTTP_HOST"].partition(":")[0],
        path=http.path,
        query=aws_requests.query_of(environ.get("QUERY_STRING", "")),
        headers={name.lower(): text for name, text in http.headers.items()},
        body=body,
    )


_S3 = "<Error><Code>AccessDenied</Code><Message>{}</Message></Error>"
_STS = (
    '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
    "<Code>AccessDenied</Code><Message>{}</Message></Error></ErrorResponse>"
)


def _refused(message: str, form: str) -> Response:
    return Response(form.format(message), 403, mimetype="application/xml")


def _not_deleted(request: Request, allowed: list[bool]) -> Response:
    """DeleteObjects answers per key (API_DeleteObjects.html)."""
    if any(allowed):
        raise UnknownRequest("DeleteObjects of keys of which some may be deleted")
    errors = "".join(
        f"<Error><Key>{escape(key)}</Key><Code>AccessDenied</Code>"
        "<Message>Access Denied</Message></Error>"
        for key in aws_requests.deleted_keys(request)
    )
    return Response(f"<DeleteResult>{errors}</DeleteResult>", 200, mimetype="application/xml")
