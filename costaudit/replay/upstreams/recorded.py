"""The free upstream: the answer that the log holds."""

from costaudit.replay.cache import Answer
from costaudit.replay.stream import ReplayStream


class Recorded:
    """Answer every miss with what the model said when the log was written."""

    name = "recorded"
    is_live = False

    def answer(self, stream: ReplayStream, index: int) -> Answer:
        """Give the logged answer, tokens and latency at once."""
        tokens = tuple(stream.tokens[index].tolist())
        return Answer(stream.answers[index], tokens, stream.latencies_ms[index].item())

    def close(self) -> None:
        """Nothing is open."""
