"""`costaudit schema`: the JSON Schema of audit.json."""

import sys

from costaudit.cli import options as opt


def schema(config: opt.Config = None) -> int:
    """Print the JSON Schema of audit.json, with its version.

    It describes what `costaudit report RUN --format json` prints; amounts are decimal strings.
    """
    from costaudit.contracts.audit import audit_schema

    sys.stdout.buffer.write(audit_schema())
    sys.stdout.flush()
    return 0
