"""Drop the counts of calls that the provider refused: it bills nothing for them."""

import re

from msgspec.structs import replace

from costaudit.ingest.calls.call import Call

LATE = (408, 499)  # the answer was under way, so that its input may be billed
TURNED_AWAY = (401, 403, 404, 429)  # before the prompt was read
_TURNED_AWAY = re.compile(
    r"throttl|rate_?limit|quota|too_?many_?requests|authenti|access_?denied|permission|not_?found"
    r"|overloaded",
    re.IGNORECASE,
)
_INVALID = re.compile(r"validation|invalid_?request|too_?large", re.IGNORECASE)
_FILTERED = re.compile(r"content_?(?:filter|policy)|responsible_?ai", re.IGNORECASE)


def drop_refused(call: Call) -> None:
    """Set a call's counts to 0 if it was refused before the model wrote anything.

    Loggers count the prompt of such a call themselves. A call with an answer or a cost is kept.
    """
    usage = call.usage
    if call.status != "error" or usage is None or usage.output or usage.reasoning:
        return
    if float(call.logged_cost or 0) > 0 or not _is_refusal(call):
        return
    call.usage = replace(
        usage, input=0, output=0, cache_read=0, cache_write_5m=0, cache_write_1h=0,
        cache_write_other=0, unstated_writes=0, total=None, unreadable=(),
    )  # fmt: skip


def _is_refusal(call: Call) -> bool:
    """Return whether a provider bills nothing for a failed call.

    A prompt that a content filter stopped was read, and Azure may bill any that it read, also one
    that is too long (learn.microsoft.com, "HTTP error response code and billing status").
    """
    status, error = call.http_status or 0, call.error or ""
    if status in TURNED_AWAY or _TURNED_AWAY.search(error):
        return True
    if call.provider == "azure" or _FILTERED.search(error):
        return False
    return (400 <= status < 500 and status not in LATE) or bool(_INVALID.search(error))
