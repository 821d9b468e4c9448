/* SPDX-License-Identifier: Apache-2.0 */
#include "docs/docs.h"

#include <stdlib.h>
#include <zlib.h>

#include "cancel.h"
#include "test.h"

/* "first-last context|text" per segment, newlines of the text shown as '~'. */
static void dump(const ilki_doc *doc, char *to, size_t n_to)
{
    size_t used = 0;
    to[0] = 0;
    for (size_t i = 0; i < doc->n_segments; i++) {
        const ilki_doc_segment *s = &doc->segments[i];
        used += (size_t)snprintf(to + used, used < n_to ? n_to - used : 0, "%u-%u %s|%.*s\n", s->line_first,
                                 s->line_last, s->context, (int)(s->end - s->start), doc->text + s->start);
        for (char *p = to + used - 2; p > to && *p != '|'; p--)
            if (*p == '\n')
                *p = '~';
        if (used >= n_to)
            return;
    }
}

static void check_doc(const char *name, const char *text, const char *kind, const char *want)
{
    char got[16384];
    ilk_error err;
    ilki_doc *doc = NULL;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilki_docs_read(&doc, name, text, strlen(text), 0, &err), &err));
    CHECK_STR(doc->kind, kind);
    dump(doc, got, sizeof got);
    CHECK_STR(got, want);
    for (size_t i = 0; i < doc->n_segments; i++)
        CHECK_INT(ilki_docs_line(doc, doc->segments[i].start), doc->segments[i].line_first);
    ilki_docs_free(doc);
}

static void plain(void)
{
    check_doc("note.txt", "\n\n  one\r\ntwo\rthree\n\n", "text", "3-5 |  one~two~three\n");
    check_doc("README", "just words", "text", "1-1 |just words\n");
    check_doc("bom.txt", "\xef\xbb\xbfwords", "text", "1-1 |words\n");
    check_doc("latin.txt", "caf\xe9 \x80 5", "text", "1-1 |caf\xc3\xa9 \xe2\x82\xac 5\n");
}

static void markdown(void)
{
    check_doc(
        "a.md",
        "---\ntitle: \"A guide\"\n---\nintro\n\n# One #\n\nbody of one\n\n## Sub\n```\n# no heading\n```\ntext\n\n"
        "Second\n======\nlast\n",
        "markdown", "4-4 |intro\n8-8 One|body of one\n11-14 One > Sub|```~# no heading~```~text\n18-18 Second|last\n");
}

static void rst(void)
{
    check_doc(
        "a.rst", "=====\nTitle\n=====\n\nintro\n\nPart\n----\n\nbody\n\nDeeper\n~~~~~~\n\nmore\n\nNext\n----\nend\n",
        "rst", "5-5 Title|intro\n10-10 Title > Part|body\n15-15 Title > Part > Deeper|more\n19-19 Title > Next|end\n");
}

static void man(void)
{
    check_doc(
        "ls.1",
        ".\\\" a comment\n.de Foo\nignored\n..\n.TH LS 1 2020 \"GNU\"\n.SH NAME\nls \\- list directory contents\n"
        ".SH DESCRIPTION\n.PP\nList \\fIfiles\\fR.\n.TP\n\\fB\\-a\\fR, \\fB\\-\\-all\\fR\ndo not ignore\n.BR find (1)\n"
        ".if t .SH HIDDEN\n.ie n shown\n.el hidden\n",
        "man",
        "7-7 ls(1) > NAME|ls - list directory contents\n"
        "10-13 ls(1) > DESCRIPTION|List files.~-a, --all~do not ignore find(1) shown\n");
    check_doc(
        "cat.1",
        ".Dd May 1, 2020\n.Dt CAT 1\n.Os\n.Sh NAME\n.Nm cat\n.Nd concatenate files\n.Sh SYNOPSIS\n.Nm\n.Op Fl nu\n"
        ".Op Ar file ...\n.Sh SEE ALSO\n.Xr tail 1 ,\n.Xr head 1\n",
        "man",
        "5-5 cat(1) > NAME|cat \xe2\x80\x94 concatenate files\n8-8 cat(1) > SYNOPSIS|cat [-nu] [file ...]\n"
        "12-12 cat(1) > SEE ALSO|tail(1), head(1)\n");
}

