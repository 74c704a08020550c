"""``python -m webhook.package_defaults_server`` serves ``webhook.package_defaults`` in a pod.

Its own variable is ``PACKAGE_VARIABLES`` (names, separated by spaces); port and files as of
``webhook.server``.
"""

from __future__ import annotations

import os

from webhook.connection import Limits
from webhook.package_defaults import Additions, review
from webhook.server import serve
from webhook.service import Decide

LIMITS = Limits(review_seconds=1.0, answer_seconds=2.5)
"""The API server waits for three seconds."""


def decision() -> Decide:
    """The decision of the environment's stack; KeyError names a variable that is missing."""
    additions = Additions.read(os.environ)
    return lambda body, _deadline: review(body, additions)


if __name__ == "__main__":
    serve(decision, LIMITS)
