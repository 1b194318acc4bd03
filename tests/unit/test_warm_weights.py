"""Weights from a folder, from a real S3 server and from a hub on loopback; checksums, refusals, ways out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from strefer_core.cli import main
from strefer_core.config import settings
from strefer_core.errors import ConfigError, StoreError
from strefer_core.store.s3 import S3Objects
from strefer_core.warm.weights import checksum, fetch_weights, manifest
from tests.hub_server import Hub, serving
from tests.s3_server import serving_s3

ROOT = Path(__file__).parents[2]
FILES = {"config.json": b'{"a": 1}', "model.safetensors": bytes(1000), "text/vocab.txt": b"a\nb\n"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache for every test."""
    monkeypatch.setenv("STREFER_MODELS__WEIGHTS_DIR", str(tmp_path / "cache"))
    settings.cache_clear()
    yield tmp_path / "cache"
    settings.cache_clear()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def told_by_the_shell(folder: Path) -> str:
    """The checksum as the documentation says that standard tools compute it."""
    command = "find * -type f -name '*.*' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


# A folder


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", FILES)
    assert fetch_weights(str(folder)) == folder


def test_the_checksum_is_what_standard_tools_say(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", FILES | {"Z.json": b"{}", "ä.json": b"[]"})
    said = told_by_the_shell(folder)
    assert checksum(manifest(folder)) == said
    assert fetch_weights(str(folder), said) == folder


def test_another_byte_or_another_file_is_another_checksum(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", FILES)
    said = told_by_the_shell(folder)
    (folder / "model.safetensors").write_bytes(bytes(999) + b"\1")
    with pytest.raises(StoreError, match=f"not {said}"):
        fetch_weights(str(folder), said)
    write(folder, FILES | {"added.json": b"{}"})
    with pytest.raises(StoreError, match="other or damaged weights"):
        fetch_weights(str(folder), said)


def test_what_is_no_weight_does_not_count(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", FILES)
    said = told_by_the_shell(folder)
    write(folder, {"README.md": b"words", ".cache/x.json": b"{}", "pytorch_model.bin": b"code"})
    assert fetch_weights(str(folder), said) == folder


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"config.json": b"{}", "pytorch_model.bin": b"x"}, r"pickles only \(pytorch_model.bin\)"),
        ({"sam2.1_hiera_tiny.pt": b"x"}, "save the model as safetensors"),
        ({"config.json": b"{}"}, "no \\*.safetensors"),
        ({}, "no \\*.safetensors"),
    ],
)
def test_a_folder_without_safetensors_is_refused(tmp_path: Path, files: dict[str, bytes], told: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    with pytest.raises(ConfigError, match=told):
        fetch_weights(str(write(folder, files)))


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", FILES)
    (folder / "inside.json").symlink_to("config.json")
    assert fetch_weights(str(folder)) == folder
    (tmp_path / "secret.json").write_text("{}")
    (folder / "leak.json").symlink_to("../secret.json")
    with pytest.raises(ConfigError, match=r"leak\.json leads out of"):
        fetch_weights(str(folder))


@pytest.mark.parametrize(
    "source", ["", "/nowhere", "gpt2", "owner/../name", "a/b/c", "owner/name@", "owner/name@-x", "http://h/m"]
)
def test_what_names_nothing_says_what_would(source: str) -> None:
    with pytest.raises(ConfigError, match=r"existing folder, s3://bucket/prefix, or owner/name"):
        fetch_weights(source)


@pytest.mark.parametrize("sha256", ["abc", "G" * 64, "A" * 64])
def test_a_checksum_is_64_hex_digits(tmp_path: Path, sha256: str) -> None:
    with pytest.raises(ConfigError, match="64 hex digits"):
        fetch_weights(str(write(tmp_path / "model", FILES)), sha256)


def test_the_command_prints_folder_and_checksum(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", FILES)
    said = told_by_the_shell(folder)
    done = CliRunner().invoke(main, ["weights", str(folder), "--json"])
    found = json.loads(done.output)
    assert (found["folder"], found["sha256"]) == (str(folder), said)
    assert sorted(found["files"]) == sorted(FILES)
    for_people = CliRunner().invoke(main, ["weights", str(folder), "--sha256", said])
    assert for_people.exit_code == 0
    assert CliRunner().invoke(main, ["weights", str(folder), "--sha256", "0" * 64]).exit_code == 3


# S3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with serving_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket(server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Objects]:
    """A bucket that the settings lead to, of this test only."""
    name = f"models-{abs(hash(tmp_path)):x}"
    for variable in ("endpoint_url", "access_key", "secret_key"):
        monkeypatch.setenv(f"STREFER_S3_{variable.upper()}", server[variable])
    settings.cache_clear()
    objects = S3Objects(bucket=name, **server)
    objects.create()
    return objects


def put(bucket: S3Objects, files: dict[str, bytes], prefix: str = "dino/v1") -> str:
    for name, data in files.items():
        bucket.put_bytes(f"{prefix}/{name}", data)
    return bucket.url(prefix)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_s3_gives_the_files_of_its_prefix_and_no_others(bucket: S3Objects, home: Path) -> None:
    put(bucket, {"model.safetensors": b"other"}, "dino/v10")
    source = put(bucket, FILES | {"pytorch_model.bin": b"code", "README.md": b"words"})
    folder = fetch_weights(source)
    assert contents(folder) == FILES
    assert folder == home / told_by_the_shell(folder)


def test_what_was_fetched_is_not_fetched_again(bucket: S3Objects) -> None:
    source = put(bucket, FILES)
    folder = fetch_weights(source + "/")
    (folder / "config.json").write_bytes(b"seen")  # the mark by which the next call is told from a fetch
    assert fetch_weights(source + "/") == folder
    assert contents(folder)["config.json"] == b"seen"


def test_new_objects_are_new_weights(bucket: S3Objects) -> None:
    first = fetch_weights(put(bucket, FILES))
    second = fetch_weights(put(bucket, {"model.safetensors": b"better"}))
    assert first != second
    assert contents(second)["model.safetensors"] == b"better"
    assert contents(first) == FILES, "whoever has it open keeps it"


def test_the_checksum_of_s3_is_compared(bucket: S3Objects, tmp_path: Path) -> None:
    said = told_by_the_shell(write(tmp_path / "model", FILES))
    source = put(bucket, FILES)
    with pytest.raises(StoreError, match=f"not {'0' * 64}"):
        fetch_weights(source, "0" * 64)
    assert contents(fetch_weights(source, said)) == FILES


def test_known_weights_need_no_server(
    bucket: S3Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = told_by_the_shell(write(tmp_path / "model", FILES))
    folder = fetch_weights(source := put(bucket, FILES), said)
    monkeypatch.setenv("STREFER_S3_ENDPOINT_URL", "http://127.0.0.1:9")
    settings.cache_clear()
    assert fetch_weights(source, said) == folder


def test_four_at_once_see_whole_folders(bucket: S3Objects, home: Path) -> None:
    source = put(bucket, FILES | {"big.safetensors": bytes(3 * 2**20)})
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(fetch_weights, [source] * 4))
    assert len(set(folders)) == 1
    assert [path.name for path in home.iterdir() if path.is_dir()] == [folders[0].name], "no part is left"


def test_an_error_in_mid_fetch_leaves_no_folder(
    bucket: S3Objects, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, fetch = put(bucket, FILES), S3Objects.fetch

    def cut(self: S3Objects, key: str, path: Path) -> None:
        if key.endswith(".safetensors"):
            raise StoreError("gone")
        fetch(self, key, path)

    with monkeypatch.context() as patch:
        patch.setattr(S3Objects, "fetch", cut)
        with pytest.raises(StoreError, match="gone"):
            fetch_weights(source)
    assert not [path for path in home.iterdir() if path.is_dir()]
    assert contents(fetch_weights(source)) == FILES


@pytest.mark.parametrize(("files", "told"), [({"a.pt": b"x"}, "pickles only"), ({}, "no \\*.safetensors")])
def test_s3_without_safetensors_is_refused(bucket: S3Objects, files: dict[str, bytes], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        fetch_weights(put(bucket, files))


@pytest.mark.parametrize("source", ["s3://", "s3://bucket", "s3://bucket/", "s3:///prefix", "s3://b/p?x=1"])
def test_an_address_without_bucket_or_prefix_is_refused(source: str) -> None:
    with pytest.raises(ConfigError, match="write s3://bucket/prefix"):
        fetch_weights(source)


def test_a_server_that_does_not_answer_is_no_fault_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREFER_S3_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("STREFER_S3_ACCESS_KEY", "a")
    monkeypatch.setenv("STREFER_S3_SECRET_KEY", "b")
    settings.cache_clear()
    with pytest.raises(StoreError, match="the object store says nothing"):
        fetch_weights("s3://bucket/prefix")


# The hub. Its client reads its variables at import, so each look is a process of its own.


def ask(hub_url: str, cache: Path, *sources: str, **env: str) -> list[str]:
    """The folder that a fresh process finds for each source, or its error."""
    code = (
        "import sys\nfrom strefer_core.errors import StreferError\n"
        "from strefer_core.warm.weights import fetch_weights\n"
        "for source in sys.argv[1:]:\n"
        "    try: print(fetch_weights(source))\n"
        "    except StreferError as error: print(type(error).__name__, error)"
    )
    variables = {
        "HF_ENDPOINT": hub_url, "HF_HOME": str(cache), "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "0",  # whatever other tests have set
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code, *sources],
        env=os.environ | variables | env,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def a_hub() -> Hub:
    files = {"config.json": b"{}", "model.safetensors": bytes(1000), "pytorch_model.bin": b"code"}
    return Hub("owner/name", ("main", "v1"), files)


def test_a_name_of_the_hub_is_fetched_once_and_without_pickles(tmp_path: Path) -> None:
    with serving(a_hub()) as hub:
        (folder,) = ask(hub.url, tmp_path / "hf", "owner/name@v1")
    assert {path.name for path in Path(folder).iterdir()} == {"config.json", "model.safetensors"}
    assert Path(folder).name == hub.commit
    assert not [path for path in hub.paths if path.endswith(".bin")]
    # The hub is gone now: what was fetched before is found.
    assert ask(hub.url, tmp_path / "hf", "owner/name@v1") == [folder]
    assert ask(hub.url, tmp_path / "hf", "owner/name@v1", STREFER_MODELS__OFFLINE="1") == [folder]


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "ConfigError owner/name was not fetched before and HF_HUB_OFFLINE is set"),
        (
            {"STREFER_MODELS__OFFLINE": "1"},
            "ConfigError owner/name was not fetched before and STREFER_MODELS__OFFLINE is set",
        ),
        ({}, "StoreError owner/name was not fetched before and the hub cannot be reached"),
    ],
)
def test_offline_the_way_out_is_named(tmp_path: Path, env: dict[str, str], told: str) -> None:
    (said,) = ask("http://127.0.0.1:9", tmp_path / "hf", "owner/name", **env)
    assert said.startswith(told)
    assert "put the folder into the object store, and name it as s3://bucket/prefix" in said


def test_refusals_of_the_hub_say_who_must_act(tmp_path: Path) -> None:
    hub = a_hub()
    hub.refusals = {
        "owner/private": (401, "RepoNotFound"), "owner/gated": (403, "GatedRepo"), "owner/ill": (503, ""),
    }  # fmt: skip
    with serving(hub):
        said = ask(hub.url, tmp_path / "hf", "owner/private", "owner/gated", "owner/ill", "owner/name@v9")
    told = (
        "ConfigError the hub has no owner/private, or not for everyone",
        "ConfigError owner/gated is gated: ask for access",
        "StoreError owner/ill was not fetched before and the hub cannot be reached",
        "ConfigError the hub has no owner/name@v9",
    )
    assert len(said) == len(told)
    for line, beginning in zip(said, told, strict=True):
        assert line.startswith(beginning)


def test_a_hub_that_breaks_off_is_no_fault_of_the_settings(tmp_path: Path) -> None:
    hub = a_hub()
    hub.breaks_off = True
    with serving(hub):
        (said,) = ask(hub.url, tmp_path / "hf", "owner/name@v1")
    assert said.startswith("StoreError the hub does not give owner/name@v1")
