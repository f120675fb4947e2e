"""Read a request and a response in one object, as proxies and wrappers log them."""

from collections.abc import Sequence
from itertools import chain
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from costaudit.ingest.calls.bodies import ErrorBody, Request, Response
from costaudit.ingest.calls.call import Call, Skip
from costaudit.ingest.calls.exchange import add_usage, call_of, error_type
from costaudit.ingest.calls.fields import parse_time, parsed, present, span_ms
from costaudit.ingest.calls.json_repair import UnreadableError, decode_or_repair, parse_lenient
from costaudit.ingest.calls.money import log_cost
from costaudit.ingest.calls.names import (
    hit_in_headers,
    is_hit,
    labels_of,
    provider_of_url,
    region_of_url,
)
from costaudit.ingest.calls.stated import stated_counts
from costaudit.ingest.calls.streamed import body_of_text
from costaudit.ingest.calls.usage import unread_columns
from costaudit.providers.names import provider_named

Text = str | int | None
Time = str | float | None
Number = float | str | None

REQUEST_NAMES = ("request", "req", "request_body", "body", "input", "kwargs", "params")
RESPONSE_NAMES = ("response", "res", "response_body", "output", "completion", "result")
NOT_COUNTS = frozenset({*REQUEST_NAMES, "messages", "contents", "prompt", "tools", "headers"})
SECONDS_LIMIT = 600  # a smaller, fractional duration without a unit is in seconds
NOT_A_CALL = Skip("not-a-call", "It holds neither a request to a model nor a response.")

CHUNK = Skip("not-a-call", "It is a part of a streamed answer, whose last part has the counts.")


NO_FIELDS: dict[str, str] = {}


class Pair(Struct, gc=False):
    """The fields that wrappers put around the two bodies, under every name we have seen."""

    request: Request | str | None = None
    req: Request | str | None = None
    request_body: Request | str | None = None
    body: Request | str | None = None
    input: Request | str | list[Raw] | None = None
    kwargs: Request | str | None = None
    params: Request | str | None = None
    response: Response | str | None = None
    res: Response | str | None = None
    response_body: Response | str | None = None
    output: Response | str | list[Raw] | None = None
    completion: Response | str | None = None
    result: Response | str | None = None
    messages: Raw = Raw()
    contents: Raw = Raw()
    object: str | None = None
    type: str | None = None
    choices: Raw = Raw()
    done: bool | None = None  # of Ollama
    candidates: Raw = Raw()
    content: Raw = Raw()
    model: str | None = None
    model_name: str | None = None
    camel_model_name: str | None = msgspec.field(name="modelName", default=None)
    usage: Raw = Raw()
    ts: Time = None
    timestamp: Time = None
    time: Time = None
    created_at: Time = None
    start_time: Time = None
    started_at: Time = None
    end_time: Time = None
    latency_ms: Number = None
    duration_ms: Number = None
    elapsed_ms: Number = None
    latency_s: Number = None
    duration_s: Number = None
    latency: Number = None
    duration: Number = None
    elapsed: Number = None
    ttft_ms: Number = None
    ttft_s: Number = None
    ttft: Number = None
    status: Text = None
    status_code: Text = None
    http_status: Text = None
    error: ErrorBody | str | None = None
    headers: Raw = Raw()
    response_headers: Raw = Raw()
    metadata: Raw = Raw()
    provider: str | None = None
    endpoint: str | None = None
    route: str | None = None
    tenant: Text = None
    tenant_id: Text = None
    user: Text = None
    user_id: Text = None
    conversation: Text = None
    conversation_id: Text = None
    session_id: Text = None
    account: Text = None
    account_id: Text = None
    project: Text = None
    attempt: int | None = None
    region: str | None = None
    url: str | None = None
    base_url: str | None = None
    api_base: str | None = None
    host: str | None = None
    service_tier: str | None = None
    is_batch: bool | None = None
    processed_time: Time = None  # only Vertex's batch results have one
    cost: Raw = Raw()
    cost_usd: Raw = Raw()
    currency: Raw = Raw()  # of `cost`, where a logger names one
    cost_currency: Raw = Raw()
    cache_status: Text = None
    portkey_cache_status: Text = msgspec.field(name="cacheStatus", default=None)
    cache_hit: str | bool | None = None
    cached: bool | None = None
    litellm_cache_hit: str | bool | None = msgspec.field(name="x-litellm-cache-hit", default=None)
    cf_cache_status: str | None = msgspec.field(name="cf-aig-cache-status", default=None)
    truncated: bool | None = None


