"""Drop the counts of calls that the provider refused: it bills nothing for them."""

import re

from msgspec.structs import replace

from costaudit.ingest.calls.call import Call

LATE = (408, 499)  # the answer was under way, so that its input may be billed
REFUSALS = re.compile(
    r"throttl|rate_?limit|quota|too_?many_?requests|validation|invalid_?request|authenti"
    r"|access_?denied|permission|not_?found|overloaded|too_?large",
    re.IGNORECASE,
)


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
    status = call.http_status or 0
    return (400 <= status < 500 and status not in LATE) or bool(REFUSALS.search(call.error or ""))
