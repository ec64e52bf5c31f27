"""What a large account's creatives cost to read from cold: how many distinct contents, at which rates.

Here: counting what the sandbox's seed account shows, timing a sample of its own texts and images, one thread.
Not here: made-up creatives (`creative_embeddings`, `creative_features`), later runs (`creative_reruns`).

A text and an image are read once however many creatives show them. The account's exports name no image files,
so its images are drawn here as those of the small accounts are. Whole-account times are reckoned: the rate of
a sample × the number of contents.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.accounts import TODAY, sandbox_seed
from benchmarks.record import Figure, Record
from models.creatives.image_features import ImageDetections, image_features
from models.creatives.text_features import text_features
from models.embeddings import Image
from resources.creative_measures import lexicons_of
from resources.creative_media.detectors import FaceDetector, TextDetector, UnsafeContentDetector
from resources.creative_media.images import DecodedImage, decode_image
from resources.embedders import open_image_embedder, open_text_embedder
from resources.embedders.weights import FACES_FULL_RANGE, NUDITY, TEXT_DETECTOR, verified
from resources.sandbox import copywriting
from resources.sandbox.business import draw_business
from resources.sandbox.catalogue import SCALES
from resources.sandbox.copywriting import Creatives
from resources.settings import PROJECT_ROOT, load_settings


def creative_cold_start(scale: str = "seed", texts: int = 400, images: int = 24) -> Record:
    """Distinct texts and images of an account, and the time to read all of them once."""
    business = draw_business(SCALES[scale], sandbox_seed(), TODAY)
    creatives = business.creatives
    ran = np.unique(business.ads.creative[business.ads.first_day < business.days])
    distinct = {
        "texts": _first_of_each(ran, lambda number: written(creatives, number)),
        "images": _first_of_each(ran, lambda number: pictured(creatives, number)),
    }
    rng = np.random.default_rng(1)
    some = {
        name: rng.choice(numbers, min(count, len(numbers)), replace=False)
        for (name, numbers), count in zip(distinct.items(), (texts, images), strict=True)
    }
    seconds = _text_seconds([written(creatives, number) for number in some["texts"]])
    seconds |= _image_seconds([copywriting.render(creatives, int(number)) for number in some["images"]])
    figures = [Figure("creatives that ran", len(ran), "")]
    figures += [Figure(f"distinct {name}", len(numbers), "") for name, numbers in distinct.items()]
    figures += [Figure(name, 1.0 / each, "/CPU-s") for name, each in seconds.items()]
    cold = {
        name: len(numbers) * sum(each for step, each in seconds.items() if step.startswith(name)) / 60
        for name, numbers in distinct.items()
    }
    whole = sum(cold.values())
    twice = sum(cold[name] * len(ran) / len(numbers) for name, numbers in distinct.items())
    figures += [
        Figure(f"all {name} from cold, reckoned", minutes, "CPU min") for name, minutes in cold.items()
    ]
    figures += [
        Figure("the account from cold, reckoned", whole, "CPU min"),
        Figure("the same if every creative were read, reckoned", twice, "CPU min"),
    ]
    return Record(
        "creative_cold_start",
        {"scale": scale, "texts": texts, "images": images},
        figures,
        note=f"Reckoned from {len(some['texts'])} texts and {len(some['images'])} images of "
        f"{copywriting.IMAGE_PIXELS} pixels a side, one thread, opening the networks not counted. "
        "Larger images take longer: creative_features measures 1080 pixels.",
    )


def written(creatives: Creatives, number: int) -> str:
    """The text of a creative as it is embedded."""
    call = copywriting.CALLS_TO_ACTION[creatives.call_to_action[number]]
    return "\n".join([copywriting.headline(creatives, number), copywriting.body(creatives, number), call])


def pictured(creatives: Creatives, number: int) -> tuple[object, ...]:
    """What its image is drawn from: images of equal ones are equal, byte for byte, and of others not."""
    face, variant = bool(creatives.has_face[number]), int(creatives.variant[number])
    return (
        copywriting.headline(creatives, number),
        int(creatives.palette[number]),
        int(creatives.call_to_action[number]),
        copywriting.FORMATS[creatives.format[number]] == "video",
        variant % 2,
        variant % 3 if face else None,
    )


def _first_of_each(numbers: np.ndarray, content: Callable[[int], object]) -> list[int]:
    first: dict[object, int] = {}
    for number in numbers.tolist():
        first.setdefault(content(number), number)
    return list(first.values())


def _text_seconds(texts: list[str]) -> dict[str, float]:
    """CPU seconds a text, by step."""
    embedder, lexicons = open_text_embedder(), lexicons_of(load_settings(PROJECT_ROOT / "aelp.yaml"))
    return {
        "texts embedded": _seconds_each(lambda: embedder.embed(texts), len(texts)),
        "texts measured": _seconds_each(lambda: text_features(texts, lexicons), len(texts)),
    }


def _image_seconds(files: list[bytes]) -> dict[str, float]:
    """CPU seconds an image, by step; each of the two assets decodes it."""
    embedder = open_image_embedder()
    text, faces = TextDetector(verified(TEXT_DETECTOR)), FaceDetector(verified(FACES_FULL_RANGE))
    unsafe = UnsafeContentDetector(verified(NUDITY))

    def measure(image: Image) -> None:
        found = ImageDetections(
            text.text_boxes([image])[0], faces.faces([image])[0], unsafe.probabilities([image])[0]
        )
        image_features(image, found)

    return {
        "images decoded and embedded": _seconds_each(
            lambda: embedder.embed([_decoded(file) for file in files]), len(files)
        ),
        "images decoded, looked at and measured": _seconds_each(
            lambda: [measure(_decoded(file)) for file in files], len(files)
        ),
    }


def _seconds_each(action: Callable[[], object], count: int) -> float:
    """One run: the first few contents of a cold account are not warm either."""
    started = time.process_time()
    action()
    return (time.process_time() - started) / count


def _decoded(file: bytes) -> Image:
    image = decode_image(file)
    assert isinstance(image, DecodedImage), image
    return image.pixels