DECODER = msgspec.json.Decoder(Pair)
REQUEST = msgspec.json.Decoder(Request)
RESPONSE = msgspec.json.Decoder(Response)
Body = TypeVar("Body", Request, Response)


def read_pair(data: bytes | Raw) -> Call | Skip:
    """Read one wrapped pair or a bare body; return a Skip with the reason if it has no call."""
    pair = decode_or_repair(data, DECODER, Pair)
    if pair.done is False:
        return CHUNK
    request, response, answer = _bodies(pair, data)
    call = call_of(request, response)
    if call is None:
        if request is None and response is None and not answer:
            return NOT_A_CALL
        call = call_of(request or Request(), Response()) or Call()
    if answer:
        call.answer = answer
    if response is not None and response.eval_count:
        call.unread += _beside_counts(data)
    _add_wrapper(call, pair)
    if call.usage is None:
        _add_stated(call, data)
    return call


def _add_stated(call: Call, data: bytes | Raw) -> None:
    """Add the counts that stand beside the bodies; a logger's own names prove no convention."""
    counts = stated_counts(data, NOT_COUNTS)
    if counts is None:
        return
    add_usage(call, msgspec.json.encode(counts), "openai")
    if call.usage is not None and call.usage.convention == "openai" != call.provider:
        call.usage.convention = "inclusive"


OLLAMA_COUNTS = ("prompt_eval_count", "eval_count")


def _beside_counts(data: bytes | Raw) -> tuple[tuple[str, float], ...]:
    """Return the unread numbers of Ollama's answer, which holds its counts itself."""
    record = parse_lenient(bytes(data))
    places = chain([record], (parsed(record.get(name)) for name in RESPONSE_NAMES))
    holders = (each for each in places if isinstance(each, dict) and OLLAMA_COUNTS[1] in each)
    return next((unread_columns(each, *OLLAMA_COUNTS) for each in holders), ())


def _bodies(pair: Pair, data: bytes | Raw) -> tuple[Request | None, Response | None, bytes]:
    request = _first_body(pair, REQUEST_NAMES, Request)
    response = _first_body(pair, RESPONSE_NAMES, Response)
    answer = b""
    if request is None and (present(pair.messages) or present(pair.contents)):
        request = decode_or_repair(data, REQUEST, Request)
    if response is None and _is_response(pair):
        response = decode_or_repair(data, RESPONSE, Response)
        if request is None:  # a bare response repeats the request without messages
            request = decode_or_repair(data, REQUEST, Request)
    if response is None and request is not None:
        text = next((t for n in RESPONSE_NAMES if isinstance(t := getattr(pair, n), str)), None)
        answer = msgspec.json.encode(text) if text is not None else b""
    return request, response, answer


def _is_response(pair: Pair) -> bool:
    return (
        present(pair.choices)
        or present(pair.candidates)
        or pair.object in ("response", "response.compaction")
        or (pair.type == "message" and present(pair.content))
        or pair.done is not None
    )


def _first_body(pair: Pair, names: Sequence[str], kind: type[Body]) -> Body | None:
    for name in names:  # the commonest name is the first
        value = getattr(pair, name)
        if isinstance(value, kind):
            return value
        if isinstance(value, str) and value[:1] == "{":
            try:
                return decode_or_repair(value.encode(), msgspec.json.Decoder(kind), kind)
            except UnreadableError:
                pass
        if isinstance(value, str) and kind is Response and (body := body_of_text(value)):
            return decode_or_repair(msgspec.json.encode(body), msgspec.json.Decoder(kind), kind)
    return None


