"""The plan of a probe, names of knobs, and scripts that must be possible for any mix and any seed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from strefer_core.cli import main
from strefer_core.errors import ConfigError
from strefer_core.world import load_truth, plays, render_worlds, truth_path
from strefer_core.world.knobs import KNOBS, checked, plan
from strefer_core.world.promises import PROMISES, broken
from strefer_core.world.render import render_video
from strefer_core.world.scenarios import write_script
from strefer_core.world.script import Character, expressions


def test_the_plan_has_every_share_that_it_promises() -> None:
    plans = [plan(7, index) for index in range(200)]
    assert Counter(min(len(knobs), 2) for knobs in plans) == {0: 20, 1: 80, 2: 100}
    assert {len(knobs) for knobs in plans} == {0, 1, 2, 3}
    alone = Counter(name for knobs in plans if len(knobs) == 1 for name in knobs)
    assert alone.keys() == KNOBS.keys()
    assert set(alone.values()) == {4, 5}  # 80 over 19
    mixed = Counter(name for knobs in plans if len(knobs) > 1 for name in knobs)
    assert min(mixed[name] for name in KNOBS) >= 5
    assert max(mixed.values()) <= 25


@given(st.integers(0, 2**40), st.integers(0, 500))
@settings(max_examples=50)
def test_the_plan_depends_on_seed_and_index_alone(seed: int, index: int) -> None:
    assert plan(seed, index) == plan(seed, index)
    assert plan(seed, index) <= KNOBS.keys()


def test_another_seed_is_another_plan() -> None:
    assert [plan(1, index) for index in range(20)] != [plan(2, index) for index in range(20)]


@pytest.mark.parametrize("bad", ["fog", "Cuts", ""])
def test_an_unknown_knob_is_named_with_those_that_are(tmp_path: Path, bad: str) -> None:
    with pytest.raises(ConfigError, match=f"no knob {bad}; it has look_alikes, late_entry"):
        checked(["cuts", bad])
    with pytest.raises(ConfigError, match=f"no knob {bad};"):
        render_video(0, 0, tmp_path, [bad])


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (3, -2)])
def test_a_bad_video_is_refused(tmp_path: Path, seed: int, index: int) -> None:
    with pytest.raises(ConfigError, match=f"not {seed} and {index}"):
        render_video(seed, index, tmp_path, ())


# --- scripts -------------------------------------------------------------------------------------

_TWO, _THREE = list(combinations(KNOBS, 2)), list(combinations(KNOBS, 3))


@pytest.mark.parametrize("turn", range(12))
def test_any_mix_can_be_written(turn: int) -> None:
    """A dozen of the 171 pairs and of the 969 triples; `write_script` itself refuses what shows less."""
    for knobs in (_TWO[turn * len(_TWO) // 12], _THREE[turn * len(_THREE) // 12]):
        script = write_script(100 + turn, turn, knobs)
        assert script.knobs == tuple(sorted(knobs))
        assert write_script(100 + turn, turn, reversed(knobs)) == script  # type: ignore[arg-type]


def test_a_script_that_shows_less_than_it_says_is_found_out() -> None:
    plain = write_script(2, 0, ())
    assert broken(plain) == ()
    assert set(broken(replace(plain, knobs=tuple(PROMISES)))) == PROMISES.keys()


def test_what_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plays, "_ATTEMPTS", 0)
    with pytest.raises(ConfigError, match=r"video 3 of world 2 .* cuts, re_entry .*leave a knob"):
        write_script(2, 3, ("re_entry", "cuts"))


def test_the_videos_of_a_probe_are_different_cases() -> None:
    scripts = [write_script(4, index, ()) for index in range(12)]
    assert len({script.scenes[0].actors for script in scripts}) == 12
    assert len({script.frame_count for script in scripts}) >= 6
    assert {len(script.characters) for script in scripts} == {3, 4, 5}
    casts = [tuple((c.noun, c.colour) for c in script.characters) for script in scripts]
    assert len(set(casts)) == 12
    assert len({colour for cast in casts for _, colour in cast}) >= 7
    several = [Counter(c.generalized_noun for c in script.characters) for script in scripts]
    assert sum(max(kinds.values()) >= 2 for kinds in several) >= 6
    assert len({script.scenes[0].background.kind for script in scripts}) >= 5


def test_static_distractors_never_fit_an_expression() -> None:
    seen = 0
    for index in range(6):
        script = write_script(8, index, ("static_distractors", "absent_entities"))
        texts = [*expressions(script.characters), *(one.expression for one in script.absent)]
        nouns = {character.noun for character in script.characters}
        colours = {character.colour for character in script.characters}
        for prop in script.scenes[0].props:
            assert isinstance(prop.look, Character)
            assert prop.look.noun in nouns
            assert prop.look.colour in colours
            words = {prop.look.noun, prop.look.colour, prop.look.size, prop.look.pattern}
            assert not any(set(text.removeprefix("the ").split()) <= words for text in texts)
            seen += 1
    assert seen >= 18


def test_the_default_scenarios_take_no_part_in_knobs() -> None:
    for index in range(6):
        script = write_script(7, index)
        assert len(script.knobs) == len(script.absent) == len(script.ambiguous) == 0
        assert script.shutter_s == 0


# --- the command ---------------------------------------------------------------------------------


def _run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["world", "render", *arguments])
    return result.exit_code, result.output


def test_the_command_takes_knobs_by_name(tmp_path: Path) -> None:
    code, output = _run(
        "--seed", "5", "--videos", "1", "--out", str(tmp_path), "--knob", "small_objects", "--knob",
        "camera_pan", "--json",
    )  # fmt: skip
    assert code == 0
    (path,) = json.loads(output[output.index("[") :])
    assert load_truth(truth_path(Path(path))).knobs == ("camera_pan", "small_objects")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("fog",), "no knob fog; it has look_alikes"),
        (("plan", "cuts"), "--knob plan stands alone"),
        (("plain", "cuts"), "--knob plain stands alone"),
    ],
)
def test_the_command_refuses_what_it_does_not_know(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    code, output = _run("--out", str(tmp_path), *(part for name in names for part in ("--knob", name)))
    assert code == 2
    assert message in output
    assert list(tmp_path.iterdir()) == []


def test_worlds_follow_the_plan_video_by_video(tmp_path: Path) -> None:
    wanted = {0: frozenset[str](), 1: frozenset({"absent_entities"})}
    paths = render_worlds(6, 2, tmp_path, knobs=wanted.__getitem__)
    assert [frozenset(load_truth(truth_path(path)).knobs) for path in paths] == list(wanted.values())
    again = render_video(6, 1, tmp_path / "again", wanted[1])
    assert again.read_bytes() == paths[1].read_bytes()
    assert truth_path(again).read_bytes() == truth_path(paths[1]).read_bytes()
