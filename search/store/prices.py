"""What a study cost in money: its device-seconds times prices that the user supplies."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path

from search.store.status import Spending

HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of a bill.

    Args:
        name: host or device, as the price table and the store call it.
        device_s: device-seconds of all attempts there, lost ones too.
        per_hour: price of one device (one core, on a processor) for an hour; None if not given.
    """

    name: str
    device_s: float
    per_hour: float | None

    @property
    def cost(self) -> float:
        """In the currency of the price table; 0 without a price."""
        return self.device_s / HOUR_S * (self.per_hour or 0.0)


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What the trials of a study cost. Heads, idle machines and storage are not in the store."""

    items: tuple[Item, ...]

    @property
    def total(self) -> float:
        """In the currency of the price table."""
        return sum(item.cost for item in self.items)


def read_prices(file: str | Path) -> dict[str, float]:
    """A JSON file {"host or device name": price per hour}.

    Raises:
        ValueError: the file, the name, the rule.
    """
    try:
        prices = json.loads(Path(file).read_text())
    except ValueError as error:
        raise ValueError(f"{file}: a price table must be JSON: {error}") from None
    if not isinstance(prices, dict):
        raise ValueError(f"{file}: a price table must be {{name: price per hour}}, got {prices}")
    for name, price in prices.items():
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < inf:
            raise ValueError(f"{file}: a price must be a number, 0 or more, got {name}: {price}")
    return prices


def known_as(hostname: str | None, device: str | None, prices: dict[str, float]) -> str | None:
    """Under which name a price is looked up: the host's if it has its own, else the device's."""
    return hostname if hostname in prices else device


def bill(spending: Iterable[Spending], prices: dict[str, float]) -> Bill:
    """Price device-seconds.

    Args:
        spending: of a study, as in its status.
        prices: per hour, by host or device name.
    """
    spent: dict[str, float] = defaultdict(float)
    for spot in spending:
        known = known_as(spot.hostname, spot.device_name, prices)
        spent[known or spot.hostname or "unknown"] += spot.device_s
    items = [Item(name=n, device_s=s, per_hour=prices.get(n)) for n, s in sorted(spent.items())]
    return Bill(items=tuple(items))
