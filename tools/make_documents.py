#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/fixtures/documents: one small document of every kind that the helper program reads, with the segments that
must come out of it beside it, and files that are broken or hostile in every way we know.

usage: make_documents.py [DIRECTORY]

A file NAME.expected holds one line per segment: context|page|first-last line|text, newlines as \\n; the first line is
title|note. A file of `junk/` begins with the status that it must give: STATUS-what.ext. The container format is written by
Python's zipfile, the PDF by hand; times are fixed, so that the same bytes come out again.
"""
import os
import struct
import sys
import zipfile

OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "tests", "fixtures", "documents")


def write(name, data, title="", segments=None, note=""):
    path = os.path.join(OUT, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data.encode() if isinstance(data, str) else data)
    if segments is not None:
        with open(path + ".expected", "w", encoding="utf-8") as f:
            f.write("%s|%s\n" % (title, note))
            for context, page, first, last, text in segments:
                f.write("%s|%d|%d-%d|%s\n" % (context, page, first, last, text.replace("\n", "\\n")))


def container(parts, stored=("mimetype",)):
    """A ZIP of (name, bytes or str)."""
    import io
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, data in parts:
            info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            z.writestr(info, data)
    return out.getvalue()


# ------------------------------------------------------------------ HTML

def html():
    page = """<!DOCTYPE html>
<html><head><title>  A page
 of ours </title><style>p { color: red }</style>
<script>if (a < b) document.write("<p>never</p>")</script></head>
<body><nav><a href="/">Home</a></nav>
<h1>Fish &amp; chips</h1>
<p>A first   paragraph,
over two lines, with a <a href="x">link</a> and <b>bo</b>ld.</p>
<h2>How&nbsp;to</h2>
<ul><li>One<li>Two</ul>
<table><tr><th>Name<th>Price</tr>
<tr><td><p>Cod</p></td><td>3&euro;</td></tr></table>
<h3></h3>
<p hidden>unseen</p><p style="color:red; display: none">unseen</p><div aria-hidden="true">unseen <b>too</b></div>
<pre>keep
  these   lines</pre>
<h1>Last</h1>
<p>caf\u00e9 &copy; &#x4e2d;&#25991; &unknown; a &lt; b</p>
<noscript>turn it on</noscript>
<svg><text>drawn</text></svg>
</body></html>
"""
    expected = [
        ("Fish & chips", 0, 7, 7, "A first paragraph, over two lines, with a link and bold."),
        ("Fish & chips > How\u00a0to", 0, 10, 16,
         "One\nTwo\n\nName | Price\nCod | 3\u20ac\n\nkeep\n  these   lines"),
        ("Last", 0, 18, 18, "caf\u00e9 \u00a9 \u4e2d\u6587 &unknown; a < b"),
    ]
    write("page.html", page, "A page of ours", expected)
    small = "<html><head><meta charset=%s><title>t</title></head><body><p>%s</p></body></html>"
    for charset, text in (("gb2312", "\u4e2d\u6587\u641c\u7d22"), ("shift_jis", "\u65e5\u672c\u8a9e"),
                          ("euc-kr", "\ud55c\uad6d\uc5b4"), ("big5", "\u4e2d\u6587"), ("windows-1251", "\u041f\u0440\u0438\u0432\u0435\u0442"),
                          ("koi8-r", "\u041f\u0440\u0438\u0432\u0435\u0442"), ("iso-8859-1", "caf\u00e9")):
        write("charset-%s.html" % charset, (small % (charset, text)).encode(charset), "t", [("", 0, 1, 1, text)])
    write("utf16.html", ("\ufeff" + small % ("utf-8", "caf\u00e9")).encode("utf-16-le"), "t", [("", 0, 1, 1, "caf\u00e9")])
    write("undeclared-1252.html", b"<p>caf\xe9 \x93quoted\x94</p>", "", [("", 0, 1, 1, "caf\u00e9 \u201cquoted\u201d")])
    write("undeclared-utf8.html", "<p>\u4e2d\u6587</p>", "", [("", 0, 1, 1, "\u4e2d\u6587")])
    write("sniffed", "<!-- hello -->\n<HTML><p>No extension at all", "", [("", 0, 2, 2, "No extension at all")])
    write("deep.html", "<div>" * 5000 + "deep" + "</div>" * 5000, "", [("", 0, 1, 1, "deep")])


# ------------------------------------------------------------------ EPUB

XHTML = """<?xml version="1.0" encoding="utf-8"?>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>%s</title></head><body>%s</body></html>"""
CONTAINER = """<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">
<rootfiles><rootfile full-path="%s" media-type="application/oebps-package+xml"/></rootfiles></container>"""
OPF = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A small book</dc:title></metadata>
<manifest><item id="b" href="text/two%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="n" href="../nav.xhtml" media-type="application/xhtml+xml" properties="nav"/></manifest>
<spine><itemref idref="n"/><itemref idref="a"/><itemref idref="b"/></spine></package>"""


