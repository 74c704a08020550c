"""Hands sessions over between two partitions: ``python -m webhook.sessions``, a CronJob's pod.

The pod's token is signed by the cluster's issuer, which IAM of both partitions knows. With it the
pod gets a session on the giving side, and one on the holding side that may write one secret, and
puts the first into that secret. Neither the token nor a session is ever logged.

Environment: ``SESSIONS_HANDOVERS``, a JSON list of objects with the fields of ``Handover``;
``SESSIONS_TOKEN``, the token's file.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from webhook import service
from webhook.claims import error_code

log = logging.getLogger(__name__)

SESSION_SECONDS = 3600
"""What a role allows unless told otherwise; the CronJob comes more often than that."""
_NAME = "image-mirror"
_PATIENT = Config(connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 4})


@dataclass(frozen=True, kw_only=True)
class Handover:
    """One session, from one side to the other.

    Attributes:
        purpose: what it is for, to be named in the log.
        session_role: ARN of the role whose session it is.
        writer_role: ARN of the role that may write the secret.
        secret: its name.
        giver, holder: the regions of the two roles.
    """

    purpose: str
    session_role: str
    writer_role: str
    secret: str
    giver: str
    holder: str


def read(variables: Mapping[str, str]) -> tuple[Handover, ...]:
    """The handovers that the stack tells of.

    Raises:
        KeyError, ValueError, TypeError: it tells of none, or something else.
    """
    return tuple(Handover(**each) for each in json.loads(variables["SESSIONS_HANDOVERS"]))


def hand_over(wanted: Handover, token: str) -> datetime:
    """Writes a new session into the secret; returns when the session ends.

    Raises:
        ClientError, BotoCoreError: one of the two sides refused, or does not answer.
    """
    given = _session(wanted.session_role, wanted.giver, token)
    writer = _session(wanted.writer_role, wanted.holder, token)
    secrets = service.client(
        "secretsmanager",
        _PATIENT,
        region_name=wanted.holder,
        aws_access_key_id=writer["AccessKeyId"],
        aws_secret_access_key=writer["SecretAccessKey"],
        aws_session_token=writer["SessionToken"],
    )
    stored = {
        "accessKeyId": given["AccessKeyId"],
        "secretAccessKey": given["SecretAccessKey"],
        "sessionToken": given["SessionToken"],
    }
    secrets.put_secret_value(SecretId=wanted.secret, SecretString=json.dumps(stored))
    ends: datetime = given["Expiration"]
    return ends


def hand_all_over(handovers: tuple[Handover, ...], token: str) -> int:
    """Tries each, whatever becomes of the others; returns how many failed."""
    failed = 0
    for wanted in handovers:
        try:
            ends = hand_over(wanted, token)
        except (ClientError, BotoCoreError) as refused:
            # Its text may quote the token.
            log.error("%s: no session handed over (%s)", wanted.purpose, error_code(refused))
            failed += 1
        else:
            log.info("%s: a session until %s handed over", wanted.purpose, ends.isoformat())
    return failed


def _session(role: str, region: str, token: str) -> dict[str, Any]:
    # The call is not signed: who has the token needs no other credential.
    sts = service.client("sts", _PATIENT, region_name=region)
    answer = sts.assume_role_with_web_identity(
        RoleArn=role,
        RoleSessionName=_NAME,
        WebIdentityToken=token,
        DurationSeconds=SESSION_SECONDS,
    )
    return answer["Credentials"]


def main() -> int:
    """The exit status: 0 when every session was handed over."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    token = Path(os.environ["SESSIONS_TOKEN"]).read_text("utf-8").strip()
    return 1 if hand_all_over(read(os.environ), token) else 0


if __name__ == "__main__":
    sys.exit(main())
