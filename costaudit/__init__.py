"""costaudit: what caching and other levers would have saved on a log of LLM calls."""

__version__ = "0.2.0"
