"""Benchmarks in their published formats: small files made by hand, answers by script, marks by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from strefer_core.config import ServedModel, settings
from strefer_core.errors import InputError, UnreadableVideo
from strefer_core.evaluation.published import (
    judge,
    matching,
    questions,
    qvhighlights,
    tempcompass,
    videomme,
    videorefer,
)
from strefer_core.evaluation.published.questions import Bench, PublishedReport
from strefer_core.evaluation.results import ResultsFile
from strefer_core.masks import decode
from strefer_core.video_io import decode_frames, index_video
from strefer_core.video_llm.samples import Sample
from tests.media import write_video
from tests.openai_server import Asked, OpenAIServer, by_schema, connect, in_turn, says
from tests.samples import encode


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", 63)


@pytest.fixture
def videos(tmp_path: Path, video: Path) -> Path:
    """A folder with one video, a.mp4, of 63 frames: the sampled ones are 0, 2, 4, ..., 62."""
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "a.mp4").symlink_to(video)
    return folder


class Scripted:
    """Answers by sample id; a video that is named there cannot be read."""

    def __init__(self, answers: Mapping[str, str], unreadable: Sequence[str] = ()) -> None:
        self.answers, self.unreadable = answers, unreadable
        self.asked: list[str] = []

    def answer(self, samples: Sequence[Sample], *, max_new_tokens: int = 64) -> list[str]:
        if bad := [one.sample_id for one in samples if one.sample_id in self.unreadable]:
            raise UnreadableVideo(f"the video of {bad[0]} is broken")
        self.asked += [one.sample_id for one in samples]
        return [self.answers[one.sample_id] for one in samples]

    def log_likelihoods(self, sample: Sample, options: Sequence[str]) -> list[float]:
        raise NotImplementedError


def report(bench: Bench, answers: Mapping[str, str], folder: Path) -> PublishedReport:
    file = ResultsFile(folder / "out", {"bench": bench.name})
    questions.ask(bench, Scripted(answers), file)
    return questions.report(bench, file.results)


def written(path: Path, data: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    return path


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def square(x: int) -> dict[str, Any]:
    grid = np.zeros((192, 320), np.uint8)
    grid[10:30, x : x + 20] = 1
    return {"segmentation": encode(grid)}


# --- VideoRefer ------------------------------------------------------------------------------------------


def described(**changes: Any) -> dict[str, Any]:
    row = {
        "id": 7,
        "video": "a.mp4",
        "caption": "A red square that moves.",
        "frame_idx": "36",
        "annotation": [{"4": square(4), "36": square(36), "10": {"segmentation": None}, "11": square(11)}],
    }
    return row | changes


def left_px(sample: Sample, index: int) -> int:
    """Left border of the one region's mask on a sampled frame."""
    return int(np.flatnonzero(decode(sample.regions[0][index]).any(axis=0))[0])


def test_all_masks_come_to_their_nearest_sampled_frames_in_order_of_numbers(videos: Path) -> None:
    bench = videorefer.load_d(written(videos / "d.json", [described()]), videos, "multi")
    (question,) = bench.questions
    # Raw 10 is sampled frame 5, and nearer to it than 11 is; its mask is empty.
    assert list(question.sample.regions[0]) == [2, 18]
    assert [left_px(question.sample, index) for index in (2, 18)] == [4, 36]
    assert question.truth == "A red square that moves."
    assert question.sample.turns[0][0].count("<region>") == 1


def test_a_single_frame_is_the_row_s_own(videos: Path) -> None:
    bench = videorefer.load_d(written(videos / "d.json", [described()]), videos, "single")
    assert list(bench.questions[0].sample.regions[0]) == [18]
    empty = videorefer.load_d(written(videos / "d.json", [described(frame_idx=10)]), videos, "single")
    assert empty.questions[0].sample.regions == ({},), "no segmentation is an empty mask"


