"""The command line: every command documented, results on stdout, progress on stderr, honest exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from strefer_core.cli import main
from strefer_core.config import settings
from tests.integration import scenes

ROOT = Path(__file__).parents[2]


def commands(group: click.Group = main, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(autouse=True)
def _fresh_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("STREFER_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_scene(tmp_path_factory.mktemp("scene") / "scene one.mp4", 5)


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=lambda value: str(value))
def test_every_command_has_help_and_describes_its_options(name: str, command: click.Command) -> None:
    assert command.help
    assert call(*name.split(), "--help").exit_code == 0


def test_the_readme_names_every_command_and_only_these() -> None:
    shown = set(re.findall(r"\bstrefer ([a-z]+)", (ROOT / "README.md").read_text()))
    assert {name.split()[0] for name, _ in commands()} - {"world", "demo", "password", "init"} <= shown
    assert shown <= set(main.commands)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from strefer_core.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'av', 'cv2', 'numpy', 'sqlalchemy', 'boto3', 'airflow', 'celery', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_run_makes_a_dataset_and_says_where(scene: Path, tmp_path: Path) -> None:
    result = call("run", scene, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    (video,) = report["videos"]
    assert (video["name"], video["status"], video["stage"]) == ("scene one.mp4", "done", "quality")
    assert video["masklets"] >= 1
    assert video["accepted"] >= 10
    assert Path(video["overlay"]).stat().st_size > 0
    assert len(json.loads((tmp_path / "out" / "instructions.json").read_text())) == video["accepted"]
    assert "instructions.json" in result.stderr


def test_run_again_computes_nothing(scene: Path, tmp_path: Path) -> None:
    first = json.loads(call("run", scene, "--out", tmp_path, "--json").stdout)
    again = json.loads(call("run", scene, "--out", tmp_path, "--json").stdout)
    assert first["already"] == again["computed"] == {}
    assert again["already"] == first["computed"]
    assert again["dataset"] == first["dataset"]


def test_run_goes_on_after_a_bad_file_and_says_so(scene: Path, tmp_path: Path) -> None:
    bad = tmp_path / "page.mp4"
    bad.write_text("<html></html>")
    copy = tmp_path / "copy of scene.mp4"
    copy.write_bytes(scene.read_bytes())
    result = call("run", scene, bad, copy, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 1
    states = {video["name"]: video for video in json.loads(result.stdout)["videos"]}
    assert sorted(states) == ["page.mp4", "scene one.mp4"], "the same bytes under two names are one video"
    assert states["page.mp4"]["status"] == "failed"
    assert "HTML" in states["page.mp4"]["reason"]
    assert states["scene one.mp4"]["status"] == "done"


def test_run_filters_what_repeats_an_earlier_video(scene: Path, tmp_path: Path) -> None:
    copy = scenes.write_scene(tmp_path / "worse copy.mp4", 5, crf=32)
    for _ in range(2):  # and the second time the same, computing nothing
        report = json.loads(call("run", scene, copy, "--out", tmp_path / "out", "--json").stdout)
        first, second = report["videos"]
        assert (first["status"], second["status"]) == ("done", "filtered")
        assert second["reason"] == f"near-duplicate of {first['video_id']}"
    assert report["computed"] == {}


def test_run_without_any_video_is_a_wrong_call(tmp_path: Path) -> None:
    result = call("run", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "no video files" in result.stderr


@pytest.mark.parametrize("command", [["drop", "x.mp4"], ["init"], ["password"]])
def test_commands_that_need_a_service_say_how_to_get_one(command: list[str]) -> None:
    result = call(*command)
    assert result.exit_code == 2
    assert "strefer up" in result.stderr


def test_config_shows_every_setting_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREFER_DATABASE_URL", "postgresql+psycopg2://u:hunter2@db/strefer")
    monkeypatch.setenv("STREFER_PIPELINE__CLIPS__MAX_S", "7.5")
    monkeypatch.setenv("STREFER_VLM__API_KEY", "hunter2")
    monkeypatch.setenv("STREFER_VLM__BASE_URL", "http://vllm:8000/v1/")
    for arguments in (["config"], ["config", "--json"]):
        result = call(*arguments)
        assert result.exit_code == 0
        assert "hunter2" not in result.stdout
        assert "7.5" in result.stdout
    shown = json.loads(call("config", "--json").stdout)
    assert shown["STREFER_DATABASE_URL"] == "(set)"
    assert shown["STREFER_PIPELINE__CLIPS__MAX_S"] == 7.5
    assert shown["STREFER_VLM__BASE_URL"] == "http://vllm:8000/v1"
    assert (shown["STREFER_VLM__API_KEY"], shown["STREFER_LLM__API_KEY"]) == ("(set)", None)


def test_a_malformed_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREFER_PIPELINE__CLIPS__MAX_S", "soon")
    result = call("config")
    assert result.exit_code == 2
    assert "pipeline.clips.max_s" in result.stderr


def test_doctor_finds_what_is_here_and_says_what_is_not() -> None:
    result = call("doctor", "--json")
    findings = {finding["check"]: finding for finding in json.loads(result.stdout)}
    assert findings["extra video"]["state"] == "ok"
    assert findings["database_url"]["state"] == "absent"
    assert "strefer up" in findings["database_url"]["detail"]
    assert (result.exit_code == 0) == all(f["state"] != "broken" for f in findings.values())


def test_doctor_names_a_service_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREFER_AIRFLOW_URL", "http://127.0.0.1:9")
    result = call("doctor", "--json")
    findings = {finding["check"]: finding for finding in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert findings["airflow_url"]["state"] == "broken"


def test_status_of_no_stack_exits_with_one() -> None:
    result = call("status")
    assert result.exit_code == 1
    assert "strefer up" in result.stdout


def test_world_render_writes_videos_and_truth(tmp_path: Path) -> None:
    result = call("world", "render", "--seed", 3, "--videos", 1, "--out", tmp_path, "--json")
    (path,) = json.loads(result.stdout)
    assert Path(path).exists()
    assert Path(path).with_suffix(".truth.json").exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BASE_URL", "vllm:8000", "write http://"),
        ("BASE_URL", "ftp://vllm/v1", "write http://"),
        ("BASE_URL", "http:///v1", "write http://"),
        ("BASE_URL", "http://vllm:port/v1", "write http://"),
        ("BASE_URL", "https://user:hunter2@host/v1", "the key goes into API_KEY"),
        ("BASE_URL", "https://host/v1?key=hunter2", "the key goes into API_KEY"),
        ("API_KEY", "hunter2\nX-Other: 1", "without blanks"),
        ("TIMEOUT_S", "0", "greater than 0"),
        ("TIMEOUT", "1", "Extra inputs"),
    ],
)
def test_a_malformed_server_is_named_and_no_secret_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"STREFER_LLM__{name}", value)
    result = call("config")
    assert result.exit_code == 2
    assert f"llm.{name.lower()}" in result.stderr
    assert said in " ".join(result.stderr.split())
    assert "hunter2" not in result.stderr
