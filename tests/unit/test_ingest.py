"""Which drop an object belongs to, and what goes into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from strefer_core.drop import find_videos, names_in_drop
from strefer_core.errors import InputError
from strefer_core.ingest import drop_of, video_id_of


@pytest.mark.parametrize(
    ("key", "drop_id"),
    [
        ("drops/monday/a.mp4", "monday"),
        ("drops/monday/deep/er/a.mp4", "monday"),
        ("drops/a.mp4", "loose"),
        ("drops//a.mp4", "loose"),
    ],
)
def test_the_folder_under_the_prefix_is_the_drop(key: str, drop_id: str) -> None:
    assert drop_of(key, "drops/") == drop_id


def test_a_video_is_named_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.write_bytes(b"")
    assert video_id_of(path) == "e3b0c44298fc1c14"  # SHA-256 of nothing, as published


def test_files_of_one_name_from_two_folders_both_arrive(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "clip.mp4", tmp_path / "b" / "clip.mp4", tmp_path / "c" / "clip-2.mp4"]
    named = names_in_drop(paths)
    assert sorted(named.values()) == sorted(paths)
    assert next(iter(named)) == "clip.mp4"


def test_folders_are_searched_and_files_taken_as_given(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    wanted = [tmp_path / "deep" / "b.MKV", tmp_path / "a.mp4"]
    for path in [*wanted, tmp_path / "notes.txt"]:
        path.touch()
    assert sorted(find_videos([tmp_path])) == sorted(wanted)
    assert find_videos([tmp_path / "notes.txt"]) == [tmp_path / "notes.txt"], "named, so it is meant"


@pytest.mark.parametrize("name", ["absent", ""])
def test_nothing_to_drop_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        find_videos([tmp_path / name if name else tmp_path])