def test_uncompressed_runs_are_read(videos: Path) -> None:
    counts = [0, 3, 192 * 320 - 3]
    annotation = [{"0": {"segmentation": {"size": [192, 320], "counts": counts}}}]
    rows = written(videos / "d.json", [described(annotation=annotation)])
    found = videorefer.load_d(rows, videos, "multi").questions[0].sample.regions[0]
    assert decode(found[0])[:3, 0].all()
    assert decode(found[0]).sum() == 3


def test_what_is_missing_or_broken_is_named_and_the_rest_goes_on(videos: Path) -> None:
    rows = [
        described(id=1),
        described(id=2, video="gone.mp4"),
        described(id=3, annotation=[{"99": square(0)}]),
    ]
    bench = videorefer.load_d(written(videos / "d.json", rows), videos, "multi")
    assert [one.item_id for one in bench.questions] == ["1"]
    assert bench.missing == ("gone.mp4",)
    assert bench.skipped == {"3": "frame 99 of a video with 63 frames"}
    with pytest.raises(InputError, match=r"d\.json: 0\.caption"):
        videorefer.load_d(
            written(videos / "d.json", [{"id": 1, "video": "a.mp4", "annotation": [{}]}]), videos
        )


def asked(**changes: Any) -> dict[str, Any]:
    row = {
        "id": 1,
        "video": "frames/run",
        "Question": "What does <object0><region> hold, and is it near <object3><region>?",
        "type": "Basic Questions",
        "options": ["(A) A cup", "(B) A hat"],
        "Answer": "(B) A hat",
        "frame_idx": "0",
        "annotation": [{"0": square(0)}, {"5": square(9)}],
    }
    return row | changes


@pytest.fixture
def frames(videos: Path) -> Path:
    """A folder of ten frames, each of one brightness."""
    folder = videos / "frames" / "run"
    folder.mkdir(parents=True)
    for number in range(10):
        cv2.imwrite(str(folder / f"{number:05d}.png"), np.full((48, 65, 3), 20 * number, np.uint8))
    return folder


