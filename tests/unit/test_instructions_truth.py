"""With perfect perception no pair is wrong: all that is offered, judged from its text by the audit.

The judge reads the pair's text and looks at where everything truly is; it shares no code with the writer. The
worlds are drawn by hand or by hypothesis: squares that go known ways.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from strefer_core import data_model as dm
from strefer_core.audit.checking import Checker, Verdict
from strefer_core.audit.judging import Judge
from strefer_core.audit.perceiving import Running, true_clips, true_entities, true_masklets
from strefer_core.backends.interfaces import Observed
from strefer_core.backends.rules import RulesWriter
from strefer_core.backends.world import Noise
from strefer_core.config import InstructionsConfig, PipelineConfig
from strefer_core.world.truth import WorldTruth
from tests.samples import minimal
from tests.true_worlds import DURATION_S, HEIGHT_PX, WIDTH_PX, Square, along, between, still, world

PLACE = Path("not-read.mp4")
COLOURS = ("red", "blue", "yellow", "green")


def perceived(truth: WorldTruth) -> tuple[Observed, tuple[dm.TranscriptSegment, ...]]:
    """What the stages know of a world that they see without an error."""
    running = Running.of(PLACE, truth, PipelineConfig(), Noise(), 0)
    video = replace(
        minimal().video,
        video_id=truth.video_sha256[:16],
        width_px=truth.width_px,
        height_px=truth.height_px,
        duration_s=truth.duration_s,
        frame_count=len(truth.frames_pts_s),
    )
    running.keep("videos", dm.VideosResult(video=video))
    clips = running.keep("clips", true_clips(running))
    entities = running.keep("entities", true_entities(running)).entities
    masklets = running.keep("masklets", true_masklets(running, entities)).masklets
    told = running.run("transcript", dm.TranscriptResult).segments
    seen = Observed(
        video=video,
        video_path=PLACE,
        clips=clips.clips,
        camera=clips.camera,
        entities=entities,
        masklets=masklets,
    )
    return seen, told


def verdicts(truth: WorldTruth, seed: str = "0") -> list[Verdict]:
    """All that the writer offers of a world, judged."""
    seen, told = perceived(truth)
    checker = Checker(Judge(truth), seen.entities, seen.masklets)
    return [checker.check(pair) for pair in RulesWriter().offer(seen, told, InstructionsConfig(), seed)]


def wrong(judged: list[Verdict]) -> list[tuple[str, list[str]]]:
    return [
        (f"{fault.kind}: {fault.why}", [turn.text for turn in one.pair.turns])
        for one in judged
        for fault in one.faults
    ]


def squares(*ways: object) -> list[Square]:
    nouns = ("square", "star", "circle", "heart")
    return [
        Square(way=way, colour=colour, noun=noun)  # type: ignore[arg-type]
        for way, colour, noun in zip(ways, COLOURS, nouns, strict=False)
    ]


LEFT_THEN_STAY = along((0.0, 280, 60), (3.0, 100, 60))
STAY_THEN_DOWN = along((2.5, 60, 30), (5.5, 60, 150))
THERE_AND_BACK = along((0.2, 60, 100), (2.8, 250, 100), (5.8, 60, 100))
WORLDS = {
    "one goes, one stays": world(*squares(LEFT_THEN_STAY, still(200, 140))),
    "three go": world(*squares(LEFT_THEN_STAY, STAY_THEN_DOWN, THERE_AND_BACK)),
    "one comes late": world(*squares(still(60, 60), along((2.5, 350, 120), (4.5, 200, 120)))),
    "one leaves": world(*squares(still(60, 60), along((1.0, 200, 120), (3.0, 360, 120)))),
    "one is there for a while": world(*squares(still(60, 60), between(2.0, 4.4, still(200, 120)))),
    "the camera pans": world(
        *squares(still(160, 60), along((0, 120, 120), (6, 300, 120))), camera=lambda t: (12 * t, 0)
    ),
    "the camera comes nearer": world(*squares(still(60, 60), still(110, 90)), zoom=lambda t: 1 + t / 10),
    "a cut to another place": world(
        *squares(between(0, 3.1, LEFT_THEN_STAY), between(3.1, 6.2, still(150, 90)), still(40, 150)),
        cuts_s=(3.1,),
    ),
    "one is hidden": world(
        Square(way=still(60, 60), colour="red", hidden=lambda t: 2 <= t < 4),
        Square(way=LEFT_THEN_STAY, colour="blue", noun="star"),
    ),
}


@pytest.mark.parametrize("name", WORLDS)
def test_nothing_wrong_is_offered(name: str) -> None:
    judged = verdicts(WORLDS[name])
    assert wrong(judged) == []
    assert len(judged) >= 20


def test_a_rich_world_gives_rich_pairs() -> None:
    forms = {one.pair.template_id.rsplit(".", 3)[0] for one in verdicts(WORLDS["three go"])}
    assert len(forms) >= 25


def test_what_truly_happens_is_asked_about() -> None:
    """Golden facts of "one goes, one stays": the red square goes left for three seconds."""
    pairs = [one.pair for one in verdicts(WORLDS["one goes, one stays"])]
    whens = [pair for pair in pairs if pair.template_id.startswith("when_entity.action")]
    moved = [pair for pair in whens if "left" in pair.turns[0].text]
    assert moved
    for pair in moved:
        assert (pair.start_s, pair.end_s) == (pytest.approx(0.0, abs=0.3), pytest.approx(3.0, abs=0.3))
    ever = {
        (pair.turns[0].text.split("\n")[-1][-24:], pair.turns[1].text[:2])
        for pair in pairs
        if pair.template_id.startswith("verify.action.")
    }
    assert {answer for _, answer in ever} == {"Ye", "No"}


Stop = tuple[float, float, float]  # time_s, share of the way across the picture, place within the lane
TIMES = st.lists(st.floats(0.3, DURATION_S - 0.3), min_size=1, max_size=3, unique_by=round)


@st.composite
def lanes(draw: st.DrawFn) -> list[list[Stop]]:
    """Two or three ways with up to three stops each, in lanes of their own: nothing hides anything."""
    shares = st.floats(0.1, 0.9)
    return [
        [(time, draw(shares), draw(shares)) for time in (0.0, *sorted(draw(TIMES)))]
        for _ in range(draw(st.integers(2, 3)))
    ]


def laid(ways: list[list[Stop]], *, is_upright: bool) -> list[Square]:
    """The ways as squares: lanes lie across the picture or stand upright in it."""
    along_px, lane_px = (HEIGHT_PX, WIDTH_PX / 3) if is_upright else (WIDTH_PX, HEIGHT_PX / 3)
    placed = []
    for lane, way in enumerate(ways):
        spots = [(t, far * along_px, lane_px * lane + 20 + side * (lane_px - 40)) for t, far, side in way]
        placed.append(along(*((t, y, x) if is_upright else (t, x, y) for t, x, y in spots)))
    return squares(*placed)


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # an example takes a second: the first that fails is shown as it is
    suppress_health_check=list(HealthCheck),
)
@given(lanes(), st.booleans(), st.sampled_from([0.0, 0.0, 8.0, -8.0]))
def test_nothing_wrong_is_offered_of_any_world(
    ways: list[list[Stop]], is_upright: bool, pan_px_s: float
) -> None:
    truth = world(*laid(ways, is_upright=is_upright), camera=lambda t: (pan_px_s * t, 0.0))
    assert wrong(verdicts(truth)) == []
