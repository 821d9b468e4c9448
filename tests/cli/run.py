#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program from outside, with the standard library of Python only.

usage: run.py --ilk PROGRAM --fixtures DIR GROUP [NAME...]

GROUP is a file cases_<group>.py beside this one; its functions test_* are run in order, or those whose name contains a
NAME. Exits 1 on a failure, 77 where all were skipped.
"""
import argparse
import importlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import harness  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ilk", required=True)
    parser.add_argument("--fixtures", required=True)
    parser.add_argument("group")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    harness.ILK = os.path.abspath(args.ilk)
    harness.FIXTURES = os.path.abspath(args.fixtures)
    cases = importlib.import_module("cases_" + args.group)
    tests = [f for name, f in vars(cases).items()
             if name.startswith("test_") and (not args.names or any(n in name for n in args.names))]
    sys.exit(harness.run_tests(tests))


if __name__ == "__main__":
    main()
