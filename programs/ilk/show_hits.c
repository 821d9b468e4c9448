/* SPDX-License-Identifier: Apache-2.0
 * The result record, in four forms. Paths are shown so that they can be opened from the current folder. */
#include "show_hits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/utf8.h"

const cli_flag cli_hit_flags[] = {
    {"top", 'k', CLI_COUNT, "N", "how many hits (default: 10)", 1, 100000},
    {"min-score", 0, CLI_NUMBER, "X", "only hits of at least this score", 0, 0},
    {"paths", 'l', CLI_SWITCH, NULL, "print paths alone, each once", 0, 0},
    {"html", 0, CLI_FILE, "FILE",
     "write a page of the hits with small pictures, one file that stands for itself (-: to "
     "standard output)",
     0, 0},
    {"null", '0', CLI_SWITCH, NULL, "end paths with NUL instead of a newline; implies --paths", 0, 0},
    {0},
};

#define LINES     3 /* of an excerpt */
#define MAX_SHOWN 200
#define SENTENCES 12 /* of a passage */
#define TOTAL     96

bool cli_hits_one_form(cli *c)
{
    if (cli_on(c, "json") + cli_on(c, "jsonl") + (cli_on(c, "paths") || cli_on(c, "null")) + cli_given(c, "html") < 2)
        return true;
    cli_usage(c, "--json, --jsonl, --paths and --html exclude each other");
    return false;
}

void cli_hits_query(cli *c, ilk_query *q)
{
    ilk_query_init(q);
    q->k = (uint32_t)cli_count(c, "top", 10);
    if (cli_given(c, "min-score"))
        q->min_score = (float)cli_number(c, "min-score", 0);
}

void cli_add_base64(ilki_buf *b, const void *data, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *s = data;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (i + k < n ? s[i + k] : 0U);
        char out[4];
        for (size_t k = 0; k < 4; k++)
            out[k] = i + k <= n || k < 2 ? digits[v >> (18 - 6 * k) & 63] : '=';
        ilki_base_buf_add(b, out, 4);
    }
}

static void put_string(ilki_jsonw *w, const char *key, const char *value)
{
    if (value) {
        ilki_base_jsonw_key(w, key);
        ilki_base_jsonw_cstring(w, value);
    }
}

static void put_uint(ilki_jsonw *w, const char *key, uint32_t value)
{
    if (value != ILK_ABSENT) {
        ilki_base_jsonw_key(w, key);
        ilki_base_jsonw_uint(w, value);
    }
}

void cli_json_path(ilki_jsonw *w, const cli_place *p, const char *path)
{
    ilki_buf b, encoded;
    ilki_base_buf_init(&b, 1 << 20);
    cli_place_path(&b, p, path);
    put_string(w, "path", ilki_base_buf_view(&b));
    if (!ilki_base_utf8_valid(ilki_base_buf_view(&b), b.len)) {
        ilki_base_buf_init(&encoded, 1 << 21);
        cli_add_base64(&encoded, b.data, b.len);
        put_string(w, "path_bytes", ilki_base_buf_view(&encoded));
        ilki_base_buf_deinit(&encoded);
    }
    ilki_base_buf_deinit(&b);
}

static void put_segment(ilki_jsonw *w, const ilk_segment *s)
{
    bool lines = s->line_first != ILK_ABSENT;
    if (isnan(s->t0) && s->page == ILK_ABSENT && s->chunk == ILK_ABSENT && !lines && isnan(s->bbox[0]))
        return;
    ilki_base_jsonw_key(w, "segment");
    ilki_base_jsonw_open(w, '{');
    for (int i = 0; i < 2; i++)
        if (!isnan(i ? s->t1 : s->t0)) {
            ilki_base_jsonw_key(w, i ? "t1" : "t0");
            ilki_base_jsonw_double(w, i ? s->t1 : s->t0);
        }
    put_uint(w, "page", s->page);
    put_uint(w, "chunk", s->chunk);
    if (!isnan(s->bbox[0])) {
        ilki_base_jsonw_key(w, "bbox");
        ilki_base_jsonw_open(w, '[');
        for (int i = 0; i < 4; i++)
            ilki_base_jsonw_float(w, s->bbox[i]);
        ilki_base_jsonw_close(w, ']');
    }
    if (lines) {
        ilki_base_jsonw_key(w, "lines");
        ilki_base_jsonw_open(w, '[');
        ilki_base_jsonw_uint(w, s->line_first);
        ilki_base_jsonw_uint(w, s->line_last);
        ilki_base_jsonw_close(w, ']');
    }
    ilki_base_jsonw_close(w, '}');
}