static void man_tables(void)
{
    check_doc("t.5",
              ".TH T 5\n.SH TABLE\n.TS\nl l.\na\tT{\nlong cell\nT}\nb\tc\n_\n.TE\n.IP \\(bu\nfirst\n.IP 1.\nsecond\n",
              "man", "5-13 t(5) > TABLE|a ~long cell~b c~~\u2022 first~~1. second\n");
}

static void source(void)
{
    check_doc(
        "a.c",
        "#include <stdio.h>\n\nstatic int x[] = {1, 2};\n\n/* Adds. */\nint add(int a, int b)\n{\n    return \"}\"[0] + a + b;\n}\n\n"
        "struct point *make(void)\n{\n}\n",
        "source",
        "1-1 |#include <stdio.h>\n3-3 x|static int x[] = {1, 2};\n"
        "5-9 add|/* Adds. */~int add(int a, int b)~{~    return \"}\"[0] + a + b;~}\n11-13 make|struct point *make(void)~{~}\n");
    check_doc(
        "a.py",
        "import os\n\nclass Parser(object):\n    \"\"\"Doc.\"\"\"\n\n    # above\n    @property\n    def next(self):\n        def inner():\n"
        "            pass\n        return 1\n\n    def last(self): return 2\n\ndef free():\n    pass\nX = 1\n",
        "source",
        "1-1 |import os\n3-4 Parser|class Parser(object):~    \"\"\"Doc.\"\"\"\n"
        "6-11 Parser.next|    # above~    @property~    def next(self):~        def inner():~            pass~        return 1\n"
        "13-13 Parser.last|    def last(self): return 2\n15-16 free|def free():~    pass\n17-17 |X = 1\n");
    check_doc("a.go", "package p\n\nfunc (r *Reader) Read(b []byte) int {\n\treturn 1\n}\n", "source",
              "1-1 |package p\n3-5 Read|func (r *Reader) Read(b []byte) int {~\treturn 1~}\n");
    check_doc("a.sh", "#!/bin/sh\nset -e\n# helps\nusage() {\n  echo\n}\nrun() {\n  :\n}\n", "source",
              "1-2 |#!/bin/sh~set -e\n3-6 usage|# helps~usage() {~  echo~}\n7-9 run|run() {~  :~}\n");
    /* a script without a suffix, by its first line; one of a language that is not known is a text */
    check_doc("tool", "#!/usr/bin/env python3\nimport os\n\ndef f():\n    return 1\n", "source",
              "1-2 |#!/usr/bin/env python3~import os\n4-5 f|def f():~    return 1\n");
    check_doc("run", "#!/bin/bash -e\nset -u\nf() {\n  :\n}\n", "source",
              "1-2 |#!/bin/bash -e~set -u\n3-5 f|f() {~  :~}\n");
    check_doc("table", "#!/usr/bin/awk -f\n{ print }\n", "text", "1-2 |#!/usr/bin/awk -f~{ print }\n");
    check_doc("tool.txt", "#!/bin/sh\necho\n", "text", "1-2 |#!/bin/sh~echo\n");
    check_doc("a.java", "class A {\n  int x;\n  // doc\n  int f() {\n    return 1;\n  }\n}\n", "source",
              "1-2 A|class A {~  int x;\n3-6 A.f|  // doc~  int f() {~    return 1;~  }\n7-7 A|}\n");
}

