"""Run this repository's verification suite and say how many tests really ran.

    python suites/run.py [--report FILE]

The offline tests read the files of this commit. With CUTOVER_PRODUCER_URL set the live tests are loaded too;
without it they are not part of the run, which the first line says. Nothing is ever skipped: a test that
skips itself counts as failed. Exit code 0 needs at least one test and no failure. Standard library only.
"""

import argparse
import json
import os
import sys
import unittest
from pathlib import Path

SUITES = Path(__file__).resolve().parent
URL_VARIABLE = "CUTOVER_PRODUCER_URL"


class Recorder(unittest.TestResult):
    """Keep one outcome per test; an error outside of any test is an outcome of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: dict[str, str] = {}

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.outcomes.setdefault(test.id(), "passed")

    def addFailure(self, test: unittest.TestCase, err: object) -> None:
        super().addFailure(test, err)
        self._fail(test, self.failures[-1][1])

    def addError(self, test: unittest.TestCase, err: object) -> None:
        super().addError(test, err)
        self._fail(test, self.errors[-1][1])

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: object) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(test, f"{subtest}: {err[1]}")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._fail(test, f"skipped: {reason}")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        self._fail(test, "unexpected success")

    def _fail(self, test: unittest.TestCase, text: str) -> None:
        self.outcomes[test.id()] = "failed"
        print(f"FAILED {test.id()}\n{text}", file=sys.stderr)


def load(live: bool) -> unittest.TestSuite:
    """Discover the offline tests, and the live ones when a release is named."""
    folders = ["offline", "live"] if live else ["offline"]
    suite = unittest.TestSuite()
    for folder in folders:
        loader = unittest.TestLoader()  # one loader per folder: it remembers its top-level directory
        suite.addTests(loader.discover(str(SUITES / folder), top_level_dir=str(SUITES / folder)))
    return suite


def main() -> int:
    """Run, report, and map the result to an exit code."""
    parser = argparse.ArgumentParser(description="Run this repository's verification suite.")
    parser.add_argument("--report", type=Path, help="write a JSON report to this file")
    arguments = parser.parse_args()
    live = bool(os.environ.get(URL_VARIABLE))
    print(f"live tests: {os.environ[URL_VARIABLE]}" if live else f"live tests: not loaded, {URL_VARIABLE} is not set")
    recorder = Recorder()
    load(live).run(recorder)
    tests = [{"name": name, "outcome": outcome} for name, outcome in sorted(recorder.outcomes.items())]
    failed = sum(test["outcome"] != "passed" for test in tests)
    passed = len(tests) - failed
    if arguments.report is not None:
        report = {"passed": passed, "failed": failed, "live": live, "tests": tests}
        arguments.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
