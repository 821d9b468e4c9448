/* SPDX-License-Identifier: Apache-2.0
 * From public inputs to token ids: prompt, parts in order, tokens up to the limit. A window of inputs is tokenised on the
 * pool, TASK_INPUTS of them a task; each task keeps its ids in one growing array, each thread its scratch. */
#include <stdlib.h>
#include <string.h>

#include "embed/state.h"

#define TASK_INPUTS  16
#define MAX_TEXT     ((size_t)1 << 30)
#define NS_PER_BYTE  8 /* of text, a little more than it takes */
#define NS_PER_INPUT 2000

/* One task's tokens; inputs of a task follow each other. */
typedef struct part_ids {
    int32_t *ids, *types;
    size_t n, cap;
    bool typed; /* some type is not 0 */
} part_ids;

typedef struct slot {
    ilki_text_scratch *scratch;
    ilki_encoding encoding;
    ilki_buf text;
} slot;

struct ilki_window {
    ilk_model *m;
    const ilk_input *const *in;
    ilki_input_tokens *tokens; /* [n]; ids are offsets until all tasks are done */
    size_t n, n_tasks;
    part_ids *tasks;
    slot *slots;
    unsigned n_slots;
    bool strict;
    const ilki_pair_query *query; /* or NULL */
    const uint32_t *query_of;     /* of each input; NULL: the first */
};

/* ------------------------------------------------------------------ what an input says */

const ilk_part *ilki_embed_part(const ilk_input *in, size_t k)
{
    return (const ilk_part *)(const void *)((const char *)in->parts + k * in->parts[0].size);
}

static ilk_status choose_prompt(const ilk_model *m, const ilk_input *in, const char **prompt, ilk_error *err)
{
    *prompt = NULL;
    if (in->prompt)
        *prompt = in->prompt;
    else if (in->prompt_name) {
        for (size_t i = 0; i < m->modules.n_prompts; i++)
            if (strcmp(m->modules.prompts[i].name, in->prompt_name) == 0)
                *prompt = m->modules.prompts[i].text;
        if (!*prompt)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "prompt_name: this model has no prompt \"%.64s\"",
                                  in->prompt_name);
    } else if (in->role == ILK_ROLE_QUERY)
        *prompt = m->info.prompt_query;
    else if (in->role == ILK_ROLE_DOCUMENT)
        *prompt = m->info.prompt_document;
    else
        *prompt = m->modules.default_prompt;
    return ILK_OK;
}

/* What an input is made of. */
typedef struct contents {
    size_t n_texts, n_ids, n_others;
    const ilk_part *text; /* the first of them, or the ids */
} contents;

static ilk_status check_text_part(const ilk_model *m, size_t i, const ilk_part *p, ilk_error *err)
{
    if (p->kind != ILK_PART_TEXT && p->kind != ILK_PART_IDS)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "part %zu: expected text or token ids, found kind %d, which this model does not read", i,
                              (int)p->kind);
    if (m->text_tower < 0)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "part %zu: this model reads pictures, found text", i);
    if (!p->data && (p->kind == ILK_PART_TEXT ? p->n_bytes : p->shape[0]) != 0)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "part %zu: data is NULL", i);
    return ILK_OK;
}

static ilk_status check_part(const ilk_model *m, size_t i, const ilk_part *p, contents *c, ilk_error *err)
{
    ilk_modality modality = ilki_embed_part_modality(p);
    const ilki_modality *row = ilki_embed_modality(modality);
    if (row && ilki_embed_tower(m, modality) >= 0 && p->kind != ILK_PART_TEXT && p->kind != ILK_PART_IDS) {
        ilk_status st = row->check(m, p, err);
        if (st != ILK_OK)
            ilki_base_error_prefix(err, "part %zu", i);
        c->n_others++;
        return st;
    }
    if (p->modality != 0 && p->modality != ILK_TEXT)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "part %zu: this model reads %s, found modality %d", i,
                              m->image_tower < 0  ? "text"
                              : m->text_tower < 0 ? "pictures"
                                                  : "text and pictures",
                              (int)p->modality);
    ilk_status st = check_text_part(m, i, p, err);
    c->n_texts += p->kind == ILK_PART_TEXT;
    c->n_ids += p->kind == ILK_PART_IDS;
    c->text = c->text ? c->text : p;
    return st;
}

