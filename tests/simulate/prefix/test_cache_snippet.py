"""The snippet for an explicit cache, run in a loop with google-genai against a local server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from costaudit.simulate.prefix.advice.explicit_caches import LIFETIMES_S
from costaudit.simulate.prefix.advice.snippets import BodyForm, Spot, cache_snippet

genai = pytest.importorskip("google.genai", reason="google-genai is not installed")
CODE = cache_snippet(Spot("system", -1), "gemini", LIFETIMES_S["15m"])
MODEL = "gemini-2.5-pro"
HEAD = {"system_instruction": "Answer by the rules.", "tools": [{"google_search": {}}]}


class Gemini(ThreadingHTTPServer):
    """A server that keeps explicit caches and rejects what Google rejects."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.caches: dict[str, Any] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        name = path.split("?")[0].split("/", 2)[2]  # after the version
        if name == "cachedContents":
            self.calls.append(("create", body))
            name = f"cachedContents/{len(self.calls)}"
            self.caches[name] = body
            return 200, {"name": name, "model": body["model"]}
        if method == "PATCH":
            self.calls.append(("renew", body))
            held = name in self.caches
            return (200, {"name": name}) if held else (404, {"error": {"code": 404, "message": ""}})
        self.calls.append(("generate", body))
        own = {"systemInstruction", "tools", "toolConfig"} & set(body)
        if own or body["cachedContent"] not in self.caches:
            return 400, {"error": {"code": 400, "message": "INVALID_ARGUMENT"}}
        return 200, {"candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}}]}


class Handler(BaseHTTPRequestHandler):
    server: Gemini

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code, answer = self.server.answer(self.command, self.path, body)
        data = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_PATCH = do_POST

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def server() -> Iterator[Gemini]:
    with Gemini() as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


def names(server: Gemini, config: Any) -> dict[str, Any]:
    options = {"base_url": f"http://127.0.0.1:{server.server_address[1]}"}
    client = genai.Client(api_key="k", http_options=options)
    return {"client": client, "model": MODEL, "contents": "q", "config": config}


@pytest.mark.parametrize("typed", [False, True])
def test_a_loop_creates_one_cache_and_renews_it_with_each_use(server: Gemini, typed: bool) -> None:
    config: Any = {**HEAD, "temperature": 0.5}
    if typed:
        config = genai.types.GenerateContentConfig(**config)
    before = repr(config)
    inside = names(server, config)
    for number in range(3):
        inside["contents"] = f"q{number}"
        exec(CODE, inside)
        assert inside["response"].text == "ok"
    assert [kind for kind, _ in server.calls] == [
        "create", "generate", "renew", "generate", "renew", "generate",
    ]  # fmt: skip
    assert repr(config) == before
    created, generated = server.calls[0][1], server.calls[-1][1]
    assert created["model"] == f"models/{MODEL}" and created["ttl"] == "900s"
    assert created["systemInstruction"]["parts"] == [{"text": HEAD["system_instruction"]}]
    assert created["tools"] == [{"googleSearch": {}}]
    assert generated["cachedContent"] == "cachedContents/1"
    assert generated["generationConfig"] == {"temperature": 0.5}
    assert generated["contents"] == [{"role": "user", "parts": [{"text": "q2"}]}]
    assert server.calls[2][1] == {"ttl": "900s"}


def test_an_expired_cache_is_created_again_and_each_head_has_its_own(server: Gemini) -> None:
    inside = names(server, HEAD)
    exec(CODE, inside)
    server.caches.clear()
    exec(CODE, inside)
    inside["config"] = {**HEAD, "system_instruction": "Other rules."}
    exec(CODE, inside)
    inside["config"] = HEAD
    exec(CODE, inside)
    assert [kind for kind, _ in server.calls] == [
        "create", "generate",
        "renew", "create", "generate",  # it had expired
        "create", "generate",  # for the other rules
        "renew", "generate",
    ]  # fmt: skip
    assert server.calls[-1][1]["cachedContent"] == server.calls[4][1]["cachedContent"]


@pytest.mark.parametrize(
    ("spot", "form"),
    [
        (Spot("system", 0), "gemini"),  # later blocks of the system prompt change
        (Spot("tools", -1), "gemini"),
        (Spot("examples", 2), "gemini"),
        (Spot("system", -1), "chat"),  # another client
    ],
)
def test_there_is_no_code_where_it_would_not_fit(spot: Spot, form: BodyForm) -> None:
    assert cache_snippet(spot, form, 300) == ""