static void refused(void)
{
    static const struct {
        const char *name, *bytes;
        size_t n;
        const char *says;
    } cases[] = {
        {"a.txt", "", 0, "empty file"},
        {"a.txt", "ab\0cd", 5, "binary file"},
        {"a.zip", "PK\003\004", 4, "a ZIP archive"},
        {"a.json", "{}", 2, "a JSON file"},
        {"a.png", "\x89PNG\r\n\x1a\n", 8, "a PNG picture"},
        {"a.txt", "\x01\x02\x03\x04\x05\x06\x07\x0e\x0f\x10", 10, "binary file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ilk_error err;
        ilki_doc *doc = NULL;
        ilk_error_init(&err);
        CHECK_STATUS(ilki_docs_read(&doc, cases[i].name, cases[i].bytes, cases[i].n, 0, &err), ILK_UNSUPPORTED, &err);
        CHECK(strstr(err.message, cases[i].says) != NULL);
        CHECK(doc == NULL);
        CHECK_STATUS(ilki_docs_probe(cases[i].name, cases[i].bytes, cases[i].n, &err), ILK_UNSUPPORTED, &err);
    }
}

static size_t pack(const char *text, size_t n, unsigned char *to, size_t max)
{
    z_stream z = {0};
    deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *)(uintptr_t)text;
    z.avail_in = (uInt)n;
    z.next_out = to;
    z.avail_out = (uInt)max;
    deflate(&z, Z_FINISH);
    deflateEnd(&z);
    return max - z.avail_out;
}

static void gzip(void)
{
    unsigned char packed[4096];
    char big[20000], got[4096];
    ilk_error err;
    ilki_doc *doc = NULL;
    ilk_error_init(&err);
    const char *text = ".TH X 1\n.SH NAME\nx \\- does\n";
    size_t n = pack(text, strlen(text), packed, sizeof packed);
    REQUIRE(CHECK_OK(ilki_docs_read(&doc, "man1/x.1.gz", packed, n, 0, &err), &err));
    dump(doc, got, sizeof got);
    CHECK_STR(got, "3-3 x(1) > NAME|x - does\n");
    ilki_docs_free(doc);
    for (size_t cut = 1; cut < n; cut++) {
        CHECK(ilki_docs_read(&doc, "x.1.gz", packed, cut, 0, &err) != ILK_OK);
        CHECK(doc == NULL);
    }
    memset(big, 'a', sizeof big);
    n = pack(big, sizeof big, packed, sizeof packed);
    CHECK_STATUS(ilki_docs_read(&doc, "x.gz", packed, n, 10000, &err), ILK_LIMIT, &err);
}

/* Every byte that is no white space is in exactly one segment for kinds that keep their text, whatever the bytes are. */
static void hostile(void)
{
    static const char *const names[] = {"a.md", "a.rst", "a.1", "a.c", "a.py", "a.rb", "a.go", "a.el"};
    static const char alphabet[] = ".\\\"'(){}[]#=-~`*/: \n\n\nabTHSif{fB\t@n;<>de";
    uint64_t seed = 7;
    for (int round = 0; round < 4000; round++) {
        char text[400];
        size_t n = test_random(&seed) % sizeof text;
        for (size_t i = 0; i < n; i++)
            text[i] = alphabet[test_random(&seed) % (sizeof alphabet - 1)];
        const char *name = names[test_random(&seed) % 8];
        if (n > 6 && strcmp(name, "a.1") == 0)
            memcpy(text, ".TH A\n", 6);
        ilki_doc *doc = NULL;
        if (ilki_docs_read(&doc, name, text, n, 0, NULL) != ILK_OK)
            continue;
        size_t last = 0;
        for (size_t i = 0; i < doc->n_segments; i++) {
            if (!CHECK(doc->segments[i].start >= last && doc->segments[i].end > doc->segments[i].start)) {
                printf("%s segment %zu of round %d: %.*s\n", name, i, round, (int)n, text);
                return;
            }
            last = doc->segments[i].end;
            CHECK(doc->segments[i].line_last >= doc->segments[i].line_first && doc->segments[i].line_first >= 1);
            if (strcmp(doc->kind, "source") != 0)
                continue;
            size_t gap = i ? doc->segments[i - 1].end : 0;
            for (size_t k = gap; k < doc->segments[i].start; k++)
                CHECK(strchr(" \t\n\r", doc->text[k]) != NULL);
        }
        CHECK(last <= doc->n_text);
        ilki_docs_free(doc);
    }
}

