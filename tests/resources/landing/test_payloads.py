"""Payloads are JSON whatever a column is called."""

import json

import polars as pl

from resources.landing.pages import payload_text
from resources.landing.streams import STREAMS


def test_a_column_name_cannot_break_or_forge_the_document():
    odd = 'size (6" x 4")","headline":"forged'
    rows = pl.DataFrame({"headline": ["Hello", None], odd: ["6x4", "8x4"]})
    first, second = payload_text(rows, STREAMS["vendor_creatives"], as_text={odd})
    assert json.loads(first) == {"headline": "Hello", odd: "6x4"}
    assert json.loads(second) == {odd: "8x4"}
