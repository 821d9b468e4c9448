/* SPDX-License-Identifier: Apache-2.0
 * Source code, cut at functions and classes. No grammar is parsed; three habits of writing find the borders:
 *   BRACE   items are what has a { … } body at depth 0, or inside a container (class, namespace, impl, extern "C");
 *           strings, character constants and comments are passed over. C, C++, Java, Go, Rust, JavaScript, …
 *   INDENT  def and class lines and what is indented below them (Python)
 *   WORD    an item begins at a line that starts with a word of the row's list, and ends where the next one begins
 * A comment straight above an item belongs to it; what lies between items is a segment without a symbol. A wrong guess
 * costs a less fitting border, never a lost byte. Code whose lines are hundreds of characters long is refused as
 * generated. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "docs/kinds.h"

typedef enum habit { BRACE, INDENT, WORD, PLAIN } habit;

struct ilki_language {
    const char *name;
    habit habit;
    const char *suffixes; /* space-separated */
    const char *words;    /* WORD: what begins an item; BRACE: what names a container */
    char comment;         /* '#' or '/' (// and block comments), '-' (--), ';' */
};
typedef struct ilki_language language;

#define C_CONTAINERS "namespace extern class struct interface trait impl mod object enum module protocol extension"

static const language languages[] = {
    {"c", BRACE, ".c .h", "extern", '/'},
    {"cpp", BRACE, ".cc .cpp .cxx .hh .hpp .hxx .ipp .cu .cuh", C_CONTAINERS, '/'},
    {"java", BRACE, ".java", C_CONTAINERS, '/'},
    {"kotlin", BRACE, ".kt .kts", C_CONTAINERS, '/'},
    {"scala", BRACE, ".scala", C_CONTAINERS, '/'},
    {"csharp", BRACE, ".cs", C_CONTAINERS, '/'},
    {"javascript", BRACE, ".js .mjs .cjs .jsx", "class", '/'},
    {"typescript", BRACE, ".ts .tsx .mts", "class namespace interface module", '/'},
    {"go", BRACE, ".go", "", '/'},
    {"rust", BRACE, ".rs", "mod impl trait", '/'},
    {"swift", BRACE, ".swift", C_CONTAINERS, '/'},
    {"dart", BRACE, ".dart", "class extension mixin", '/'},
    {"php", BRACE, ".php", "class interface trait namespace", '/'},
    {"zig", BRACE, ".zig", "", '/'},
    {"css", BRACE, ".css .scss .less", "", '/'},
    {"proto", BRACE, ".proto", "", '/'},
    {"python", INDENT, ".py .pyi .pyw .pyx sconstruct sconscript", "", '#'},
    {"ruby", WORD, ".rb .rake gemfile rakefile", "def class module", '#'},
    {"lua", WORD, ".lua", "function local", '-'},
    {"perl", WORD, ".pl .pm .t", "sub package", '#'},
    {"shell", WORD, ".sh .bash .zsh .ksh", "function", '#'},
    {"elixir", WORD, ".ex .exs", "def defp defmodule defmacro", '#'},
    {"haskell", WORD, ".hs", "data class instance newtype type module", '-'},
    {"sql", WORD, ".sql", "create CREATE alter ALTER insert INSERT", '-'},
    {"r", WORD, ".r", "", '#'},
    {"julia", WORD, ".jl", "function struct module macro", '#'},
    {"ocaml", WORD, ".ml .mli", "let module type and", '/'},
    {"lisp", WORD, ".lisp .el .scm .clj", "(def", ';'},
    {"tcl", WORD, ".tcl", "proc namespace", '#'},
    {"assembly", PLAIN, ".s .asm", "", ';'},
    {"make", PLAIN, ".mk .mak makefile gnumakefile", "", '#'},
    {"cmake", WORD, ".cmake cmakelists.txt", "function macro", '#'},
    {"dockerfile", PLAIN, ".dockerfile dockerfile", "", '#'},
    {"config", PLAIN, ".yaml .yml .toml .ini .cfg .conf .properties .service .desktop", "", '#'},
};

/* ------------------------------------------------------------------ which language */

