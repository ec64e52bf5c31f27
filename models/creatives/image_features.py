"""What an image is like: colours, contrast, clutter, and how much of it is text or faces.

Here: measuring pixels, and what detectors found in them. Not here: decoding and detectors
(`resources.creative_media`), what an image means (embeddings).

Pixels are measured on a copy whose longest side is at most `WORKING_SIDE`, so that the same picture measures
alike in every size it is served in.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
UInt8Array = npt.NDArray[np.uint8]

IMAGE_FEATURES_VERSION = "image_v1"
WORKING_SIDE = 256
PALETTE_COLOURS = 5
UNSAFE_FROM = 0.5
"""Probability from which a picture is flagged."""
_PALETTE_SIDE = 64
_PALETTE_ROUNDS = 20
_PALETTE_PRECISION = 0.5  # Lab units; an eye tells two colours apart from about 2
_EDGE_LOW, _EDGE_HIGH = 100.0, 200.0
_MASK_SIDE = 512

PIXEL_FEATURES = ("brightness", "contrast", "colourfulness", "edge_density")
DETECTED_FEATURES = (
    *("text_box_count", "text_share", "text_contrast", "face_count", "largest_face_share"),
    *("unsafe_probability", "is_unsafe"),
)
PALETTE_FEATURES = tuple(
    f"palette_{place}_{part}"
    for place in range(1, PALETTE_COLOURS + 1)
    for part in ("lightness", "a", "b", "share")
)
IMAGE_FEATURES = ("width", "height", "aspect_ratio", *PIXEL_FEATURES, *DETECTED_FEATURES, *PALETTE_FEATURES)


@dataclass(frozen=True)
class ImageDetections:
    """What detectors found in an image. None: that detector did not run; an empty array: it found nothing.

    text_boxes, faces: shape (boxes, 4): left, top, right, bottom as fractions of width and height.
    unsafe_probability: that no brand would stand beside it.

    Raises:
        ValueError: boxes of another shape or outside [0, 1], or a probability that is none.
    """

    text_boxes: FloatArray | None = None
    faces: FloatArray | None = None
    unsafe_probability: float | None = None

    def __post_init__(self) -> None:
        for name, boxes in (("text_boxes", self.text_boxes), ("faces", self.faces)):
            if boxes is not None and (
                boxes.ndim != 2 or boxes.shape[1] != 4 or not ((boxes >= 0) & (boxes <= 1)).all()
            ):
                raise ValueError(f"{name}: needs shape (boxes, 4) with fractions in [0, 1]")
        if self.unsafe_probability is not None and not 0 <= self.unsafe_probability <= 1:
            raise ValueError(f"unsafe_probability: {self.unsafe_probability} is not in [0, 1]")


NOTHING_DETECTED = ImageDetections()
"""No detector ran."""


def image_features(
    image: UInt8Array,
    detections: ImageDetections = NOTHING_DETECTED,
    *,
    original_size: tuple[int, int] | None = None,
) -> dict[str, float | None]:
    """`IMAGE_FEATURES` of one image; None where a measure is not available.

    Beside those of `pixel_features` and `detected_features`: width and height in pixels, aspect_ratio (width
    by height), and the palette of `palette`, None beyond the colours there are.

    Args:
        image: RGB, shape (height, width, 3).
        detections: of the same image.
        original_size: width and height, where `image` is a reduced copy.
    Raises:
        ValueError: no RGB image of at least one pixel.
    """
    height, width = _checked(image).shape[:2]
    width, height = original_size or (width, height)
    colours, shares = palette(image)
    row: dict[str, float | None] = dict.fromkeys(IMAGE_FEATURES)
    row |= {"width": float(width), "height": float(height), "aspect_ratio": width / height}
    row |= pixel_features(image)
    row |= detected_features(image, detections)
    for place, (colour, share) in enumerate(zip(colours, shares, strict=True), start=1):
        parts = zip(("lightness", "a", "b", "share"), (*colour, share), strict=True)
        row |= {f"palette_{place}_{part}": float(value) for part, value in parts}
    return row


def pixel_features(image: UInt8Array) -> dict[str, float]:
    """`PIXEL_FEATURES` of an RGB image of shape (height, width, 3).

    brightness: mean luma (Rec. 709), 0 to 1. contrast: its standard deviation (RMS contrast; Peli 1990).
    edge_density: share of pixels on a Canny edge, a measure of clutter (Mack & Oliva 2004). colourfulness, of
    rg = R - G and yb = (R + G)/2 - B in units of 0 to 255 (Hasler & Süsstrunk 2003):

        sqrt(sd(rg)^2 + sd(yb)^2) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2)
    """
    small = reduced(_checked(image), WORKING_SIDE)
    red, green, blue = np.moveaxis(small.astype(np.float64), 2, 0)
    luma = _luma(small)
    opposed, warm = red - green, (red + green) / 2 - blue
    edges = cv2.Canny(np.rint(luma * 255).astype(np.uint8), _EDGE_LOW, _EDGE_HIGH)
    spread, centre = np.hypot(opposed.std(), warm.std()), np.hypot(opposed.mean(), warm.mean())
    return {
        "brightness": float(luma.mean()),
        "contrast": float(luma.std()),
        "colourfulness": float(spread + 0.3 * centre),
        "edge_density": float((edges > 0).mean()),
    }


def detected_features(image: UInt8Array, detections: ImageDetections) -> dict[str, float | None]:
    """`DETECTED_FEATURES`; None where the detector did not run.

    text_share: share of the picture under text boxes, overlaps counted once. text_contrast: the median over
    boxes of the contrast between a box's darkest and lightest tenth, 1 to 21 (WCAG 2.1, contrast ratio); None
    without text. largest_face_share: of the picture; 0 without faces. is_unsafe: from `UNSAFE_FROM` on.
    """
    row: dict[str, float | None] = dict.fromkeys(DETECTED_FEATURES)
    if (boxes := detections.text_boxes) is not None:
        row |= {
            "text_box_count": float(len(boxes)),
            "text_share": _covered(boxes),
            "text_contrast": _text_contrast(image, boxes),
        }
    if (faces := detections.faces) is not None:
        areas = (faces[:, 2] - faces[:, 0]) * (faces[:, 3] - faces[:, 1])
        row |= {"face_count": float(len(faces)), "largest_face_share": float(areas.max(initial=0.0))}
    if (probability := detections.unsafe_probability) is not None:
        row |= {"unsafe_probability": float(probability), "is_unsafe": float(probability >= UNSAFE_FROM)}
    return row


def palette(image: UInt8Array) -> tuple[FloatArray, FloatArray]:
    """The image's main colours: k-means in CIE Lab (D65), largest share first. Nothing in it is random.

    It starts from colours as far apart as there are (Gonzalez 1985), the one furthest from the mean first.

    Args:
        image: RGB, shape (height, width, 3).
    Returns:
        colours (lightness 0 to 100, a, b), shape (colours, 3), and their shares, which sum to 1; at most
        `PALETTE_COLOURS`, fewer where the image has fewer.
    """
    small = reduced(_checked(image), _PALETTE_SIDE)
    unit = small.astype(np.float32) / np.float32(255)
    lab = np.asarray(cv2.cvtColor(unit, cv2.COLOR_RGB2Lab), dtype=np.float32).reshape(-1, 3)
    starts = _far_apart(lab)
    distances = ((lab[:, None, :] - starts[None, :, :]) ** 2).sum(axis=2)
    nearest = np.ascontiguousarray(distances.argmin(axis=1).astype(np.int32)[:, None])
    if len(starts) > 1:
        criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, _PALETTE_ROUNDS, _PALETTE_PRECISION)
        cv2.kmeans(lab, len(starts), nearest, criteria, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    label = nearest[:, 0]
    counts = np.bincount(label, minlength=len(starts))
    kept = np.flatnonzero(counts)
    colours = np.stack([lab[label == place].mean(axis=0, dtype=np.float64) for place in kept])
    order = np.lexsort((*colours.T, -counts[kept]))
    return colours[order], counts[kept][order] / len(lab)


def reduced(image: UInt8Array, longest_side: int) -> UInt8Array:
    """A copy whose longest side is at most so many pixels, each the mean of those it stands for."""
    height, width = image.shape[:2]
    scale = longest_side / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _checked(image: UInt8Array) -> UInt8Array:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"needs an RGB image, uint8 of shape (height, width, 3); got {image.shape}")
    return image


def _luma(image: UInt8Array) -> FloatArray:
    return np.asarray(image @ np.array([0.2126, 0.7152, 0.0722]) / 255)


def _far_apart(colours: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Up to `PALETTE_COLOURS` distinct colours, each the one furthest from those before it."""
    distance = ((colours - colours.mean(axis=0)) ** 2).sum(axis=1)
    starts: list[npt.NDArray[np.float32]] = []
    while len(starts) < PALETTE_COLOURS and (not starts or distance.max() > _PALETTE_PRECISION**2):
        starts.append(colours[int(distance.argmax())])
        to_last = ((colours - starts[-1]) ** 2).sum(axis=1)
        distance = to_last if len(starts) == 1 else np.minimum(distance, to_last)
    return np.stack(starts)


def _covered(boxes: FloatArray) -> float:
    mask = np.zeros((_MASK_SIDE, _MASK_SIDE), dtype=bool)
    for left, top, right, bottom in np.rint(boxes * _MASK_SIDE).astype(int):
        mask[top:bottom, left:right] = True
    return float(mask.mean())


def _text_contrast(image: UInt8Array, boxes: FloatArray) -> float | None:
    height, width = image.shape[:2]
    ratios = []
    for box in boxes:
        left, top, right, bottom = np.rint(box * (width, height, width, height)).astype(int)
        inside = image[top:bottom, left:right]
        if inside.size:
            dark, light = np.quantile(_relative_luminance(inside), (0.1, 0.9))
            ratios.append((light + 0.05) / (dark + 0.05))
    return float(np.median(ratios)) if ratios else None


def _relative_luminance(image: UInt8Array) -> FloatArray:
    """WCAG 2.1: of linear light, where `_luma` is of sRGB as it is stored."""
    stored = np.arange(256) / 255
    linear = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear[image] @ np.array([0.2126, 0.7152, 0.0722]))