def test_letters_are_scored_and_folders_of_frames_are_videos(
    videos: Path, frames: Path, tmp_path: Path
) -> None:
    rows = [
        asked(id=n, type=kind) for n, kind in enumerate(["Basic Questions", "Basic Questions", "Reasoning"])
    ]
    bench = videorefer.load_q(written(videos / "q.json", rows), videos)
    sample = bench.questions[0].sample
    assert sample.turns[0][0].startswith(
        "What does <region> hold, and is it near <region>?\n(A) A cup\n(B) A hat\n"
    )
    assert [list(region) for region in sample.regions] == [[0], [5]]
    assert index_video(sample.video).frame_count == 10
    brightness = decode_frames(sample.video, range(10)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(brightness, 20 * np.arange(10), atol=3)
    found = report(bench, {"0": "(B) A hat", "1": "It is A) a cup", "2": "b."}, tmp_path)
    assert found.accuracy.value == pytest.approx(2 / 3)
    assert {name: one.value for name, one in found.by["type"].items()} == {
        "Basic Questions": 0.5,
        "Reasoning": 1.0,
    }


def test_as_many_regions_must_be_annotated_as_are_asked_about(videos: Path, frames: Path) -> None:
    with pytest.raises(InputError, match="2 regions asked about, 1 annotated"):
        videorefer.load_q(written(videos / "q.json", [asked(annotation=[{"0": square(0)}])]), videos)


# --- QVHighlights ----------------------------------------------------------------------------------------


HIGHLIGHT = {
    "qid": 3,
    "query": "A dog runs.",
    "duration": 30,
    "vid": "a",
    "relevant_windows": [[4, 8], [20, 26]],
}


def test_each_row_gives_one_window_and_one_as_long_beside_all_windows(videos: Path) -> None:
    rows = [HIGHLIGHT | {"qid": n} for n in range(40)]
    bench = qvhighlights.load(lines(videos / "val.jsonl", *rows), videos)
    assert len(bench.questions) == 80
    for yes, no in zip(bench.questions[::2], bench.questions[1::2], strict=True):
        assert (yes.truth, no.truth) == ("yes", "no")
        assert [yes.sample.start_s, yes.sample.end_s] in ([4.0, 8.0], [20.0, 26.0])
        a, b = no.sample.start_s, no.sample.end_s
        assert a is not None
        assert b is not None
        assert b - a == yes.sample.end_s - yes.sample.start_s  # type: ignore[operator]
        assert 0 <= a < b <= 30
        assert all(b <= start or a >= end for start, end in ((4, 8), (20, 26)))
        assert yes.sample.turns == no.sample.turns
    assert len({one.sample.start_s for one in bench.questions[1::2]}) > 3
    assert "not comparable" in bench.note
    assert qvhighlights.load(videos / "val.jsonl", videos).questions == bench.questions


def test_a_row_without_room_for_a_negative_is_named(videos: Path) -> None:
    full = HIGHLIGHT | {"relevant_windows": [[0, 28]]}
    bench = qvhighlights.load(lines(videos / "val.jsonl", full), videos)
    assert bench.questions == ()
    assert list(bench.skipped) == ["3"]


def test_shares_of_yes_and_of_both_answers(videos: Path, tmp_path: Path) -> None:
    row = {
        "video": "a.mp4",
        "question": "From <start_time> to <end_time>, does it run?",
        "start_s": 1,
        "end_s": 2,
    }
    rows = [row | {"id": n, "answer": answer} for n, answer in enumerate(["yes", "yes", "yes", "no"])]
    bench = qvhighlights.load(written(videos / "q.json", rows), videos)
    found = report(bench, {"0": "Yes, it does.", "1": "no", "2": "It does.", "3": "No."}, tmp_path)
    assert (found.accuracy.value, found.unreadable) == (0.5, 1)
    assert found.accuracy_of_readable.value == pytest.approx(2 / 3)
    more = qvhighlights.more(ResultsFile(tmp_path / "out", {"bench": "qvhighlights"}).results)
    assert more == {"yes_share": pytest.approx(1 / 3), "balanced_accuracy": pytest.approx((1 / 3 + 1) / 2)}


# --- TempCompass -----------------------------------------------------------------------------------------


CHOICE = "Which way?\nA. up\nB. down"
MATCHING = "Which fits?\nCaption A: It rises.\nCaption B: It falls."


@pytest.fixture
def compass(videos: Path, tmp_path: Path) -> Bench:
    folder = tmp_path / "compass"
    row = {"question": CHOICE, "answer": "B. down"}
    files = {
        "multi-choice": {"a": {"direction": [row] * 4}},
        "yes_no": {"a": {"speed": [{"question": "Is it fast?", "answer": "yes"}]}, "gone": {"speed": [row]}},
        "caption_matching": {"a": {"order": [{"question": MATCHING, "answer": "Caption B: It falls."}] * 4}},
        "captioning": {"a": {"direction": [{"question": "Describe it.", "answer": ""}] * 2}},
    }
    for name, data in files.items():
        written(folder / "questions" / f"{name}.json", data)
    written(folder / "meta_info.json", {"a": {"eval_dim": {"direction": {"type": "object"}, "speed": None}}})
    return tempcompass.load(folder, videos)


ANSWERS = {
    "multi-choice/a/direction/0": "B. down",
    "multi-choice/a/direction/1": "B",
    "multi-choice/a/direction/2": "A) up",
    "multi-choice/a/direction/3": "It goes down.",
    "yes_no/a/speed/0": "Yes, very.",
    "caption_matching/a/order/0": "It falls.",
    "caption_matching/a/order/1": "Option B",
    "caption_matching/a/order/2": "1",
    "caption_matching/a/order/3": "Both.",
    "captioning/a/direction/0": "A ball falls to the ground.",
    "captioning/a/direction/1": "A ball.",
}


def test_answers_are_matched_by_rules(compass: Bench, tmp_path: Path) -> None:
    found = report(compass, ANSWERS, tmp_path)
    results = {
        one.item_id: one.right for one in ResultsFile(tmp_path / "out", {"bench": "tempcompass"}).results
    }
    assert [results[f"multi-choice/a/direction/{n}"] for n in range(4)] == [True, True, False, None]
    assert results["yes_no/a/speed/0"] is True
    assert [results[f"caption_matching/a/order/{n}"] for n in range(4)] == [True, True, False, None]
    assert [results[f"captioning/a/direction/{n}"] for n in range(2)] == [None, None]
    assert found.missing == ["gone.mp4"]
    assert found.by["kind"]["multi-choice"].value == 0.5
    assert set(found.by["type"]) == {"object"}
    rates = tempcompass.more(ResultsFile(tmp_path / "out", {"bench": "tempcompass"}).results)["match_rate"]
    assert rates == {"multi-choice": 0.75, "yes_no": 1.0, "caption_matching": 0.75}


# --- Video-MME -------------------------------------------------------------------------------------------


def mme(n: int, answer: str, duration: str = "short", **changes: Any) -> dict[str, Any]:
    row = {
        "video_id": "001",
        "videoID": "a",
        "url": "",
        "duration": duration,
        "domain": "Knowledge",
        "sub_category": "Physics",
        "question_id": f"001-{n}",
        "task_type": "Counting",
        "question": "How many?",
        "options": ["A. 1", "B. 2", "C. 3", "D. 4"],
        "answer": answer,
    }
    return row | changes


def test_accuracy_over_all_and_over_the_readable(videos: Path, tmp_path: Path) -> None:
    rows = [mme(1, "A"), mme(2, "B"), mme(3, "C", "long"), mme(4, "D", "long"), mme(5, "A", videoID="gone")]
    pq.write_table(pa.Table.from_pylist(rows), videos / "test.parquet")
    bench = videomme.load(videos / "test.parquet", videos)
    assert bench == videomme.load(written(videos / "test.json", rows), videos)
    answers = {"001-1": "The best answer is: A.", "001-2": "B", "001-3": "D", "001-4": "i do not know"}
    found = report(bench, answers, tmp_path)
    assert (found.questions, found.answered, found.unreadable) == (4, 4, 1)
    assert found.accuracy.value == 0.5
    assert found.accuracy_of_readable.value == pytest.approx(2 / 3)
    assert found.by["duration"]["short"].value == 1.0
    assert set(found.by) == {"duration", "domain", "sub_category", "task_type"}
    assert found.missing == ["gone.mp4"]
    with pytest.raises(InputError, match="answer"):
        videomme.load(written(videos / "bad.json", [mme(1, "E")]), videos)


# --- matching --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (matching.yes_no, " *Yes*, it is", True),
        (matching.yes_no, "Nothing", None),
        (matching.yes_no, "no", False),
        (matching.bracketed_letter, "I say (C) and not (A)", "C"),
        (matching.bracketed_letter, "c", "C"),
        (matching.bracketed_letter, "", None),
        (matching.first_letter, "The answer is C", "C"),
        (matching.first_letter, "Best answer: D", "D"),
        (matching.first_letter, "it cannot be said from this short film how many there may be", None),
        (matching.leading_letter, "(B) down", "B"),
        (matching.leading_letter, "Band", None),
    ],
)
def test_what_names_an_answer(read: Callable[[str], object], text: str, expected: object) -> None:
    assert read(text) == expected