static ilk_status check_parts(const ilk_model *m, const ilk_input *in, contents *c, ilk_error *err)
{
    *c = (contents){0};
    if (in->n_parts == 0 || !in->parts || in->parts[0].size < sizeof(size_t))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "input: expected at least one part, found none");
    if (in->instruction)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "instruction: this model takes none");
    for (size_t i = 0; i < in->n_parts; i++) {
        ilk_status st = check_part(m, i, ilki_embed_part(in, i), c, err);
        if (st != ILK_OK)
            return st;
    }
    if (c->n_ids && c->n_ids + c->n_texts != 1)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "input: token ids stand alone, found %zu parts", in->n_parts);
    return ILK_OK;
}

/* The prompt and all parts as one text: borrowed where it is one piece, else in the buffer. */
static ilk_status join_text(ilki_buf *buf, const ilk_input *in, const contents *c, const char *prompt,
                            const char **text, size_t *n, ilk_error *err)
{
    if (c->n_texts == 1 && (!prompt || !*prompt)) {
        *text = c->text->data ? c->text->data : "";
        *n = c->text->n_bytes;
        return ILK_OK;
    }
    ilki_base_buf_reset(buf);
    if (prompt)
        ilki_base_buf_adds(buf, prompt);
    for (size_t i = 0; i < in->n_parts; i++)
        if (ilki_embed_part(in, i)->kind == ILK_PART_TEXT)
            ilki_base_buf_add(buf, ilki_embed_part(in, i)->data, ilki_embed_part(in, i)->n_bytes);
    *text = ilki_base_buf_view(buf);
    *n = buf->len;
    return ilki_base_buf_check(buf, "an input's text", err);
}

ilk_status ilki_embed_pair_text(const ilk_model *m, const ilk_input *in, ilki_buf *buf, const char **text, size_t *n,
                                ilk_error *err)
{
    contents c;
    ilk_status st = check_parts(m, in, &c, err);
    if (st == ILK_OK && (c.n_ids || c.n_others))
        return ilki_base_fail(err, ILK_UNSUPPORTED, "input: a pair is two texts, found %s",
                              c.n_ids ? "token ids" : "a picture");
    if (st == ILK_OK && (in->prompt || in->prompt_name))
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: a pair takes none", in->prompt ? "prompt" : "prompt_name");
    return st == ILK_OK ? join_text(buf, in, &c, NULL, text, n, err) : st;
}

/* ------------------------------------------------------------------ tokens */

static ilk_status append(part_ids *to, const int32_t *ids, const int32_t *types, size_t n, ilk_error *err)
{
    if (to->n + n > to->cap) {
        size_t cap = to->cap * 2 > to->n + n ? to->cap * 2 : to->n + n + 256;
        int32_t *a = realloc(to->ids, cap * sizeof *a);
        to->ids = a ? a : to->ids;
        int32_t *b = a ? realloc(to->types, cap * sizeof *b) : NULL;
        to->types = b ? b : to->types;
        if (!b)
            return ilki_base_fail_memory(err, cap * sizeof *b, "token ids");
        to->cap = cap;
    }
    memcpy(to->ids + to->n, ids, n * sizeof *ids);
    if (types)
        memcpy(to->types + to->n, types, n * sizeof *types);
    else
        memset(to->types + to->n, 0, n * sizeof *to->types);
    for (size_t i = 0; types && i < n; i++)
        to->typed |= types[i] != 0;
    to->n += n;
    return ILK_OK;
}

/* `ids` with pads up to the length that the tower attends. */
static ilk_status append_padded(const ilk_model *m, part_ids *to, ilki_input_tokens *t, const int32_t *ids, size_t n,
                                ilk_error *err)
{
    size_t all = (size_t)m->net->tower[m->text_tower].pad_to, n_pads = n < all ? all - n : 0;
    ilk_status st = m->pad_left ? ILK_OK : append(to, ids, NULL, n, err);
    for (size_t i = 0; i < n_pads && st == ILK_OK; i++)
        st = append(to, &m->pad_id, NULL, 1, err);
    if (st == ILK_OK && m->pad_left)
        st = append(to, ids, NULL, n, err);
    t->n = (uint32_t)(n + n_pads);
    return st;
}

static bool is_padded(const ilk_model *m)
{
    return m->net->tower[m->text_tower].pad_to > 0;
}