static bool in_words(const char *list, const char *s, size_t n)
{
    while (*list) {
        size_t len = strcspn(list, " ");
        if (len == n && memcmp(list, s, n) == 0)
            return true;
        list += len;
        list += strspn(list, " ");
    }
    return false;
}

static const language *find(const char *name)
{
    for (size_t i = 0; i < sizeof languages / sizeof *languages; i++)
        if (strcmp(languages[i].name, name) == 0)
            return &languages[i];
    return NULL;
}

const language *ilki_docs_language(const char *name, const char *head, size_t n)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; i < sizeof languages / sizeof *languages; i++)
        if (in_words(languages[i].suffixes, name, strlen(name)) ||
            (dot && in_words(languages[i].suffixes, dot, strlen(dot))))
            return &languages[i];
    if (dot || n < 3 || memcmp(head, "#!", 2) != 0)
        return NULL;
    static const char *const shebangs[][2] = {{"python", "python"}, {"bash", "shell"}, {"/sh", "shell"},
                                              {"perl", "perl"},     {"ruby", "ruby"},  {"node", "javascript"},
                                              {"lua", "lua"},       {"tclsh", "tcl"},  {"zsh", "shell"},
                                              {"env sh", "shell"},  {"dash", "shell"}};
    char first[128];
    size_t len = 0;
    while (len < n && len < sizeof first - 1 && head[len] != '\n') {
        first[len] = head[len];
        len++;
    }
    first[len] = 0;
    for (size_t i = 0; i < sizeof shebangs / sizeof *shebangs; i++)
        if (strstr(first, shebangs[i][0]))
            return find(shebangs[i][1]);
    return NULL;
}

static bool probe(const char *name, const char *head, size_t n)
{
    return ilki_docs_language(name, head, n) != NULL;
}

/* ------------------------------------------------------------------ cutting */

#define MAX_NEST 16
#define MAX_NAME 96

typedef struct cutter {
    ilki_doc *doc;
    const language *lang;
    ilk_error *err;
    ilk_status st;
    size_t begin;                   /* of what is not in a segment yet */
    char names[MAX_NEST][MAX_NAME]; /* containers around */
    unsigned depths[MAX_NEST];      /* brace depth, or indentation, at which each opened */
    unsigned n_names;
} cutter;

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* The symbol path of `name` inside the containers: "Parser.next". */
static void symbol(const cutter *c, const char *name, char *to, size_t n_to)
{
    size_t used = 0;
    for (unsigned i = 0; i <= c->n_names; i++) {
        const char *part = i < c->n_names ? c->names[i] : name;
        size_t len = strlen(part);
        if (!len || used + len + 2 > n_to)
            continue;
        if (used)
            to[used++] = '.';
        memcpy(to + used, part, len);
        used += len;
    }
    to[used] = 0;
}

static bool is_comment_line(const cutter *c, const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && (s[i] == ' ' || s[i] == '\t'))
        i++;
    if (i == n)
        return false;
    if (c->lang->comment == '/')
        return s[i] == '*' || s[i] == '@' || s[i] == '#' ||
               (s[i] == '/' && i + 1 < n && (s[i + 1] == '/' || s[i + 1] == '*')) ||
               (s[n - 1] == '/' && n - i > 1 && s[n - 2] == '*');
    return s[i] == c->lang->comment || s[i] == '@';
}

/* Comments and decorators straight above `start` belong to what begins there. */
static size_t with_comments(const cutter *c, size_t start)
{
    const char *t = c->doc->text;
    while (start > c->begin && t[start - 1] != '\n')
        start--;
    while (start > c->begin) {
        size_t end = start - 1, from = end;
        while (from > c->begin && t[from - 1] != '\n')
            from--;
        if (!is_comment_line(c, t + from, end - from))
            break;
        start = from;
    }
    return start;
}

/* Ends what is open at `start` (without a symbol of its own), then [start, end) becomes the item `name`. */
static void item(cutter *c, size_t start, size_t end, const char *name)
{
    char path[MAX_NEST * MAX_NAME];
    if (c->st != ILK_OK)
        return;
    start = with_comments(c, start);
    symbol(c, "", path, sizeof path);
    c->st = ilki_docs_add_segment(c->doc, c->begin, start, path, true, c->err);
    symbol(c, name, path, sizeof path);
    if (c->st == ILK_OK)
        c->st = ilki_docs_add_segment(c->doc, start, end, path, true, c->err);
    c->begin = end;
}

