/* SPDX-License-Identifier: Apache-2.0
 * Manual pages: man(7) and mdoc(7) source to plain text, without running troff. Sections are .SH/.SS (.Sh/.Ss); the
 * macros that set fonts, paragraphs and lists are known, other requests are dropped with their line, and escapes become
 * their characters (groff_char(7)). Of .if/.ie the terminal's branch ('n') is taken, as man shows it. Every output line
 * remembers its source line. Tables (.TS) keep their cells, tbl's format lines go. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "docs/kinds.h"

#define MAX_ARGS 32

static bool probe(const char *name, const char *head, size_t n)
{
    size_t len = strlen(name);
    const char *dot = strrchr(name, '.');
    bool section = dot && len - (size_t)(dot - name) <= 8 &&
                   ((dot[1] >= '1' && dot[1] <= '9') || dot[1] == 'n' || dot[1] == 'l');
    if (!section && !ilki_docs_has_suffix(name, ".man") && !ilki_docs_has_suffix(name, ".mdoc"))
        return false;
    size_t at = 0, a, b;
    while (ilki_docs_next_line(head, n, &at, &a, &b))
        if (b - a > 3 && (memcmp(head + a, ".TH", 3) == 0 || memcmp(head + a, ".Dd", 3) == 0 ||
                          memcmp(head + a, ".so", 3) == 0 || memcmp(head + a, ".SH", 3) == 0))
            return true;
    /* the preamble of a generated page may fill the head */
    return n >= 3 && (memcmp(head, ".\\\"", 3) == 0 || memcmp(head, "'\\\"", 3) == 0);
}

typedef struct str {
    const char *s;
    size_t n;
} str;

typedef struct page {
    ilki_doc *doc;
    ilki_buf out;
    ilki_buf arg;      /* scratch for one rendered argument */
    uint32_t *line_of; /* [n_lines] of `out` */
    size_t n_lines, cap_lines;
    uint32_t line;       /* source line being read */
    uint32_t line_begun; /* source line at which the output line began */
    ilki_headings h;
    size_t begin;  /* of the section in `out` */
    bool started;  /* .TH or .Dd was seen */
    bool fill;     /* lines flow together; false between .nf and .fi */
    bool tag;      /* the next text line is the tag of .TP */
    unsigned skip; /* depth of \{ … \} of a branch not taken */
    bool in_define, in_table_format, in_table, failed;
    char name[96]; /* .Nm */
} page;

/* ------------------------------------------------------------------ output */

static void new_line(page *p)
{
    if (p->out.len && p->out.data[p->out.len - 1] == '\n' && p->out.len > 1 && p->out.data[p->out.len - 2] == '\n')
        return; /* one blank line is enough */
    if (p->n_lines == p->cap_lines) {
        size_t cap = p->cap_lines ? p->cap_lines * 2 : 256;
        uint32_t *l = realloc(p->line_of, cap * sizeof *l);
        if (!l) {
            p->failed = true;
            return;
        }
        p->line_of = l;
        p->cap_lines = cap;
    }
    bool empty = p->out.len == 0 || p->out.data[p->out.len - 1] == '\n';
    p->line_of[p->n_lines++] = empty ? p->line : p->line_begun;
    ilki_base_buf_addc(&p->out, '\n');
}

static bool at_line_start(const page *p)
{
    return p->out.len == 0 || p->out.data[p->out.len - 1] == '\n';
}

static void break_line(page *p)
{
    if (!at_line_start(p))
        new_line(p);
}

static void paragraph(page *p)
{
    break_line(p);
    new_line(p);
}

/* ------------------------------------------------------------------ escapes */

