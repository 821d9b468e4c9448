/* SPDX-License-Identifier: Apache-2.0
 * Hits as one HTML file that needs nothing beside itself: small pictures are in it, and nothing in it is a program. Names,
 * texts and queries come from anywhere: whatever they hold becomes text, and a policy in the file's head forbids the rest. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/vfs.h"
#include "cli/sink.h"
#include "show_hits.h"

enum { SIDE = 320, EXCERPT_BYTES = 480, QUESTION_BYTES = 200 };

/* By day and by night, from a telephone to a wall; on paper no card is cut in two. */
static const char style[] =
    ":root{color-scheme:light dark;--page:#f6f6f4;--card:#fff;--ink:#1d1d1b;--soft:#5c5c58;--line:#dcdcd6;--mark:#0b57d0}"
    "@media(prefers-color-scheme:dark){:root{--page:#161618;--card:#222225;--ink:#ececea;--soft:#a9a9a4;--line:#3a3a3e;"
    "--mark:#8ab4f8}}"
    "*{box-sizing:border-box}"
    "body{margin:0 auto;max-width:100rem;padding:1.25rem clamp(.75rem,3vw,2.5rem) 3rem;background:var(--page);"
    "color:var(--ink);font:1rem/1.45 system-ui,sans-serif}"
    "h1{margin:0;font-size:clamp(1.2rem,1rem + 1.2vw,1.8rem);line-height:1.2;overflow-wrap:anywhere}"
    "header p{margin:.3rem 0 1.25rem;color:var(--soft);overflow-wrap:anywhere}"
    "ol{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(15rem,100%),1fr));gap:1rem;margin:0;padding:0;"
    "list-style:none}"
    "li{display:flex;flex-direction:column;min-width:0;background:var(--card);border:1px solid var(--line);"
    "border-radius:.6rem;overflow:hidden;break-inside:avoid}"
    ".look{display:flex;align-items:center;justify-content:center;height:13rem;padding:.5rem;background:var(--page);"
    "border-bottom:1px solid var(--line);color:var(--soft);text-align:center;overflow:hidden}"
    "img{max-width:100%;max-height:100%;width:auto;height:auto;object-fit:contain;border-radius:.2rem}"
    ".look span{min-width:0;max-height:100%;overflow-wrap:anywhere}"
    "blockquote{flex:1;margin:0;padding:.8rem .9rem;max-height:13rem;overflow:auto;border-bottom:1px solid var(--line);"
    "white-space:pre-wrap;overflow-wrap:anywhere}"
    ".about{padding:.6rem .9rem .8rem}"
    ".name{max-height:4.35em;overflow:auto;overflow-wrap:anywhere}"
    ".about p{margin:.15rem 0 0;color:var(--soft);font-size:.875rem;overflow-wrap:anywhere}"
    ".about p:first-child{margin:0;display:flex;justify-content:space-between;gap:.5rem;font-variant-numeric:tabular-nums}"
    "a{color:var(--mark);overflow-wrap:anywhere;text-decoration-thickness:1px;text-underline-offset:.15em}"
    "a:focus-visible,blockquote:focus-visible{outline:3px solid var(--mark);outline-offset:-3px}"
    "@media print{body{background:none}li{border-color:#999}}";

typedef struct sheet {
    cli *c;
    const cli_place *p;
    ilki_buf *b;
    const ilk_thumbnails *thumbnails; /* NULL: there are none */
    ilki_buf safe;                    /* scratch */
} sheet;

/* ------------------------------------------------------------------ text */

/* Of what cannot steer a terminal, what cannot steer a browser either. */
static void add_html(ilki_buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *named = s[i] == '&'    ? "&amp;"
                            : s[i] == '<'  ? "&lt;"
                            : s[i] == '>'  ? "&gt;"
                            : s[i] == '"'  ? "&quot;"
                            : s[i] == '\'' ? "&#39;"
                                           : NULL;
        if (named)
            ilki_base_buf_adds(b, named);
        else
            ilki_base_buf_addc(b, s[i]);
    }
}

/* `keep`: what may stand as it is: a newline of a passage, but none of a name. */
static void add_text(sheet *t, const char *s, size_t n, const char *keep)
{
    ilki_base_buf_reset(&t->safe);
    cli_escape(&t->safe, s, n, keep);
    add_html(t->b, ilki_base_buf_view(&t->safe), t->safe.len);
}

static void add_string(sheet *t, const char *s)
{
    add_text(t, s, strlen(s), "");
}

/* Bytes of a text that is to be cut at `most`: up to the last blank near there, or to a character's beginning. */
static size_t cut_at(const char *s, size_t n, size_t most)
{
    enum { NEAR = 64 };
    if (n <= most)
        return n;
    for (n = most; n > most - NEAR && s[n] != ' ';)
        n--;
    return ilki_base_utf8_floor(s, n);
}

