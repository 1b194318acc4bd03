"""Near-duplicates: against a plain comparison of all pairs, and on re-encoded videos."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from strefer_core.near_duplicates import near_duplicates
from strefer_core.video.figures import measure
from strefer_core.video_io import decode_frames, index_video, sample_positions
from tests.media import Image, barcode_frame, write_video

Videos = list[tuple[str, tuple[str, ...]]]
ZERO, ONE, THREE, FAR = "0" * 16, "0" * 15 + "1", "0" * 15 + "7", "f" * 16


@pytest.mark.parametrize(
    ("videos", "max_bits", "expected"),
    [
        ([], 4, {}),
        ([("a", (ZERO,)), ("b", (ZERO,))], 0, {"b": "a"}),
        ([("b", (ZERO,)), ("a", (ZERO,))], 0, {"a": "b"}),  # the first wins, whatever its name
        ([("a", (ZERO,)), ("b", (ONE,))], 0, {}),
        ([("a", (ZERO,)), ("b", (ONE,))], 1, {"b": "a"}),
        ([("a", (ZERO,)), ("b", (THREE,))], 2, {}),
        ([("a", (ZERO, ZERO)), ("b", (ONE, ZERO))], 0.5, {"b": "a"}),  # the mean over the hashes counts
        ([("a", (ZERO, ZERO)), ("b", (THREE, ZERO))], 1, {}),
        ([("a", (ZERO,)), ("b", (ONE,)), ("c", (THREE,))], 2, {"b": "a", "c": "a"}),  # c repeats b only
        ([("a", (ZERO,)), ("c", (THREE,)), ("b", (ONE,))], 2, {"b": "a"}),  # b repeats both, the first wins
        ([("a", (ZERO,)), ("b", (ZERO, ZERO)), ("c", ()), ("d", ())], 4, {}),  # not comparable
        ([("a", (ZERO,)), ("a", (ZERO,)), ("b", (FAR,))], 4, {}),  # the same video twice is no repeat
        ([("a", (FAR,)), ("b", (ZERO,)), ("c", (ONE,)), ("d", (FAR,))], 4, {"c": "b", "d": "a"}),
    ],
)
def test_table(videos: Videos, max_bits: float, expected: dict[str, str]) -> None:
    assert near_duplicates(videos, max_bits) == expected


def plain(videos: Videos, max_bits: float) -> dict[str, str]:
    """The definition, word by word."""
    root: dict[str, str] = {}
    for j, (later, hashes) in enumerate(videos):
        for earlier, others in videos[:j]:
            bits = [(int(x, 16) ^ int(y, 16)).bit_count() for x, y in zip(hashes, others, strict=True)]
            if sum(bits) / len(bits) <= max_bits:
                root[later] = root.get(earlier, earlier)
                break
    return root


@pytest.mark.parametrize("max_bits", [0, 1, 2.5, 4, 12])
def test_agrees_with_comparing_all_pairs(max_bits: float) -> None:
    rng = np.random.default_rng(5)
    centres = rng.integers(0, 256, (12, 24), dtype=np.uint8)
    videos: Videos = []
    for i in range(150):
        flips = np.packbits(rng.random((24, 8)) < rng.choice([0.0, 0.02, 0.06, 0.12]), axis=1).ravel()
        data = bytes(centres[rng.integers(12)] ^ flips).hex()
        videos.append((f"v{i}", tuple(data[k : k + 16] for k in range(0, 48, 16))))
    expected = plain(videos, max_bits)
    assert near_duplicates(videos, max_bits) == expected
    assert len(expected) > 5


def test_thousands_of_videos_take_little_time() -> None:
    rng = np.random.default_rng(6)
    data = rng.integers(0, 256, (20_000, 64), dtype=np.uint8)
    data[15_000] = data[3]
    data[15_000, :4] ^= 0xFF  # all 32 bits that a mean of 4 bits over 8 hashes allows
    data[16_000] = data[4]
    data[16_000, :5] ^= 0x7F  # 35 bits: too far
    videos = [
        (str(i), tuple(row.tobytes().hex()[k : k + 16] for k in range(0, 128, 16)))
        for i, row in enumerate(data)
    ]
    assert near_duplicates(videos, 4) == {"15000": "3"}


@pytest.mark.parametrize("max_bits", [-1, 32, float("nan")])
def test_a_distance_out_of_range_is_refused(max_bits: float) -> None:
    with pytest.raises(ValueError, match="max_distance_bits"):
        near_duplicates([("a", (ZERO,))], max_bits)


@pytest.mark.parametrize("value", ["", "0" * 15, "g" * 16])
def test_a_malformed_hash_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        near_duplicates([("a", (value,)), ("b", (value,))], 4)


def hashes_of(path: Path) -> tuple[str, ...]:
    return measure(path, index_video(path))[0].perceptual_hashes


def scene(seed: int, i: int) -> Image:
    """A picture of its own per seed, with a moving block."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (6, 10, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (320, 192), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    image[80:128, 4 * i : 4 * i + 48] = (220, 30, 30)
    return image


def test_re_encoded_and_resized_copies_are_found_and_others_are_not(tmp_path: Path) -> None:
    def resized(seed: int, width: int, height: int, i: int) -> Image:
        return cv2.resize(scene(seed, i), (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)

    files = {
        "one": write_video(tmp_path / "1.mp4", 40, paint=lambda i: scene(1, i)),
        "two": write_video(tmp_path / "2.mp4", 40, paint=lambda i: scene(2, i)),
        "one again, worse": write_video(
            tmp_path / "3.mp4", 40, paint=lambda i: scene(1, i), options={"crf": "38", "preset": "veryfast"}
        ),
        "two again, smaller": write_video(tmp_path / "4.mp4", 40, paint=lambda i: resized(2, 160, 96, i)),
        "one again, other codec and aspect": write_video(
            tmp_path / "5.avi", 40, paint=lambda i: resized(1, 256, 192, i), codec="mpeg4", options={"q": "8"}
        ),
        "one again, half the rate": write_video(
            tmp_path / "6.mp4", 20, paint=lambda i: scene(1, 2 * i), rate=Fraction(15)
        ),
        "three": write_video(tmp_path / "7.mp4", 40, paint=barcode_frame),
    }
    videos = [(name, hashes_of(path)) for name, path in files.items()]
    assert near_duplicates(videos, 4) == {
        "one again, worse": "one",
        "two again, smaller": "two",
        "one again, other codec and aspect": "one",
        "one again, half the rate": "one",
    }


def test_real_videos_and_a_small_copy(tmp_path: Path) -> None:
    folder = Path(__file__).parents[2] / "../shared/data"
    originals = sorted(folder.glob("*.mp4"))
    if len(originals) != 3:
        pytest.skip("the three real videos are not here")
    videos = [(path.name, hashes_of(path)) for path in originals]
    source = originals[1]
    index = index_video(source)
    frames = decode_frames(source, sample_positions(index.frame_count), index, max_side_px=320)
    copy = write_video(tmp_path / "a.mp4", 32, paint=lambda i: frames[i], options={"crf": "32"})
    videos.append(("copy", hashes_of(copy)))
    assert near_duplicates(videos, 4) == {"copy": source.name}