static void gap(cutter *c, size_t end)
{
    char path[MAX_NEST * MAX_NAME];
    symbol(c, "", path, sizeof path);
    if (c->st == ILK_OK && end > c->begin)
        c->st = ilki_docs_add_segment(c->doc, c->begin, end, path, true, c->err);
    c->begin = end;
}

static void push(cutter *c, const char *name, unsigned depth)
{
    if (c->n_names == MAX_NEST)
        return;
    memcpy(c->names[c->n_names], name, MAX_NAME);
    c->depths[c->n_names++] = depth;
}

/* ------------------------------------------------------------------ braces */

/* Behind a comment or literal that begins at i; i itself where none does. */
static size_t skip_literal(const char *t, size_t n, size_t i)
{
    char q = t[i];
    if (q == '/' && i + 1 < n && t[i + 1] == '/') {
        const char *nl = memchr(t + i, '\n', n - i);
        return nl ? (size_t)(nl - t) : n;
    }
    if (q == '/' && i + 1 < n && t[i + 1] == '*') {
        for (i += 2; i + 1 < n && !(t[i] == '*' && t[i + 1] == '/'); i++)
            ;
        return i + 2 < n ? i + 2 : n;
    }
    /* 'a is a lifetime in Rust and a digit separator in C++: a character constant closes within a few characters */
    if (q == '\'') {
        for (size_t k = i + 1; k < n && k < i + 12 && t[k] != '\n'; k++) {
            if (t[k] == '\\')
                k++;
            else if (t[k] == '\'')
                return k + 1;
        }
        return i;
    }
    if (q == '"' || q == '`') {
        for (size_t k = i + 1; k < n; k++) {
            if (t[k] == '\\')
                k++;
            else if (t[k] == q)
                return k + 1;
            else if (t[k] == '\n' && q == '"')
                return k;
        }
        return n;
    }
    return i;
}

/* What the header text[a, b) before a '{' names: the word before the first '(' or '=', or behind the first keyword of a
 * type. `container`: the body is walked for items of its own. */
static void header_name(const cutter *c, size_t a, size_t b, char name[MAX_NAME], bool *container)
{
    static const char *const keywords =
        "struct union enum class interface trait impl mod namespace func fn function fun def "
        "module object protocol extension message service type mixin extern";
    const char *t = c->doc->text;
    size_t word = a, n_word = 0, typed = a, n_typed = 0; /* the last word; the word behind a keyword */
    bool keyword = false, stop = false;
    *container = false;
    for (size_t i = a; i < b && !stop;) {
        size_t k = skip_literal(t, b, i);
        if (k > i) {
            i = k;
        } else if (is_word(t[i])) {
            bool behind = keyword;
            word = i;
            while (i < b && is_word(t[i]))
                i++;
            n_word = i - word;
            keyword = in_words(keywords, t + word, n_word);
            *container |= in_words(c->lang->words, t + word, n_word);
            if (behind && !keyword && !n_typed) {
                typed = word;
                n_typed = n_word;
            }
        } else if (t[i] == '(' && keyword) { /* Go's receiver: func (r *T) Name( */
            while (i < b && t[i] != ')')
                i++;
        } else {
            stop = (t[i] == '(' || t[i] == '=') && n_word > 0;
            if (stop && !(*container && t[i] == '(' && n_typed)) {
                *container = false;
                n_typed = 0;
            }
            i++;
        }
    }
    if (n_typed) {
        word = typed;
        n_word = n_typed;
    } else if (keyword) {
        n_word = 0; /* extern "C", an anonymous struct or namespace */
    }
    if (n_word >= MAX_NAME)
        n_word = MAX_NAME - 1;
    memcpy(name, t + word, n_word);
    name[n_word] = 0;
}