# --- runs ------------------------------------------------------------------------------------------------


def test_a_broken_video_costs_its_own_question_and_nothing_is_asked_twice(
    videos: Path, tmp_path: Path
) -> None:
    rows = written(videos / "test.json", [mme(n, "A") for n in range(1, 13)])
    bench = videomme.load(rows, videos)
    answers = {f"001-{n}": "A" for n in range(1, 13)}
    file = ResultsFile(tmp_path / "out", {})
    model = Scripted(answers, unreadable=["001-5"])
    questions.ask(bench, model, file)
    assert sorted(model.asked) == sorted(set(answers) - {"001-5"})
    found = questions.report(bench, file.results)
    assert found.answered == 11
    assert found.accuracy.value == 1.0
    assert found.skipped == {"001-5": "not asked: the video of 001-5 is broken"}
    again = Scripted({})
    questions.ask(bench, again, ResultsFile(tmp_path / "out", {}))
    assert again.asked == []


# --- judges ----------------------------------------------------------------------------------------------


@pytest.fixture
def _settings() -> Iterator[None]:
    yield
    settings.cache_clear()


MODEL = ServedModel(model="judge", samples=2)


def graded(subject: object, appearance: int = 3, temporal: int = 2, hallucination: int = 4) -> dict[str, Any]:
    return {
        "subject": subject,
        "appearance": appearance,
        "temporal": temporal,
        "hallucination": hallucination,
        "why": "so",
    }