static const struct {
    const char *name, *text;
} chars[] = {
    {"em", "\u2014"}, {"en", "\u2013"}, {"hy", "-"},      {"mi", "-"},      {"bu", "\u2022"},      {"aq", "'"},
    {"dq", "\""},     {"lq", "\u201c"}, {"rq", "\u201d"}, {"oq", "\u2018"}, {"cq", "\u2019"},      {"co", "\u00a9"},
    {"rg", "\u00ae"}, {"tm", "\u2122"}, {"ha", "^"},      {"ti", "~"},      {"ga", "`"},           {"aa", "\u00b4"},
    {"rs", "\\"},     {"sl", "/"},      {"at", "@"},      {"sh", "#"},      {"Do", "$"},           {"ba", "|"},
    {"lB", "["},      {"rB", "]"},      {"lC", "{"},      {"rC", "}"},      {"la", "\u27e8"},      {"ra", "\u27e9"},
    {"->", "\u2192"}, {"<-", "\u2190"}, {"ua", "\u2191"}, {"da", "\u2193"}, {"<=", "\u2264"},      {">=", "\u2265"},
    {"!=", "\u2260"}, {"==", "\u2261"}, {"~=", "\u2248"}, {"+-", "\u00b1"}, {"mu", "\u00d7"},      {"de", "\u00b0"},
    {"sc", "\u00a7"}, {"ps", "\u00b6"}, {"dg", "\u2020"}, {"dd", "\u2021"}, {"Eu", "\u20ac"},      {"Po", "\u00a3"},
    {"Ye", "\u00a5"}, {"ss", "\u00df"}, {"ae", "\u00e6"}, {"oe", "\u0153"}, {"12", "\u00bd"},      {"14", "\u00bc"},
    {"34", "\u00be"}, {"Fo", "\u00ab"}, {"Fc", "\u00bb"}, {":a", "\u00e4"}, {":o", "\u00f6"},      {":u", "\u00fc"},
    {":A", "\u00c4"}, {":O", "\u00d6"}, {":U", "\u00dc"}, {"'e", "\u00e9"}, {"'a", "\u00e1"},      {"'i", "\u00ed"},
    {"'o", "\u00f3"}, {"'u", "\u00fa"}, {"`e", "\u00e8"}, {"`a", "\u00e0"}, {"^e", "\u00ea"},      {"^a", "\u00e2"},
    {"^o", "\u00f4"}, {",c", "\u00e7"}, {"~n", "\u00f1"}, {"oa", "\u00e5"}, {"/o", "\u00f8"},      {"*a", "\u03b1"},
    {"*b", "\u03b2"}, {"*m", "\u03bc"}, {"*p", "\u03c0"}, {"if", "\u221e"}, {"sr", "\u221a"},      {"bv", "|"},
    {"br", "|"},      {"ru", "_"},      {"ul", "_"},      {"ff", "ff"},     {"fi", "fi"},          {"fl", "fl"},
    {"cm", ","},      {"OK", "\u2713"}, {"bq", "\u201a"}, {"Bq", "\u201e"}, {"em dash", "\u2014"},
};

/* strings that pages define for themselves and everybody spells alike */
static const struct {
    const char *name, *text;
} strings[] = {
    {"C`", "\""},     {"C'", "\""},    {"L\"", "\""},    {"R\"", "\""}, {"lq", "\u201c"}, {"rq", "\u201d"}, {"--", "-"},
    {"PI", "\u03c0"}, {"R", "\u00ae"}, {"Tm", "\u2122"}, {"Aq", "'"},   {"Lq", "\u201c"}, {"Rq", "\u201d"},
};

static void put_named(ilki_buf *to, str name)
{
    if (name.n >= 5 && name.s[0] == 'u') {
        unsigned long cp = strtoul(name.s + 1, NULL, 16);
        char u[4];
        if (cp > 0 && cp < 0x110000)
            ilki_base_buf_add(to, u, ilki_base_utf8_put((uint32_t)cp, u));
        return;
    }
    for (size_t i = 0; i < sizeof chars / sizeof *chars; i++)
        if (strlen(chars[i].name) == name.n && memcmp(chars[i].name, name.s, name.n) == 0)
            ilki_base_buf_adds(to, chars[i].text);
}

/* The argument of an escape at s[i]: one character, "(xx", "[name]" or, with `quoted`, 'text'. *i moves behind it. */
static str escape_arg(str in, size_t *i, bool quoted)
{
    str r = {in.s + *i, 0};
    if (*i >= in.n)
        return r;
    char c = in.s[*i];
    char close = c == '[' ? ']' : quoted ? c : 0;
    if (c == '(') {
        r.s++;
        r.n = in.n - *i - 1 < 2 ? in.n - *i - 1 : 2;
        *i += 1 + r.n;
    } else if (close) {
        size_t k = *i + 1;
        while (k < in.n && in.s[k] != close)
            k++;
        r.s++;
        r.n = k - *i - 1;
        *i = k < in.n ? k + 1 : k;
    } else {
        r.n = 1;
        *i += 1;
    }
    return r;
}