static void put_time(ilki_jsonw *w, int64_t us)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 64);
    cli_time_text(&b, us, true);
    ilki_base_jsonw_cstring(w, ilki_base_buf_view(&b));
    ilki_base_buf_deinit(&b);
}

static void put_value(ilki_jsonw *w, const ilk_value *v)
{
    switch (v->type) {
    case ILK_VALUE_BOOL:
        ilki_base_jsonw_bool(w, v->i != 0);
        break;
    case ILK_VALUE_INT:
        ilki_base_jsonw_int(w, v->i);
        break;
    case ILK_VALUE_TIME:
        put_time(w, v->i);
        break;
    case ILK_VALUE_REAL:
        ilki_base_jsonw_double(w, v->d);
        break;
    case ILK_VALUE_TEXT:
    case ILK_VALUE_BYTES:
        ilki_base_jsonw_string(w, v->text, v->n_bytes);
        break;
    default:
        ilki_base_jsonw_null(w);
        break;
    }
}

static void put_record(ilki_jsonw *w, const cli_place *p, const ilk_hit *h)
{
    ilki_base_jsonw_open(w, '{');
    put_uint(w, "rank", h->rank);
    put_string(w, "id", h->id);
    if (h->path)
        cli_json_path(w, p, h->path);
    put_string(w, "uri", h->uri);
    put_string(w, "modality", h->modality);
    if (!isnan(h->score)) {
        ilki_base_jsonw_key(w, "score");
        ilki_base_jsonw_float(w, h->score);
        put_string(w, "score_kind", ilk_score_kind_string(h->score_kind));
    }
    put_segment(w, &h->segment);
    put_string(w, "parent", h->parent);
    put_string(w, "text", h->text);
    if (h->n_fields > 0) {
        ilki_base_jsonw_key(w, "metadata");
        ilki_base_jsonw_open(w, '{');
        for (size_t i = 0; i < h->n_fields; i++) {
            ilki_base_jsonw_key(w, h->fields[i].name);
            put_value(w, &h->fields[i].value);
        }
        ilki_base_jsonw_close(w, '}');
    }
    put_string(w, "model", h->model);
    put_string(w, "collection", h->collection);
    ilki_base_jsonw_close(w, '}');
}

static void show_json(cli *c, const cli_place *p, const ilk_hit *hits, size_t n, const cli_question *question)
{
    ilki_buf b;
    ilki_jsonw w;
    ilki_base_buf_init(&b, (size_t)1 << 31);
    ilki_base_jsonw_init(&w, &b);
    ilki_base_jsonw_open(&w, '{');
    if (question)
        cli_question_json(&w, question);
    put_string(&w, "store", p->store);
    ilki_base_jsonw_key(&w, "results");
    ilki_base_jsonw_open(&w, '[');
    for (size_t i = 0; i < n; i++)
        put_record(&w, p, &hits[i]);
    ilki_base_jsonw_close(&w, ']');
    ilki_base_jsonw_close(&w, '}');
    cli_put_json(c, &b);
}

static void show_jsonl(cli *c, const cli_place *p, const ilk_hit *hits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ilki_buf b;
        ilki_jsonw w;
        ilki_base_buf_init(&b, (size_t)1 << 31);
        ilki_base_jsonw_init(&w, &b);
        put_record(&w, p, &hits[i]);
        cli_put_json(c, &b);
    }
}

