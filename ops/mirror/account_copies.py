"""Digests and bytes of sources, read from their copies in an account's registry.

For a lock where no registry is reached: the builds read each source, and left its digest in the
table of copies. A copy of all platforms has the digest of its source itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from images.reference import Reference, parse
from ops.account_calls import aws_call, client
from ops.cli_errors import Refused
from ops.parallel import in_order
from settings import Settings
from settings.aws_session import aws_session
from settings.context import StackContext
from webhook.mirror import described

_ROWS = 100
"""Of one BatchGetItem (botocore data/dynamodb, BatchGetRequestMap)."""
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


@dataclass(frozen=True)
class SourceFacts:
    """A source, read from its copy; None: the copy has no record of it.

    Attributes:
        digest: of the whole source.
        bytes: of the image for one platform.
    """

    digest: str | None
    bytes: int | None


def sources_of_copies(settings: Settings, sources: Sequence[str]) -> dict[str, SourceFacts]:
    """Source -> what its copy in the stack's account records of it.

    Raises:
        Refused: no credentials, those of another account, or a call fails.
    """
    with aws_call("loading the AWS credentials"):
        session = aws_session(
            settings.aws.credentials(), settings.region, settings.endpoints.get("sts")
        )
        ecr, dynamodb = (client(settings, session, name) for name in ("ecr", "dynamodb"))
    with aws_call("ecr:DescribeRegistry"):
        account = str(ecr.describe_registry()["registryId"])
    if refused := settings.refusal_of(account):
        raise Refused(
            f"the credentials are of account {account} and {refused}: choose another AWS_PROFILE, "
            "or aws:profile in the stack file."
        )
    context = StackContext.of(settings, account, {})
    with aws_call("dynamodb:BatchGetItem"):
        rows = _rows(dynamodb, context.copies_table, sources)

    def one(source: str) -> SourceFacts:
        with aws_call("ecr:DescribeImages"):
            found = described(ecr, context.repository_prefix, parse(source))
        return _facts(parse(source), rows.get(source), found)

    return dict(zip(sources, in_order(sources, one, 8, "looking up copies"), strict=True))


def _facts(source: Reference, recorded: str | None, found: Mapping[str, Any] | None) -> SourceFacts:
    if found is None:
        return SourceFacts(None, None)
    whole = found.get("imageManifestMediaType") in _INDEXES
    digest = source.digest or recorded or (str(found["imageDigest"]) if whole else None)
    size = None if whole else found.get("imageSizeInBytes")
    return SourceFacts(digest, int(size) if size else None)


def _rows(dynamodb: Any, table: str, sources: Sequence[str]) -> dict[str, str]:
    """Source -> its digest, as a build recorded it."""
    found: dict[str, str] = {}
    for start in range(0, len(sources), _ROWS):
        wanted = {table: {"Keys": [{"image": {"S": s}} for s in sources[start : start + _ROWS]]}}
        while wanted:
            response = dynamodb.batch_get_item(RequestItems=wanted)
            for row in response["Responses"].get(table, []):
                if digest := row.get("source_digest", {}).get("S"):
                    found[row["image"]["S"]] = digest
            wanted = response.get("UnprocessedKeys")
    return found