/* One escape; in.s[*i] is the character behind the backslash. False: the rest of the line is a comment. */
static bool escape(ilki_buf *to, str in, size_t *i)
{
    char c = in.s[(*i)++];
    switch (c) {
    case '"':
    case '#':
        return false;
    case '-':
        ilki_base_buf_addc(to, '-');
        break;
    case 'e':
    case 'E':
    case '\\':
        ilki_base_buf_addc(to, '\\');
        break;
    case '~':
    case ' ':
    case '0':
    case 't':
        ilki_base_buf_addc(to, ' ');
        break;
    case '\'':
    case '`':
    case '.':
        ilki_base_buf_addc(to, c);
        break;
    case '(':
    case '[':
        (*i)--;
        put_named(to, escape_arg(in, i, false));
        break;
    case 'C':
        put_named(to, escape_arg(in, i, true));
        break;
    case '*': {
        str name = escape_arg(in, i, false);
        for (size_t k = 0; k < sizeof strings / sizeof *strings; k++)
            if (strlen(strings[k].name) == name.n && memcmp(strings[k].name, name.s, name.n) == 0)
                ilki_base_buf_adds(to, strings[k].text);
        break;
    }
    case 'f':
    case 'F':
    case 'm':
    case 'M':
    case 'n':
    case 'g':
    case 'k':
    case 'Y':
        if (c == 'n' && *i < in.n && (in.s[*i] == '+' || in.s[*i] == '-'))
            (*i)++;
        escape_arg(in, i, false);
        break;
    case 's': /* \s+1 \s-2 \s0 \s(10 */
        if (*i < in.n && (in.s[*i] == '+' || in.s[*i] == '-'))
            (*i)++;
        if (*i < in.n && (in.s[*i] == '[' || in.s[*i] == '('))
            escape_arg(in, i, false);
        else if (*i < in.n && in.s[*i] >= '0' && in.s[*i] <= '9')
            (*i)++;
        break;
    case 'h':
    case 'v':
    case 'w':
    case 'l':
    case 'L':
    case 'o':
    case 'b':
    case 'D':
    case 'N':
    case 'R':
    case 'S':
    case 'H':
    case 'A':
    case 'B':
    case 'X':
    case 'x':
    case 'Z':
        escape_arg(in, i, true);
        break;
    default: /* \& \| \^ \/ \, \: \% \c \p \{ \} \d \u \r and the unknown print nothing */
        break;
    }
    return true;
}

static void render(ilki_buf *to, str in)
{
    for (size_t i = 0; i < in.n;) {
        char c = in.s[i++];
        if (c == '\\' && i < in.n) {
            if (!escape(to, in, &i))
                return;
            while (i < in.n && ((unsigned char)in.s[i] & 0xc0) == 0x80)
                i++; /* it took a character by its first byte: all of it goes */
        } else if (c != '\\') {
            ilki_base_buf_addc(to, c == '\t' ? ' ' : c);
        }
    }
}

/* ------------------------------------------------------------------ text and macros */

static void text(page *p, str s)
{
    ilki_base_buf_reset(&p->arg);
    render(&p->arg, s);
    const char *t = ilki_base_buf_view(&p->arg);
    if (ilki_docs_blank(t, p->arg.len)) {
        if (s.n == 0)
            paragraph(p);
        return;
    }
    if (at_line_start(p))
        p->line_begun = p->line;
    else if (p->fill)
        ilki_base_buf_addc(&p->out, ' ');
    ilki_base_buf_add(&p->out, t, p->arg.len);
    /* a source line ends an output line too where it ends a sentence: lines stay short and traceable */
    char last = t[p->arg.len - 1];
    bool bullet = p->tag && p->arg.len <= 3; /* the text goes on behind it */
    if (!p->fill || (!bullet && (p->tag || strchr(".:?!", last))))
        new_line(p);
    p->tag = false;
}

/* Arguments of a macro line, quotes taken off; "" inside quotes is one quote. They are kept raw (escapes unread). */
static size_t split_args(str s, str *args, char *store, size_t n_store)
{
    size_t n = 0, i = 0, used = 0;
    while (n < MAX_ARGS) {
        while (i < s.n && (s.s[i] == ' ' || s.s[i] == '\t'))
            i++;
        if (i >= s.n || (s.s[i] == '\\' && i + 1 < s.n && s.s[i + 1] == '"'))
            break;
        bool quoted = s.s[i] == '"';
        size_t begin = used;
        i += quoted;
        while (i < s.n && used < n_store) {
            char c = s.s[i];
            if (quoted ? c == '"' && !(i + 1 < s.n && s.s[i + 1] == '"') : c == ' ' || c == '\t')
                break;
            if (quoted && c == '"')
                i++;
            store[used++] = c;
            if (c == '\\' && ++i < s.n && used < n_store)
                store[used++] = s.s[i];
            i++;
        }
        i += quoted;
        args[n++] = (str){store + begin, used - begin};
        if (used >= n_store)
            break;
    }
    return n;
}

