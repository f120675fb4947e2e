"""What the causes of lost prompt-cache reads are called in front of people."""

BREAKER_NAMES = {
    "timestamp": "Timestamp",
    "date": "Date",
    "uuid": "Identifier",
    "user": "User's own data",
    "counter": "Changing number",
    "documents": "Retrieved text",
    "environment": "Working directory or branch",
    "whitespace": "Changing white space",
    "json_key_order": "Changing order of JSON keys",
    "tool_order": "Changing order of tools",
    "tool_set": "Changing set of tools",
    "tool_changed": "Changing tool description",
    "image": "Changing image",
    "text": "Changing text",
    "order": "Changing order of parts",
    "parallel": "Parallel requests before the first answer",
    "ttl_gap": "Pauses longer than the cache lives",
    "lifetime": "Pauses longer than any cache lives",
    "below_minimum": "Prompts too short to be cached",
    "no_markers": "No cache markers",
    "marker_placement": "Misplaced cache markers",
    "implicit_breakpoint": "Automatic breakpoint behind text that changes",
    "lookback": "Too many blocks since the last marker",
    "history_rewritten": "Rewritten history",
    "thinking_stripped": "Thinking blocks left out",
    "model_switch": "Model switched in a conversation",
    "region_switch": "Region switched in a conversation",
    "write_only": "Cache writes that nobody reads",
    "provider": "Entries evicted early or routed elsewhere",
}


def breaker_name(kind: str) -> str:
    """Name a kind of breaker; one that has no name is written in words."""
    return BREAKER_NAMES.get(kind) or kind.replace("_", " ").capitalize()
