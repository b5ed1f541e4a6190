#!/usr/bin/env python3
"""Counts tests in the reports that ctest, GoogleTest and lit write: prints `passed failed skipped`.

    tally.py lit REPORT.xml
    tally.py ctest REPORT.xml GTEST_DIR     GTEST_DIR holds one NAME.xml for each test of ctest that is a GoogleTest binary

A GoogleTest binary counts by its cases; one that died before it wrote its report, or failed outside its cases, is one
failure more. Names of failures go to stderr.
"""
import os
import sys
import xml.etree.ElementTree as ET


def outcomes(path):
    """[(name, 'passed' | 'failed' | 'skipped')] of one JUnit-like report."""
    for case in ET.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname', '')}.{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
            yield name, "failed"
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled") or case.get("result") in ("skipped", "suppressed"):
            yield name, "skipped"
        else:
            yield name, "passed"


def of_ctest(report, folder):
    for name, outcome in outcomes(report):
        own = os.path.join(folder, name.rsplit(".", 1)[-1] + ".xml")
        if not os.path.exists(own):
            yield name, outcome
            continue
        cases = list(outcomes(own))
        yield from cases
        if outcome == "failed" and not any(o == "failed" for _, o in cases):
            yield name + " (outside its cases)", "failed"


def main():
    kind, report = sys.argv[1:3]
    found = list(of_ctest(report, sys.argv[3]) if kind == "ctest" else outcomes(report))
    for name, outcome in found:
        if outcome == "failed":
            print(f"FAIL  {name}", file=sys.stderr)
    print(*(sum(o == want for _, o in found) for want in ("passed", "failed", "skipped")))


if __name__ == "__main__":
    main()
