#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the rules of the house that a compiler does not: which room may include which, sizes, names, licences.

usage: check_rooms.py [ROOT] [--cc CC] [--cxx CXX]

Prints each breach as file:line: what, and exits 1 if there was one. Without --cc, headers are not compiled alone.
"""
import argparse
import os
import re
import subprocess
import sys

# Room: rooms it may include. A room may always include itself, and every room may include ilk.h.
MODEL_SIDE = ["base", "kern", "tensor", "format", "text", "docs", "media", "nn", "models"]
ROOMS = {
    "base": [],
    "kern": ["base"],
    "tensor": ["base", "kern"],
    "format": ["base", "tensor"],
    "text": ["base", "format"],
    "docs": ["base", "text"],
    "media": ["base", "kern"],
    "nn": ["base", "kern", "tensor"],
    "models": ["base", "tensor", "format", "nn"],
    "embed": MODEL_SIDE,
    "index": ["base", "kern"],
    "store": ["base"],
    "engine": ["base", "text", "docs", "media", "embed", "index", "store", "net"],
    "tasks": ["base", "kern", "embed", "index", "engine", "net"],
    "net": ["base"],
    "train": ["base", "kern", "tensor", "format", "nn", "models", "embed"],
    "api": ["base", "engine", "embed", "tasks", "train"],
    "programs/cli": ["base"],
    "programs/ilk": ["base", "programs/cli"],
    "programs/serve": ["base", "programs/cli"],
    "programs/media": ["base", "kern", "docs", "media"],
}
# base holds pool, vfs, JSON and hashes; media a client that trusts nobody and the pixels of two references; store holds SQLite's vfs and filters as SQL: no other room may know of either;
# programs/ilk is a file per command, programs/media a file per format, tasks a few files per use, none of which knows another
ROOM_LINES = {"base": 5500, "kern": 6300, "models": 6000, "engine": 7500, "store": 8000, "text": 8700, "embed": 6000, "media": 4500, "tasks": 6500, "programs/ilk": 6000,
              "programs/media": 5500}
# A kernel's header needs the flags of the ISA in its name, as its source file gets them.
ISA_FLAGS = {"avx2": ["-mavx2", "-mfma", "-mbmi2", "-mf16c"]}
ISA_FLAGS["avx512"] = ISA_FLAGS["avx2"] + ["-mavx512" + s for s in ("f", "bw", "dq", "vl", "cd")]
ISA_FLAGS["amx"] = ISA_FLAGS["avx512"] + ["-mavx512bf16", "-mamx-tile", "-mamx-bf16", "-mamx-int8"]
ISA_FLAGS["avx512bf16"] = ISA_FLAGS["avx512"] + ["-mavx512bf16"]
ISA_FLAGS["avx512vnni"] = ISA_FLAGS["avx512"] + ["-mavx512vnni"]
# a file per part of a tokenizer, family of models, step of a call of embed, command, format, use, station of a file or of a question
FOLDER_SOURCES = {"src/text": 28, "src/models": 24, "src/embed": 24, "src/engine": 30, "src/tasks": 24, "programs/ilk": 40, "programs/media": 30}
FILE_LINES = {"include/ilk.h": 1600}  # the only installed header
MAX_ROOM_LINES, MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_README_LINES, MAX_FOLDER_SOURCES = 4000, 1000, 100, 40, 20
# Ends the host's process or writes to its streams.
FORBIDDEN = re.compile(r"\b(abort|exit|_exit|_Exit|quick_exit|printf|vprintf|puts|putchar|perror)\s*\(|"
                       r"\b(v?fprintf|fputs|fputc|fwrite)\s*\([^;]*\bstd(out|err)\b")
SOURCE = (".c", ".h", ".def", ".inc")
LICENSED = (".c", ".h", ".def", ".inc", ".py", ".sh", ".cmake", "CMakeLists.txt")
CODE_FOLDERS = ["include", "src", "programs", "tests", "bench", "tools", "python", "examples"]

breaches = []


def breach(path, line, what):
    breaches.append("%s:%d: %s" % (path, line, what))


def walk(root, folder):
    """Paths below a folder, relative to root, in a fixed order."""
    for base, folders, files in os.walk(os.path.join(root, folder)):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in ("build", "__pycache__", "corpus"))
        for name in sorted(files):
            yield os.path.relpath(os.path.join(base, name), root)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def room_of(path):
    parts = path.split(os.sep)
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    if parts[0] == "programs" and len(parts) > 2:
        return "programs/" + parts[1]
    return None


def is_generated(path):
    return os.path.splitext(path)[0].endswith("_gen")


def bare_code(text):
    """The text with comments, strings and characters blanked, lines kept."""
    def blank(m):
        s = m.group(0)
        if s[0] in "\"'":
            return s[0] + " " * (len(s) - 2) + s[0] if "\n" not in s else re.sub(r"[^\n]", " ", s)
        return re.sub(r"[^\n]", " ", s)
    return re.sub(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", blank, text, flags=re.S)


def check_includes(root, path, text):
    room = room_of(path)
    for number, line in enumerate(text.split("\n"), 1):
        m = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if not m or not room:
            continue
        target = m.group(1)
        if target == "ilk.h":
            continue
        here = os.path.join(os.path.dirname(path), target)
        found = [p for p in (os.path.join("src", target), os.path.join("programs", target), here) if os.path.isfile(os.path.join(root, p))]
        if not found:
            breach(path, number, 'no file "%s" in src/, in programs/ or beside this one' % target)
            continue
        other = room_of(os.path.normpath(found[0]))
        if other != room and other not in ROOMS.get(room, []):
            breach(path, number, 'room %s may not include "%s" of room %s' % (room, target, other))


def check_functions(path, code):
    """A function is a brace at depth 0 behind a parenthesis; preprocessor lines do not count."""
    code = re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), code, flags=re.M)
    depth, start, function, line, last = 0, 0, False, 1, ""
    for m in re.finditer(r"\n|[{}]|[^\s{}]+", code):
        token = m.group(0)
        if token == "\n":
            line += 1
            continue
        if token == "{":
            if depth == 0 and last.endswith('"'):
                continue  # extern "C" {, whose end must not count either
            if depth == 0:
                start, function = line, last.endswith(")")
            depth += 1
        elif token == "}":
            depth = max(depth - 1, 0)
            if depth == 0 and function and line - start + 1 > MAX_FUNCTION_LINES:
                breach(path, start, "function of %d lines, at most %d" % (line - start + 1, MAX_FUNCTION_LINES))
        last = token


def check_source(root, path, text):
    n = text.count("\n")
    if is_generated(path):
        return
    limit = FILE_LINES.get(path, MAX_FILE_LINES)
    if n > limit:
        breach(path, n, "file of %d lines, at most %d" % (n, limit))
    code = bare_code(text)
    check_functions(path, code)
    if path.startswith("src" + os.sep):
        for m in FORBIDDEN.finditer(code):
            breach(path, code.count("\n", 0, m.start()) + 1, "%s) in src/" % m.group(0).split(")")[0].strip())


def check_rooms(root, texts):
    lines, sources, rooms = {}, {}, set()
    for path, text in texts.items():
        room = room_of(path)
        if not room or not path.endswith(SOURCE):
            continue
        if room not in ROOMS:
            breach(path, 1, "no room %s in the table" % room)
        if not is_generated(path):
            lines[room] = lines.get(room, 0) + text.count("\n")
        if path.endswith(".c"):
            rooms.add(room)
            folder = os.path.dirname(path)
            sources[folder] = sources.get(folder, 0) + 1
    for room in sorted(rooms):
        folder = room if room.startswith("programs/") else "src/" + room
        readme = os.path.join(folder, "README.md")
        limit = ROOM_LINES.get(room, MAX_ROOM_LINES)
        if lines[room] > limit:
            breach(folder, 1, "room of %d lines, at most %d" % (lines[room], limit))
        if not os.path.isfile(os.path.join(root, readme)):
            breach(readme, 1, "missing: job, rule and reading order of the room")
        elif read(root, readme).count("\n") > MAX_README_LINES:
            breach(readme, MAX_README_LINES + 1, "longer than %d lines" % MAX_README_LINES)
    for folder, n in sorted(sources.items()):
        limit = FOLDER_SOURCES.get(folder, MAX_FOLDER_SOURCES)
        if n > limit:
            breach(folder, 1, "%d source files, at most %d" % (n, limit))


def check_names(texts):
    seen = {}
    for path in texts:
        if not path.startswith(("include", "src", "programs")) or not path.endswith(SOURCE):
            continue
        name = os.path.basename(path)
        if name in seen:
            breach(path, 1, "same name as %s" % seen[name])
        seen.setdefault(name, path)


def check_headers(root, texts, compiler, language, paths):
    machine = subprocess.run([compiler, "-dumpmachine"], stdout=subprocess.PIPE, text=True).stdout
    for path in paths:
        arch = re.match(r"src/kern/(x86|arm)/([a-z0-9]+)", path)
        if arch and (arch.group(1) == "x86") != machine.startswith("x86_64"):
            continue
        name = os.path.relpath(path, "src") if path.startswith("src") else os.path.basename(path)
        std = ["-std=c11", "-Wpedantic"] if language == "c" else ["-std=c++11", "-Wpedantic"]
        command = [compiler, "-x", language, *std, "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                   *(ISA_FLAGS.get(arch.group(2), []) if arch else []),
                   "-I" + os.path.join(root, "src"), "-I" + os.path.join(root, "include"),
                   "-I" + os.path.join(root, os.path.dirname(path)), "-"]
        run = subprocess.run(command, input='#include "%s"\nextern int ilk_alone;\n' % name, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if run.returncode:
            first = next((s for s in run.stdout.split("\n") if "error" in s), run.stdout)
            breach(path, 1, "does not compile alone as %s: %s" % (language, first.strip()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    parser.add_argument("--cc", help="compile each header alone with this C compiler")
    parser.add_argument("--cxx", help="and ilk.h with this C++ compiler")
    args = parser.parse_args()
    root = os.path.normpath(args.root)
    paths = [p for folder in CODE_FOLDERS for p in walk(root, folder) if p.endswith(LICENSED)]
    texts = {p: read(root, p) for p in paths}
    if not any(p.startswith("src") for p in paths):
        sys.exit("check_rooms: no sources below %s" % root)
    for path, text in texts.items():
        if not any("SPDX-License-Identifier: Apache-2.0" in s for s in text.split("\n")[:2]):
            breach(path, 1, "no line SPDX-License-Identifier: Apache-2.0 at the head")
        if path.endswith(SOURCE):
            check_includes(root, path, text)
            check_source(root, path, text)
    check_rooms(root, texts)
    check_names(texts)
    headers = [p for p in texts if p.endswith(".h") and p.startswith(("src", "include"))]
    if args.cc:
        check_headers(root, texts, args.cc, "c", headers)
    if args.cxx:
        check_headers(root, texts, args.cxx, "c++", [p for p in headers if p.startswith("include")])
    for line in breaches:
        print(line)
    print("%d files, %d headers%s, %d breaches" % (len(paths), len(headers), " compiled alone" if args.cc else "",
                                                   len(breaches)))
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