static ilk_status take_ids(const ilk_model *m, const ilk_part *p, part_ids *to, ilki_input_tokens *t, ilk_error *err)
{
    const int32_t *ids = p->data;
    uint32_t n = p->shape[0];
    if (n == 0)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "token ids: expected at least one, found none");
    for (uint32_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= m->info.vocab_size)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "token %u: expected an id below %u, found %d", i,
                                  m->info.vocab_size, ids[i]);
    if (m->info.max_tokens && n > m->info.max_tokens) {
        t->n_dropped = n - m->info.max_tokens;
        n = m->info.max_tokens;
    }
    t->n = n;
    return is_padded(m) ? append_padded(m, to, t, ids, n, err) : append(to, ids, NULL, n, err);
}

static ilk_status take_encoding(const ilk_model *m, slot *s, part_ids *to, ilki_input_tokens *t, ilk_error *err)
{
    if (s->encoding.n == 0 && !is_padded(m))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "text: it has no token, and this model adds none");
    t->n = (uint32_t)s->encoding.n;
    t->n_dropped = s->encoding.n_dropped > UINT32_MAX ? UINT32_MAX : (uint32_t)s->encoding.n_dropped;
    if (t->n && t->n_prompt >= t->n)
        t->n_prompt = t->n - 1;
    if (is_padded(m))
        return append_padded(m, to, t, s->encoding.ids, s->encoding.n, err);
    return append(to, s->encoding.ids, s->encoding.types, s->encoding.n, err);
}

static ilk_status take_text(ilki_window *w, slot *s, const ilk_input *in, const contents *c, part_ids *to,
                            ilki_input_tokens *t, ilk_error *err)
{
    const char *prompt, *text;
    size_t n;
    ilki_encode_options opt = {.max_tokens = w->m->info.max_tokens, .add_specials = true};
    ilk_status st = choose_prompt(w->m, in, &prompt, err);
    if (st == ILK_OK && w->m->modules.skip_prompt && prompt && *prompt) {
        /* the reference counts the prompt's tokens without the closing special one */
        st = ilki_text_encode(w->m->tokenizer, s->scratch, prompt, strlen(prompt), &opt, &s->encoding, err);
        t->n_prompt = s->encoding.n ? (uint32_t)s->encoding.n - 1 : 0;
    }
    if (st == ILK_OK)
        st = join_text(&s->text, in, c, prompt, &text, &n, err);
    if (st == ILK_OK)
        st = ilki_text_encode(w->m->tokenizer, s->scratch, text, n, &opt, &s->encoding, err);
    return st == ILK_OK ? take_encoding(w->m, s, to, t, err) : st;
}

/* The query and this text, the longer of them cut where both are too long. */
static ilk_status take_pair(ilki_window *w, slot *s, size_t i, part_ids *to, ilki_input_tokens *t, ilk_error *err)
{
    const ilki_pair_query *q = &w->query[w->query_of ? w->query_of[i] : 0];
    ilki_encode_options opt = {.max_tokens = w->m->info.max_tokens, .add_specials = true};
    ilk_status st = ilki_embed_pair_text(w->m, w->in[i], &s->text, &opt.pair, &opt.n_pair, err);
    if (st == ILK_OK)
        st = ilki_text_encode(w->m->tokenizer, s->scratch, q->text, q->n, &opt, &s->encoding, err);
    return st == ILK_OK ? take_encoding(w->m, s, to, t, err) : st;
}

static ilk_status take_input(ilki_window *w, slot *s, size_t i, part_ids *to, ilk_error *err)
{
    const ilk_input *in = w->in[i];
    ilki_input_tokens *t = &w->tokens[i];
    contents c = {0};
    ilk_status st = w->query ? take_pair(w, s, i, to, t, err) : check_parts(w->m, in, &c, err);
    if (st == ILK_OK && c.n_ids)
        st = take_ids(w->m, c.text, to, t, err);
    else if (st == ILK_OK && c.n_texts)
        st = take_text(w, s, in, &c, to, t, err);
    t->n_others = st == ILK_OK ? (uint32_t)c.n_others : 0;
    if (st == ILK_OK && w->strict && t->n_dropped)
        st = ilki_base_fail(err, ILK_LIMIT, "input of %u tokens or more, the limit is %u", t->n + t->n_dropped,
                            w->m->info.max_tokens);
    return st;
}