/* Lines are counted from the last place asked for, forwards and back: a file of one long line costs no square. */
static void lines_anywhere(void)
{
    enum { N = 8 << 20, N_ASKED = 200000 };
    ilk_error err;
    ilki_doc *doc = NULL;
    char *text = malloc(N);
    uint64_t seed = 7;
    ilk_error_init(&err);
    if (!CHECK(text != NULL))
        return;
    memset(text, 'a', N);
    for (size_t i = 0; i < 300; i++)
        text[i * 977] = '\n';
    if (CHECK_OK(ilki_docs_read(&doc, "a.txt", text, N, 0, &err), &err)) {
        for (int i = 0; i < 2000; i++) {
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            size_t at = (seed >> 33) % 300000, line = 1;
            for (size_t k = 0; k < at; k += 977)
                line += doc->text[k] == '\n';
            if (!CHECK_INT(ilki_docs_line(doc, at), line))
                break;
        }
        clock_t begin = clock();
        for (size_t i = 0; i < N_ASKED; i++)
            ilki_docs_line(doc, i * (N / N_ASKED));
        CHECK_THAT(clock() - begin < 2 * CLOCKS_PER_SEC, "%d lines took over two seconds", N_ASKED);
    }
    ilki_docs_free(doc);
    free(text);
}

typedef struct long_file {
    const char *name, *text;
    size_t n;
} long_file;

static ilk_status read_long_file(void *arg, ilk_job *job, ilk_error *err)
{
    const long_file *f = arg;
    ilki_doc *doc = NULL;
    ilk_status st = ilki_docs_read_under(job, &doc, f->name, f->text, f->n, 0, err);
    ilki_docs_free(doc);
    return st;
}

static void stops_at_a_deadline(void)
{
    enum { N = 24 << 20 };
    static const struct {
        const char *name, *line;
    } cases[] = {{"a.txt", "some words of a plain text, and more of them\n"},
                 {"a.txt", "caf\xe9 in Windows-1252\r\n"},
                 {"a.md", "a paragraph of some length without an end\n"},
                 {"a.md", "# heading\n\ntext below it\n"},
                 {"a.rst", "a paragraph of some length without an end\n"},
                 {"a.c", "int f(void) { return g(1, 2); }\n"},
                 {"a.py", "def f(x):\n    return x + 1\n\n"},
                 {"a.sql", "SELECT a FROM b;\n"},
                 {"a.1", ".SH NAME\nof a page with some text\n"},
                 {"a.jsonl", "{\"text\": \"some words\"}\n"},
                 {"a.csv", "name,text,more\n"}};
    char *text = malloc(N);
    REQUIRE(CHECK(text != NULL));
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        size_t len = strlen(cases[c].line);
        for (size_t i = 0; i < N; i++)
            text[i] = cases[c].line[i % len];
        long_file f = {cases[c].name, text, N};
        if (!cancel_in_time(
                &(cancelled){.what = f.name, .after_ms = 10, .deadline = true, .run = read_long_file, .arg = &f}))
            printf("    %s\n", cases[c].line);
    }
    free(text);
}

TEST_MAIN({"lines_anywhere", lines_anywhere}, {"plain", plain}, {"markdown", markdown}, {"rst", rst}, {"man", man},
          {"man_tables", man_tables}, {"source", source}, {"refused", refused}, {"gzip", gzip}, {"hostile", hostile},
          {"stops_at_a_deadline", stops_at_a_deadline})
