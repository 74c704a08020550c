"""What copies of images cost: data out of the region that reads them, and what ECR keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from regions.price_list import KEYS, PriceList

GB = 1_000_000_000
"""Bytes by which AWS counts; its GB-months of ECR too."""
MEASURED_BY = "`./kf images mirror --dry-run` adds them up where registries answer"


@dataclass(frozen=True)
class Amount:
    """The bytes of some images.

    Attributes:
        images: how many.
        bytes: of those whose size is known.
        unknown: images of unknown size.
    """

    images: int
    bytes: int
    unknown: int

    @classmethod
    def of(cls, images: Sequence[str], sizes: Mapping[str, int]) -> Amount:
        """The bytes of these images, by the sizes of images.lock."""
        known = [sizes[image] for image in images if image in sizes]
        return cls(len(images), round(sum(known)), len(images) - len(known))

    @property
    def sentence(self) -> str:
        """The bytes in words; what is unknown counts nothing, so that they are a lower bound."""
        if self.unknown == self.images:
            return f"Bytes unknown: no size is in images.lock; {MEASURED_BY}."
        least = f"At least {self.bytes / GB:,.1f} GB"
        if not self.unknown:
            return f"{least.removeprefix('At least ')}."
        return f"{least}, without {self.unknown} images of unknown size; {MEASURED_BY}."


def priced(key: str, amount: Amount, prices: PriceList) -> str:
    """The price of one way of use for these bytes, as a sentence."""
    what, price = KEYS[key], prices.prices.get(key)
    where = f"{what.charged_for} in {prices.region}"
    if price is None:
        return f"{where}: price unknown."
    each = f"{prices.currency} {price.amount:g} per {what.unit}"
    if not amount.bytes or not what.unit.startswith("GB"):
        return f"{where}: {each}."
    least = "at least " if amount.unknown else ""
    a_month = " a month" if what.unit == "GB-month" else ""
    total = f"{least}{prices.currency} {price.amount * amount.bytes / GB:,.2f}{a_month}"
    return f"{where}: {total} ({each})."


def sentences(
    amount: Amount, uses: Sequence[tuple[str, str]], find: Callable[[str], PriceList]
) -> list[str]:
    """Bytes and prices of copies.

    Args:
        amount: what is copied.
        uses: key of a price, and region.
        find: region -> prices.
    """
    return [amount.sentence, *(priced(key, amount, find(region)) for key, region in uses)]
