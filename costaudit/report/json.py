"""The audit as JSON: the same bytes as `audit.json`."""

from costaudit.contracts.audit import Audit, encode_audit


class JsonReporter:
    """Write the whole audit for machines."""

    name = "json"
    suffix = ".json"

    def render(self, audit: Audit) -> bytes:
        """Encode the audit, money as decimal strings."""
        return encode_audit(audit)
