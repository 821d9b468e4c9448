# SPDX-License-Identifier: Apache-2.0
"""Plots of compare.py's figures as SVG: horizontal bars, a group per shape, written into docs/plots/. Colours are of middle
lightness and text follows the reader's scheme, so that a page of either is legible."""
import os

import kit

OURS, THEIRS = "#2f81c7", "#8f8f8f"
BAR, GAP, LEFT, WIDTH, VALUE = 18, 6, 190, 720, 90
STYLE = ("text{font:13px system-ui,sans-serif;fill:#333}.t{font-weight:600}"
         "@media(prefers-color-scheme:dark){text{fill:#ddd}}")


def bars(title, unit, groups, out):
    """groups: [(name, [(system, value), ...]), ...]; a longer bar is better. Bars of a group share one scale."""
    y, body = 30, []
    for name, rows in groups:
        most = max(v for _, v in rows)
        body.append(f'<text class="t" x="8" y="{y + 13}">{name}</text>')
        y += BAR + GAP
        for system, value in sorted(rows, key=lambda r: -r[1]):
            width = max(1, round((WIDTH - LEFT - VALUE) * value / most))
            colour = OURS if system.startswith("ilk") else THEIRS
            body.append(f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{system}</text>'
                        f'<rect x="{LEFT}" y="{y}" width="{width}" height="{BAR}" fill="{colour}"/>'
                        f'<text x="{LEFT + width + 6}" y="{y + 13}">{number(value)}</text>')
            y += BAR + GAP
        y += GAP
    with open(out, "w", encoding="utf-8") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img">'
                f"<title>{title}</title><style>{STYLE}</style>"
                f'<text class="t" x="8" y="18">{title}, {unit}</text>' + "".join(body) + "</svg>\n")


def number(v):
    return f"{v:,.0f}" if v >= 100 else f"{v:.1f}"


def rates(shapes, which):
    """Tokens a second from the best milliseconds of each shape."""
    groups = []
    for shape in which:
        n, length = map(int, shape.split("x"))
        groups.append((f"{n} x {length} tokens", [(s, n * length / ms * 1e3) for s, ms in shapes[shape].items()]))
    return groups


def draw(figures):
    """A plot for each section that ran."""
    folder = os.path.join(kit.HERE, "..", "docs", "plots")
    os.makedirs(folder, exist_ok=True)
    titles = {"minilm": "all-MiniLM-L6-v2", "e5-small": "e5-small's shape", "bge-base": "bge-base's shape",
              "bge-m3": "bge-m3's backbone"}
    for name, title in titles.items():
        if name in figures:
            bars(title, "tokens a second", rates(figures[name], ["8x128", "32x32"]), os.path.join(folder, name + ".svg"))
    if "sentences" in figures:
        bars("5,000 sentences, file to file", "sentences a second", [("all-MiniLM-L6-v2", list(figures["sentences"].items()))],
             os.path.join(folder, "sentences.svg"))
    for name, title in (("pictures", "ViT-B/32's shape"), ("files", "JPEG files to vectors, ViT-B/32's shape")):
        if name in figures:
            bars(title, "pictures a second", [(g, list(rows.items())) for g, rows in figures[name].items()],
                 os.path.join(folder, name + ".svg"))