/* The arguments as one line of text. */
static void joined(page *p, const str *args, size_t n, const char *between)
{
    char store[4096];
    size_t used = 0, gap = strlen(between);
    for (size_t i = 0; i < n; i++) {
        if (used + gap + args[i].n > sizeof store)
            break;
        if (i) {
            memcpy(store + used, between, gap);
            used += gap;
        }
        memcpy(store + used, args[i].s, args[i].n);
        used += args[i].n;
    }
    if (used)
        text(p, (str){store, used});
}

static bool is(str s, const char *name)
{
    return strlen(name) == s.n && memcmp(s.s, name, s.n) == 0;
}

/* doc->text follows the buffer while segments are added: trimming looks at it. */
static void end_section(page *p)
{
    p->doc->text = p->out.data;
    if (p->out.len && ilki_docs_add_segment(p->doc, p->begin, p->out.len, p->h.path, false, NULL) != ILK_OK)
        p->failed = true;
    p->doc->text = NULL;
}

static void heading(page *p, unsigned level, const str *args, size_t n)
{
    char plain[160];
    break_line(p);
    end_section(p);
    ilki_base_buf_reset(&p->arg);
    for (size_t i = 0; i < n; i++) {
        if (i)
            ilki_base_buf_addc(&p->arg, ' ');
        render(&p->arg, args[i]);
    }
    size_t used = ilki_base_utf8_floor(ilki_base_buf_view(&p->arg),
                                       p->arg.len < sizeof plain ? p->arg.len : sizeof plain - 1);
    memcpy(plain, ilki_base_buf_view(&p->arg), used);
    ilki_docs_heading(&p->h, level, plain, used);
    p->begin = p->out.len;
    p->fill = true;
}

/* "ls(1)" from .TH or .Dt: the title, and the first of the headings. */
static void page_title(page *p, const str *args, size_t n)
{
    char title[128];
    size_t used = 0;
    p->started = true;
    for (size_t i = 0; i < n && i < 2; i++) {
        ilki_base_buf_reset(&p->arg);
        render(&p->arg, args[i]);
        size_t len = p->arg.len;
        if (!len || used + len + 3 > sizeof title)
            return;
        if (i)
            title[used++] = '(';
        for (size_t k = 0; k < len; k++) {
            char c = p->arg.data[k];
            title[used++] = (char)(c >= 'A' && c <= 'Z' && i == 0 ? c + 32 : c);
        }
        if (i)
            title[used++] = ')';
    }
    free(p->doc->title);
    p->doc->title = ilki_base_strndup(title, used);
    ilki_docs_heading(&p->h, 1, title, used);
    p->begin = p->out.len;
}

/* ---- mdoc: macros that may stand within a line, with what they put around their arguments */
static const struct {
    const char *name, *open, *close;
} inlines[] = {
    {"Fl", "", ""},        {"Ar", "", ""},        {"Cm", "", ""},          {"Ic", "", ""},        {"Li", "", ""},
    {"Pa", "", ""},        {"Ev", "", ""},        {"Va", "", ""},          {"Vt", "", ""},        {"Em", "", ""},
    {"Sy", "", ""},        {"Ft", "", ""},        {"Fa", "", ""},          {"Fn", "", "()"},      {"Xr", "", ""},
    {"Nm", "", ""},        {"Nd", "\u2014 ", ""}, {"Op", "[", "]"},        {"Oo", "[", ""},       {"Oc", "", "]"},
    {"Dq", "\"", "\""},    {"Qq", "\"", "\""},    {"Sq", "'", "'"},        {"Ql", "'", "'"},      {"Pq", "(", ")"},
    {"Bq", "[", "]"},      {"Aq", "<", ">"},      {"Brq", "{", "}"},       {"No", "", ""},        {"Ns", "", ""},
    {"Dv", "", ""},        {"Er", "", ""},        {"An", "", ""},          {"Lk", "", ""},        {"Mt", "", ""},
    {"Ad", "", ""},        {"Tn", "", ""},        {"Bx", "BSD", ""},       {"Fx", "FreeBSD", ""}, {"Nx", "NetBSD", ""},
    {"Ox", "OpenBSD", ""}, {"Ux", "UNIX", ""},    {"At", "AT&T UNIX", ""}, {"St", "", ""},        {"In", "<", ">"},
    {"Rs", "", ""},        {"Re", "", ""},        {"Ta", "", ""},
};

