#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An installed Python tree as a folder of the BEIR layout, for `ilk eval retrieval`: a docstring asks, the function without
it answers.

    code_search.py OUT [--tree DIR] [--least N]
DIR: a package tree; the standard library of this Python otherwise, without site-packages and tests. Made of it, in order of
path and line, the same every time:
    query     the first paragraph of a docstring of N words and more (8), one line
    document  the source of the function or method, its docstring taken out, indentation removed, at most 4,000 characters
Left out: functions whose body is nothing but the docstring, pass or an ellipsis, decorated with overload, docstrings and
bodies that occur twice (neither can be told from the other). A query has one relevant document.
"""
import argparse
import ast
import json
import pathlib
import sysconfig
import textwrap

SKIP = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__", "turtledemo"}
MAX_CHARACTERS = 4000


def first_paragraph(text):
    return " ".join(text.strip().split("\n\n")[0].split())


def is_empty(body):
    return all(isinstance(s, ast.Pass) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)) for s in body)


def functions(path, least):
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        doc = ast.get_docstring(node)
        rest = node.body[1:]
        if not doc or is_empty(rest) or any("overload" in ast.unparse(d) for d in node.decorator_list):
            continue
        query = first_paragraph(doc)
        if len(query.split()) < least:
            continue
        said = node.body[0]
        body = lines[node.lineno - 1:said.lineno - 1] + lines[said.end_lineno:node.end_lineno]
        yield node.lineno, query, textwrap.dedent("\n".join(body))[:MAX_CHARACTERS]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--tree", type=pathlib.Path, default=pathlib.Path(sysconfig.get_path("stdlib")))
    parser.add_argument("--least", type=int, default=8)
    args = parser.parse_args()
    found, n_files = [], 0
    for path in sorted(args.tree.rglob("*.py")):
        relative = path.relative_to(args.tree)
        if SKIP & set(relative.parts):
            continue
        try:
            here = sorted(functions(path, args.least))
        except (SyntaxError, UnicodeDecodeError, ValueError) as e:
            print(f"{relative}: passed over: {e}")
            continue
        n_files += 1
        found += [(f"{relative}:{line}", query, body) for line, query, body in here]
    queries, bodies = {}, {}
    for _, query, body in found:
        queries[query] = queries.get(query, 0) + 1
        bodies[body] = bodies.get(body, 0) + 1
    found = [f for f in found if queries[f[1]] == 1 and bodies[f[2]] == 1]
    (args.out / "qrels").mkdir(parents=True, exist_ok=True)
    with open(args.out / "corpus.jsonl", "w", encoding="utf-8") as c, open(args.out / "queries.jsonl", "w", encoding="utf-8") as q, \
            open(args.out / "qrels" / "test.tsv", "w", encoding="utf-8") as r:
        r.write("query-id\tcorpus-id\tscore\n")
        for i, (place, query, body) in enumerate(found):
            c.write(json.dumps({"_id": place.replace(" ", "_"), "title": "", "text": body}) + "\n")
            q.write(json.dumps({"_id": str(i), "text": query}) + "\n")
            r.write(f"{i}\t{place.replace(' ', '_')}\t1\n")
    print(f"{len(found)} functions of {n_files} files")


main()