static void tokenize_task(void *arg, size_t index, unsigned slot_index)
{
    ilki_window *w = arg;
    slot *s = &w->slots[slot_index];
    part_ids *to = &w->tasks[index];
    size_t last = (index + 1) * TASK_INPUTS < w->n ? (index + 1) * TASK_INPUTS : w->n;
    if (!s->scratch) {
        s->scratch = ilki_text_scratch_new();
        ilki_base_buf_init(&s->text, MAX_TEXT);
    }
    for (size_t i = index * TASK_INPUTS; i < last; i++) {
        ilk_error err;
        ilki_input_tokens *t = &w->tokens[i];
        size_t before = to->n;
        ilk_error_init(&err);
        t->status = s->scratch ? take_input(w, s, i, to, &err)
                               : ilki_base_fail_memory(&err, 0, "a tokenizer's scratch");
        if (t->status != ILK_OK) {
            t->n = 0;
            t->message = ilki_base_strndup(err.message, strlen(err.message));
            to->n = before;
        }
    }
}

/* ------------------------------------------------------------------ the window */

static uint64_t cost(const ilki_window *w)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < w->n; i++)
        if (w->in[i]->n_parts && w->in[i]->parts && w->in[i]->parts[0].kind == ILK_PART_TEXT)
            bytes += w->in[i]->parts[0].n_bytes;
    return bytes * NS_PER_BYTE + w->n * NS_PER_INPUT;
}

ilk_status ilki_embed_window_new(ilki_window **out, ilk_model *m, const ilk_input *const *in, size_t first, size_t n,
                                 const ilki_embed_plan *plan, ilk_job *job, ilk_error *err)
{
    *out = NULL;
    ilki_window *w = ilki_base_zalloc(1, sizeof *w);
    if (!w)
        return ilki_base_fail_memory(err, sizeof *w, "a batch");
    w->m = m;
    w->in = in;
    w->n = n;
    w->strict = plan->strict;
    w->query = plan->query;
    w->query_of = plan->query_of ? plan->query_of + first : NULL;
    w->n_tasks = (n + TASK_INPUTS - 1) / TASK_INPUTS;
    w->n_slots = ilki_base_pool_threads(m->rt->pool);
    w->tokens = ilki_base_zalloc(n, sizeof *w->tokens);
    w->tasks = ilki_base_zalloc(w->n_tasks, sizeof *w->tasks);
    w->slots = ilki_base_zalloc(w->n_slots, sizeof *w->slots);
    ilk_status st = ILK_OK;
    if (!w->tokens || !w->tasks || !w->slots)
        st = ilki_base_fail_memory(err, n * sizeof *w->tokens, "a batch");
    ilki_run run = {.fn = tokenize_task, .arg = w, .n_tasks = w->n_tasks, .job = job};
    if (st == ILK_OK) {
        run.cost_ns = cost(w);
        st = ilki_base_pool_run(m->rt->pool, &run, err);
    }
    if (st != ILK_OK) {
        ilki_embed_window_free(w);
        return st;
    }
    for (size_t t = 0; t < w->n_tasks; t++) {
        size_t at = 0;
        for (size_t i = t * TASK_INPUTS; i < n && i < (t + 1) * TASK_INPUTS; i++) {
            w->tokens[i].ids = w->tasks[t].ids + at;
            w->tokens[i].types = w->tasks[t].typed ? w->tasks[t].types + at : NULL;
            at += w->tokens[i].n;
        }
    }
    *out = w;
    return ILK_OK;
}

const ilki_input_tokens *ilki_embed_window_view(const ilki_window *w, size_t i)
{
    return &w->tokens[i];
}

void ilki_embed_window_free(ilki_window *w)
{
    if (!w)
        return;
    for (size_t i = 0; w->tokens && i < w->n; i++)
        free((void *)(uintptr_t)w->tokens[i].message);
    for (size_t t = 0; w->tasks && t < w->n_tasks; t++) {
        free(w->tasks[t].ids);
        free(w->tasks[t].types);
    }
    for (unsigned i = 0; w->slots && i < w->n_slots; i++) {
        ilki_text_scratch_free(w->slots[i].scratch);
        ilki_text_encoding_deinit(&w->slots[i].encoding);
        ilki_base_buf_deinit(&w->slots[i].text);
    }
    free(w->tokens);
    free(w->tasks);
    free(w->slots);
    free(w);
}
