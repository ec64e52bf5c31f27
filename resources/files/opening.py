"""Bytes of a dropped file made safe to read: kind, digest, expansion limits, encoding, a local copy.

Here: everything that looks at bytes. Not here: what the columns mean (`recognition.py`), rows
(`batches.py`), or which files a folder holds (`drop.py`).
"""

from __future__ import annotations

import codecs
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import charset_normalizer
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

Kind = Literal["text", "parquet", "workbook"]

_BLOCK = 1 << 20
_HEAD = 1 << 18
# Where a gzip member ends, what is left of its piece is copied.
_PIECE = 1 << 16
# More members than this hold so many bytes each on average; a row of any export is longer.
_MEMBERS, _MEMBER_BYTES = 10_000, 10
# Encodings exports really come in besides UTF-8 and UTF-16. cp1250 is left out: on western text it fits
# as well as cp1252 and turns ñ into ň; a mapping may name it.
_LEGACY_ENCODINGS = ["cp1252", "cp1251", "cp1253", "cp1254", "cp932", "gb18030", "big5", "cp949"]
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF8 = ("utf-8", "utf-8-sig")
# Floats above this no longer hold every whole number.
EXACT_INTEGERS = 2**53
# Whatever pyarrow raises of bytes that are no Parquet, or of names in it that are no text.
_BROKEN_PARQUET = (pa.ArrowException, OSError, UnicodeDecodeError)

CHANGED = "the file changed while it was read; it will be taken up at the next landing"
GONE = "was moved or deleted while the folder was read"


class UnreadableFile(ValueError):
    """The file cannot be read as a table; the message says why and what to do."""


class OutOfReach(UnreadableFile):
    """Its bytes cannot be had at all, so nobody knows whether it is a table."""


@dataclass(frozen=True)
class Limits:
    """What one file may cost.

    An export compresses 5 to 30 times; 250 leaves room for long runs of zeros, while a bomb reaches 1,000.
    `workbook_bytes` is the most of a workbook, stored or expanded, `workbook_memory` what the process that
    reads it may take, `batch_bytes` the text of one column in one batch of rows of a Parquet file.
    """

    expansion_ratio: float = 250.0
    expanded_bytes: int = 20 << 30
    workbook_bytes: int = 2 << 30
    workbook_memory: int = 4 << 30
    batch_bytes: int = 1 << 30

    def is_bomb(self, expanded: int, stored: int) -> bool:
        """Whether so many bytes are too many for a file of `stored`."""
        return expanded > self.granted(stored, self.expanded_bytes)

    def granted(self, stored: int, allowed: int) -> int:
        """How many of the allowed bytes a file of `stored` may expand to; the first 16 MiB always."""
        return min(allowed, max(16 * _BLOCK, int(self.expansion_ratio * stored)))


@dataclass(frozen=True)
class Inspection:
    """One full pass over the bytes as they lie in the folder.

    `sha256` is of the stored bytes (compressed where they are); encoding and quotes are those of the
    expanded text.
    """

    sha256: str
    kind: Kind
    encoding: str
    has_quotes: bool


def read_blocks(filesystem: AbstractFileSystem, path: str) -> Iterator[bytes]:
    """A file's bytes, a block at a time.

    Raises:
        OutOfReach: it is gone, or not ours to read.
    """
    try:
        stored = filesystem.open(path, "rb")
    except PermissionError as error:
        raise OutOfReach(
            f"cannot be read ({error.strerror or error}): let the account that AELP runs as read it"
        ) from None
    except FileNotFoundError:
        raise OutOfReach(GONE) from None
    with stored as stream:
        while block := stream.read(_BLOCK):
            yield block


def kind_of(head: bytes) -> Kind | Literal["gzip"]:
    """What the first bytes say the file is.

    Raises:
        UnreadableFile: an empty file, or one that holds no table (an image, a video, an archive).
    """
    if not head:
        raise UnreadableFile("empty file")
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        return "workbook"
    _encoding_of_head(head)
    return "text"