static void cut_braces(cutter *c)
{
    const char *t = c->doc->text;
    size_t n = c->doc->n_text, header = 0, start = 0;
    unsigned depth = 0, level = 0; /* braces open; depth at which items are looked for */
    char name[MAX_NAME];
    bool container = false;
    for (size_t i = 0; i < n && c->st == ILK_OK;) {
        size_t k = skip_literal(t, n, i);
        if (k > i) {
            /* a comment before a header is found again by with_comments */
            if (t[i] == '/' && depth == level && ilki_docs_blank(t + header, i - header))
                header = k;
            i = k;
            continue;
        }
        char ch = t[i++];
        if (ch == '\n' && (c->st = ilki_docs_go_on(c->doc, c->err)) != ILK_OK)
            return;
        if (ch == '#' && (i < 2 || t[i - 2] == '\n') && c->lang->comment == '/') {
            while (i < n && t[i] != '\n')
                i += t[i] == '\\' && i + 1 < n ? 2 : 1;
            if (depth == level)
                header = i;
        } else if (depth == level && (ch == ';' || (ch == '\n' && i < n && t[i] == '\n'))) {
            header = i; /* not every language ends statements with ';', but a header has no blank line */
        } else if (ch == '{') {
            if (depth == level) {
                start = header;
                while (start < i && ilki_docs_blank(t + start, 1))
                    start++;
                header_name(c, start, i - 1, name, &container);
                if (container && c->n_names < MAX_NEST) {
                    gap(c, with_comments(c, start));
                    push(c, name, depth);
                    level = depth + 1;
                    header = i;
                }
            }
            depth++;
        } else if (ch == '}' && depth > 0) {
            depth--;
            if (c->n_names && depth == c->depths[c->n_names - 1]) {
                gap(c, i);
                c->n_names--;
                level = depth;
                header = i;
            } else if (depth == level) {
                const char *nl = memchr(t + i, '\n', n - i);
                i = nl ? (size_t)(nl - t) : n;
                item(c, start, i, name);
                header = i;
            }
        }
    }
    gap(c, n);
}

/* ------------------------------------------------------------------ indentation and words */

static size_t indent_of(const char *s, size_t n)
{
    size_t i = 0, w = 0;
    for (; i < n && (s[i] == ' ' || s[i] == '\t'); i++)
        w += s[i] == '\t' ? 8 - w % 8 : 1;
    return i == n ? SIZE_MAX : w;
}

/* The name behind `def`, `async def` or `class` on a line; 0: another line, 1: def, 2: class. */
static int python_item(const char *s, size_t n, char name[MAX_NAME])
{
    size_t i = 0, k;
    while (i < n && (s[i] == ' ' || s[i] == '\t'))
        i++;
    if (n - i > 6 && memcmp(s + i, "async ", 6) == 0)
        i += 6;
    int kind = n - i > 4 && memcmp(s + i, "def ", 4) == 0 ? 1 : n - i > 6 && memcmp(s + i, "class ", 6) == 0 ? 2 : 0;
    if (!kind)
        return 0;
    for (i += kind == 1 ? 4 : 6, k = 0; i < n && is_word(s[i]) && k < MAX_NAME - 1; i++)
        name[k++] = s[i];
    name[k] = 0;
    return k ? kind : 0;
}

/* Lines inside a triple-quoted string have no indentation of their own. */
static void triple_quotes(const char *s, size_t n, char *open)
{
    for (size_t i = 0; i + 2 < n; i++) {
        if (!*open && s[i] == '#')
            return;
        if ((s[i] != '"' && s[i] != '\'') || s[i + 1] != s[i] || s[i + 2] != s[i] || (*open && *open != s[i]))
            continue;
        *open = *open ? 0 : s[i];
        i += 2;
    }
}

