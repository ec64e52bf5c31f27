"""Links to images and videos of the simulated account, signed and expiring as Meta's own.

Here: links in objects, and what they lead to. Not here: which images there are (`entities`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from resources.sandbox.clips import render_clip
from resources.sandbox.copywriting import IMAGE_PIXELS
from resources.sandbox.servers.faults import FaultKind
from resources.sandbox.servers.http import Answer, Request
from resources.sandbox.servers.meta.entities import EntityStore, Objects

FOLDER = "images"
VIDEO_FOLDER = "videos"
_LIFE = timedelta(days=2)
_REFUSALS = {
    FaultKind.THROTTLE: Answer(b"", 429, {"Retry-After": "7", "Content-Type": "text/plain"}),
    FaultKind.SERVER_ERROR: Answer(b"", 503, {"Content-Type": "text/plain"}),
}


@dataclass
class ImageLinks:
    """Images, and the videos made of them, behind links that nobody needs a token for.

    Attributes:
        key: what links are signed with.
        instead: what a link answers although it is in order, by Meta's hash of its image or id of its video.
    """

    entities: EntityStore
    base_url: str
    key: str
    instead: dict[str, Answer] = field(default_factory=dict)
    _clips: dict[str, bytes] = field(default_factory=dict)

    def ad_images(self) -> Objects:
        return [image | {"url": self._link(image["hash"])} for image in self.entities.ad_images()]

    def ad_videos(self) -> Objects:
        return [self._video(video) for video in self.entities.ad_videos()]

    def answer(self, request: Request, fault: FaultKind | None) -> Answer:
        """The bytes behind a link, or what its host says instead."""
        if fault is not None:
            return _REFUSALS[fault]
        name = request.path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        expires = request.form.get("oe", "")
        if request.form.get("oh") != self._signature(name, expires):
            return Answer(b"Bad URL hash", 403, {"Content-Type": "text/plain"})
        if datetime.fromtimestamp(int(expires, 16), UTC) < self.entities.served.now():
            return Answer(b"URL signature expired", 403, {"Content-Type": "text/plain"})
        if name in self.instead:
            return self.instead[name]
        if request.path.startswith(f"/{VIDEO_FOLDER}/"):
            return self._clip(name)
        if name not in self.entities.images:
            return Answer(b"Not found", 404, {"Content-Type": "text/plain"})
        return Answer(self.entities.images[name], 200, {"Content-Type": "image/png"})

    def _clip(self, video_id: str) -> Answer:
        if video_id not in self._clips:
            made_of = {video["id"]: video["image_hash"] for video in self.entities.ad_videos()}
            picture = self.entities.images.get(made_of.get(video_id, ""))
            if picture is None:
                return Answer(b"Not found", 404, {"Content-Type": "text/plain"})
            self._clips[video_id] = render_clip(picture, video_id)
        return Answer(self._clips[video_id], 200, {"Content-Type": "video/mp4"})

    def _video(self, video: dict[str, Any]) -> dict[str, Any]:
        told = {name: value for name, value in video.items() if name != "image_hash"}
        if video["image_hash"] not in self.entities.images:
            return told
        pixels = dict.fromkeys(("width", "height"), IMAGE_PIXELS)
        chosen = {"id": f"7{video['id']}", "uri": self._link(video["image_hash"]), "is_preferred": True}
        source = self._signed(f"{VIDEO_FOLDER}/{video['id']}.mp4", video["id"])
        return told | {
            "source": source,
            "picture": chosen["uri"],
            "thumbnails": {"data": [chosen | pixels]},
        }

    def _link(self, image_hash: str) -> str:
        return self._signed(f"{FOLDER}/{image_hash}.png", image_hash)

    def _signed(self, path: str, name: str) -> str:
        expires = f"{int((self.entities.served.now() + _LIFE).timestamp()):x}"
        signed = urlencode({"oh": self._signature(name, expires), "oe": expires})
        return f"{self.base_url}/{path}?{signed}"

    def _signature(self, name: str, expires: str) -> str:
        return hashlib.sha256(f"{self.key}/{name}/{expires}".encode()).hexdigest()[:32]