def _encoding_of_head(head: bytes) -> str | None:
    """The encoding the first bytes give away; None where only the rest can tell UTF-8 from legacy ones.

    Raises:
        UnreadableFile: bytes that are no text.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    sample = head[:4096]
    if b"\x00" not in sample:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > 0.3 * len(sample) / 2 and even < odd / 4:
        return "utf-16-le"
    if even > 0.3 * len(sample) / 2 and odd < even / 4:
        return "utf-16-be"
    raise UnreadableFile("not a table: binary content")


def expand(blocks: Iterator[bytes], limits: Limits) -> Iterator[bytes]:
    """The bytes inside a gzip stream (several members allowed), never more than the limits grant.

    Raises:
        UnreadableFile: a broken or cut-off stream, one that expands too far, or members with nothing in them.
    """
    # Encodings are guessed from a block: a member of a few bytes is none.
    held: list[bytes] = []
    size = 0
    for piece in _expanded(blocks, limits):
        held.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _expanded(blocks: Iterator[bytes], limits: Limits) -> Iterator[bytes]:
    stored = expanded = 0
    members = 1
    decoder = zlib.decompressobj(wbits=31)
    for block in blocks:
        stored += len(block)
        for start in range(0, len(block), _PIECE):
            pending = block[start : start + _PIECE]
            if decoder.eof:
                pending = pending.lstrip(b"\0")  # some writers pad the end with zero bytes
            while pending:
                if decoder.eof:
                    decoder = zlib.decompressobj(wbits=31)
                    members += 1
                try:
                    piece = decoder.decompress(pending, _BLOCK)
                except zlib.error as error:
                    raise UnreadableFile(f"broken gzip data: {error}") from None
                pending = decoder.unused_data.lstrip(b"\0") if decoder.eof else decoder.unconsumed_tail
                expanded += len(piece)
                if limits.is_bomb(expanded, stored):
                    raise UnreadableFile(
                        f"expands to more than {expanded:,} bytes from {stored:,}: "
                        "refused as a decompression bomb"
                    )
                if members > max(_MEMBERS, expanded // _MEMBER_BYTES):
                    raise UnreadableFile(
                        f"holds {members:,} gzip members with {expanded:,} bytes in all, next to nothing in "
                        "each: unpack it, and pack it anew as one"
                    )
                if piece:
                    yield piece
    if not decoder.eof:
        raise UnreadableFile("the gzip data ends early: the file is cut off or still being written")


def _opened(
    filesystem: AbstractFileSystem, path: str, limits: Limits, digest: hashlib._Hash | None = None
) -> tuple[Kind, Iterator[bytes]]:
    """Kind of the content and its blocks, unzipped; `digest` sees the stored bytes."""

    def stored() -> Iterator[bytes]:
        for block in read_blocks(filesystem, path):
            if digest is not None:
                digest.update(block)
            yield block

    blocks = stored()
    first = next(blocks, b"")
    kind = kind_of(first)
    if kind != "gzip":
        return kind, _chained(first, blocks)
    inner = expand(_chained(first, blocks), limits)
    head = next(inner, b"")
    inner_kind = kind_of(head)
    if inner_kind != "text":
        raise UnreadableFile(f"a {inner_kind} inside gzip: drop it without the gzip")
    return "text", _chained(head, inner)


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def head_text(
    filesystem: AbstractFileSystem, path: str, limits: Limits, encoding: str | None = None
) -> tuple[Kind, str]:
    """Kind of a file and the beginning of its text ("" where it is not text), whole lines only."""
    kind, blocks = _opened(filesystem, path, limits)
    if kind != "text":
        return kind, ""
    head = b""
    while len(head) < _HEAD and (block := next(blocks, b"")):
        head += block
    complete = len(head) < _HEAD
    head = head[:_HEAD]
    encoding = encoding or _encoding_of_head(head)
    if encoding is None:
        encoding = _legacy_encoding(head) if _invalid_utf8(head, final=complete) else "utf-8"
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head, final=complete)
    return kind, text if complete else text[: text.rfind("\n") + 1] or text


def _invalid_utf8(head: bytes, final: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=final)
    except UnicodeDecodeError:
        return True
    return False


def _legacy_encoding(sample: bytes) -> str:
    """The likeliest encoding of bytes that are not UTF-8. Numbers read the same in all of them."""
    # Whole lines around the odd bytes: a long ASCII head would drown the evidence.
    lines = [line for line in sample.splitlines() if not line.isascii()][:200]
    best = charset_normalizer.from_bytes(b"\n".join(lines), cp_isolation=_LEGACY_ENCODINGS).best()
    encoding = best.encoding if best is not None else "cp1252"
    try:
        sample.decode(encoding)
    except UnicodeDecodeError:
        # cp1252 leaves five bytes undefined; latin-1 defines them all.
        return "latin-1" if encoding == "cp1252" else encoding
    return encoding


def inspect(
    filesystem: AbstractFileSystem, path: str, limits: Limits, encoding: str | None = None
) -> Inspection:
    """Digest, kind and encoding of a file, reading all of it once.

    Args:
        encoding: what a mapping says the encoding is; None: found out.

    Raises:
        UnreadableFile: no table, a broken archive or a decompression bomb.
    """
    digest = hashlib.sha256()
    kind, blocks = _opened(filesystem, path, limits, digest)
    known = encoding if kind == "text" else "utf-8"
    has_quotes = False
    decoder = codecs.getincrementaldecoder("utf-8")()
    odd_sample = b""
    for index, block in enumerate(blocks):
        if kind != "text":
            continue
        if index == 0 and known is None:
            known = _encoding_of_head(block)
        has_quotes = has_quotes or b'"' in block
        if known is None:
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                odd_sample = odd_sample or block[max(0, error.start - _HEAD) : error.start + _HEAD]
                known = _legacy_encoding(odd_sample)
    return Inspection(digest.hexdigest(), kind, known or "utf-8", has_quotes)


def spool(
    filesystem: AbstractFileSystem, path: str, inspection: Inspection, target: Path, limits: Limits
) -> None:
    """A local copy to parse: text as plain UTF-8, anything else byte for byte.

    A copy cannot change under the parser, and an object store is read once.

    Raises:
        UnreadableFile: the file changed since it was inspected, or its bytes do not fit its encoding.
    """
    digest = hashlib.sha256()
    kind, blocks = _opened(filesystem, path, limits, digest)
    with target.open("wb") as out:
        if kind != "text" or inspection.encoding in _UTF8:
            mark = codecs.BOM_UTF8 if kind == "text" else b""
            for index, block in enumerate(blocks):
                out.write(block.removeprefix(mark) if index == 0 else block)
        else:
            decoder = codecs.getincrementaldecoder(inspection.encoding)()
            try:
                for block in blocks:
                    out.write(decoder.decode(block).encode())
                out.write(decoder.decode(b"", final=True).encode())
            except UnicodeError as error:
                raise UnreadableFile(
                    f"{_misfit(error)} does not fit the encoding {inspection.encoding}; "
                    "export as UTF-8, or name the encoding in a mapping file"
                ) from None
    if digest.hexdigest() != inspection.sha256:
        raise UnreadableFile(CHANGED)
    if kind == "parquet":
        _check_parquet(target, limits)


def _misfit(error: UnicodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.object[error.start]:#04x}"
    # Such as a text without the mark that says how its bytes are ordered.
    return f"the text ({error})"


def _check_parquet(path: Path, limits: Limits) -> None:
    try:
        metadata = pq.ParquetFile(path).metadata
    except _BROKEN_PARQUET as error:
        raise UnreadableFile(f"broken Parquet file: {error}") from None
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    stored = path.stat().st_size
    if limits.is_bomb(size, stored):
        raise UnreadableFile(f"expands to {size:,} bytes: refused as a decompression bomb")
    # A value repeated a billion times is stored in a few bytes; as text it is at least one byte each time.
    if limits.is_bomb(metadata.num_rows * metadata.num_columns, stored):
        raise UnreadableFile(
            f"holds {metadata.num_rows:,} rows of {metadata.num_columns} columns in {stored:,} bytes: "
            "refused as a decompression bomb"
        )


def parquet_columns(filesystem: AbstractFileSystem, path: str) -> tuple[str, ...]:
    """Column names of a Parquet file.

    Raises:
        UnreadableFile: it is none, or is cut off.
    """
    try:
        with filesystem.open(path, "rb") as stream:
            return tuple(pq.ParquetFile(stream).schema_arrow.names)
    except _BROKEN_PARQUET as error:
        raise UnreadableFile(f"broken Parquet file: {error}") from None
