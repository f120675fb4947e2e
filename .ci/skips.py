"""Fail where a test was skipped for a reason that does not hold on a prepared machine."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ALLOWED = (
    "not beside the",  # real data that a clone need not have
    "no disk can be mounted here",  # only an administrator may
)


def main(path: Path) -> int:
    """Print every skipped test; return 1 if one of them should have run."""
    cases = list(ET.parse(path).getroot().iter("testcase"))
    wrong = 0
    for case in cases:
        skip = case.find("skipped")
        if skip is None:
            continue
        reason = skip.get("message") or ""
        allowed = any(text in reason for text in ALLOWED)
        wrong += not allowed
        sys.stdout.write(f"{'skip' if allowed else 'WRONG SKIP'}: {case.get('name')}: {reason}\n")
    sys.stdout.write(f"{len(cases)} tests, {wrong} skipped that should have run\n")
    return 1 if wrong or not cases else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
