"""What several checks of one verification read, made once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ops.verification.platform import Platform

_T = TypeVar("_T")


class Once(Generic[_T]):
    """The value of a platform, made when the first check asks for it; its error likewise.

    Args:
        make: makes the value; an error of it is raised again for every check.
    """

    def __init__(self, make: Callable[[Platform], _T]) -> None:
        self._make = make
        self._platform: Platform | None = None
        self._made: _T | Exception | None = None

    def of(self, platform: Platform) -> _T:
        """The value.

        Raises:
            Refused: it could not be made.
        """
        # By identity: another verification has another platform.
        if self._platform is not platform:
            self._platform = platform
            try:
                self._made = self._make(platform)
            except Exception as error:  # also a fault: the next check has the same one
                self._made = error
        if isinstance(self._made, Exception):
            raise self._made
        assert self._made is not None  # noqa: S101 - for the type checker
        return self._made
