"""Turn a message, a list of tools or an answer of any provider into pieces."""

from typing import Any, Literal, NamedTuple

from costaudit.ingest.content.blocks import (
    REFUSAL,
    TEXT,
    TOOL_DEFINITION,
    TOOL_USE,
    Block,
    Piece,
    compact,
    lifetime,
    marker_of,
    pieces_of,
    text_of,
    tool_results,
    tool_use,
)

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}
AnswerKind = Literal["text", "tool_use", "refusal", "empty", "missing"]


class AnswerText(NamedTuple):
    """What a model answered: its text, or its tool calls if it has no text."""

    kind: AnswerKind
    piece: Piece | None


def read_message(message: object) -> list[Piece]:
    """Read one entry of a message list; each piece gets its role."""
    if isinstance(message, str):
        return [Piece(TEXT, message, "user")]
    if not isinstance(message, dict):
        return []
    message = _unwrapped(message)
    role = role_of(message)
    if role == "tool" and "type" not in message:
        return _marked(tool_results(_content(message)), message)
    pieces = [p if p.role else p._replace(role=role) for p in _content_pieces(message)]
    pieces.extend(_calls(message))
    return _marked(pieces, message)


def role_of(message: Block) -> str:
    """Return the canonical name of a message's role."""
    role = message.get("role", message.get("type"))
    return ROLES.get(role.lower(), "user") if isinstance(role, str) else "user"


def _unwrapped(message: Block) -> Block:
    """Unwrap LangChain's {lc, id: [..., HumanMessage], kwargs} or {type, data} form."""
    inner = message.get("kwargs") if "lc" in message else message.get("data")
    if not isinstance(inner, dict) or "role" in message:
        return message
    identity = message.get("id")
    name = identity[-1] if isinstance(identity, list) and identity else message.get("type")
    kind = text_of(name).lower().removesuffix("chunk").removesuffix("message")
    return {**inner, "role": inner.get("role", kind)}


def _content(message: Block) -> object:
    return next((message[k] for k in ("content", "parts", "message") if k in message), None)


def _content_pieces(message: Block) -> list[Piece]:
    if "role" not in message and "content" not in message and "type" in message:
        return pieces_of(message)  # an item of the Responses interface
    content = _content(message)
    return [] if content is None or content == "" else pieces_of(content)


def _calls(message: Block) -> list[Piece]:
    found = []
    calls = message.get("tool_calls")
    legacy = message.get("function_call")
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        found.append(Piece(REFUSAL, refusal, "assistant"))
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict):
            inner = call.get("function")
            inner = inner if isinstance(inner, dict) else call.get("custom", call)
            inner = inner if isinstance(inner, dict) else call
            arguments = next((inner[k] for k in ("arguments", "input", "args") if k in inner), None)
            found.append(tool_use(inner.get("name"), arguments))
    if isinstance(legacy, dict):
        found.append(tool_use(legacy.get("name"), legacy.get("arguments")))
    return found


def _marked(pieces: list[Piece], message: Block) -> list[Piece]:
    marker = marker_of(message)
    if marker and pieces:
        pieces[-1] = pieces[-1]._replace(marker=marker)
    return pieces


def read_system(system: object) -> list[Piece]:
    """Read a system prompt outside the messages: a text, blocks, or an object with parts."""
    if isinstance(system, dict) and ("parts" in system or "content" in system):
        system = _content(system)
    return [p._replace(role="system") for p in pieces_of(system)]


def read_tools(tools: object) -> list[Piece]:
    """Read tool definitions, in their order; a function has one form in all dialects."""
    if isinstance(tools, dict):  # Bedrock's toolConfig
        tools = tools.get("tools")
    found: list[Piece] = []
    for tool in tools if isinstance(tools, list) else []:
        if not isinstance(tool, dict):
            continue
        point = tool.get("cachePoint")
        if isinstance(point, dict):
            if found:
                found[-1] = found[-1]._replace(marker=lifetime(point, "5m"))
            continue
        declared = tool.get("functionDeclarations", tool.get("function_declarations"))
        each = declared if isinstance(declared, list) else [tool]
        found.extend(_definition(one) for one in each if isinstance(one, dict))
        if marker_of(tool) and found:
            found[-1] = found[-1]._replace(marker=marker_of(tool))
    return found


def _definition(tool: Block) -> Piece:
    inner = tool.get("function") if isinstance(tool.get("function"), dict) else tool.get("toolSpec")
    function: Any = inner if isinstance(inner, dict) else tool
    name = function.get("name")
    if not isinstance(name, str) or tool.get("type") not in (None, "function", "custom"):
        return Piece(TOOL_DEFINITION, compact(tool), "tools")
    schema: Any = next(
        (function[k] for k in ("parameters", "input_schema", "inputSchema") if k in function), {}
    )
    if isinstance(schema, dict) and set(schema) == {"json"}:
        schema = schema["json"]
    form = {"name": name, "description": function.get("description") or "", "parameters": schema}
    return Piece(TOOL_DEFINITION, compact(form), "tools")


def read_answer(answer: object) -> AnswerText:
    """Read a model's answer: a text, a message, a list of messages, blocks or output items."""
    if isinstance(answer, dict) and isinstance(answer.get("message"), dict):
        answer = answer["message"]
    if isinstance(answer, list):
        pieces = [p for item in answer for p in _answer_item(item)]
    else:
        pieces = _answer_item(answer)
    texts = [p.text for p in pieces if p.kind == TEXT and p.text]
    calls = [p for p in pieces if p.kind == TOOL_USE]
    refusals = [p.text for p in pieces if p.kind == REFUSAL and p.text]
    if calls:
        text = "\n".join([*texts, *(c.text for c in calls)])
        return AnswerText("tool_use", Piece(TOOL_USE, text))
    if refusals:
        return AnswerText("refusal", Piece(TEXT, "".join([*texts, *refusals])))
    if texts:
        return AnswerText("text", Piece(TEXT, "".join(texts)))
    return AnswerText("empty" if answer is not None else "missing", None)


def _answer_item(item: object) -> list[Piece]:
    if isinstance(item, dict) and not _is_block(item):
        return read_message({"role": "assistant", **item} if "lc" not in item else item)
    return pieces_of(item)


def _is_block(item: Block) -> bool:
    return not ({"role", "content", "parts", "tool_calls", "lc", "data"} & set(item))
