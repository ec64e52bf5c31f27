"""Creatives: what they say, how they look, and (hidden) how well they work.

Here: text from themes, hooks and calls to action, an image drawn from the same choices, and the
true effect of each choice, so that a scoring model has something real to find. Not here: where a
creative runs (`business`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from resources.sandbox.laws import FloatArray, IntArray, draw_from

HOOKS = ("question", "number", "warning", "story", "offer")
FORMATS = ("image", "video", "carousel")
FORMAT_SHARES = np.array([0.55, 0.33, 0.12])
CALLS_TO_ACTION = ("Learn more", "Sign up", "Get offer", "Start free trial", "Shop now")
PALETTES = (
    ((16, 42, 92), (250, 250, 250), (255, 190, 60)),
    ((236, 244, 240), (20, 60, 50), (38, 166, 120)),
    ((252, 226, 208), (90, 30, 20), (214, 84, 56)),
    ((28, 28, 34), (240, 240, 240), (120, 200, 255)),
    ((255, 255, 255), (40, 40, 48), (108, 72, 220)),
)

# theme -> subject, what it offers, who it speaks to
THEMES: tuple[tuple[tuple[str, str, str, str], ...], ...] = (
    (
        (
            "identity_theft",
            "your identity",
            "alerts the moment your identity is used",
            "anyone with a bank card",
        ),
        (
            "data_breach",
            "your passwords",
            "a scan of the dark web for your logins",
            "people who reuse passwords",
        ),
        ("scam_calls", "your phone", "scam calls stopped before they ring", "families with older parents"),
        ("family_safety", "your family", "one plan that covers the whole household", "parents"),
        (
            "device_safety",
            "your laptop",
            "antivirus and a private connection together",
            "people who work anywhere",
        ),
        (
            "price",
            "your budget",
            "everything in one plan instead of five",
            "anyone paying for too many tools",
        ),
    ),
    (
        ("screen_time", "screen time", "calm limits that children accept", "parents of teens"),
        ("sleep", "your child's sleep", "a wind-down hour without arguments", "tired parents"),
        ("expert", "healthy habits", "plans written by child psychologists", "careful parents"),
        ("social_proof", "family evenings", "what 40,000 families changed first", "busy parents"),
        ("wellbeing", "your teen's mood", "gentle signals when something is off", "parents who worry"),
        ("price", "your budget", "one month free, cancel any time", "new families"),
    ),
)
IMAGE_PIXELS = 320  # on each side
_NUMBERS = (3, 5, 7, 12, 24, 40, 60, 90)


@dataclass(frozen=True)
class Creatives:
    """Creatives as arrays over creatives; `log_ctr` and `log_cvr` are the hidden truth."""

    track: IntArray
    theme: IntArray
    hook: IntArray
    format: IntArray
    call_to_action: IntArray
    palette: IntArray
    variant: IntArray
    has_face: np.ndarray
    log_ctr: FloatArray
    log_cvr: FloatArray

    def __len__(self) -> int:
        return len(self.track)


def draw_creatives(rng: np.random.Generator, track: IntArray) -> tuple[Creatives, dict[str, list[float]]]:
    """Creatives for the given tracks, and the true log effects of each choice on the click rate."""
    count = len(track)
    theme_effect = rng.normal(0.0, 0.11, (len(THEMES), len(THEMES[0])))
    theme_value = rng.normal(0.0, 0.07, (len(THEMES), len(THEMES[0])))
    hook_effect = rng.normal(0.0, 0.13, len(HOOKS))
    format_effect = np.array([0.0, 0.12, -0.04]) + rng.normal(0.0, 0.04, 3)
    cta_effect = rng.normal(0.0, 0.05, len(CALLS_TO_ACTION))
    # "Learn more" wins clicks that do not buy; "Start free trial" the reverse.
    cta_value = -1.2 * cta_effect + rng.normal(0.0, 0.04, len(CALLS_TO_ACTION))
    palette_effect = rng.normal(0.0, 0.06, len(PALETTES))
    face_effect = rng.normal(0.08, 0.04)
    theme = rng.integers(0, len(THEMES[0]), count)
    hook = rng.integers(0, len(HOOKS), count)
    shape = draw_from(rng, FORMAT_SHARES, count)
    call = rng.integers(0, len(CALLS_TO_ACTION), count)
    palette = rng.integers(0, len(PALETTES), count)
    face = rng.random(count) < 0.45
    effects = {
        "theme_" + name: [float(v) for v in theme_effect[t]] for t, name in enumerate(("security", "balance"))
    } | {
        "hook": [float(v) for v in hook_effect],
        "format": [float(v) for v in format_effect],
        "call_to_action": [float(v) for v in cta_effect],
        "palette": [float(v) for v in palette_effect],
        "face": [float(face_effect)],
    }
    return Creatives(
        track=track,
        theme=theme,
        hook=hook,
        format=shape,
        call_to_action=call,
        palette=palette,
        variant=rng.integers(0, 10_000, count),
        has_face=face,
        log_ctr=theme_effect[track, theme]
        + hook_effect[hook]
        + format_effect[shape]
        + cta_effect[call]
        + palette_effect[palette]
        + face_effect * face
        + rng.normal(0.0, 0.15, count),
        log_cvr=theme_value[track, theme] + cta_value[call] + rng.normal(0.0, 0.11, count),
    ), effects


def headline(creatives: Creatives, index: int) -> str:
    """The headline of one creative; the hook decides its form, the theme its subject."""
    _, subject, offer, audience = _theme(creatives, index)
    variant = int(creatives.variant[index])
    number = _NUMBERS[variant % len(_NUMBERS)]
    forms = {
        "question": (
            f"Is {subject} safe tonight?",
            f"Who looks after {subject}?",
            f"How well is {subject} doing?",
        ),
        "number": (
            f"{number} ways to protect {subject}",
            f"{number} minutes for {subject}",
            f"{number} signs {subject} needs help",
        ),
        "warning": (
            f"Don't leave {subject} to luck",
            f"Before {subject} goes wrong",
            f"Stop guessing about {subject}",
        ),
        "story": (
            f"How we got {subject} back",
            f"What changed {subject} for us",
            "The evening everything got easier",
        ),
        "offer": (f"Try {offer}", f"New: {offer}", f"For {audience}: {offer}"),
    }[HOOKS[creatives.hook[index]]]
    return forms[variant // len(_NUMBERS) % len(forms)]


def body(creatives: Creatives, index: int) -> str:
    """The text under the headline: whom it is for, what it offers, a closing line."""
    _, subject, offer, audience = _theme(creatives, index)
    variant = int(creatives.variant[index])
    openers = (
        f"Made for {audience}.",
        f"{subject[0].upper()}{subject[1:]} deserves better than hope.",
        f"Thousands of {audience} already use it.",
        "Set up in two minutes.",
    )
    closers = ("Cancel any time.", "Start today.", "See how it works.", "No card needed for the trial.")
    opener = openers[variant % 4]
    return f"{opener} Get {offer}. {closers[variant // 4 % 4]}"


def theme_name(creatives: Creatives, index: int) -> str:
    """The theme of one creative, as its team tagged it."""
    return _theme(creatives, index)[0]


def specification_hash(creatives: Creatives, index: int) -> str:
    """sha256 of what the image would show: stands in for the image's hash where none is rendered."""
    spec = "|".join(
        str(int(values[index]))
        for values in (creatives.track, creatives.theme, creatives.hook, creatives.format, creatives.palette)
    )
    text = f"{spec}|{int(creatives.has_face[index])}|{int(creatives.variant[index])}"
    return hashlib.sha256(text.encode()).hexdigest()