static void show_paths(cli *c, const cli_place *p, const ilk_hit *hits, size_t n, bool null)
{
    ilki_buf b, safe;
    ilki_map shown = {0};
    ilki_base_buf_init(&b, 1 << 20);
    ilki_base_buf_init(&safe, 1 << 22);
    for (size_t i = 0; i < n; i++) {
        uint32_t before = ILKI_MAP_NONE;
        if (!hits[i].path)
            continue;
        ilki_base_map_put(&shown, hits[i].path, strlen(hits[i].path), 0, &before); /* without memory: shown twice */
        if (before != ILKI_MAP_NONE)
            continue;
        ilki_base_buf_reset(&b);
        ilki_base_buf_reset(&safe);
        cli_place_path(&b, p, hits[i].path);
        if (c->out.out_terminal && !null)
            cli_escape(&safe, ilki_base_buf_view(&b), b.len, "");
        else
            ilki_base_buf_add(&safe, ilki_base_buf_view(&b), b.len);
        cli_put(c, ilki_base_buf_view(&safe), safe.len);
        cli_put(c, null ? "" : "\n", 1);
    }
    ilki_base_map_deinit(&shown);
    ilki_base_buf_deinit(&b);
    ilki_base_buf_deinit(&safe);
}

static const ilk_value *field(const ilk_hit *h, const char *name)
{
    for (size_t i = 0; i < h->n_fields; i++)
        if (strcmp(h->fields[i].name, name) == 0 && h->fields[i].value.type == ILK_VALUE_TEXT)
            return &h->fields[i].value;
    return NULL;
}

static void add_lines(ilki_buf *b, const ilk_segment *s)
{
    if (s->line_first != ILK_ABSENT)
        ilki_base_buf_addf(b, s->line_last != s->line_first && s->line_last != ILK_ABSENT ? "%u-%u" : "%u",
                           s->line_first, s->line_last);
}

/* rank, score, path, lines, heading or symbol, passage or what is known of a picture */
static void show_lines(cli *c, const cli_place *p, const ilk_hit *hits, size_t n)
{
    ilki_buf b, path;
    ilki_base_buf_init(&b, (size_t)1 << 31);
    ilki_base_buf_init(&path, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        const ilk_hit *h = &hits[i];
        const ilk_value *context = field(h, "context");
        ilki_base_buf_reset(&b);
        ilki_base_buf_reset(&path);
        cli_place_path(&path, p, h->path ? h->path : h->id);
        ilki_base_buf_addf(&b, "%u\t%.4f\t", h->rank, (double)h->score);
        cli_escape_tsv(&b, ilki_base_buf_view(&path), path.len);
        ilki_base_buf_addc(&b, '\t');
        add_lines(&b, &h->segment);
        ilki_base_buf_addc(&b, '\t');
        if (context)
            cli_escape_tsv(&b, context->text, context->n_bytes);
        ilki_base_buf_addc(&b, '\t');
        if (h->text) {
            cli_escape_tsv(&b, h->text, strlen(h->text));
        } else {
            ilki_base_buf_reset(&path);
            cli_hit_details(&path, h);
            cli_escape_tsv(&b, ilki_base_buf_view(&path), path.len);
        }
        ilki_base_buf_addc(&b, '\n');
        cli_put(c, ilki_base_buf_view(&b), b.len);
    }
    ilki_base_buf_deinit(&b);
    ilki_base_buf_deinit(&path);
}

static void put_head(cli *c, const cli_place *p, const ilk_hit *h)
{
    const ilk_value *context = field(h, "context");
    ilki_buf b, safe;
    ilki_base_buf_init(&b, 1 << 20);
    ilki_base_buf_init(&safe, 1 << 22);
    cli_place_path(&b, p, h->path ? h->path : h->id);
    cli_escape(&safe, ilki_base_buf_view(&b), b.len, "");
    cli_putf(c, "%2u  ", h->rank);
    cli_color(c, "32");
    cli_putf(c, "%.*f", h->score_kind == ILK_SCORE_RRF ? 4 : 3, (double)h->score); /* of sums of 1 / (60 + rank) */
    cli_color(c, "0");
    cli_puts(c, "  ");
    cli_color(c, "35");
    cli_put(c, ilki_base_buf_view(&safe), safe.len);
    cli_color(c, "0");
    ilki_base_buf_reset(&b);
    add_lines(&b, &h->segment);
    if (b.len)
        cli_putf(c, ":%s", ilki_base_buf_view(&b));
    if (context && context->n_bytes) {
        ilki_base_buf_reset(&safe);
        cli_escape(&safe, context->text, context->n_bytes, "");
        cli_puts(c, "  ");
        cli_color(c, "36");
        cli_put(c, ilki_base_buf_view(&safe), safe.len);
        cli_color(c, "0");
    }
    cli_puts(c, "\n");
    ilki_base_buf_deinit(&b);
    ilki_base_buf_deinit(&safe);
}

