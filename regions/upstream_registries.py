"""The public registries from which ECR's pull-through cache can pull, and what AWS asks for each.

docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html (which upstream registries,
which need a login) and botocore ecr CreatePullThroughCacheRule (their addresses, and how long a
rule's prefix may be). A registry that is not here has no rule: its images stay where they are.
"""

from __future__ import annotations

OPEN = ("public.ecr.aws", "quay.io", "registry.k8s.io")
"""Anybody may pull from them."""

WITH_LOGIN = ("docker.io", "ghcr.io")
"""ECR pulls from them only with a login that it finds in Secrets Manager."""

_ADDRESSES = {"docker.io": "registry-1.docker.io"}

LONGEST_RULE_PREFIX = 30
"""Characters of a rule's repository prefix (botocore ecr PullThroughCacheRuleRepositoryPrefix)."""

LONGEST_PREFIX = LONGEST_RULE_PREFIX - 1 - max(len(name) for name in (*OPEN, *WITH_LOGIN))
"""Characters of an account's own prefix that leave room for any of the registries behind it."""


def address(registry: str) -> str:
    """The host that a rule names for a registry: images of ``docker.io`` come from another one."""
    return _ADDRESSES.get(registry, registry)