/* Every byte but those that mean nothing in an address. */
static void add_address(ilki_buf *b, const char *s)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    for (; *s; s++)
        if (strchr(plain, *s))
            ilki_base_buf_addc(b, *s);
        else
            ilki_base_buf_addf(b, "%%%02X", (unsigned)(unsigned char)*s);
}

/* ------------------------------------------------------------------ one hit */

/* The name of a hit's file, a link to it where it is known where that is. */
static void add_name(sheet *t, const ilk_hit *h)
{
    ilki_buf path;
    if (!h->path) {
        add_string(t, h->id);
        return;
    }
    char *full = h->path[0] == '/' || !t->p->home ? NULL : ilki_base_path_join(t->p->home, h->path);
    const char *absolute = full ? full : h->path;
    ilki_base_buf_init(&path, 1 << 20);
    cli_place_path(&path, t->p, h->path);
    if (absolute[0] == '/') {
        ilki_base_buf_adds(t->b, "<a href=\"file://");
        add_address(t->b, absolute);
        ilki_base_buf_adds(t->b, "\">");
    }
    ilki_base_buf_adds(t->b, "<bdi>");
    add_text(t, ilki_base_buf_view(&path), path.len, "");
    ilki_base_buf_adds(t->b, absolute[0] == '/' ? "</bdi></a>" : "</bdi>");
    ilki_base_buf_deinit(&path);
    free(full);
}

static void add_picture(sheet *t, const ilk_hit *h, size_t i)
{
    ilk_thumbnail small;
    ilk_thumbnail_init(&small);
    ilk_status st = t->thumbnails ? ilk_thumbnails_get(t->thumbnails, i, &small, NULL) : ILK_UNSUPPORTED;
    ilki_base_buf_adds(t->b, "<div class=\"look\">");
    if (st == ILK_OK && small.status == ILK_OK) {
        ilki_base_buf_addf(t->b, "<img width=\"%u\" height=\"%u\" alt=\"Picture ", small.width, small.height);
        add_string(t, h->path ? ilki_base_path_name(h->path) : h->id);
        ilki_base_buf_adds(t->b, "\" src=\"data:image/jpeg;base64,");
        cli_add_base64(t->b, small.data, small.n_bytes);
        ilki_base_buf_adds(t->b, "\">");
    } else {
        st = st == ILK_OK ? small.status : st;
        ilki_base_buf_adds(t->b, "<span>no picture: ");
        add_string(t, st == ILK_NOT_FOUND ? "the file is gone" : small.message ? small.message : ilk_status_string(st));
        ilki_base_buf_adds(t->b, "</span>");
    }
    ilki_base_buf_adds(t->b, "</div>");
}

static void add_passage(sheet *t, const ilk_hit *h)
{
    ilki_buf clean;
    ilki_base_buf_init(&clean, (size_t)1 << 30);
    cli_excerpt_clean(&clean, h->text ? h->text : "", cli_hit_field(h, "language", ILK_VALUE_TEXT) != NULL);
    size_t n = cut_at(ilki_base_buf_view(&clean), clean.len, EXCERPT_BYTES);
    ilki_base_buf_adds(t->b, "<blockquote tabindex=\"0\">");
    add_text(t, ilki_base_buf_view(&clean), n, "\n");
    ilki_base_buf_adds(t->b, n < clean.len ? "\xe2\x80\xa6</blockquote>" : "</blockquote>");
    ilki_base_buf_deinit(&clean);
}

static void add_line(sheet *t, const char *s, size_t n)
{
    if (n == 0)
        return;
    ilki_base_buf_adds(t->b, "<p><bdi>");
    add_text(t, s, n, "");
    ilki_base_buf_adds(t->b, "</bdi></p>");
}

static void add_hit(sheet *t, const ilk_hit *h, size_t i)
{
    ilki_buf details;
    const ilk_value *context = cli_hit_field(h, "context", ILK_VALUE_TEXT);
    bool picture = h->modality && strcmp(h->modality, "image") == 0;
    ilki_base_buf_addf(t->b, "<li id=\"hit-%u\">", h->rank);
    if (picture)
        add_picture(t, h, i);
    else
        add_passage(t, h);
    ilki_base_buf_addf(t->b, "<div class=\"about\"><p><span>%u</span><span>%.4f %s</span></p><div class=\"name\">",
                       h->rank, (double)h->score, ilk_score_kind_string(h->score_kind));
    add_name(t, h);
    if (h->segment.page != ILK_ABSENT)
        ilki_base_buf_addf(t->b, ", page %u", h->segment.page);
    else if (h->segment.line_first != ILK_ABSENT)
        ilki_base_buf_addf(t->b, ", line %u", h->segment.line_first);
    ilki_base_buf_adds(t->b, "</div>");
    ilki_base_buf_init(&details, 1 << 20);
    cli_hit_details(&details, h);
    add_line(t, ilki_base_buf_view(&details), details.len);
    if (context)
        add_line(t, context->text, context->n_bytes);
    ilki_base_buf_deinit(&details);
    ilki_base_buf_adds(t->b, "</div></li>\n");
}

