"""What the API server of an EKS cluster does with a role's token, and what it refuses.

kubernetes-sigs/aws-iam-authenticator pkg/token/token.go v0.7.9: ``Verify`` and ``verifyHost``; then
STS, which it asks, computes the signature (docs.aws.amazon.com IAM/latest/UserGuide,
reference_sigv-create-signed-request.html). The server adds the name of its own cluster as the
header that the caller has signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlsplit

from regions.region import Region

_PREFIX = "k8s-aws-v1."
_LONGEST = 4096
_PARAMETERS = {
    *("action", "version", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires"),
    *("x-amz-security-token", "x-amz-signature", "x-amz-signedheaders"),
}
_CLUSTER = "x-k8s-aws-id"
_HOST = re.compile(r"sts(?:\.([a-z0-9-]+))?\.(amazonaws\.com(?:\.cn)?)")


class TokenRefused(Exception):
    """The API server answers 401."""


@dataclass(frozen=True)
class Authenticator:
    """The authenticator of one cluster.

    Attributes:
        cluster: its name.
        region: of the cluster.
        keys: ID -> secret of every access key that STS knows, of temporary ones with the session's
            token after a space.
    """

    cluster: str
    region: Region
    keys: dict[str, str]

    def caller(self, token: str, now: datetime | None = None) -> str:
        """The ID of the access key by which a token was signed.

        Raises:
            TokenRefused: with the reason.
        """
        now = now or datetime.now(UTC)
        if len(token) > _LONGEST:
            raise TokenRefused("token is too large")
        if not token.startswith(_PREFIX):
            raise TokenRefused("token is missing the prefix")
        encoded = token.removeprefix(_PREFIX)
        if not re.fullmatch(r"[A-Za-z0-9_-]+", encoded):
            raise TokenRefused("illegal base64 data")  # base64.RawURLEncoding: no padding
        padded = encoded + "=" * (-len(encoded) % 4)
        url = urlsplit(base64.urlsafe_b64decode(padded).decode())
        self._check_host(url.scheme, url.netloc)
        if url.path != "/":
            raise TokenRefused("unexpected path in pre-signed URL")
        pairs = parse_qsl(url.query, keep_blank_values=True, strict_parsing=True)
        query = {key.lower(): value for key, value in pairs}
        if len(query) != len(pairs):
            raise TokenRefused("duplicate query parameter")
        if more := query.keys() - _PARAMETERS:
            raise TokenRefused(f"non-whitelisted query parameter {sorted(more)[0]}")
        if query.get("action") != "GetCallerIdentity":
            raise TokenRefused("unexpected action parameter in pre-signed URL")
        signed = query.get("x-amz-signedheaders", "").split(";")
        if _CLUSTER not in map(str.lower, signed):
            raise TokenRefused(f"client did not sign the {_CLUSTER} header in the pre-signed URL")
        expires = query.get("x-amz-expires", "")
        if not re.fullmatch(r"\d+", expires) or int(expires) > 900:
            raise TokenRefused("invalid X-Amz-Expires parameter in pre-signed URL")
        date = datetime.strptime(query.get("x-amz-date", ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if now > date + timedelta(minutes=15):
            raise TokenRefused("X-Amz-Date parameter is expired")
        return self._signer(url.netloc, dict(pairs), signed)

    def _check_host(self, scheme: str, host: str) -> None:
        if scheme != "https":
            raise TokenRefused(f"unexpected scheme {scheme} in pre-signed URL")
        match = _HOST.fullmatch(host)
        if match is None:
            raise TokenRefused(f"unexpected hostname {host} in pre-signed URL")
        name, suffix = match.groups()
        if name is None and self.region.partition != "aws":
            raise TokenRefused("global endpoint unsupported in partition")
        if name and host != Region.of(name).service_host("sts"):
            raise TokenRefused(f"unexpected hostname {host} in pre-signed URL")
        if suffix != self.region.dns_suffix:
            raise TokenRefused(f"partition does not support hostname {host}")

    def _signer(self, host: str, query: dict[str, str], signed: list[str]) -> str:
        """What STS answers to the request with the cluster's own name in the header."""
        given = query.pop("X-Amz-Signature", "")
        key, day, region, service, _ = query["X-Amz-Credential"].split("/")
        secret, _, session = self.keys.get(key, "").partition(" ")
        if not secret or query.get("X-Amz-Security-Token", "") != session:
            raise TokenRefused("InvalidClientTokenId")
        if Region.of(region).service_host("sts") != host:
            raise TokenRefused("SignatureDoesNotMatch: Credential should be scoped to the region")
        headers = {"host": host, _CLUSTER: self.cluster}
        canonical = "\n".join(
            (
                "GET",
                "/",
                "&".join(f"{quote(k, safe='')}={quote(query[k], safe='')}" for k in sorted(query)),
                "".join(f"{name}:{headers.get(name, '')}\n" for name in signed),
                ";".join(signed),
                hashlib.sha256(b"").hexdigest(),
            )
        )
        scope = f"{day}/{region}/{service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{query['X-Amz-Date']}\n{scope}\n{digest}"
        derived = f"AWS4{secret}".encode()
        for part in (day, region, service, "aws4_request", text):
            derived = hmac.new(derived, part.encode(), hashlib.sha256).digest()
        if derived.hex() != given:
            raise TokenRefused("SignatureDoesNotMatch")
        return key
