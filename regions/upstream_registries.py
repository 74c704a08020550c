"""The public registries from which ECR's pull-through cache can pull, and their logins.

docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html (registries and logins) and
botocore ecr CreatePullThroughCacheRule (addresses, length of a rule's prefix). Images of other
registries are pulled from their source.
"""

from __future__ import annotations

OPEN = ("public.ecr.aws", "quay.io", "registry.k8s.io")
"""Without login."""

WITH_LOGIN = ("docker.io", "ghcr.io")
"""Only with a login from Secrets Manager."""

WITH_SHORT_LOGIN = ("public.ecr.aws",)
"""With a password that ends after 12 hours (docs.aws.amazon.com/AmazonECR/latest/public/
public-registry-auth.html), which no secret can hold."""

PUBLIC = (
    *("docker.io", "gcr.io", "ghcr.io", "mcr.microsoft.com", "nvcr.io", "public.ecr.aws"),
    *("quay.io", "registry.istio.io", "registry.k8s.io"),
)
"""Registries abroad where most images can be read by anybody: those of the inventories, and the two
that users of GPUs and of Windows name."""

_ADDRESSES = {"docker.io": "registry-1.docker.io"}

LONGEST_RULE_PREFIX = 30
"""Characters of a rule's repository prefix (botocore ecr PullThroughCacheRuleRepositoryPrefix)."""

LONGEST_PREFIX = LONGEST_RULE_PREFIX - 1 - max(len(name) for name in (*OPEN, *WITH_LOGIN))
"""Characters of an account's own prefix, with any of the registries after it."""


def address(registry: str) -> str:
    """The host of a registry in a rule; that of ``docker.io`` has another name."""
    return _ADDRESSES.get(registry, registry)
