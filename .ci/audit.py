"""Look up the installed packages in the database of known vulnerabilities, if it can be reached.

It runs pip-audit. Without the database, such as on a machine without network access or behind an
index that doesn't have it, the check is skipped with the reason.
"""

import json
import subprocess
import sys

SECONDS = "15"  # for one answer of the database


def main(command: list[str]) -> int:
    """Print each vulnerability, or why there is no answer; return 1 if there are any."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return skipped(last)
    known = [one for one in packages if "vulns" in one]
    if not known:
        reasons = [one["skip_reason"] for one in packages if one.get("skip_reason")]
        return skipped(reasons[0] if reasons else "no package was looked up")
    found = [(one, each) for one in known for each in one["vulns"]]
    for one, each in found:
        fixed = ", ".join(each["fix_versions"]) or "no version"
        sys.stdout.write(f"{one['name']} {one['version']}: {each['id']}, mended in {fixed}\n")
    sys.stdout.write(
        f"{len(known)} of {len(packages)} packages looked up, {len(found)} vulnerabilities\n"
    )
    return 1 if found else 0


def skipped(reason: str) -> int:
    """Say why nothing was checked."""
    sys.stdout.write(f"skipped: {reason}\n")
    return 0


if __name__ == "__main__":
    default = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--format", "json"]
    sys.exit(main(sys.argv[1:] or [*default, "--timeout", SECONDS]))
