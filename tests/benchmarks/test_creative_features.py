"""The benchmark of creative features measures what it says."""

from __future__ import annotations

from benchmarks.creative_features import creative_features


def test_texts_images_and_video_are_timed_and_the_aim_holds_for_the_full_size_alone():
    record = creative_features(texts=20, images=1, video_seconds=1)
    found = {figure.name: figure.value for figure in record.figures}
    assert {"texts", "images decoded", "images measured", "video decoded and measured"} <= set(found)
    assert min(found.values()) > 0
    assert found["video decoded and measured"] < found["video decoded"] * 1.2
    assert not any(figure.aim for figure in record.figures)
