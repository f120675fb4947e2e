"""A log with everything that goes wrong in logs, and the fate that each line deserves."""

import json
from dataclasses import dataclass
from typing import Any

COLUMNS = ["line", "fate", "reason", "what"]
LONG_LINE_BYTES = 5_000_000
QUESTIONS = [
    "How do I cancel my order?",
    "Where do I download my invoice?",
    "¿Cuánto tarda el envío?",
    "Do you ship to Portugal?",
    "¿Cómo cambio la contraseña?",
    "My parcel came incomplete, what now?",
    "How much is Club Plus?",
    "¿Aceptáis Bizum?",
    "What are your opening hours?",
    "Can I exchange it for another size?",
]


@dataclass(frozen=True)
class BrokenLine:
    """One line's bytes, without the line end, and what should become of it."""

    data: bytes
    fate: str  # kept | merged | skipped | blank
    reason: str  # classes, any of which is right, separated by |; empty where the line is kept
    what: str


def _record(number: int, question: str = "") -> dict[str, Any]:
    question = question or QUESTIONS[number % len(QUESTIONS)]
    prompt, completion = 212 + number, 31 + number % 7
    return {
        "timestamp": f"2026-10-05T09:{number:02d}:00.000Z",
        "endpoint": "/v1/support/chat",
        "tenant": "norvane",
        "user": f"u-nv-{number:04d}",
        "latency_ms": 800 + 13 * number,
        "status": 200,
        "request": {
            "model": "gpt-4o",
            "temperature": 0.2,
            "messages": [
                {"role": "system", "content": "You are the customer assistant of Norvane Outdoor."},
                {"role": "user", "content": question},
            ],
        },
        "response": {
            "id": f"chatcmpl-broken{number:04d}",
            "object": "chat.completion",
            "created": 1_791_190_800 + 60 * number,
            "model": "gpt-4o-2024-08-06",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": f"Answer number {number}."},
                }
            ],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            },
        },
    }


def _dump(record: Any) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()


def _good(number: int, what: str = "an ordinary record", **changes: Any) -> BrokenLine:
    return BrokenLine(_dump(_record(number) | changes), "kept", "", what)


def _usage(number: int, what: str, **changes: Any) -> BrokenLine:
    record = _record(number)
    record["response"]["usage"] |= changes
    return BrokenLine(_dump(record), "kept", "", what)


def _bad(data: bytes, reason: str, what: str) -> BrokenLine:
    return BrokenLine(data, "skipped", reason, what)


def _readable_oddities() -> list[BrokenLine]:
    """Lines that an audit should keep, whatever is odd about them."""
    surrogate = _dump(_record(12, "@")).replace(b'"@"', b'"Thanks \\ud83d, where is it?"')
    latin = _dump(_record(13, "@")).replace(b'"@"', '"¿Cuánto cuesta el envío?"'.encode("latin-1"))
    nan = json.dumps(_record(10) | {"latency_ms": float("nan"), "cost_usd": float("nan")}).encode()
    python = repr(_record(14)).encode()
    untimed = _record(17)
    del untimed["timestamp"], untimed["response"]["created"]
    unknown = _record(16)
    unknown["request"]["model"] = unknown["response"]["model"] = "zephyrette-9-preview"
    infinite = _dump(_record(11)).replace(b'"prompt_tokens": 223', b'"prompt_tokens": Infinity')
    return [
        BrokenLine(nan, "kept", "", "NaN as latency and cost"),
        BrokenLine(infinite, "kept", "", "Infinity as prompt tokens"),
        BrokenLine(surrogate, "kept", "", "a lone surrogate in the question"),
        BrokenLine(latin, "kept", "", "bytes that are not UTF-8 in the question"),
        BrokenLine(python, "kept", "", "a Python dict with single quotes"),
        _good(15, "wrong types around the bodies", latency_ms="fast", attempt="second", user=["u"]),
        BrokenLine(_dump(unknown), "kept", "", "an unknown model"),
        BrokenLine(_dump(untimed), "kept", "", "no time stamp anywhere"),
        _good(18, "a time stamp in words beside a good one", timestamp="yesterday"),
        _usage(19, "numbers as strings", prompt_tokens="231", completion_tokens="36"),
        _usage(20, "negative tokens", prompt_tokens=-232, completion_tokens=-5),
        _usage(21, "a token count of 31 digits", prompt_tokens=10**30),
        BrokenLine(_dump(_record(22)) + b"\r", "kept", "", "a Windows line end"),
        BrokenLine(_anthropic(), "kept", "", "a record of another format: Anthropic Messages"),
    ]


