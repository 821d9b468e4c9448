# SPDX-License-Identifier: Apache-2.0
"""The contact sheet in a real browser: what it makes of it, by day and by night, on a wide window and a narrow one. A test
of its own, so that a machine without a browser says what was not looked at."""
import os
import shutil
import struct
import subprocess
import zlib

import harness
from cases_search import hostile
from harness import Place, check, equal, lacks

HIGH = 400
PAGE = {"day": (0xf6, 0xf6, 0xf4), "night": (0x16, 0x16, 0x18)}
INK = {"day": (0x1d, 0x1d, 0x1b), "night": (0xec, 0xec, 0xea)}
NIGHT = ["--blink-settings=preferredColorScheme=0"]


def browse(p, *args):
    """What the browser says."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        raise harness.Skip("neither chromium nor google-chrome is installed (Debian: chromium)")
    try:
        r = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                            "--user-data-dir=" + os.path.join(p.home, "browser"), *args,
                            "file://" + os.path.join(p.dir, "sheet.html")],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=harness.PATIENCE, env=harness.environment(p.home))
    except subprocess.TimeoutExpired:
        raise harness.Skip("the browser does not start here: nothing in %d s" % harness.PATIENCE)
    if r.returncode:
        raise harness.Skip("the browser does not start here: exit %d" % r.returncode)
    return r.stdout.decode()


def rows_of_png(path):
    """Rows of (r, g, b), of a PNG of 8 bits without interlace."""
    with open(path, "rb") as f:
        data = f.read()
    at, packed, head = 8, b"", None
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + n]
        head = struct.unpack(">IIBBBBB", body) if kind == b"IHDR" else head
        packed += body if kind == b"IDAT" else b""
        at += 12 + n
    wide, high, depth, kind = head[:4]
    step = {2: 3, 6: 4}[kind]
    equal((depth, head[6]), (8, 0), "the picture's form")
    raw, above, rows = zlib.decompress(packed), bytearray(wide * step), []
    for y in range(high):
        line = bytearray(raw[y * (wide * step + 1) + 1:(y + 1) * (wide * step + 1)])
        unfilter(raw[y * (wide * step + 1)], line, above, step)
        rows.append([tuple(line[x:x + 3]) for x in range(0, wide * step, step)])
        above = line
    return rows


def unfilter(how, line, above, step):
    for i in range(len(line) if how else 0):
        a, b, c = line[i - step] if i >= step else 0, above[i], above[i - step] if i >= step else 0
        if how == 4:
            p = a + b - c
            guess = a if abs(p - a) <= abs(p - b) and abs(p - a) <= abs(p - c) else b if abs(p - b) <= abs(p - c) else c
        else:
            guess = (0, a, b, (a + b) // 2)[how]
        line[i] = (line[i] + guess) & 255


def test_document():
    with Place() as p:
        hostile(p)
        equal(p.run("search", "a red bicycle", "-k", "50", "--html", "sheet.html").status, 0, "search")
        dom = browse(p, "--dump-dom")
        equal(dom.count("<li id="), 9, "cards")
        lacks(dom, "<script|onerror=\"|<b>", "what a hostile file brought")


def test_day_and_night_wide_and_narrow():
    with Place() as p:
        hostile(p)
        equal(p.run("search", "a red bicycle", "-k", "50", "--html", "sheet.html").status, 0, "search")
        for light in PAGE:
            for wide in (1280, 520):
                shot = os.path.join(p.dir, "shot.png")
                browse(p, *(NIGHT if light == "night" else []), "--window-size=%d,%d" % (wide, HIGH), "--screenshot=" + shot)
                rows = rows_of_png(shot)
                what = "%s, %d wide: " % (light, wide)
                equal(len(rows[0]), wide, what + "width")
                check(all(row[x] == PAGE[light] for row in rows for x in (0, 4, wide - 1)), what + "the page's edges are bare")
                check(any(pixel == INK[light] for row in rows[:120] for pixel in row), what + "the heading has its ink")