static int find_inline(str s)
{
    for (size_t i = 0; i < sizeof inlines / sizeof *inlines; i++)
        if (is(s, inlines[i].name))
            return (int)i;
    return -1;
}

static bool is_closing_mark(str s)
{
    return s.n == 1 && strchr(".,:;)]?!", s.s[0]) != NULL;
}

/* A line of inline macros and words to text. */
static void mdoc_line(page *p, const str *words, size_t n)
{
    ilki_buf line;
    const char *close[MAX_ARGS + 1];
    size_t n_close = 0;
    bool space = false, flag = false, xref = false;
    ilki_base_buf_init(&line, 65536);
    for (size_t i = 0; i < n; i++) {
        int k = find_inline(words[i]);
        if (k >= 0) {
            bool named = is(words[i], "Nm") &&
                         (i + 1 == n || find_inline(words[i + 1]) >= 0 || is_closing_mark(words[i + 1]));
            flag = is(words[i], "Fl");
            xref = is(words[i], "Xr");
            if (is(words[i], "Ns")) {
                space = false;
                continue;
            }
            if (is(words[i], "Nm") && i + 1 < n && !p->name[0])
                memcpy(p->name, words[i + 1].s, words[i + 1].n < sizeof p->name ? words[i + 1].n : sizeof p->name - 1);
            if (*inlines[k].open || named || (flag && i + 1 == n)) {
                if (space)
                    ilki_base_buf_addc(&line, ' ');
                ilki_base_buf_adds(&line, named ? p->name : flag ? "-" : inlines[k].open);
                space = named || (inlines[k].open[0] && isalpha((unsigned char)inlines[k].open[0]));
            }
            if (*inlines[k].close)
                close[n_close++] = inlines[k].close;
            continue;
        }
        bool mark = is_closing_mark(words[i]);
        if (mark)
            while (n_close)
                ilki_base_buf_adds(&line, close[--n_close]);
        if (space && !mark && !(xref && line.len && words[i].n == 1))
            ilki_base_buf_addc(&line, ' ');
        if (xref && words[i].n == 1 && !mark) {
            ilki_base_buf_addc(&line, '(');
            ilki_base_buf_add(&line, words[i].s, 1);
            ilki_base_buf_addc(&line, ')');
        } else {
            if (flag && !mark)
                ilki_base_buf_addc(&line, '-');
            ilki_base_buf_add(&line, words[i].s, words[i].n);
        }
        space = true;
    }
    while (n_close)
        ilki_base_buf_adds(&line, close[--n_close]);
    if (line.len)
        text(p, (str){ilki_base_buf_view(&line), line.len});
    ilki_base_buf_deinit(&line);
}

/* ---- man and shared macros */

typedef enum action {
    A_JOIN,
    A_ALTERNATE,
    A_SECTION,
    A_SUBSECTION,
    A_PARAGRAPH,
    A_BREAK,
    A_TAG,
    A_ITEM,
    A_NOFILL,
    A_FILL,
    A_TITLE,
    A_START,
    A_DEFINE,
    A_TABLE,
    A_TABLE_END,
    A_MDOC_ITEM,
    A_DISPLAY
} action;