def _anthropic() -> bytes:
    return _dump(
        {
            "ts": "2026-10-05T09:23:00Z",
            "latency_ms": 1210,
            "request": {
                "model": "claude-haiku-4-5",
                "max_tokens": 256,
                "messages": [{"role": "user", "content": "Summarise ticket CAT-1482."}],
            },
            "response": {
                "id": "msg_01broken0023",
                "type": "message",
                "role": "assistant",
                "model": "claude-haiku-4-5-20251001",
                "content": [{"type": "text", "text": "A feed rejected rows with large amounts."}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 19, "output_tokens": 14},
            },
        }
    )


def _unreadable() -> list[BrokenLine]:
    """Lines in which there is no call to audit."""
    whole = _dump(_record(30))
    deep = b'{"request": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    access = b'203.0.113.7 - - [05/Oct/2026:09:31:02 +0000] "POST /v1/chat HTTP/1.1" 200 1843'
    return [
        _bad(whole[: len(whole) // 2], "truncated", "cut in the middle of a string"),
        _bad(whole[: whole.index(b"choices") - 2], "truncated", "cut after a comma"),
        _bad(b"42", "wrong-shape|not-a-call", "a number"),
        _bad(b'"chat.completion"', "wrong-shape|not-a-call", "a string"),
        _bad(b"null", "wrong-shape|not-a-call", "null"),
        _bad(b"[1, 2, 3]", "wrong-shape|not-a-call", "an array of numbers"),
        _bad(_dump({"level": "info", "msg": "worker started"}), "not-a-call", "an application log"),
        _bad(_dump({"request": 17, "response": [True]}), "wrong-shape|not-a-call", "no bodies"),
        _bad(access, "bad-json", "a web server's access log"),
        _bad(whole[:-1] + b",}", "bad-json", "a trailing comma"),
        _bad(whole + _dump(_record(31)), "bad-json", "two records on one line"),
        _bad(deep, "nested-too-deep|bad-json", "5,000 nested arrays"),
    ]


def _duplicates() -> list[BrokenLine]:
    """Records that occur twice: exactly, and as a first sight without usage."""
    early = _record(40)
    del early["response"]["usage"]
    return [
        BrokenLine(_dump(_record(1)), "merged", "duplicate-id", "the second line once more"),
        BrokenLine(_dump(early), "merged", "duplicate-id", "the next record before it had usage"),
        _good(40, "the complete record of an id seen before"),
    ]


def _long_line() -> BrokenLine:
    """Somebody pastes a whole log into the chat; the provider refuses it."""
    record = _record(41)
    parts, size, number = [], 0, 0
    while size < LONG_LINE_BYTES:
        number += 1
        part = f"2026-10-05 {number % 24:02d}:00 parcel {number % 480 + 1_000} scanned\n"
        parts.append(part)
        size += len(part)
    record["request"]["messages"][1]["content"] = "".join(parts)
    record["status"] = 400
    record["response"] = {
        "error": {
            "message": "This model's maximum context length is 128000 tokens.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
    }
    return BrokenLine(_dump(record), "kept", "", "a line of 5 MB, refused by the provider")


def lines() -> list[BrokenLine]:
    """Return every line in its order; the last one has no line end."""
    found = [
        BrokenLine(b"\xef\xbb\xbf" + _dump(_record(0)), "kept", "", "a byte order mark first"),
        *(_good(number) for number in range(1, 6)),
        BrokenLine(b"", "blank", "", "an empty line"),
    ]
    odd, bad = _readable_oddities(), _unreadable()
    for place, line in enumerate(odd):
        found += [line, *bad[place : place + 1]]
    found += [
        BrokenLine(b"  \t ", "blank", "", "a line of white space"),
        *_duplicates(),
        _long_line(),
        *(_good(number) for number in range(42, 52)),
        _bad(_dump(_record(52))[:300], "truncated", "the file's end, still being written"),
    ]
    return found


def file_bytes() -> bytes:
    """Return the whole file."""
    return b"\n".join(line.data for line in lines())


def expected() -> list[dict[str, Any]]:
    """Return the fate of every line, numbered from 1."""
    return [
        {"line": number, "fate": line.fate, "reason": line.reason, "what": line.what}
        for number, line in enumerate(lines(), start=1)
    ]
