"""Data sources of the AWS provider that describe one thing, and fail where there is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

# hashicorp/terraform-provider-aws internal/tfresource/not_found_error.go, and of s3 and kms the
# errors of HeadBucket and DescribeKey.
_ABSENT = re.compile("no results|no matching|couldn't find|empty result|NotFound")
_Found = TypeVar("_Found")


def one_or_none(look: Callable[[], _Found]) -> _Found | None:
    """What a data source of one thing finds; None: there is none.

    Raises:
        Exception: AWS refuses the call.
    """
    try:
        return look()
    except Exception as failure:  # the SDK has no narrower class for a look-up that fails
        if _ABSENT.search(str(failure)):
            return None
        raise
