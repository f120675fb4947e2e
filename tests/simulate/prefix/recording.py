"""An HTTP client that records what an SDK would send."""

from types import ModuleType
from typing import Any


def posted(http: ModuleType, handled: list[Any]) -> Any:
    """Return an httpx (or httpx2) client that records requests without sending them."""

    def keep(request: Any) -> Any:
        handled.append(request)
        return http.Response(400, json={"error": {"message": "kept", "type": "kept"}})

    return http.Client(transport=http.MockTransport(keep))
