"""The story of `headwater demo`: its numbers, and that they come from the data."""

import io
import re
import tempfile
from pathlib import Path

import pytest

from headwater.ops import demo
from headwater.ops.output import Output


def told() -> str:
    out = io.StringIO()
    demo.tell(Output(streams=(out, io.StringIO())))
    return out.getvalue()


def test_the_story_has_the_guides_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    story = told()
    # The guide's five rows: two orders, both sides of a corrected price, one cancelled.
    changes = re.findall(r"(\d+\.\d\d)  2024-01-1\d  (INSERT|DELETE) +(true|false)", story)
    assert changes == [
        ("299.99", "INSERT", "false"),
        ("199.99", "INSERT", "false"),
        ("999.99", "DELETE", "true"),
        ("1299.99", "INSERT", "true"),
        ("29.99", "DELETE", "false"),
    ]
    assert "the full stream has 4 rows, the net one 0" in story
    assert "It moved 0 watermarks" in story
    assert "come to 77 pieces; 77 were delivered" in story
    assert re.search(r"inventory_levels +4 +4 +0$", story, re.MULTILINE)
    assert list(tmp_path.iterdir()) == []


def test_another_stock_tells_another_story(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = [
        {"product_id": 1, "quantity_available": 140},
        {"product_id": 2, "quantity_available": 25},
        {"product_id": 3, "quantity_available": 112},
    ]
    monkeypatch.setattr(demo, "STOCK", stock)
    story = told()
    assert "Low on stock: 0 product(s)." in story
    assert "come to 277 pieces; 277 were delivered" in story
