"""Times as the model writes them, and how far off they may be."""

from __future__ import annotations

import numpy as np
import pytest

from strefer_core.video_llm.times import Clock, TimeMode, error_bound_s, read, say


def clock(duration_s: float) -> Clock:
    return Clock(duration_s=duration_s, frames_s=tuple(np.linspace(0, duration_s * 0.99, 32).tolist()))


@pytest.mark.parametrize("duration_s", [0.5, 8.0, 97.3, 3600.0])
@pytest.mark.parametrize(("mode", "worst_share"), [("31", 1 / 62), ("ours", 1 / 1984), ("number", 0.99 / 62)])
def test_a_time_comes_back_within_its_bound(duration_s: float, mode: TimeMode, worst_share: float) -> None:
    on = clock(duration_s)
    times = np.linspace(0, duration_s * (0.99 if mode == "number" else 1), 5000)
    errors = [abs(read(say(float(t), on, mode), on, mode)[0] - t) for t in times]
    assert max(errors) <= duration_s * worst_share * 1.0001
    assert max(errors) > duration_s * worst_share * 0.9  # the bound is tight
    assert max(errors) <= error_bound_s(on, mode) * 1.0001


def test_text_is_right_to_a_twentieth_of_a_second_however_long_the_video() -> None:
    on = clock(3600.0)
    errors = [abs(read(say(float(t), on, "text"), on, "text")[0] - t) for t in np.linspace(0, 3600, 999)]
    assert max(errors) <= error_bound_s(on, "text") + 1e-9


def test_the_paper_scheme_rounds_to_the_nearest_of_32_tokens() -> None:
    on = clock(31.0)
    assert [say(t, on, "31") for t in (0.0, 0.49, 0.51, 15.0, 31.0, 99.0)] == [
        "<0>", "<0>", "<1>", "<15>", "<31>", "<31>",
    ]  # fmt: skip


def test_the_finer_scheme_adds_how_far_off_that_token_is() -> None:
    on = clock(31.0)
    assert say(15.0, on, "ours") == "<15><+0>"
    assert say(15.25, on, "ours") == "<15><+8>"
    assert say(14.75, on, "ours") == "<15><-8>"
    assert read("From <0><+0> to <15><+8>.", on, "ours") == [0.0, 15.25]


def test_times_are_read_in_order() -> None:
    on = clock(62.0)
    assert read("Between <1> and <2>, then <31>.", on, "31") == [2.0, 4.0, 62.0]
    assert read("From 3.5 s to 4.0 s", on, "text") == [3.5, 4.0]
    assert read("No time here.", on, "31") == []
