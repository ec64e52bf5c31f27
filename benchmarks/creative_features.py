"""How many texts, images and seconds of video one CPU second measures.

Here: timing `models.creatives` and `resources.creative_media` on made-up creatives. Not here: whether what is
measured says anything of performance.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.forecast_draws import best_of
from benchmarks.record import Figure, Record
from models.creatives.image_features import ImageDetections, image_features
from models.creatives.text_features import TextLexicons, text_features
from models.creatives.video_features import Glimpses, SampledFrame, VideoFacts, video_features
from resources.creative_media.detectors import FaceDetector, TextDetector, UnsafeContentDetector
from resources.creative_media.images import DecodedImage, decode_image
from resources.creative_media.videos import DecodedVideo, decode_video
from resources.embedders.weights import (
    FACES_FULL_RANGE,
    NUDITY,
    TEXT_DETECTOR,
    WEIGHTS_FOLDER,
    verified,
)
from resources.settings.creative_texts import CreativeTexts
from resources.settings.policy import Policy

_WORDS = (
    *("you", "your", "family", "calm", "evenings", "better", "sleep", "plan", "parents", "trust", "the", "a"),
    *("of", "for", "with", "start", "today", "free", "why", "secret", "help", "worry", "children", "doctors"),
    *("say", "never", "before", "safe", "home", "protect", "online", "habits", "simple", "therapy"),
)


def creative_features(texts: int = 5000, images: int = 8, video_seconds: int = 10) -> Record:
    """Features of headlines, of 1080 x 1080 JPEGs and of a 720p clip, on one thread."""
    detectors = _Detectors.open()
    headlines = _headlines(texts)
    lexicons = _lexicons()
    files = [_advertisement(seed) for seed in range(images)]
    clip = _clip(video_seconds)
    text_rate = texts / _cpu(lambda: text_features(headlines, lexicons))
    decoded = [_decoded(file) for file in files]
    figures = [
        Figure("texts", text_rate, "/CPU-s", *_aim(texts, text_rate)),
        Figure("images decoded", images / _cpu(lambda: [_decoded(file) for file in files]), "/CPU-s"),
        Figure(
            "images measured", images / _cpu(lambda: [image_features(image) for image in decoded]), "/CPU-s"
        ),
    ]
    if detectors is not None:
        figures += [
            Figure(name, images / _cpu(lambda found=found: found(decoded)), "/CPU-s")
            for name, found in detectors.each().items()
        ]
        whole = _cpu(lambda: [_measured(file, detectors) for file in files])
        figures.append(Figure("images decoded, looked at and measured", images / whole, "/CPU-s"))
    figures += [
        Figure("video decoded", video_seconds / _cpu(lambda: _decoded_clip(clip)), "s/CPU-s"),
        Figure("video decoded and measured", video_seconds / _cpu(lambda: measured_clip(clip)), "s/CPU-s"),
    ]
    return Record(
        "creative_features",
        {"texts": texts, "images": images, "video_seconds": video_seconds},
        figures,
        note="The video's figures are without detectors: which frames they look at is the caller's choice."
        + ("" if detectors else " Detectors were not timed: no weights beside this interpreter."),
    )


class _Detectors:
    def __init__(self) -> None:
        self.faces = FaceDetector(verified(FACES_FULL_RANGE))
        self.text = TextDetector(verified(TEXT_DETECTOR))
        self.unsafe = UnsafeContentDetector(verified(NUDITY))

    @classmethod
    def open(cls) -> _Detectors | None:
        return cls() if WEIGHTS_FOLDER.is_dir() else None

    def each(self) -> dict[str, Callable[[list[np.ndarray]], object]]:
        return {
            "images looked at for faces": self.faces.faces,
            "images looked at for text": self.text.text_boxes,
            "images looked at for unsafe content": self.unsafe.probabilities,
        }


def _cpu(action: Callable[[], object]) -> float:
    return best_of(action, clock=time.process_time)


def _aim(texts: int, rate: float) -> tuple[str, bool] | tuple[()]:
    return ("≥ 1,500 /CPU-s", rate >= 1500) if texts >= 5000 else ()


def _lexicons() -> TextLexicons:
    policy = Policy()
    return TextLexicons(CreativeTexts().model_dump(), policy.regulated_terms, policy.text_limits)


def _headlines(count: int) -> list[str]:
    rng = np.random.default_rng(1)
    return [" ".join(rng.choice(_WORDS, 15)).capitalize() for _ in range(count)]


def _advertisement(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    image = coarse.resize((1080, 1080), Image.Resampling.BICUBIC)
    words = " ".join(rng.choice(_WORDS, 4))
    ImageDraw.Draw(image).text((80, 200), words, "white", font=ImageFont.load_default(64))
    file = BytesIO()
    image.save(file, "JPEG", quality=88)
    return file.getvalue()


def _decoded(file: bytes) -> np.ndarray:
    image = decode_image(file)
    assert isinstance(image, DecodedImage), image
    return image.pixels


def _measured(file: bytes, detectors: _Detectors) -> dict[str, float | None]:
    image = _decoded(file)
    found = ImageDetections(
        detectors.text.text_boxes([image])[0],
        detectors.faces.faces([image])[0],
        detectors.unsafe.probabilities([image])[0],
    )
    return image_features(image, found)


def _clip(seconds: int, rate: int = 25) -> bytes:
    """720p H.264 where this FFmpeg has it: a new ground every two seconds, drifting."""
    rng = np.random.default_rng(1)
    file = BytesIO()
    with av.open(file, "w", format="mp4") as output:
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        stream = output.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for place in range(seconds * rate):
            if place % (2 * rate) == 0:
                coarse = Image.fromarray(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8))
                scene = np.asarray(coarse.resize((1280, 720), Image.Resampling.BICUBIC))
            frame = av.VideoFrame.from_ndarray(np.roll(scene, 4 * place, axis=1), format="rgb24")
            frame.pts = place
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def _decoded_clip(content: bytes) -> DecodedVideo:
    found = decode_video(content)
    assert isinstance(found, DecodedVideo), found
    return found


def measured_clip(content: bytes) -> dict[str, float | None]:
    """Features of a video, by VIDEO_FEATURES; no detector looks at it."""
    found = _decoded_clip(content)
    return video_features(
        (SampledFrame(frame.seconds, frame.pixels) for frame in found.frames),
        Glimpses(found.glimpse_seconds, found.glimpses),
        VideoFacts(found.duration_seconds, found.width, found.height, found.has_audio),
    )
