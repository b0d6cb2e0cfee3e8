"""Device-seconds to money."""

import pytest

from search.store.prices import bill, read_prices
from search.store.status import Spending


def spent(*rows: tuple[str | None, str | None, float]) -> list[Spending]:
    return [Spending(hostname=h, device_name=d, device_s=s) for h, d, s in rows]


def test_a_bill_is_hours_times_the_price_of_the_device():
    done = bill(spent(("a", "A10G", 1800.0), ("b", "A10G", 5400.0)), {"A10G": 1.5})
    assert done.total == pytest.approx(3.0)
    assert {item.per_hour for item in done.items} == {1.5}


def test_a_hosts_own_price_comes_before_its_devices():
    rows = spent(("spot-1", "A10G", 3600.0), ("b", "A10G", 3600.0))
    done = bill(rows, {"A10G": 1.0, "spot-1": 0.4})
    assert {item.name: item.cost for item in done.items} == {"A10G": 1.0, "spot-1": 0.4}


def test_what_has_no_price_is_counted_and_not_taken_for_free():
    done = bill(spent(("desk", "i5", 7200.0), ("x", None, 60.0), (None, None, 0.0)), {"A10G": 1})
    assert done.total == 0
    assert sum(item.device_s for item in done.items if item.per_hour is None) == 7260.0


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{", "must be JSON"),
        ("[1]", "must be {name: price per hour}, got"),
        ('{"A10G": "1.2"}', "a price must be a number, 0 or more, got A10G: 1.2"),
        ('{"A10G": -1}', "a price must be a number, 0 or more, got A10G: -1"),
        ('{"A10G": NaN}', "a price must be a number, 0 or more, got A10G: nan"),
    ],
)
def test_a_wrong_price_table_is_refused_with_its_file_and_rule(tmp_path, text, rule):
    file = tmp_path / "prices.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=rule) as caught:
        read_prices(file)
    assert str(file) in str(caught.value)
