"""Mask pooling, merging and temporal pooling against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from strefer_core.video_llm.connector import (
    GroupedPooling,
    WordPooling,
    joint_masks,
    merge_adjacent,
    merge_evenly,
    motion,
    places,
    pool_regions,
)
from strefer_core.video_llm.processing import touched_cells


def test_pooled_features_are_the_mean_of_touched_cells() -> None:
    mask = np.zeros((40, 60), bool)
    mask[9:11, 14:31] = True  # rows 9 and 10 lie in cells 0 and 1 of 4; columns 14 to 30 in cells 0, 1 and 2
    cells = touched_cells(mask, 4)
    expected = np.zeros((4, 4), bool)
    expected[0:2, 0:3] = True
    assert (cells == expected).all()
    features = np.random.default_rng(0).normal(size=(1, 2, 16, 5))
    both = np.stack([cells.ravel(), np.zeros(16, bool)])[None]
    pooled = pool_regions(torch.tensor(features), torch.tensor(both))[0].numpy()
    by_hand = np.mean([features[0, 0, row * 4 + column] for row in (0, 1) for column in (0, 1, 2)], axis=0)
    np.testing.assert_allclose(pooled[0], by_hand)
    np.testing.assert_array_equal(pooled[1], 0)


@pytest.mark.parametrize(("height", "width", "side"), [(36, 64, 8), (10, 7, 8), (5, 3, 8), (360, 640, 27)])
def test_a_pixel_touches_every_cell_that_it_overlaps(height: int, width: int, side: int) -> None:
    rng = np.random.default_rng(height)
    mask = rng.random((height, width)) < 3 / (height * width)
    mask[height // 2, width // 3] = True
    expected = np.zeros((side, side), bool)
    for row, column in zip(*np.nonzero(mask), strict=True):
        for i in range(side):
            for j in range(side):
                across = column * side < (j + 1) * width and (column + 1) * side > j * width
                down = row * side < (i + 1) * height and (row + 1) * side > i * height
                expected[i, j] |= across and down
    assert (touched_cells(mask, side) == expected).all()


def naive_merge(tokens: np.ndarray, most: int) -> np.ndarray:
    """Keep the `most - 1` least similar boundaries, the earliest of equals; means between them."""

    def alike(i: int) -> float:
        a, b = tokens[i], tokens[i + 1]
        return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-8))

    values = [round(alike(i), 5) for i in range(len(tokens) - 1)]
    kept = sorted(sorted(range(len(values)), key=lambda i: (values[i], i))[: most - 1])
    parts = np.split(tokens, [i + 1 for i in kept])
    return np.stack([part.mean(0) for part in parts])


def test_merging_equals_a_naive_loop_for_a_whole_batch() -> None:
    rng = np.random.default_rng(1)
    tokens = rng.normal(size=(40, 12, 6)).astype(np.float32)
    valid = rng.random((40, 12)) < 0.6
    valid[0], valid[1] = True, False
    valid[1, 5] = True
    shares, count = merge_adjacent(torch.tensor(tokens), torch.tensor(valid), 4)
    merged = (shares @ torch.tensor(tokens)).numpy()
    for n in range(40):
        expected = naive_merge(tokens[n][valid[n]], 4)
        assert int(count[n]) == len(expected)
        np.testing.assert_allclose(merged[n, : len(expected)], expected, atol=1e-5)
        np.testing.assert_array_equal(merged[n, len(expected) :], 0)


@pytest.mark.parametrize("frames", [1, 2, 4, 5, 9])
def test_equal_tokens_still_give_the_exact_number(frames: int) -> None:
    tokens = torch.ones(1, 9, 3)
    valid = torch.arange(9)[None] < frames
    shares, count = merge_adjacent(tokens, valid, 4)
    assert int(count) == min(4, frames)
    assert shares.sum(-1)[0].tolist() == [1.0] * min(4, frames) + [0.0] * (4 - min(4, frames))


def test_even_merging_is_a_mean_per_span_of_the_video() -> None:
    valid = torch.zeros(2, 8, dtype=torch.bool)
    valid[0, [0, 1, 5]] = True
    valid[1] = True
    shares = merge_evenly(valid, 4)
    assert shares[0].tolist() == [[0.5, 0.5, *[0.0] * 6], [0.0] * 8, [*[0.0] * 5, 1.0, 0.0, 0.0], [0.0] * 8]
    tokens = torch.arange(8.0)[:, None]
    assert (shares[1] @ tokens)[:, 0].tolist() == [0.5, 2.5, 4.5, 6.5]


def test_motion_is_later_minus_earlier_and_frames_without_the_region_stand_aside() -> None:
    pooled = torch.tensor([0.0, 1.0, 4.0, 9.0, 16.0])[None, :, None]
    everywhere = torch.ones(1, 5, dtype=torch.bool)
    assert motion(pooled, everywhere, reach=1)[0, :, 0].tolist() == [1.0, 4.0, 8.0, 12.0, 7.0]
    gap = torch.tensor([[True, False, True, True, True]])
    assert motion(pooled, gap, reach=1)[0, 2, 0].item() == 9.0 - 4.0


def test_temporal_pooling_starts_as_the_mean_over_groups_and_cells() -> None:
    features = torch.randn(2, 8, 36, 3)
    pooled = GroupedPooling(3, time_groups=4, cells_per_side=2)(features)
    grid = features.numpy().reshape(2, 8, 6, 6, 3)
    by_hand = [
        grid[:, 2 * g : 2 * g + 2, 3 * r : 3 * r + 3, 3 * c : 3 * c + 3].mean((1, 2, 3))
        for g in range(4)
        for r in range(2)
        for c in range(2)
    ]
    np.testing.assert_allclose(pooled.numpy(force=True), np.stack(by_hand, 1), atol=1e-6)


def test_patches_that_do_not_divide_into_cells_are_all_used() -> None:
    features = torch.zeros(1, 2, 49, 1)
    features[0, :, 48] = 1.0  # the last corner of 7 x 7
    pooled = GroupedPooling(1, time_groups=1, cells_per_side=4)(features)
    assert pooled.shape == (1, 16, 1)
    assert float(pooled[0, 15].detach()) > 0


def test_places_are_centres_and_sizes_of_masks() -> None:
    """Of 4 x 4 patches: the right half of the top row; everything; nothing; one patch, half of it."""
    masks = torch.zeros(1, 4, 16)
    masks[0, 0, 2:4] = 1
    masks[0, 1] = 1
    masks[0, 3, 4] = 0.5
    expected = [[0.5, -0.75, (2 / 16) ** 0.5], [0, 0, 1], [0, 0, 1e-3], [-0.75, -0.25, (0.5 / 16) ** 0.5]]
    torch.testing.assert_close(places(masks)[0], torch.tensor(expected))


def test_a_word_means_the_patches_that_are_like_it() -> None:
    """Words and patches in two dimensions: the word alone counts, not the one before it."""
    pooling = WordPooling(2, 2)
    with torch.no_grad():
        pooling.key.weight.copy_(torch.eye(2) * 3)
        pooling.query.weight.copy_(torch.tensor([[0.0, 0.0, 3.0, 0.0], [0.0, 0.0, 0.0, 3.0]]))
        pooling.query.bias.zero_()
    features = torch.tensor([[[1.0, -1.0], [-1.0, 1.0], [-1.0, 1.0]]])  # one frame of three patches
    words = torch.tensor([[5.0, 0.0, 1.0, -9.0], [0.0, 5.0, -9.0, 1.0]])
    found = pooling(words, features).exp().detach()
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 1))
    assert found[0, 0, 0] > 0.99
    assert found[1, 0, 1] == pytest.approx(found[1, 0, 2])
    with torch.no_grad():
        pooling.nowhere.fill_(100.0)
    assert (pooling(words, features).exp()[..., -1] > 0.99).all()


def test_words_together_mean_what_each_of_them_means() -> None:
    """Of three patches, "red" means the first two and "heart" the last two; "what" means none of them."""
    chances = torch.tensor([[0.49, 0.49, 0.01, 0.01], [0.01, 0.49, 0.49, 0.01], [0.001, 0.001, 0.001, 0.997]])
    said = torch.tensor([[True, True, True], [True, False, True], [False, False, True]])
    masks, there = joint_masks(chances.log()[:, None], said)
    assert masks[0, 0].argmax() == 1
    assert masks[0, 0, 1] > 20 * masks[0, 0, 0]
    # Two patches that are as sure as each other are all of it.
    torch.testing.assert_close(masks[1, 0, :2], torch.ones(2), atol=0.03, rtol=0)
    torch.testing.assert_close(there[:, 0], torch.tensor([0.99, 0.99, 0.003]), atol=1e-4, rtol=0)