static void cut_indent(cutter *c)
{
    const char *t = c->doc->text;
    size_t n = c->doc->n_text, at = 0, a, b, start = SIZE_MAX, start_indent = 0;
    char name[MAX_NAME], next[MAX_NAME], quote = 0;
    while (c->st == ILK_OK && ilki_docs_next_line(t, n, &at, &a, &b)) {
        if ((c->st = ilki_docs_go_on(c->doc, c->err)) != ILK_OK)
            return;
        size_t indent = indent_of(t + a, b - a);
        bool quoted = quote != 0;
        triple_quotes(t + a, b - a, &quote);
        if (quoted || indent == SIZE_MAX || t[a + (indent < b - a ? indent : 0)] == '#' || t[a] == ')')
            continue;
        if (start != SIZE_MAX && indent <= start_indent) { /* the open function ends above */
            item(c, start, with_comments(c, a) > start ? with_comments(c, a) : a, name);
            start = SIZE_MAX;
        }
        if (start != SIZE_MAX)
            continue; /* what is nested in a function stays in it */
        while (c->n_names && indent <= c->depths[c->n_names - 1]) {
            gap(c, with_comments(c, a));
            c->n_names--;
        }
        int kind = python_item(t + a, b - a, next);
        if (kind == 1) {
            start = a;
            start_indent = indent;
            memcpy(name, next, sizeof name);
        } else if (kind == 2 && c->n_names < MAX_NEST) {
            gap(c, with_comments(c, a));
            push(c, next, (unsigned)indent);
        }
    }
    if (start != SIZE_MAX)
        item(c, start, n, name);
    gap(c, n);
}

/* The symbol of a line that begins an item, or false: a listed word at column 0, or name() and name = function. */
static bool word_item(const cutter *c, const char *s, size_t n, char name[MAX_NAME])
{
    size_t i = 0, k = 0;
    if (n == 0 || (!is_word(s[0]) && s[0] != '('))
        return false;
    while (i < n && !strchr(" \t({=;:", s[i] ? s[i] : ' '))
        i++;
    bool listed = i > 0 && in_words(c->lang->words, s, i);
    bool lisp = c->lang->comment == ';' && n > 4 && memcmp(s, "(def", 4) == 0;
    bool shell = !listed && i + 1 < n && s[i] == '(' && s[i + 1] == ')';
    if (!listed && !lisp && !shell)
        return false;
    size_t from = 0;
    if (listed || lisp) {
        while (from < n && s[from] != ' ' && s[from] != '(')
            from++;
        if (lisp)
            from = strcspn(s, " ") < n ? strcspn(s, " ") : n;
        while (from < n && !is_word(s[from]))
            from++;
    }
    while (from < n && (is_word(s[from]) || strchr(".:-", s[from])) && k < MAX_NAME - 1)
        name[k++] = s[from++];
    name[k] = 0;
    return k > 0;
}

static void cut_words(cutter *c)
{
    const char *t = c->doc->text;
    size_t n = c->doc->n_text, at = 0, a, b, start = SIZE_MAX;
    char name[MAX_NAME], next[MAX_NAME];
    while (c->st == ILK_OK && ilki_docs_next_line(t, n, &at, &a, &b)) {
        if ((c->st = ilki_docs_go_on(c->doc, c->err)) != ILK_OK)
            return;
        if (!word_item(c, t + a, b - a, next))
            continue;
        size_t from = with_comments(c, a);
        if (start != SIZE_MAX)
            item(c, start, from > start ? from : a, name);
        start = a;
        memcpy(name, next, sizeof name);
    }
    if (start != SIZE_MAX)
        item(c, start, n, name);
    gap(c, n);
}

/* ------------------------------------------------------------------ */

static ilk_status read(ilki_doc *doc, const char *name, ilk_error *err)
{
    cutter *c = ilki_base_zalloc(1, sizeof *c);
    if (!c)
        return ilki_base_fail_memory(err, sizeof *c, "cutting source code");
    c->doc = doc;
    c->err = err;
    c->lang = ilki_docs_language(name, doc->text, doc->n_text);
    doc->language = c->lang->name;
    size_t lines = 0;
    for (size_t i = 0; i < doc->n_text; i++)
        lines += doc->text[i] == '\n';
    if (doc->n_text > 4096 && doc->n_text / (lines + 1) > 400)
        c->st = ilki_base_fail(err, ILK_UNSUPPORTED,
                               "not text that is read: it seems to be minified or generated code");
    else if (c->lang->habit == BRACE)
        cut_braces(c);
    else if (c->lang->habit == INDENT)
        cut_indent(c);
    else if (c->lang->habit == WORD)
        cut_words(c);
    else
        gap(c, doc->n_text);
    ilk_status st = c->st;
    free(c);
    return st;
}

const ilki_doc_kind ilki_docs_source = {"source", probe, read};
