"""Unchanged files are not read again; changed ones always are, however alike they look."""

from __future__ import annotations

import os
from typing import Any

import pytest

from resources.files import drop as drop_module


@pytest.fixture
def inspected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files whose bytes were read whole to know them, in order."""
    read: list[str] = []
    real = drop_module.inspect

    def counting(filesystem: Any, path: str, *rest: Any) -> Any:
        read.append(path.rsplit("/", 1)[-1])
        return real(filesystem, path, *rest)

    monkeypatch.setattr(drop_module, "inspect", counting)
    return read


def test_a_landing_without_news_reads_no_file_whole(bench: Any, exports: Any, inspected: list[str]) -> None:
    bench.put("a.csv", [exports.meta_row()])
    bench.land()
    assert inspected == ["a.csv"]
    bench.put("b.csv", [exports.meta_row("2026-06-29")])
    bench.land()
    assert inspected == ["a.csv", "b.csv"]


def test_a_file_rewritten_with_its_old_size_and_time_is_news(
    bench: Any, exports: Any, inspected: list[str]
) -> None:
    path = bench.put("a.csv", [exports.meta_row(**{"Amount spent": "12.40"})])
    bench.land()
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"12.40", b"99.40"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    bench.land()
    assert inspected == ["a.csv", "a.csv"]
    assert [payload["spend"] for payload in bench.payloads("meta_ads_insights")] == ["99.4"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"x": {"sha256": "y"}}'])
def test_a_damaged_memory_only_costs_time(
    bench: Any, exports: Any, inspected: list[str], damage: str
) -> None:
    bench.put("a.csv", [exports.meta_row()])
    bench.land()
    memory = bench.work.with_name("work_seen.json")
    memory.write_text(damage)
    assert bench.land().changed.is_empty()
    assert inspected == ["a.csv", "a.csv"]
    assert bench.land().changed.is_empty()
    assert inspected == ["a.csv", "a.csv"]
