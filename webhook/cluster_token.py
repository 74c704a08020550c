"""The token by which a role of AWS calls the API server of an EKS cluster.

It is a request for sts:GetCallerIdentity, presigned with the name of the cluster in a header: the
API server sends it and learns who signed (kubernetes-sigs/aws-iam-authenticator
pkg/token/token.go v0.7.9, and AWS's own awscli/customizations/eks/get_token.py). Nothing is called
here.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable
from typing import Any

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_PREFIX = "k8s-aws-v1."
_CLUSTER = "x-k8s-aws-id"
_SECONDS = 60  # as all clients ask; the API server takes it for 15 minutes
_RENEWED_SECONDS = 300.0


class ClusterToken:
    """A token that is renewed while it is used: the API server asks STS about each new one.

    Args:
        make: a new token.
        clock: seconds, also while nothing runs.
    """

    def __init__(self, make: Callable[[], str], clock: Callable[[], float] = time.time) -> None:
        self._make, self._clock = make, clock
        self._token, self._until = "", -math.inf

    def __call__(self) -> str:
        """A token that is valid for minutes."""
        now = self._clock()
        if now >= self._until:
            self._token, self._until = self._make(), now + _RENEWED_SECONDS
        return self._token


def cluster_token(cluster: str, region: str, host: str, credentials: Credentials) -> str:
    """A token for the API server of one cluster.

    Args:
        cluster: its name.
        region: of the cluster.
        host: of STS in that region, for API servers take no other.
        credentials: of the caller.
    """
    request: Any = AWSRequest(
        method="GET",
        url=f"https://{host}/",
        params={"Action": "GetCallerIdentity", "Version": "2011-06-15"},
        headers={_CLUSTER: cluster},
    )
    SigV4QueryAuth(credentials, "sts", region, expires=_SECONDS).add_auth(request)
    return _PREFIX + base64.urlsafe_b64encode(request.url.encode()).decode().rstrip("=")