/* ------------------------------------------------------------------ the sheet */

/* What was asked for, as one line that is not too long for a heading. */
static void add_title(ilki_buf *title, const sheet *t, const cli_question *question)
{
    ilki_buf all;
    ilki_base_buf_init(&all, (size_t)1 << 30);
    if (question)
        cli_question_text(&all, question);
    else
        ilki_base_buf_addf(&all, "like %s", t->c->operands[0]);
    for (size_t i = 0; i < all.len; i++)
        all.data[i] = all.data[i] == '\n' || all.data[i] == '\t' ? ' ' : all.data[i];
    size_t n = cut_at(ilki_base_buf_view(&all), all.len, QUESTION_BYTES);
    ilki_base_buf_add(title, ilki_base_buf_view(&all), n);
    ilki_base_buf_adds(title, n < all.len ? "\xe2\x80\xa6" : "");
    ilki_base_buf_deinit(&all);
}

static void add_sheet(sheet *t, const ilk_hit *hits, size_t n, const cli_question *question)
{
    ilki_buf title;
    ilki_base_buf_init(&title, 4096);
    add_title(&title, t, question);
    ilki_base_buf_adds(t->b,
                       "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                       "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
                       "style-src 'unsafe-inline'\"><meta name=\"referrer\" content=\"no-referrer\"><title>");
    add_text(t, ilki_base_buf_view(&title), title.len, "");
    ilki_base_buf_addf(t->b, "</title><style>%s</style></head>\n<body><header><h1><bdi>", style);
    add_text(t, ilki_base_buf_view(&title), title.len, "");
    ilki_base_buf_addf(t->b, "</bdi></h1><p>%zu %s in <bdi>", n, n == 1 ? "hit" : "hits");
    add_string(t, t->p->folder);
    ilki_base_buf_adds(t->b, "</bdi></p></header>\n<main><ol>\n");
    for (size_t i = 0; i < n; i++)
        add_hit(t, &hits[i], i);
    ilki_base_buf_adds(t->b, "</ol></main></body></html>\n");
    ilki_base_buf_deinit(&title);
}

/* Of every hit that has a file; the list keeps the places of the others. NULL where none can be made: told. */
static ilk_thumbnails *small_pictures(cli *c, ilk_store *s, const ilk_hit *hits, size_t n)
{
    ilk_thumbnail_options o;
    ilk_thumbnails *t = NULL;
    bool any = false;
    const char **paths = ilki_base_zalloc(n, sizeof *paths);
    ilk_thumbnail_options_init(&o);
    o.side = SIDE;
    for (size_t i = 0; paths && i < n; i++) {
        bool picture = hits[i].modality && strcmp(hits[i].modality, "image") == 0;
        paths[i] = picture && hits[i].path ? hits[i].path : "-";
        any |= picture;
    }
    if (any && paths && ilk_store_get_thumbnails(s, paths, n, &o, c->job, &t, &c->err) != ILK_OK)
        cli_warn(c, "no small pictures: %s", c->err.message);
    ilk_error_init(&c->err);
    free(paths);
    return t;
}

bool cli_contact_sheet(cli *c, const cli_place *p, ilk_store *s, const ilk_hit *hits, size_t n,
                       const cli_question *question)
{
    cli_sink sink;
    ilk_thumbnails *small;
    if (!cli_sink_init(&sink, c, "jsonl", cli_text(c, "html")))
        return false;
    small = small_pictures(c, s, hits, n);
    sheet t = {.c = c, .p = p, .b = cli_sink_buf(&sink), .thumbnails = small};
    ilki_base_buf_init(&t.safe, (size_t)1 << 30);
    ilk_status st = cli_signal_caught() ? ILK_CANCELLED : cli_sink_open(&sink, 0, &c->err);
    if (st == ILK_OK) {
        add_sheet(&t, hits, n, question);
        st = ilki_base_buf_check(t.b, "the contact sheet", &c->err);
    }
    if (st == ILK_OK)
        st = cli_sink_flush(&sink, &c->err);
    if (st == ILK_OK && !cli_signal_caught())
        st = cli_sink_close(&sink, &c->err);
    if (st == ILK_OK && sink.path)
        cli_note(c, "%s: %zu %s", cli_text(c, "html"), n, n == 1 ? "hit" : "hits");
    else if (st != ILK_OK && !cli_signal_caught())
        cli_fail_err(c);
    ilki_base_buf_deinit(&t.safe);
    ilk_thumbnails_free(small);
    cli_sink_deinit(&sink);
    return st == ILK_OK;
}