static const struct {
    const char *name;
    action what;
} macros[] = {
    {"B", A_JOIN},       {"I", A_JOIN},       {"SM", A_JOIN},      {"SB", A_JOIN},       {"R", A_JOIN},
    {"UR", A_JOIN},      {"MT", A_JOIN},      {"SY", A_JOIN},      {"OP", A_JOIN},       {"BR", A_ALTERNATE},
    {"BI", A_ALTERNATE}, {"IR", A_ALTERNATE}, {"IB", A_ALTERNATE}, {"RB", A_ALTERNATE},  {"RI", A_ALTERNATE},
    {"MR", A_ALTERNATE}, {"SH", A_SECTION},   {"Sh", A_SECTION},   {"SS", A_SUBSECTION}, {"Ss", A_SUBSECTION},
    {"PP", A_PARAGRAPH}, {"P", A_PARAGRAPH},  {"LP", A_PARAGRAPH}, {"HP", A_PARAGRAPH},  {"Pp", A_PARAGRAPH},
    {"sp", A_PARAGRAPH}, {"br", A_BREAK},     {"RS", A_BREAK},     {"RE", A_BREAK},      {"Bl", A_BREAK},
    {"El", A_BREAK},     {"Ed", A_FILL},      {"TP", A_TAG},       {"TQ", A_TAG},        {"IP", A_ITEM},
    {"nf", A_NOFILL},    {"EX", A_NOFILL},    {"Vb", A_NOFILL},    {"fi", A_FILL},       {"EE", A_FILL},
    {"Ve", A_FILL},      {"TH", A_TITLE},     {"Dt", A_TITLE},     {"Dd", A_START},      {"de", A_DEFINE},
    {"de1", A_DEFINE},   {"am", A_DEFINE},    {"ig", A_DEFINE},    {"TS", A_TABLE},      {"TE", A_TABLE_END},
    {"It", A_MDOC_ITEM}, {"Bd", A_DISPLAY},   {"D1", A_MDOC_ITEM}, {"Dl", A_MDOC_ITEM},
};

static void run_macro(page *p, action what, const str *args, size_t n)
{
    switch (what) {
    case A_JOIN:
        joined(p, args, n, " ");
        break;
    case A_ALTERNATE:
        joined(p, args, n, "");
        break;
    case A_SECTION:
        heading(p, 2, args, n);
        break;
    case A_SUBSECTION:
        heading(p, 3, args, n);
        break;
    case A_PARAGRAPH:
        paragraph(p);
        break;
    case A_BREAK:
        break_line(p);
        break;
    case A_TAG:
        break_line(p);
        p->tag = true;
        break;
    case A_ITEM:
        paragraph(p);
        if (n) {
            p->tag = true;
            text(p, args[0]);
        }
        break;
    case A_NOFILL:
        break_line(p);
        p->fill = false;
        break;
    case A_FILL:
        break_line(p);
        p->fill = true;
        break;
    case A_TITLE:
        page_title(p, args, n);
        break;
    case A_START:
        p->started = true;
        break;
    case A_DEFINE:
        p->in_define = true;
        break;
    case A_TABLE:
        break_line(p);
        p->in_table = p->in_table_format = true;
        p->fill = false;
        break;
    case A_TABLE_END:
        break_line(p);
        p->in_table = p->in_table_format = false;
        p->fill = true;
        break;
    case A_MDOC_ITEM:
        break_line(p);
        mdoc_line(p, args, n);
        break_line(p);
        break;
    case A_DISPLAY:
        break_line(p);
        p->fill = n == 0 || !(is(args[0], "-literal") || is(args[0], "-unfilled"));
        break;
    }
}

static void source_line(page *p, str s);

/* .if COND …, .ie COND …, .el …: the terminal's branch is read; a block \{ … \} of another is skipped. */
static void conditional(page *p, str name, str rest)
{
    size_t i = 0;
    bool take = is(name, "el") ? false : true;
    while (i < rest.n && rest.s[i] == ' ')
        i++;
    if (!is(name, "el")) {
        take = i < rest.n && rest.s[i] == 'n';
        while (i < rest.n && rest.s[i] != ' ')
            i++;
        while (i < rest.n && rest.s[i] == ' ')
            i++;
    }
    if (i + 1 < rest.n && rest.s[i] == '\\' && rest.s[i + 1] == '{') {
        i += 2;
        if (!take) {
            p->skip = 1;
            for (size_t k = i; k + 1 < rest.n; k++)
                if (rest.s[k] == '\\' && rest.s[k + 1] == '}')
                    p->skip = 0;
        }
    }
    while (i < rest.n && rest.s[i] == ' ')
        i++;
    if (take && i < rest.n && rest.s[i] != '\\')
        source_line(p, (str){rest.s + i, rest.n - i});
}

