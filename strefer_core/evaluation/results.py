"""Results of asking, one line of JSON each: a run that was interrupted goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from strefer_core.errors import ConfigError, InputError

ANSWER = "answer"
"""The condition of answers to published benches; those of their judges have names of their own."""

RESULTS_FILE, RUN_FILE = "results.jsonl", "run.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What came of one item in one condition."""

    item_id: str
    video: str
    group: str  # "G7", "Basic Questions"
    condition: str
    answer: str  # as generated, or the chosen option
    right: bool | None  # None: the answer cannot be scored
    task_type: str = ""
    chosen: int | None = None  # index of the chosen option, where there are options
    scores: tuple[float, ...] = ()  # of the options, or of the judge's dimensions
    note: str = ""  # why it cannot be scored, or what was wrong
    labels: dict[str, str] = field(default_factory=dict)  # by what else results are grouped

    @property
    def key(self) -> tuple[str, str]:
        return self.item_id, self.condition


_ADAPTER: TypeAdapter[Result] = TypeAdapter(Result)


class ResultsFile:
    """The results of one run in a folder; every line is on disk before the next question is asked.

    Args:
        folder: of the run, made where missing.
        run: what the results hang on: model, bench and options. A folder holds one run.

    Raises:
        ConfigError: the folder holds another run, or cannot be written to.
        InputError: a line of it is no result.
    """

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        self._path = folder / RESULTS_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _claim(folder / RUN_FILE, dict(run))
            _mend(self._path)
        except OSError as error:
            raise ConfigError(f"cannot write to {folder}: {error.strerror}") from error
        self._results = {one.key: one for one in read_results(self._path)}

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._results

    @property
    def results(self) -> list[Result]:
        """In the order in which they were got; of two with one key the later."""
        return list(self._results.values())

    def get(self, item_id: str, condition: str) -> Result | None:
        return self._results.get((item_id, condition))

    def add(self, results: Sequence[Result]) -> None:
        """Append results. Raises ConfigError where the disk refuses."""
        lines = "".join(f"{json.dumps(asdict(one), ensure_ascii=False)}\n" for one in results)
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(lines)
        except OSError as error:
            raise ConfigError(f"cannot write to {self._path}: {error.strerror}") from error
        self._results |= {one.key: one for one in results}


def _claim(path: Path, run: dict[str, Any]) -> None:
    text = json.dumps(run, indent=2, sort_keys=True, default=str, ensure_ascii=False) + "\n"
    if not path.exists():
        path.write_text(text, "utf-8")
        return
    kept = path.read_text("utf-8")
    if kept != text:
        differing = _differing(kept, text)
        raise ConfigError(
            f"{path.parent} holds results of another run ({differing}); choose another --out, or remove it"
        )


def _differing(kept: str, text: str) -> str:
    """Names of what two runs differ in."""
    try:
        one, other = json.loads(kept), json.loads(text)
        names = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
        return f"other {', '.join(names)}"
    except (json.JSONDecodeError, AttributeError, TypeError):
        return f"{RUN_FILE} is not readable"


def _mend(path: Path) -> None:
    """Cut off a last line that a killed run left unfinished."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        path.write_bytes(whole)


def read_results(path: Path) -> Iterator[Result]:
    """Results of a file, in order; none where there is no file. Raises InputError at a line that is none."""
    if not path.exists():
        return
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            yield _ADAPTER.validate_json(line)
        except ValidationError as error:
            raise InputError(f"{path}, line {number}: {error.errors()[0]['msg']}") from error