static void put_details(ilki_buf *b, const ilk_hit *h)
{
    ilki_buf details;
    ilki_base_buf_init(&details, 1 << 20);
    cli_hit_details(&details, h);
    cli_escape(b, ilki_base_buf_view(&details), details.len, "");
    ilki_base_buf_deinit(&details);
}

static void show_people(cli *c, const cli_place *p, const ilk_hit *hits, size_t n, const char *query, ilk_model *m)
{
    static cli_sentence sentences[TOTAL];
    static ilki_buf clean[MAX_SHOWN];
    const char *texts[MAX_SHOWN];
    size_t n_sentences = 0, n_texts = n < MAX_SHOWN ? n : MAX_SHOWN, room = (size_t)cli_columns(1) * LINES;
    for (size_t i = 0; i < n_texts; i++) {
        ilki_base_buf_init(&clean[i], (size_t)1 << 30);
        if (hits[i].text)
            cli_excerpt_clean(&clean[i], hits[i].text, field(&hits[i], "language") != NULL);
        else
            put_details(&clean[i], &hits[i]);
        texts[i] = ilki_base_buf_view(&clean[i]);
        size_t most = TOTAL - n_sentences < SENTENCES ? TOTAL - n_sentences : SENTENCES;
        if (query && hits[i].text && clean[i].len > room / 2) /* a short passage is shown whole */
            n_sentences += cli_excerpt_split(texts[i], clean[i].len, (uint32_t)i, sentences + n_sentences, most);
    }
    if (query)
        cli_excerpt_score(c, m, query, texts, sentences, n_sentences);
    for (size_t i = 0; i < n_texts && cli_out_ok(c); i++) {
        const cli_sentence *best = NULL;
        for (size_t k = 0; k < n_sentences; k++)
            if (sentences[k].text == i && (!best || sentences[k].score > best->score))
                best = &sentences[k];
        put_head(c, p, &hits[i]);
        cli_excerpt_put(c, texts[i], clean[i].len, best, LINES);
    }
    for (size_t i = 0; i < n_texts; i++)
        ilki_base_buf_deinit(&clean[i]);
    for (size_t i = n_texts; i < n && cli_out_ok(c); i++)
        put_head(c, p, &hits[i]);
}

int cli_hits_show(cli *c, const cli_place *p, ilk_store *s, const ilk_hits *h, const cli_question *question,
                  ilk_model *m)
{
    size_t n = ilk_hits_get_count(h, 0);
    ilk_hit *hits = ilki_base_zalloc(n, sizeof *hits);
    if (!hits)
        return cli_fail(c, "out of memory for %zu hits", n);
    for (size_t i = 0; i < n; i++) {
        ilk_hit_init(&hits[i]);
        if (ilk_hits_get(h, 0, i, &hits[i], &c->err) != ILK_OK) {
            free(hits);
            return cli_fail_err(c);
        }
    }
    bool ok = true;
    if (cli_given(c, "html"))
        ok = cli_contact_sheet(c, p, s, hits, n, question);
    else if (cli_on(c, "json"))
        show_json(c, p, hits, n, question);
    else if (cli_on(c, "jsonl"))
        show_jsonl(c, p, hits, n);
    else if (cli_on(c, "paths") || cli_on(c, "null"))
        show_paths(c, p, hits, n, cli_on(c, "null"));
    else if (c->out.out_terminal)
        show_people(c, p, hits, n, question ? question->words : NULL, m);
    else
        show_lines(c, p, hits, n);
    free(hits);
    return !ok ? CLI_FAILED : n ? CLI_FOUND : CLI_NOTHING;
}
