"""The campaigns of `tests/faults` with their counts -> results/faults.csv: kind, tries, failures, date, commit.

Every campaign runs to its end in a process of its own; a failure is a try after which something was lost, wrong, left
over, or said in more than one line. The seeds are fixed.
"""

import argparse
import subprocess
import sys
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from netslim.core.runs.environment import commit
from netslim.report.csv_files import write_csv

ROOT = Path(__file__).parents[1]
CAMPAIGNS = {  # kind: tests, tries in each of them
    "damaged checkpoints": ("test_fuzz.py::test_bytes_of_a_checkpoint", 3_500),
    "twisted values in checkpoints": ("test_fuzz.py::test_values_in_a_checkpoint", 3_500),
    "damaged plans and settings": ("test_fuzz.py::test_plans_and_settings", 7_000),
    "damaged records of runs": ("test_fuzz.py::test_the_records_of_a_run", 300),
    "command lines": ("test_fuzz.py::test_command_lines", 1_500),
    "kills": ("test_failing_disk.py::test_killed_twenty_times", 20),
    "failing file operations": ("test_failing_disk.py::test_every_operation_fails", 1),
}
ALWAYS = {"hostile files": ("test_fuzz.py::test_hostile_files", 1), "outputs on inputs": ("test_outputs.py", 1)}


def main() -> None:
    """Runs them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "results/faults.csv")
    out = parser.parse_args().out
    facts = {"date": datetime.now(UTC).date().isoformat(), "commit": commit()}
    rows = []
    for campaigns, mark in ((CAMPAIGNS, "slow"), (ALWAYS, "not slow")):
        for kind, (tests, each) in campaigns.items():
            ran, failed = run(tests, mark)
            rows.append({"kind": kind, "tries": ran * each, "failures": failed, **facts})
            print(rows[-1], flush=True)
    write_csv(out, rows)


def run(tests: str, mark: str) -> tuple[int, int]:
    """How many tests ran, and how many of them failed."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        line = [sys.executable, "-m", "pytest", "-q", "-m", mark, f"--junitxml={report}", f"tests/faults/{tests}"]
        subprocess.run(line, cwd=ROOT, check=False)
        suite = ET.parse(report).getroot()[0]  # noqa: S314
    return int(suite.get("tests", 0)), int(suite.get("failures", 0)) + int(suite.get("errors", 0))


if __name__ == "__main__":
    main()