def epub():
    one = XHTML % ("One", "<h1>The beginning</h1><p>It was&nbsp;dark.</p><h2>Later</h2><p>It was light.</p>")
    two = XHTML % ("Two", "<script src=\"x\"/><p>No heading here.</p><h1>The end</h1><p>All slept.</p>")
    nav = XHTML % ("Contents", "<nav><ol><li>The beginning</li></ol></nav>")
    book = [("mimetype", "application/epub+zip"), ("META-INF/container.xml", CONTAINER % "OEBPS/book.opf"),
            ("OEBPS/text/two b.xhtml", two), ("OEBPS/text/one.xhtml", one), ("nav.xhtml", nav), ("OEBPS/book.opf", OPF),
            ("OEBPS/cover.jpg", b"\xff\xd8\xff\xe0" * 10)]
    write("book.epub", container(book), "A small book", [
        ("The beginning", 0, 0, 0, "It was\u00a0dark."), ("The beginning > Later", 0, 0, 0, "It was light."),
        ("", 0, 0, 0, "No heading here."), ("The end", 0, 0, 0, "All slept.")])
    write("absent-chapter.epub", container([p for p in book if "two" not in p[0]]), "A small book", [
        ("The beginning", 0, 0, 0, "It was\u00a0dark."), ("The beginning > Later", 0, 0, 0, "It was light.")],
        "1 of 3 chapters are not in the container")
    return book


# ------------------------------------------------------------------ DOCX

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def word_p(text, style="", extra=""):
    properties = '<w:pPr><w:pStyle w:val="%s"/></w:pPr>' % style if style else ""
    return "<w:p>%s<w:r><w:t xml:space=\"preserve\">%s</w:t></w:r>%s</w:p>" % (properties, text, extra)


def docx():
    styles = """<w:styles %s>
<w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
<w:style w:type="paragraph" w:styleId="Mine"><w:name w:val="Mine"/><w:basedOn w:val="Outlined"/></w:style>
<w:style w:type="paragraph" w:styleId="Outlined"><w:name w:val="x"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Loop"><w:name w:val="y"/><w:basedOn w:val="Loop"/></w:style>
</w:styles>""" % W
    notes = """<w:footnotes %s><w:footnote w:id="-1"><w:p><w:r><w:separator/></w:r></w:p></w:footnote>
<w:footnote w:id="2"><w:p><w:r><w:footnoteRef/></w:r><w:r><w:t>said a witness</w:t></w:r></w:p></w:footnote></w:footnotes>""" % W
    body = (
        word_p("\u00dcberblick", "berschrift1") +
        word_p("It rained", "", '<w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:t xml:space="preserve"> all day.</w:t></w:r>') +
        "<w:p><w:del><w:r><w:delText>deleted</w:delText></w:r></w:del><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>"
        "<w:r><w:tab/><w:t>and</w:t></w:r><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>"
        "<w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:br/><w:t>broken</w:t></w:r></w:p>" +
        word_p("Plans", "Mine") +
        "<w:tbl><w:tr><w:tc>%s</w:tc><w:tc>%s%s</w:tc></w:tr><w:tr><w:tc>%s</w:tc><w:tc>%s</w:tc></w:tr></w:tbl>" % (
            word_p("Day"), word_p("Work"), "", word_p("Mon"), word_p("Rest")) +
        word_p("The end.", "Loop") +
        '<w:p><w:pPr><w:outlineLvl w:val="0"/></w:pPr><w:r><w:t>Direct</w:t></w:r></w:p>' + word_p("Last &amp; least."))
    core = '<cp:coreProperties xmlns:cp="c" xmlns:dc="d"><dc:title>A report</dc:title></cp:coreProperties>'
    parts = [("[Content_Types].xml", "<Types/>"), ("word/document.xml", "<w:document %s><w:body>%s</w:body></w:document>" % (W, body)),
             ("word/styles.xml", styles), ("word/footnotes.xml", notes), ("docProps/core.xml", core)]
    write("report.docx", container(parts), "A report", [
        ("\u00dcberblick", 0, 0, 0, "It rained (said a witness) all day.\n\ninserted and\nbroken"),
        ("\u00dcberblick > Plans", 0, 0, 0, "Day | Work\nMon | Rest\n\nThe end."),
        ("Direct", 0, 0, 0, "Last & least.")])
    return parts


