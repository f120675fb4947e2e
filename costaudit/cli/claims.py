"""`costaudit claims`: check promises about semantic caching on a log."""

from costaudit.cli import options as opt
from costaudit.cli import values


def claims(
    run: opt.Audited, format: opt.TableFormat = "terminal", config: opt.Config = None
) -> int:
    """Check common promises about semantic caching on a log."""
    from costaudit.cli.session import audit_at, print_tables
    from costaudit.errors import InsufficientDataError
    from costaudit.report.tables.semantic import claims_table
    from costaudit.report.tables.table import FORMATS

    values.one_of(format, FORMATS, "--format")
    audit = audit_at(run)
    if not audit.claims:
        raise InsufficientDataError(
            f"The audit at {run} did not check promises.",
            hint="Make a new one with `costaudit analyze LOG`.",
        )
    print_tables([claims_table(audit.claims)], format, audit.claims)
    return 0