@pytest.mark.usefixtures("_settings")
def test_grades_are_whole_numbers_to_five_and_others_are_asked_for_again(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [described(id=n) for n in (1, 2)]
    bench = videorefer.load_d(written(videos / "d.json", rows), videos)
    file = ResultsFile(tmp_path / "out", {})
    questions.ask(bench, Scripted({"1": "a red square", "2": "a hat"}), file)
    script = {"a red square": in_turn(says(graded(6)), says(graded(5))), "a hat": in_turn(says(graded(2.5)))}
    with OpenAIServer(lambda one: script[one.fields["given"]](one)) as server:
        connect(monkeypatch, server.url)
        judge.grade_descriptions(bench, file, MODEL)
        assert server.asked[0].fields["reference"] == "A red square that moves."
    found = judge.grades(bench, file.results, "judge")
    assert (found["graded"], found["judge_failures"]) == (1, 1)
    assert {name: one.value for name, one in found["grades"].items()} == {
        "subject": 5.0,
        "appearance": 3.0,
        "temporal": 2.0,
        "hallucination": 4.0,
        "mean": 3.5,
    }
    with OpenAIServer(lambda _: says(graded(1, 1, 1, 1))) as server:
        connect(monkeypatch, server.url)
        judge.grade_descriptions(bench, ResultsFile(tmp_path / "out", {}), MODEL)
        assert len(server.asked) == 1, "only what failed before is judged again"
    again = judge.grades(bench, ResultsFile(tmp_path / "out", {}).results, "judge")
    assert (again["graded"], again["judge_failures"], again["grades"]["mean"].value) == (2, 0, 2.25)
    assert judge.grades(bench, file.results, "another judge")["graded"] == 0


@pytest.mark.usefixtures("_settings")
def test_a_judge_decides_what_no_rule_does(
    compass: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = ResultsFile(tmp_path / "out", {})
    questions.ask(compass, Scripted(ANSWERS), file)

    def decide(one: Asked) -> Any:
        return says({"is_right": one.fields["given"] == "It goes down."})

    def read(one: Asked) -> Any:
        assert one.fields["options"] == ["A. up", "B. down"]
        return says({"letter": "B" if "falls" in one.fields["description"] else None})

    with OpenAIServer(by_schema(Verdict=decide, Reading=read)) as server:
        connect(monkeypatch, server.url)
        judge.judge_answers(compass, file, MODEL)
        assert len(server.asked) == 4
    found = questions.report(compass, judge.with_verdicts(file.results, "judge"))
    assert {name: one.value for name, one in found.by["kind"].items()} == {
        "multi-choice": 0.75,
        "yes_no": 1.0,
        "caption_matching": 0.5,
        "captioning": 0.5,
    }


def test_a_bench_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds none of"):
        tempcompass.load(tmp_path, tmp_path)
    with pytest.raises(InputError, match="cannot be read as JSON"):
        videomme.load(tmp_path / "none.json", tmp_path)