# ------------------------------------------------------------------ ODT

ODT = "application/vnd.oasis.opendocument.text"


def odt():
    content = """<?xml version="1.0"?><office:document-content xmlns:office="o" xmlns:text="t" xmlns:table="b"><office:body>
<office:text><text:tracked-changes><text:changed-region><text:deletion><text:p>deleted</text:p></text:deletion>
</text:changed-region></text:tracked-changes>
<text:h text:outline-level="1">Soup</text:h><text:p>Boil<text:s text:c="3"/>water<text:note><text:note-citation>1</text:note-citation>
<text:note-body><text:p>not too much</text:p></text:note-body></text:note>.</text:p>
<text:h text:outline-level="2">Parts</text:h>
<table:table><table:table-row><table:table-cell><text:p>Leek</text:p></table:table-cell><table:table-cell><text:p>2</text:p>
</table:table-cell></table:table-row></table:table>
<text:list><text:list-item><text:p>Cut<text:line-break/>it</text:p></text:list-item></text:list>
</office:text></office:body></office:document-content>"""
    meta = '<office:document-meta xmlns:office="o" xmlns:dc="d"><office:meta><dc:title> Soups </dc:title></office:meta></office:document-meta>'
    parts = [("mimetype", ODT), ("content.xml", content), ("meta.xml", meta), ("META-INF/manifest.xml", "<m/>")]
    write("soup.odt", container(parts), "Soups", [
        ("Soup", 0, 0, 0, "Boil water (not too much)."), ("Soup > Parts", 0, 0, 0, "Leek | 2\n\nCut\nit")])
    return parts


# ------------------------------------------------------------------ PDF

