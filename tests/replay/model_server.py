"""A loopback server that speaks the providers' wire formats, and fails on demand."""

import binascii
import hashlib
import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JSON = "application/json"
USAGE = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107,
         "prompt_tokens_details": {"cached_tokens": 40}}  # fmt: skip


@dataclass
class Model:
    """The server's behaviour: each fault in turn, then good answers."""

    faults: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    delay_s: float = 0.0
    running: int = 0
    most_running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, body: dict[str, Any]) -> str:
        return f"re: {json.dumps(body.get('messages'))[-60:]}"

    def vector(self, text: str) -> list[float]:
        """Return a vector that depends only on the text."""
        values = hashlib.shake_256(text.encode()).digest(32)
        return [(value - 127.5) / 128 for value in values]


class Handler(BaseHTTPRequestHandler):
    """Handles one request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # it would delay each answer by 40 ms
    model: Model

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        model = self.model
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with model.lock:
            model.requests.append({"path": self.path, **body})
            model.headers.append({name.lower(): value for name, value in self.headers.items()})
            model.times.append(time.monotonic())
            fault = model.faults.pop(0) if model.faults else ""
            model.running += 1
            model.most_running = max(model.most_running, model.running)
        time.sleep(model.delay_s)
        try:
            if not self.failed(fault):
                self.reply(body, half=fault == "half")
        finally:
            with model.lock:
                model.running -= 1

    def failed(self, fault: str) -> bool:
        if fault.startswith("status"):
            _, status, *wait = fault.split()
            extra = {"Retry-After": wait[0]} if wait else {}
            if status == "429":  # as Bedrock names it; other clients ignore the header
                extra["x-amzn-ErrorType"] = "ThrottlingException"
            self.send(json.dumps({"error": {"message": "no"}}).encode(), int(status), **extra)
        elif fault == "malformed":
            self.send(b'{"id": "x", "choices": [{"mess')
        elif fault == "empty":
            self.send(b"{}")
        elif fault == "html":
            self.send(b"<html>welcome</html>", content_type="text/html")
        elif fault == "slow":
            time.sleep(1.5)
            return False
        else:
            return False
        return True

    def reply(self, body: dict[str, Any], *, half: bool) -> None:
        text = self.model.answer(body)
        if self.path.endswith("/embeddings"):
            texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
            rows = [
                {"object": "embedding", "index": place, "embedding": self.model.vector(one)}
                for place, one in enumerate(texts)
            ]
            usage = {"prompt_tokens": 5, "total_tokens": 5}
            self.send(json.dumps(
                {"object": "list", "model": body["model"], "data": rows, "usage": usage}
            ).encode())  # fmt: skip
        elif self.path.endswith("/chat/completions"):
            self.openai(body, text, half)
        elif self.path.endswith("/messages"):
            self.anthropic(body, text, half)
        elif self.path.endswith("/converse"):
            self.send(json.dumps({
                "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
                "stopReason": "end_turn", "metrics": {"latencyMs": 5},
                "usage": {"inputTokens": 60, "outputTokens": 7, "totalTokens": 107,
                          "cacheReadInputTokens": 30, "cacheWriteInputTokens": 10},
            }).encode())  # fmt: skip
        else:
            self.converse_stream(text, half)

    def openai(self, body: dict[str, Any], text: str, half: bool) -> None:
        head = {"id": f"chatcmpl-{len(self.model.requests)}", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = {**head, "object": "chat.completion", "choices": [choice], "usage": USAGE}
            self.send(json.dumps(whole).encode())
            return
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": {"content": part}, "finish_reason": None}]}
            for part in (text[:5], text[5:])
        ]
        if not half:
            chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            chunks.append({"choices": [], "usage": USAGE})
        lines = [
            f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', **chunk})}\n\n"
            for chunk in chunks
        ]
        self.stream([*lines, *([] if half else ["data: [DONE]\n\n"])], half)

    def anthropic(self, body: dict[str, Any], text: str, half: bool) -> None:
        usage = {"input_tokens": 60, "output_tokens": 7, "cache_read_input_tokens": 30,
                 "cache_creation_input_tokens": 10,
                 "cache_creation": {"ephemeral_5m_input_tokens": 8,
                                    "ephemeral_1h_input_tokens": 2}}  # fmt: skip
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"],
                   "content": [], "stop_reason": None, "stop_sequence": None,
                   "usage": usage}  # fmt: skip
        if not body.get("stream"):
            block = {"type": "text", "text": text}
            done = {**message, "content": [block], "stop_reason": "end_turn"}
            self.send(json.dumps(done).encode())
            return
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0,
             "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0,
             "delta": {"type": "text_delta", "text": text}},
        ]  # fmt: skip
        if not half:
            events += [
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "usage": {"output_tokens": 7},
                 "delta": {"stop_reason": "end_turn", "stop_sequence": None}},
                {"type": "message_stop"},
            ]  # fmt: skip
        self.stream([f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events], half)

    def converse_stream(self, text: str, half: bool) -> None:
        events: list[tuple[str, dict[str, Any]]] = [
            ("messageStart", {"role": "assistant"}),
            ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}),
        ]
        if not half:
            usage = {"inputTokens": 60, "outputTokens": 7, "totalTokens": 67}
            events.append(("messageStop", {"stopReason": "end_turn"}))
            events.append(("metadata", {"usage": usage, "metrics": {"latencyMs": 5}}))
        frames = b"".join(event_frame(name, payload) for name, payload in events)
        self.send(frames, content_type="application/vnd.amazon.eventstream")

    def send(
        self, content: bytes, status: int = 200, content_type: str = JSON, **extra: str
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        for name, value in {**extra, **self.more_headers()}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def more_headers(self) -> dict[str, str]:
        return {}

    def stream(self, lines: list[str], half: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in self.more_headers().items():
            self.send_header(name, value)
        self.end_headers()
        for line in lines:
            data = line.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
        if half:
            self.close_connection = True
            self.connection.close()
        else:
            self.wfile.write(b"0\r\n\r\n")


def event_frame(name: str, payload: dict[str, Any]) -> bytes:
    """Return one message of AWS's event stream: lengths, headers, payload, two checksums."""
    headers = b""
    for key, value in ((":event-type", name), (":content-type", "application/json"),
                       (":message-type", "event")):  # fmt: skip
        headers += bytes([len(key)]) + key.encode() + b"\x07"
        headers += struct.pack(">H", len(value)) + value.encode()
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + body
    return message + struct.pack(">I", binascii.crc32(message))


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *arguments: object) -> None:
        """Print nothing, because the tests include clients that hang up."""


@contextmanager
def serving(model: Model, handler: type[Handler] = Handler) -> Iterator[str]:
    """Serve on a free port, and yield the base URL."""
    bound = type("Bound", (handler,), {"model": model})
    server = _Quiet(("127.0.0.1", 0), bound)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
