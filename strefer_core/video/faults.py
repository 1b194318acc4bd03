"""What is wrong with a file that is no good video, in words that name the way out."""

from __future__ import annotations

import string
from pathlib import Path

_IMAGES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"RIFF....WEBP": "WebP",
    b"BM": "BMP",
    b"II*\0": "TIFF",
}
_OTHERS = {b"PK\x03\x04": "ZIP archive", b"\x1f\x8b": "gzip archive", b"%PDF": "PDF document"}
_TEXT = frozenset(string.printable.encode()) | frozenset(range(0x80, 0x100))


def explain(path: Path, error: BaseException | None = None) -> str:
    """One line on why a file cannot be opened, from a look at its bytes."""
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as problem:
        return f"{path.name} cannot be read: {problem.strerror}; check that it exists and who may read it"
    return f"{path.name} {_finding(path, head, size_bytes)}" + (f" ({_short(error)})" if error else "")


def _short(error: BaseException) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _finding(path: Path, head: bytes, size_bytes: int) -> str:
    if size_bytes == 0:
        return "is empty (0 bytes): its upload did not finish; send it again"
    for magic, kind in _IMAGES.items():
        if _starts(head, magic):
            return f"is a single {kind} image, not a video; send a video file"
    for magic, kind in _OTHERS.items():
        if _starts(head, magic):
            return f"is a {kind}, not a video; unpack it or send the video itself"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
        return _mp4_finding(path, size_bytes)
    if not any(head):
        return "begins with zero bytes only: its copy did not finish or its disk is damaged; send it again"
    if all(byte in _TEXT for byte in head):
        kind = "an HTML page" if b"<html" in head.lower() or b"<!doctype" in head.lower() else "text"
        return f"is {kind}, not a video: a download link often answers with one; fetch the video again"
    return "is in no video format that we read; re-encode it, for example to H.264 in mp4"


def _starts(head: bytes, magic: bytes) -> bool:
    return all(want == ord(".") or want == have for want, have in zip(magic, head, strict=False)) and len(
        head
    ) >= len(magic)


def _mp4_finding(path: Path, size_bytes: int) -> str:
    boxes = _mp4_boxes(path, size_bytes)
    end = max((end for _, end in boxes), default=0)
    if end > size_bytes:
        return (
            f"is truncated: an mp4 that should have at least {end} bytes and has {size_bytes}; "
            "its copy did not finish, send it again"
        )
    if b"moov" not in [kind for kind, _ in boxes]:
        return "is an mp4 without its index (moov): the recording or copy did not finish; send it again"
    return "is an mp4 whose index (moov) is damaged; send it again or re-mux it from the source"


def mp4_end(path: Path, size_bytes: int) -> int:
    """Where the file should end by its media and index boxes; 0 without any. Other boxes may be garbage
    that was appended to a sound file."""
    boxes = _mp4_boxes(path, size_bytes)
    return max((end for kind, end in boxes if kind in (b"mdat", b"moov", b"moof")), default=0)


def _mp4_boxes(path: Path, size_bytes: int, limit: int = 1000) -> list[tuple[bytes, int]]:
    """(kind, end offset) of the top-level boxes, ISO/IEC 14496-12 section 4.2."""
    boxes: list[tuple[bytes, int]] = []
    start = 0
    with path.open("rb") as file:
        while start + 8 <= size_bytes and len(boxes) < limit:
            file.seek(start)
            header = file.read(16)
            length = int.from_bytes(header[:4])
            if length == 1:
                length = int.from_bytes(header[8:16])
            end = size_bytes if length == 0 else start + length
            if end < start + 8:
                break
            boxes.append((header[4:8], end))
            start = end
    return boxes