def pdf(pages, encrypt=False):
    """Pages of lines of Latin text, uncompressed, one font."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", None, "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for lines in pages:
        stream = "BT /F1 12 Tf 72 720 Td 14 TL %s ET" % " ".join("(%s) Tj T*" % s for s in lines) if lines else ""
        objects.append("<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        objects.append("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
                       % len(objects))
        kids.append("%d 0 R" % len(objects))
    objects[1] = "<< /Type /Pages /Kids [%s] /Count %d >>" % (" ".join(kids), len(kids))
    out, offsets = "%PDF-1.4\n", []
    if encrypt:
        objects.append("<< /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>" % ("41" * 32, "42" * 32))
    for i, o in enumerate(objects):
        offsets.append(len(out))
        out += "%d 0 obj\n%s\nendobj\n" % (i + 1, o)
    at = len(out)
    out += "xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + "".join("%010d 00000 n \n" % o for o in offsets)
    lock = " /Encrypt %d 0 R /ID [<%s> <%s>]" % (len(objects), "43" * 16, "43" * 16) if encrypt else ""
    return (out + "trailer\n<< /Size %d /Root 1 0 R%s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, lock, at)).encode()


def pdfs():
    write("paper.pdf", pdf([["The first page", "speaks of rain."], [], ["The third page of snow."]]), "", [
        ("", 1, 0, 0, "The first page\nspeaks of rain."), ("", 3, 0, 0, "The third page of snow.")])


# ------------------------------------------------------------------ records and tables

def tables():
    write("records.jsonl", '{"id":1,"title":"Rain","text":"It rains.\\nAgain."}\n\n{"broken\n"a bare string"\n[1,2,{"deep":["x"]}]\n'
          '{"n":1}\n{"content":"Snow\\u0000 falls.","other":"left out"}\n', "", [
              ("", 0, 1, 1, "Rain\nIt rains.\nAgain."), ("", 0, 4, 4, "a bare string"), ("", 0, 5, 5, "x"),
              ("", 0, 7, 7, "Snow  falls.")],
          'line 3 passed over: record: byte 8: expected \'"\', found the end (and more such lines)')
    write("people.csv", 'name,"city, country",notes\r\n"Ann ""A"" Lee","Paris, France",\r\n"Bob","Rome,\nItaly",tall\r\n,,\r\nEve,Oslo,"a|b",extra\r\n', "", [
        ("", 0, 2, 2, 'name: Ann "A" Lee\ncity, country: Paris, France'),
        ("", 0, 3, 4, "name: Bob\ncity, country: Rome,\nItaly\nnotes: tall"),
        ("", 0, 6, 6, "name: Eve\ncity, country: Oslo\nnotes: a|b\nextra")])
    write("semicolons.csv", "a;b\n1,5;2,5\n3,5;4,5\n", "", [("", 0, 2, 2, "a: 1,5\nb: 2,5"), ("", 0, 3, 3, "a: 3,5\nb: 4,5")])
    write("tabs.tsv", "a\tb\nx\ty z\n", "", [("", 0, 2, 2, "a: x\nb: y z")])
    write("open-quote.csv", 'a,b\n1,"never closed\n2,two\n', "", [("", 0, 2, 2, 'a: 1\nb: "never closed'), ("", 0, 3, 3, "a: 2\nb: two")])


# ------------------------------------------------------------------ junk

LAUGHS = ('<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "%s">' % ("&a;" * 10) +
          "".join('<!ENTITY %s "%s">' % (chr(99 + i), ("&%s;" % chr(98 + i)) * 10) for i in range(9)) +
          ']><w:document %s><w:body><w:p><w:r><w:t>x&k;y</w:t></w:r></w:p></w:body></w:document>' % W)
OUTSIDE = ('<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
           '<w:document %s><w:body><w:p><w:r><w:t>x&a;y</w:t></w:r></w:p></w:body></w:document>' % W)


def junk(book, word, text):
    whole = container(word)
    write("junk/bad-truncated.docx", whole[:len(whole) // 2])
    write("junk/bad-cut-early.epub", container(book)[:60])
    write("junk/bad-xml.odt", container([(n, d if n != "content.xml" else d[:400]) for n, d in text]))
    write("junk/bad-laughs.docx", container([("word/document.xml", LAUGHS)]))
    write("junk/bad-outside.docx", container([("word/document.xml", OUTSIDE)]))
    write("junk/bad-no-package.epub", container([("mimetype", "application/epub+zip"), ("META-INF/container.xml", CONTAINER % "no.opf")]))
    deep = "<w:document %s><w:body>%s%s</w:body></w:document>" % (W, "<w:p>" * 2000, "</w:p>" * 2000)
    write("junk/bad-deep.docx", container([("word/document.xml", deep)]))
    bomb = container([("word/document.xml", b" " * (30 << 20))])
    write("junk/limit-ratio.docx", bomb)
    # one that lies about its size: the sizes in both headers say 10
    lying = bytearray(bomb)
    at = lying.index(b"PK\1\2")
    for offset in (22, at + 24):
        lying[offset:offset + 4] = struct.pack("<I", 10)
    write("junk/limit-or-bad-lying.docx", bytes(lying))
    write("junk/unsupported-other.docx", container([("xl/workbook.xml", "<w/>")]))
    write("junk/unsupported-locked.odt", container([("mimetype", ODT), ("content.xml", b"\0\1\2"), ("META-INF/manifest.xml", "<manifest:encryption-data/>")]))
    write("junk/unsupported-locked.epub", container(book + [("META-INF/encryption.xml", '<e Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>')]))
    write("junk/unsupported-locked.pdf", pdf([["secret"]], encrypt=True))
    write("junk/unsupported-scanned.pdf", pdf([[], []]))
    write("junk/bad-only-head.pdf", b"%PDF-1.7\n" + bytes(range(256)) * 8)
    write("junk/bad-truncated.pdf", b"%PDF-1.4\n1 0 obj\n<< /Type")


def main():
    html()
    book, word, text = epub(), docx(), odt()
    pdfs()
    tables()
    junk(book, word, text)


main()
