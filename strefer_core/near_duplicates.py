"""Which videos of a collection repeat an earlier one: re-encoded, resized, re-wrapped.

Exact and complete, not approximate: every pair within the distance is found. If two videos differ in at most
T of all their hash bits and the bits are cut into T + 1 parts, at least one part is equal (the pigeonhole
principle, as in Norouzi et al., "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012). So it
is enough to compare videos that share a part: sorting instead of all pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

HASH_BITS = 64


def near_duplicates(
    videos: Sequence[tuple[str, tuple[str, ...]]], max_distance_bits: float
) -> dict[str, str]:
    """Map each later video to the earliest one that it repeats.

    Args:
        videos: (video id, perceptual hashes as 16 hex digits each), in the order in which the first wins.
        max_distance_bits: largest mean Hamming distance per hash that still counts, 0 <= d < 32.

    Returns:
        Later video id -> root: where B repeats A and C repeats B, both map to A. Videos with another number
        of hashes, or with none, are not comparable. Repeated ids count once.

    Raises:
        ValueError: a distance out of range, or a malformed hash.
    """
    if not 0 <= max_distance_bits < HASH_BITS / 2:
        raise ValueError(f"max_distance_bits is {max_distance_bits}, expected 0 <= d < {HASH_BITS // 2}")
    groups: dict[int, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for video_id, hashes in videos:
        groups[len(hashes)].setdefault(video_id, hashes)
    repeats: dict[str, str] = {}
    for hash_count, group in groups.items():
        if hash_count:
            repeats |= _in_group(group, int(max_distance_bits * hash_count))
    return repeats


def _in_group(group: dict[str, tuple[str, ...]], max_bits: int) -> dict[str, str]:
    """`near_duplicates` among videos with the same number of hashes; `max_bits` over all hashes."""
    ids = list(group)
    data = bytes.fromhex("".join("".join(_checked(hashes)) for hashes in group.values()))
    table = np.frombuffer(data, np.uint8).reshape(len(ids), -1)
    # Equal videos become one row first, so that a thousand copies are not half a million pairs.
    rows, first, row_of = np.unique(table, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)  # rows by their first video
    root = np.arange(len(rows))
    for earlier, later in sorted(_close_pairs(rows[order], max_bits), key=lambda pair: (pair[1], pair[0])):
        if root[later] == later:  # its earliest partner decides
            root[later] = root[earlier]
    rank = np.argsort(order)
    roots = first[order[root[rank[row_of.ravel()]]]]
    return {ids[i]: ids[int(original)] for i, original in enumerate(roots) if original != i}


def _checked(hashes: tuple[str, ...]) -> tuple[str, ...]:
    for value in hashes:
        if len(value) * 4 != HASH_BITS:
            raise ValueError(f"perceptual hash {value!r} does not have {HASH_BITS // 4} hex digits")
    return hashes


def _close_pairs(rows: NDArray[np.uint8], max_bits: int) -> set[tuple[int, int]]:
    """Pairs (i < j) of (V, B) byte rows that differ in at most `max_bits` bits."""
    words = np.ascontiguousarray(rows).view(np.uint64)  # (V, hashes)
    bits = np.unpackbits(rows, axis=1)  # (V, 64 * hashes)
    pairs: set[tuple[int, int]] = set()
    for part in np.array_split(np.arange(bits.shape[1]), max_bits + 1):
        for a, b in _equal_pairs(np.packbits(bits[:, part], axis=1)):
            distance = np.bitwise_count(words[a] ^ words[b]).sum(axis=1)
            close = distance <= max_bits
            low, high = np.minimum(a[close], b[close]), np.maximum(a[close], b[close])
            pairs.update(zip(low.tolist(), high.tolist(), strict=True))
    return pairs


def _equal_pairs(keys: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """All pairs of equal (V, K) rows, in batches of at most V: after sorting, the d-th neighbours that are
    equal, for d = 1, 2, ... until there are none."""
    flat = np.ascontiguousarray(keys).view(np.dtype((np.void, keys.shape[1]))).ravel()
    _, codes = np.unique(flat, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    alive = np.arange(len(codes))
    step = 1
    while len(alive):
        alive = alive[alive + step < len(codes)]
        alive = alive[codes[alive] == codes[alive + step]]
        if len(alive):
            yield order[alive], order[alive + step]
        step += 1
