"""A scripted OpenAI-compatible server on loopback: real HTTP, replies as a test wants them, bad ones too.

with OpenAIServer(in_turn(error(500), says({"paragraph": "A dog runs."}))) as server:
    connect(monkeypatch, server.url)
    ...
"""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tenacity import wait_none

from strefer_core.config import settings
from strefer_core.served.pressure import forget


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    path: str
    headers: dict[str, str]  # lower-case names
    body: dict[str, Any]

    @property
    def parts(self) -> list[dict[str, Any]]:
        content = self.body["messages"][-1]["content"]
        return [{"type": "text", "text": content}] if isinstance(content, str) else content

    @property
    def text(self) -> str:
        """The text of the user's turn."""
        return "\n".join(part["text"] for part in self.parts if part["type"] == "text")

    @property
    def system(self) -> str:
        return str(self.body["messages"][0]["content"])

    @property
    def fields(self) -> dict[str, Any]:
        """The values between the data markers."""
        found: dict[str, Any] = json.loads(self.text.split("<data>\n")[1].split("\n</data>")[0])
        return found

    @property
    def schema(self) -> str:
        """Name of the schema that the answer is asked for in."""
        return str(self.body["response_format"]["json_schema"]["name"])

    def media(self, kind: str) -> list[bytes]:
        """Decoded pictures ("image") or films ("video") of the user's turn."""
        urls = [part[f"{kind}_url"]["url"] for part in self.parts if part["type"] == f"{kind}_url"]
        return [base64.b64decode(url.partition(";base64,")[2]) for url in urls]


Act = Callable[["Handler", Asked], None]
Script = Callable[[Asked], Act]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.path, headers, json.loads(body))
        with self.server.guard:
            self.server.asked.append(asked)
            act = self.server.script(asked)
        act(self, asked)

    def do_GET(self) -> None:
        """Health and models: `OpenAIServer.health` by path; other paths are not there."""
        with self.server.guard:
            self.server.looked.append(self.path)
            status = self.server.health.get(self.path, 404)
        self.reply(status, b"{}")

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client has had enough
            super().handle()

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, script: Script, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.script, self.asked = script, list[Asked]()
        self.looked, self.health = list[str](), {"/health": 200}
        self.guard, self.closing = threading.Lock(), threading.Event()


class OpenAIServer:
    """Listens while it is entered. `asked` holds the requests in the order in which they came; `looked` the
    paths of those that only look, which are answered with the statuses in `health`."""

    def __init__(self, script: Script, port: int = 0) -> None:
        self._http = _Server(script, port)
        self.asked, self.looked, self.health = self._http.asked, self._http.looked, self._http.health
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> OpenAIServer:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.closing.set()
        self._http.shutdown()
        self._http.server_close()


def connect(monkeypatch: pytest.MonkeyPatch, url: str, **changes: object) -> None:
    """Let the settings name `url` as both servers, with limits fit for tests; `changes`: fields of both."""
    fields = {"timeout_s": 1, "connect_timeout_s": 2, "question_timeout_s": 10, "max_tries": 3} | changes
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("strefer_core.served.server.RETRY_WAITS", wait_none())
    for server in ("VLM", "LLM"):
        monkeypatch.setenv(f"STREFER_{server}__BASE_URL", url)
        for name, value in fields.items():
            monkeypatch.setenv(f"STREFER_{server}__{name.upper()}", str(value))
    settings.cache_clear()
    forget()  # a server of an earlier test may have had this port


# Scripts: which act answers a request.


def always(act: Act) -> Script:
    return lambda _: act


def in_turn(*acts: Act) -> Script:
    """One after the other, the last one for ever."""
    left = list(acts)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def by_schema(**scripts: Script) -> Script:
    """By the name of the schema that is asked for, which the kinds of questions of a stage differ in."""
    return lambda asked: scripts[asked.schema](asked)


# Acts: what the server does with one request.


def says(content: object, *, finish: str = "stop", **message: object) -> Act:
    """A completion: `content` as it is where it is text, else as JSON; `message` adds to its message."""
    text = content if isinstance(content, str | None) else json.dumps(content)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": finish,
    }
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return sends({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})


def sends(body: object, *, status: int = 200, **headers: str) -> Act:
    """Any response: bytes as they are, else as JSON. `Retry_After="1"` is the header Retry-After."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: handler.reply(status, data, named)


def error(status: int, said: str = "no", **headers: str) -> Act:
    return sends({"error": {"message": said}}, status=status, **headers)


def refuses() -> Act:
    return says(None, refusal="I cannot help with that.")


def floods(size_bytes: int) -> Act:
    """A completion whose text is this long."""
    return says("a" * size_bytes)


def hangs(handler: Handler, _: Asked) -> None:
    """Never answers."""
    handler.server.closing.wait(30)
    handler.close_connection = True


def drips(handler: Handler, _: Asked) -> None:
    """Sends a byte now and then, so that no wait for the next one is long."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    while not handler.server.closing.wait(0.05):
        handler.wfile.write(b" ")
    handler.close_connection = True


def cuts(handler: Handler, _: Asked) -> None:
    """Promises a body and breaks off in the middle of it."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def slowly(seconds: float, act: Act) -> Act:
    def wait(handler: Handler, asked: Asked) -> None:
        handler.server.closing.wait(seconds)
        act(handler, asked)

    return wait
