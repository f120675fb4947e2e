"""Who called, for whom, in which conversation and for which feature: the names that logs use."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

TENANT = ("tenant", "tenant_id", "tenantId", "organization_id", "organization", "org_id", "org",
          "_organisation", "customer", "customer_id", "account_id", "workspace_id",
          "team", "team_id", "openai-organization")  # fmt: skip
USER = ("user", "user_id", "userId", "end_user", "end_user_id", "_user", "username",
        "customer_user_id", "safety_identifier")  # fmt: skip
CONVERSATION = ("conversation", "conversation_id", "conversationId", "session", "session_id",
                "sessionId", "thread_id", "threadId", "chat_id", "Helicone-Session-Id",
                "helicone-session-id")  # fmt: skip
ENDPOINT = ("endpoint", "route", "feature", "use_case", "task", "service", "application", "app",
            "job")  # fmt: skip


class Labels(NamedTuple):
    """What a call's metadata says of its origin."""

    tenant: str | None = None
    user: str | None = None
    conversation: str | None = None
    endpoint: str | None = None


def labels_in(metadata: Mapping[str, Any]) -> Labels:
    """Look for tenant, user, conversation and endpoint among metadata."""
    return Labels(
        first_text(metadata, TENANT),
        first_text(metadata, USER),
        first_text(metadata, CONVERSATION),
        first_text(metadata, ENDPOINT),
    )


def labels_of(metadata: msgspec.Raw | bytes) -> Labels:
    """Look for labels in a JSON object, or in a JSON object within a JSON string."""
    return _labels_of(bytes(metadata))


@lru_cache(65536)
def _labels_of(metadata: bytes) -> Labels:
    try:
        value = msgspec.json.decode(metadata)
        if isinstance(value, str):
            value = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Labels()
    return labels_in(value) if isinstance(value, dict) else Labels()


def first_text(values: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """Take the first of several fields that holds a text or a number."""
    for name in names:
        value = values.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return None
