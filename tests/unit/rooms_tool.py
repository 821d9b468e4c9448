#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One breach of every rule, in a tree made for it: check_rooms.py tells each with its place, and nothing else."""
import os
import shutil
import subprocess
import sys
import tempfile

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
LONG = "int f(void)\n{\n" + "    ;\n" * 99 + "}\n"
FILES = {
    "include/ilk.h": SPDX + "#ifndef ILK_H\n#define ILK_H\n#ifdef __cplusplus\nextern \"C\" {\n#endif\nint ilk(void);\n"
                     "#ifdef __cplusplus\n}\n#endif\n#endif\n",
    "src/base/README.md": "fine\n" * 40,
    "src/base/fine.h": SPDX + "#include \"ilk.h\"\n/* abort() and printf( in a comment */\n",
    "src/base/fine.c": SPDX + '#include "base/fine.h"\nconst char *s = "{ exit(1) /*";\n#define X { \\\n {\n'
                       + LONG.replace("    ;\n", "", 1),
    "src/base/long_function.c": SPDX + "int before(void) { return 1; }\n" + LONG,
    "src/base/stop.c": SPDX + "void f(void) {\n    abort ();\n    fprintf(stderr, s);\n    snprintf(a, b);\n}\n",
    "src/base/up.c": SPDX + '#include "store/twice.h"\n#include "nowhere.h"\n',
    "src/base/no_licence.c": "/* nothing */\n",
    "src/base/alone.h": SPDX + "size_t n;\n",
    "src/base/table_gen.c": SPDX + "\n" * 2000,
    "src/kern/README.md": "line\n" * 41,
    "src/kern/big.c": SPDX + "\n" * 1000,
    "src/kern/twice.h": SPDX,
    "src/store/twice.h": SPDX,
    "src/store/store.c": SPDX + '#include "twice.h"\n',
    "src/attic/old.h": SPDX,
    "programs/ilk/main.c": SPDX + '#include "ilk.h"\n#include "base/fine.h"\n#include "store/twice.h"\n'
                           'int main(void) { printf("x"); }\n',
    "programs/ilk/README.md": "fine\n",
}
FILES.update({"src/index/i%d.c" % i: SPDX for i in range(21)})
FILES["src/index/README.md"] = "fine\n"
FILES.update({"src/net/n%d.c" % i: SPDX + "\n" * 999 for i in range(5)})
FILES["src/net/README.md"] = "fine\n"
WANT = [
    "src/base/long_function.c:4: function of 101 lines",
    "src/base/stop.c:3: abort",
    "src/base/stop.c:4: fprintf",
    'src/base/up.c:2: room base may not include "store/twice.h" of room store',
    'src/base/up.c:3: no file "nowhere.h"',
    "src/base/no_licence.c:1: no line SPDX",
    "src/base/alone.h:1: does not compile alone as c",
    "src/kern/README.md:41: longer than 40 lines",
    "src/kern/big.c:1001: file of 1001 lines",
    "src/store/twice.h:1: same name as src/kern/twice.h",
    "src/store/README.md:1: missing",
    "src/attic/old.h:1: no room attic",
    'programs/ilk/main.c:4: room programs/ilk may not include "store/twice.h"',
    "src/index:1: 21 source files",
    "src/net:1: room of 5000 lines",
]


def main():
    root = tempfile.mkdtemp(prefix="ilk-rooms-")
    try:
        for name, text in FILES.items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as f:
                f.write(text)
        command = [sys.executable, sys.argv[1], root]
        compiler = shutil.which("cc")
        if compiler:
            command += ["--cc", compiler]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    finally:
        shutil.rmtree(root)
    want = [w for w in WANT if compiler or "alone as" not in w]
    got = run.stdout.rstrip("\n").split("\n")[:-1]
    missing = [w for w in want if not any(g.startswith(w) for g in got)]
    surplus = [g for g in got if not any(g.startswith(w) for w in want)]
    for line in missing:
        print("FAILED: not told: " + line)
    for line in surplus:
        print("FAILED: told without reason: " + line)
    if run.returncode != 1:
        print("FAILED: exit status %d, expected 1" % run.returncode)
    print("%d breaches planted" % len(want))
    return 1 if missing or surplus or run.returncode != 1 else 0


sys.exit(main())
