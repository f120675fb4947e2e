"""OpenAI's stored completions, and the lists of messages that belong to them."""

from typing import Any, ClassVar

from costaudit.ingest.call import Call, Prompt, Skip
from costaudit.ingest.fields import Fields
from costaudit.ingest.labels import labels_in
from costaudit.ingest.loose import call_from, encoded
from costaudit.ingest.pair import NOT_A_CALL
from costaudit.ingest.sources.per_record import PerRecord


class OpenAIStored(PerRecord):
    """Read completions that the provider kept; their messages are listed elsewhere."""

    name: ClassVar[str] = "openai_stored"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        if record.get("object") == "chat.completion" and "input_user" in record:
            return 'object = "chat.completion", input_user'
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read a stored completion."""
        call = call_from(None, record.values)
        if call is None:
            return NOT_A_CALL
        labels = labels_in(record.inner("metadata").values)
        call.user = record.text("input_user") or labels.user
        call.tenant, call.conversation = labels.tenant, labels.conversation
        call.endpoint = labels.endpoint or call.endpoint
        call.temperature = record.number("temperature")
        tools = record.items("tools")
        if tools:
            call.prompt = Prompt(tools=encoded(tools))
        return call
