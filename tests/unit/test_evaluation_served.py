"""A served model under evaluation: what it is sent, what of its replies counts; the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from strefer_core.cli import main
from strefer_core.config import ServedEndpoint, ServedModel, settings
from strefer_core.errors import ConfigError
from strefer_core.evaluation.served_answerer import ServedAnswerer, shown
from strefer_core.masks import encode
from strefer_core.video_llm.samples import Sample
from tests.media import write_video
from tests.openai_server import Asked, OpenAIServer, always, says


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """63 grey frames at 30 a second: sampled ones are 0, 2, ..., 62."""
    folder = tmp_path_factory.mktemp("video") / "videos"
    folder.mkdir()
    return write_video(folder / "a.mp4", 63, paint=lambda _: np.full((192, 320, 3), 128, np.uint8))


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield
    settings.cache_clear()


def served(url: str, **changes: Any) -> ServedAnswerer:
    model = ServedModel(model="seer", frames=4, samples=2)
    return ServedAnswerer(endpoint=ServedEndpoint(base_url=url, max_tries=1), model=model, **changes)


def sample(video: Path) -> Sample:
    grid = np.zeros((192, 320), np.bool_)
    grid[40:100, 40:120] = True
    mask = encode(grid)
    assert mask is not None
    return Sample(
        sample_id="s",
        video=video,
        turns=(("What does the <region> do between <start_time> and <end_time>?", ""),),
        regions=({15: mask},),
        start_s=0.0,
        end_s=62 / 30,
    )


def pictures(asked: Asked) -> list[np.ndarray[Any, Any]]:
    return [cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR) for one in asked.media("image")]


def test_frames_carry_marks_and_numbers_and_the_question_speaks_of_them(video: Path) -> None:
    with OpenAIServer(always(says({"answer": "It runs."}))) as server:
        assert served(server.url).answer([sample(video)]) == ["It runs."]
    (asked,) = server.asked
    assert asked.fields["question"] == "What does the thing marked 1 do between frame 0 and frame 31?"
    # Four even ones, and the one with the mask.
    assert asked.fields["frame_times_s"] == {"0": 0.0, "10": 0.67, "15": 1.0, "20": 1.33, "31": 2.07}
    images = pictures(asked)
    inside = [np.abs(one[45:95, 45:115].astype(int) - 128).max() > 30 for one in images]
    assert inside == [False, False, True, False, False]
    assert all(np.abs(one[160:, 280:].astype(int) - 128).max() > 60 for one in images), "numbers"


def test_without_marks_nothing_is_drawn(video: Path) -> None:
    with OpenAIServer(always(says({"answer": "It runs."}))) as server:
        served(server.url, region_mode="none", time_mode="text").answer([sample(video)])
    (asked,) = server.asked
    assert asked.fields["question"] == "What does the thing do between 0.0 seconds and 2.1 seconds?"
    assert all(np.abs(one.astype(int) - 128).max() < 12 for one in pictures(asked))


def test_options_are_lettered_and_only_a_letter_of_theirs_counts(video: Path) -> None:
    def reply(asked: Asked) -> Any:
        assert asked.fields["options"] == {"A": "It stops.", "B": "From frame 0 on it runs."}
        return says({"letter": "B"})

    with OpenAIServer(reply) as server:
        options = ["It stops.", "From <start_time> on it runs."]
        assert served(server.url).choose([(sample(video), options)]) == [1]
        likelihoods = served(server.url).log_likelihoods(sample(video), options)
        assert likelihoods[1] > likelihoods[0]
    for letter in ("D", "b", "A or B"):
        with OpenAIServer(always(says({"letter": letter}))) as server:
            assert served(server.url).choose([(sample(video), ["x", "y"])]) == [None]


def test_a_served_model_knows_no_tokens_of_ours() -> None:
    with pytest.raises(ConfigError, match="no region connector"):
        served("http://localhost/v1", region_mode="connector")
    with pytest.raises(ConfigError, match="no time tokens"):
        served("http://localhost/v1", time_mode="31")


def test_shown_frames_are_even_and_hold_every_region() -> None:
    assert shown([], 32, 3) == [0, 15, 31]
    assert shown([{5: ..., 7: ..., 9: ...}, {15: ...}, {}], 32, 3) == [0, 7, 15, 31]  # type: ignore[dict-item]
    assert shown([], 2, 8) == [0, 1]


# --- the command -----------------------------------------------------------------------------------------


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["eval", *(str(one) for one in arguments)], catch_exceptions=False)


@pytest.fixture
def data(video: Path, tmp_path: Path) -> Path:
    row = {
        "question": "From <start_time> to <end_time>, is it grey?",
        "start_s": 0,
        "end_s": 1,
        "answer": "yes",
    }
    rows = [row | {"id": 1, "video": "a.mp4"}, row | {"id": 2, "video": "gone.mp4"}]
    path = tmp_path / "qa.json"
    path.write_text(json.dumps(rows))
    (tmp_path / "videos").symlink_to(video.parent)
    return path


def test_the_command_asks_a_server_and_names_what_is_missing(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with OpenAIServer(always(says({"answer": "Yes, it is."}))) as server:
        arguments = (f"url:{server.url}", "--bench", "qvhighlights", "--data", data, "--out", out)
        named = ("--served-model", "seer", "--json")
        first = call(*arguments, *named)
        second = call(*arguments, *named)
    assert len(server.asked) == 1, "an answer that is kept is not asked for again"
    found = json.loads(first.stdout)
    assert first.exit_code == 1, "a video is missing"
    assert (found["accuracy"]["value"], found["missing"]) == (1.0, ["gone.mp4"])
    assert json.loads(second.stdout) == found == json.loads((out / "report.json").read_text())
    assert "gone.mp4 is missing" in first.stderr


def test_the_command_speaks_to_people_as_well(data: Path, tmp_path: Path) -> None:
    with OpenAIServer(always(says({"answer": "No."}))) as server:
        found = call(
            f"url:{server.url}", "--bench", "qvhighlights", "--data", data, "--out", tmp_path / "out",
            "--served-model", "seer",
        )  # fmt: skip
    assert "1 of 1 answered" in found.stdout
    assert "answer: yes" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere", "--bench", "world"), "no model at nowhere"),
        (("nowhere", "--bench", "videomme"), "--data says where"),
        (("url:http://localhost/v1", "--bench", "world"), "--served-model"),
    ],
)
def test_wrong_calls_are_told_in_one_line(
    arguments: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = call(*arguments, "--out", "out")
    assert found.exit_code == 2
    assert told in found.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()