def _add_wrapper(call: Call, pair: Pair) -> None:
    start = pair.ts or pair.timestamp or pair.time or pair.start_time or pair.started_at
    moment = parse_time(start or pair.created_at)
    call.ts_us = moment if moment is not None else call.ts_us or parse_time(pair.processed_time)
    call.model = call.model or pair.model or pair.model_name or pair.camel_model_name
    address = pair.url or pair.base_url or pair.api_base or pair.host
    if pair.provider:
        call.provider = provider_named(pair.provider)
    elif address:
        call.provider = provider_of_url(address) or call.provider
    call.latency_ms = _latency(pair, moment) or call.latency_ms
    call.ttft_ms = _duration(pair.ttft_ms, pair.ttft_s, pair.ttft)
    _add_status(call, pair)
    _add_labels(call, pair)
    _add_cost(call, pair)
    if present(pair.usage) and call.usage is None:
        add_usage(call, pair.usage, "openai")
    call.attempt = pair.attempt if pair.attempt is not None else call.attempt
    call.region = pair.region or call.region or (region_of_url(address) if address else None)
    call.service_tier = call.service_tier or pair.service_tier
    call.is_batch = call.is_batch or bool(pair.is_batch)
    call.is_batch = call.is_batch or pair.processed_time is not None
    call.truncated = bool(pair.truncated)
    if _served_from_cache(pair):
        call.served_by = "gateway_cache"


def _latency(pair: Pair, start_us: int | None) -> float | None:
    stated = _duration(
        pair.latency_ms or pair.duration_ms or pair.elapsed_ms,
        pair.latency_s or pair.duration_s,
        pair.latency or pair.duration or pair.elapsed,
    )
    return stated if stated is not None else span_ms(start_us, parse_time(pair.end_time))


def _duration(in_ms: Number, in_s: Number, unlabelled: Number) -> float | None:
    if (ms := _number(in_ms)) is not None:
        return ms
    if (seconds := _number(in_s)) is not None:
        return seconds * 1_000
    value = _number(unlabelled)
    if value is not None and value < SECONDS_LIMIT and not value.is_integer():
        return value * 1_000
    return value


def _number(value: Number) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < 1e12 else None


def _add_status(call: Call, pair: Pair) -> None:
    for status in (pair.http_status, pair.status_code, pair.status):
        if status is None:
            continue
        text = str(status)
        if text.isdigit() and 100 <= int(text) <= 599:
            call.http_status = int(text)
            failed = call.http_status >= 400
        else:
            failed = text.lower() in ("error", "failed", "failure", "timeout", "cancelled")
        if failed:
            call.status = "error"
            call.error = call.error or (None if text.isdigit() else text.lower())
        break
    if pair.error is not None and pair.error != "":
        call.status = "error"
        call.error = error_type(pair.error)
    if call.status == "error" and call.error in (None, "error"):
        call.error = f"http_{call.http_status}" if call.http_status else "error"


def _add_labels(call: Call, pair: Pair) -> None:
    call.endpoint = pair.endpoint or pair.route or call.endpoint
    call.tenant = _text(pair.tenant) or _text(pair.tenant_id) or call.tenant
    call.user = _text(pair.user) or _text(pair.user_id) or call.user
    named = _text(pair.conversation) or _text(pair.conversation_id) or _text(pair.session_id)
    call.conversation = named or call.conversation
    call.session = _text(pair.session_id)
    call.account = _text(pair.account) or _text(pair.account_id) or _text(pair.project)
    if present(pair.metadata):
        tenant, user, conversation, endpoint = labels_of(pair.metadata)
        call.tenant = call.tenant or tenant
        call.user = call.user or user
        call.conversation = call.conversation or conversation
        call.endpoint = pair.endpoint or pair.route or endpoint or call.endpoint
    if present(pair.headers):
        call.tenant = call.tenant or labels_of(pair.headers).tenant


def _add_cost(call: Call, pair: Pair) -> None:
    read = call.logged_cost, call.cost_unit
    named = {
        name: str(msgspec.json.decode(stated))
        for name in ("cost_currency", "currency")
        if present(stated := getattr(pair, name))
    }
    for cost, beside in ((pair.cost_usd, NO_FIELDS), (pair.cost, named)):
        if present(cost):
            log_cost(call, cost, beside)
            if call.logged_cost is not None:
                return
    call.logged_cost, call.cost_unit = read


def _served_from_cache(pair: Pair) -> bool:
    for flag in (
        pair.cache_status,
        pair.portkey_cache_status,
        pair.cache_hit,
        pair.cached,
        pair.litellm_cache_hit,
        pair.cf_cache_status,
    ):
        if flag is not None and is_hit(flag):
            return True
    for headers in (pair.headers, pair.response_headers):
        if headers and hit_in_headers(headers):
            return True
    return False


def _text(value: Text) -> str | None:
    return None if value is None or value == "" else str(value)