static void request(page *p, str s)
{
    str args[MAX_ARGS];
    char store[8192];
    size_t i = 1;
    while (i < s.n && (s.s[i] == ' ' || s.s[i] == '\t'))
        i++;
    size_t from = i;
    while (i < s.n && s.s[i] != ' ' && s.s[i] != '\t')
        i++;
    str name = {s.s + from, i - from}, rest = {s.s + i, s.n - i};
    if (name.n == 0 || name.s[0] == '\\' || name.s[0] == '"')
        return;
    if (is(name, "if") || is(name, "ie") || is(name, "el")) {
        conditional(p, name, rest);
        return;
    }
    size_t n = split_args(rest, args, store, sizeof store);
    for (size_t k = 0; k < sizeof macros / sizeof *macros; k++) {
        if (!is(name, macros[k].name))
            continue;
        bool opens = macros[k].what == A_TITLE || macros[k].what == A_START || macros[k].what == A_DEFINE ||
                     macros[k].what == A_SECTION;
        if (p->started || opens)
            run_macro(p, macros[k].what, args, n);
        return;
    }
    if (!p->started || find_inline(name) < 0)
        return;
    str words[MAX_ARGS + 1];
    words[0] = name;
    memcpy(words + 1, args, n * sizeof *args);
    mdoc_line(p, words, n + 1);
}

/* Depth of \{ … \} within a branch that is not taken. */
static void skip_line(page *p, str s)
{
    for (size_t i = 0; i + 1 < s.n && p->skip; i++) {
        if (s.s[i] != '\\')
            continue;
        i++;
        if (s.s[i] == '{')
            p->skip++;
        else if (s.s[i] == '}')
            p->skip--;
    }
}

static void source_line(page *p, str s)
{
    if (p->in_define) {
        p->in_define = !(s.n == 2 && s.s[0] == '.' && s.s[1] == '.');
        return;
    }
    if (p->skip) {
        skip_line(p, s);
        return;
    }
    bool command = s.n && (s.s[0] == '.' || (s.s[0] == '\'' && s.n > 1));
    if (p->in_table_format && !command) {
        p->in_table_format = s.n == 0 || s.s[s.n - 1] != '.';
        return;
    }
    if (p->in_table && !command && (is(s, "_") || is(s, "=")))
        return;
    if (p->in_table && !command) { /* text blocks: T{ … T} around a cell's lines */
        if (s.n >= 2 && memcmp(s.s, "T}", 2) == 0)
            s = (str){s.s + 2, s.n - 2};
        if (s.n >= 2 && memcmp(s.s + s.n - 2, "T{", 2) == 0)
            s.n -= 2;
        if (ilki_docs_blank(s.s, s.n))
            return;
    }
    if (command)
        request(p, s);
    else if (p->started)
        text(p, s);
}

static ilk_status read_page(page *p, const char *source, size_t n_source, ilk_error *err)
{
    size_t at = 0, a, b;
    while (ilki_docs_next_line(source, n_source, &at, &a, &b) && !p->failed) {
        ilk_status st = ilki_docs_go_on(p->doc, err);
        if (st != ILK_OK)
            return st;
        p->line++;
        source_line(p, (str){source + a, b - a});
    }
    break_line(p);
    end_section(p);
    if (p->failed || p->out.failed || p->arg.failed)
        return ilki_base_fail(err, ILK_NO_MEMORY, "out of memory for a manual page");
    return ILK_OK;
}

static ilk_status read(ilki_doc *doc, const char *name, ilk_error *err)
{
    page *p = ilki_base_zalloc(1, sizeof *p);
    (void)name;
    if (!p)
        return ilki_base_fail_memory(err, sizeof *p, "a manual page");
    char *source = doc->text;
    size_t n_source = doc->n_text;
    ilki_base_buf_init(&p->out, n_source * 4 + 65536);
    ilki_base_buf_init(&p->arg, n_source * 4 + 65536);
    p->doc = doc;
    p->fill = true;
    doc->text = NULL;
    doc->n_text = 0;
    ilk_status st = read_page(p, source, n_source, err);
    free(source);
    doc->text = ilki_base_buf_take(&p->out, &doc->n_text);
    doc->line_of = p->line_of;
    doc->n_lines = p->n_lines;
    if (!doc->text && st == ILK_OK) {
        doc->text = ilki_base_strndup("", 0);
        st = doc->text ? ILK_OK : ilki_base_fail_memory(err, 1, "a manual page");
    }
    ilki_base_buf_deinit(&p->out);
    ilki_base_buf_deinit(&p->arg);
    free(p);
    return st;
}

const ilki_doc_kind ilki_docs_man = {"man", probe, read};