def render(creatives: Creatives, index: int, size: int = IMAGE_PIXELS) -> bytes:
    """The creative as a PNG: palette, headline, button and, where it has one, a face. Deterministic."""
    background, ink, accent = PALETTES[creatives.palette[index]]
    image = Image.new("RGB", (size, size), background)
    draw = ImageDraw.Draw(image)
    variant = int(creatives.variant[index])
    centre = (size * 0.70, size * 0.66) if variant % 2 else (size * 0.30, size * 0.66)
    if creatives.has_face[index]:
        radius = size * (0.16 + 0.02 * (variant % 3))
        _disc(draw, centre, radius, (232, 190, 160))
        for side in (-0.36, 0.36):
            _disc(draw, (centre[0] + side * radius, centre[1] - 0.2 * radius), radius * 0.10, (40, 30, 30))
        draw.arc(
            (centre[0] - radius / 2, centre[1] - radius / 3, centre[0] + radius / 2, centre[1] + radius / 2),
            20,
            160,
            fill=(120, 40, 40),
            width=4,
        )
    else:
        half = size * 0.15
        box = (centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half)
        draw.rounded_rectangle(box, radius=half / 3, fill=accent)
    if FORMATS[creatives.format[index]] == "video":
        x, y, half = size * 0.5, size * 0.66, size * 0.07
        draw.polygon([(x - half, y - half), (x - half, y + half), (x + half, y)], fill=ink)
    font = ImageFont.load_default(size=26)
    for line_number, line in enumerate(_wrap(headline(creatives, index), 20)):
        draw.text((18, 18 + 32 * line_number), line, fill=ink, font=font)
    button = CALLS_TO_ACTION[creatives.call_to_action[index]]
    draw.rounded_rectangle((18, size - 52, 178, size - 16), radius=10, fill=accent)
    draw.text((28, size - 46), button, fill=background, font=ImageFont.load_default(size=18))
    buffer = BytesIO()
    image.save(buffer, format="PNG", optimize=False, compress_level=6)
    return buffer.getvalue()


def _theme(creatives: Creatives, index: int) -> tuple[str, str, str, str]:
    return THEMES[int(creatives.track[index])][int(creatives.theme[index])]


def _disc(
    draw: ImageDraw.ImageDraw, centre: tuple[float, float], radius: float, colour: tuple[int, int, int]
) -> None:
    x, y = centre
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _wrap(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
