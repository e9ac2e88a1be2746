"""Looks the installed packages up in an advisory database with pip-audit, and says so when it could not.

`python -m scripts.advisories .venv` (or `make audit`). Exit codes: 0 nothing is known of any package, 1 something is,
3 not every package could be looked up. pip-audit itself ends well when it found no package at all, as behind a mirror.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CLEAN, KNOWN, UNKNOWN = 0, 1, 3
OURS = "edgewatt"
NAMED = 5
HINT = "run it where pypi.org or api.osv.dev answers (pip-audit --vulnerability-service osv)"


def judged(report: Mapping[str, Any]) -> tuple[int, list[str]]:
    """Return the exit code and the sentences that a report of pip-audit means."""
    packages = [each for each in report["dependencies"] if each["name"] != OURS]
    skipped = [each["name"] for each in packages if "skip_reason" in each]
    affected = [(each, flaw) for each in packages for flaw in each.get("vulns", ())]
    said = [f"{package['name']} {package['version']}: {_told(flaw)}" for package, flaw in affected]
    looked_up = len(packages) - len(skipped)
    said.append(f"{looked_up} of {len(packages)} packages were looked up, {len(affected)} advisories concern them")
    if skipped:
        rest = f" and {len(skipped) - NAMED} more" if len(skipped) > NAMED else ""
        said.append(f"not looked up: {', '.join(skipped[:NAMED])}{rest}; {HINT}")
    return KNOWN if affected else UNKNOWN if skipped or not packages else CLEAN, said


def _told(flaw: Mapping[str, Any]) -> str:
    """Return which advisory it is, its other names, and what mends it."""
    names = f" ({', '.join(flaw['aliases'])})" if flaw.get("aliases") else ""
    fixed = f"mended in {', '.join(flaw['fix_versions'])}" if flaw.get("fix_versions") else "not mended yet"
    return f"{flaw['id']}{names}, {fixed}"


def audited(packages: Path) -> tuple[int, list[str]]:
    """Return what pip-audit means of a site-packages folder; what keeps it from an answer is said in a sentence."""
    options = ("--path", str(packages), "--format", "json", "--progress-spinner", "off")
    command = [sys.executable, "-m", "pip_audit", *options]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own words
    try:
        return judged(json.loads(ended.stdout))
    except ValueError:
        why = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return UNKNOWN, [f"no package could be looked up: {why[:300]}", HINT]


def main(arguments: Sequence[str]) -> int:
    """Audit the environment that is named; print what was found."""
    environment = Path(arguments[0] if arguments else ".venv")
    folders = sorted(environment.glob("lib/python*/site-packages"))
    if not folders:
        print(f"there is no environment in {environment}; `make demo` makes one", file=sys.stderr)
        return UNKNOWN
    code, said = audited(folders[0])
    print("\n".join(said))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
