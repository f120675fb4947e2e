"""Serve the log's answers through an OpenAI-style API, as a caching proxy's model."""

import json
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from costaudit.errors import UsageError
from costaudit.providers.call import Prompt
from costaudit.replay.stream import ReplayStream, text_digest

DEFAULT_PORT = 8788  # fixed, as the proxy's configuration names it before the replay


@dataclass
class _Awaited:
    """The requests that were sent to the proxy and that it may forward, by digest."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    indices: dict[str, deque[int]] = field(default_factory=lambda: defaultdict(deque))


class RecordedServer:
    """Serves each request's logged answer; a paced replay waits for its logged latency."""

    def __init__(self, stream: ReplayStream, port: int, speed: float | None) -> None:
        self._stream = stream
        self._port = port  # 0: any free port, set when it is open
        self._speed = speed
        self._awaited = _Awaited()
        self._first: dict[str, int] = {}  # digest → first request with it
        self.unknown = 0  # requests that are not in the log, as the proxy changed them
        for index, prompt in enumerate(stream.prompts or ()):
            self._first.setdefault(prompt_digest(prompt), index)

    @property
    def url(self) -> str:
        """Return the base URL for the proxy's configuration."""
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> "RecordedServer":
        handler = type("Handler", (_Handler,), {"owner": self})
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        except OSError as error:
            raise UsageError(
                f"The recorded answers can't be served on port {self._port}: {error.strerror}.",
                hint="Name a free port: --upstream recorded?port=8789, here and in the proxy.",
            ) from None
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def expect(self, index: int, prompt: Prompt) -> None:
        """Register a request that is sent to the proxy."""
        with self._awaited.lock:
            self._awaited.indices[prompt_digest(prompt)].append(index)

    def forget(self, index: int, prompt: Prompt) -> None:
        """Remove a request that the proxy answered."""
        with self._awaited.lock:
            waiting = self._awaited.indices[prompt_digest(prompt)]
            if index in waiting:
                waiting.remove(index)

    def answer_to(self, messages: Sequence[dict[str, Any]]) -> tuple[int | None, dict[str, Any]]:
        """Return the request with these messages, and its answer as a completion."""
        digest = messages_digest(messages)
        with self._awaited.lock:
            waiting = self._awaited.indices.get(digest)
            index = waiting.popleft() if waiting else self._first.get(digest)
            self.unknown += index is None
        return index, {} if index is None else _completion(self._stream, index)

    def wait(self, index: int) -> None:
        """Wait for the logged latency, on the replay's clock."""
        latency_ms = float(self._stream.latencies_ms[index])
        if self._speed is not None and latency_ms > 0:
            time.sleep(latency_ms / 1000 / self._speed)

    def unwaited_ms(self, index: int) -> float:
        """Return the part of the logged latency that this server did not wait."""
        latency_ms = float(self._stream.latencies_ms[index])
        if math.isnan(latency_ms):
            return 0.0
        return latency_ms if self._speed is None else latency_ms * (1 - 1 / self._speed)


class _Handler(BaseHTTPRequestHandler):
    """One exchange of OpenAI's API."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: RecordedServer

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        """Return the log's models, which some proxies ask for before they start."""
        names = sorted({prompt.model for prompt in self.owner._stream.prompts or ()})
        self._send(200, {"object": "list", "data": [{"id": n, "object": "model"} for n in names]})

    def do_POST(self) -> None:
        """Answer a chat completion with the log's answer."""
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            messages = body["messages"]
        except (ValueError, KeyError, TypeError):
            self._send(400, {"error": {"message": "This is no chat completion.", "code": 400}})
            return
        index, completion = self.owner.answer_to(messages)
        if index is None:
            said = "The log holds no request with these messages."
            self._send(404, {"error": {"message": said, "type": "not_found", "code": 404}})
            return
        self.owner.wait(index)
        completion["model"] = body.get("model") or completion["model"]
        if body.get("stream"):
            self._stream(completion)
        else:
            self._send(200, completion)

    def _send(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, completion: dict[str, Any]) -> None:
        head = {**completion, "object": "chat.completion.chunk"}
        usage, text = head.pop("usage"), completion["choices"][0]["message"]["content"]
        said = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
        done = {"index": 0, "delta": {}, "finish_reason": "stop"}
        chunks = ({"choices": [said]}, {"choices": [done]}, {"choices": [], "usage": usage})
        lines = [f"data: {json.dumps({**head, **chunk})}\n\n" for chunk in chunks]
        data = "".join([*lines, "data: [DONE]\n\n"]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def messages_digest(messages: Sequence[dict[str, Any]]) -> str:
    """Return a digest of messages by role and text, however a proxy divides their parts."""
    return text_digest(
        "\0".join(f"{one.get('role')}\1{_text(one.get('content'))}" for one in messages)
    )


def prompt_digest(prompt: Prompt) -> str:
    """Return the `messages_digest` of a prompt's messages."""
    return text_digest("\0".join(f"{one.role}\1{one.text}" for one in prompt.messages))


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def _completion(stream: ReplayStream, index: int) -> dict[str, Any]:
    tokens = stream.tokens[index].tolist()
    read, whole = int(tokens[1]), int(sum(tokens[:-1]))
    message = {"role": "assistant", "content": stream.answers[index]}
    return {
        "id": f"chatcmpl-{stream.request_ids[index]}",
        "object": "chat.completion",
        "created": int(stream.ts_s[index]),
        "model": stream.prompts[index].model if stream.prompts else "",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": whole,
            "completion_tokens": int(tokens[-1]),
            "total_tokens": whole + int(tokens[-1]),
            "prompt_tokens_details": {"cached_tokens": read},
        },
    }
