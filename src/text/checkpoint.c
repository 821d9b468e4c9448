/* SPDX-License-Identifier: Apache-2.0
 * The files of a checkpoint as transformers 5.24 reads them: which tokens they add and which they name. What the
 * classes make of the rest is in classes.c. References: `tokenization_utils_base.py`,
 * `tokenization_utils_tokenizers.py`. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/checkpoint.h"

enum { MAX_ADDED = 1 << 16 };

/* In the order in which the reference adds them. */
static const struct {
    ilki_special which;
    const char *key;
} specials[] = {{ILKI_SPECIAL_BOS, "bos_token"},  {ILKI_SPECIAL_EOS, "eos_token"}, {ILKI_SPECIAL_UNK, "unk_token"},
                {ILKI_SPECIAL_SEP, "sep_token"},  {ILKI_SPECIAL_PAD, "pad_token"}, {ILKI_SPECIAL_CLS, "cls_token"},
                {ILKI_SPECIAL_MASK, "mask_token"}};
#define N_SPECIALS (sizeof specials / sizeof *specials)

/* ------------------------------------------------------------------ added tokens */

static ilk_status too_long(const ilki_text_reader *r, size_t n)
{
    return ilki_base_fail(r->err, ILK_LIMIT, "%s: an added token of %zu bytes, at most %d are taken", r->name, n,
                          ILKI_ADDED_MAX_BYTES);
}

/* A token as the files write it: a string is special and found in the raw text; an object says what it is. */
static ilk_status read_token(const ilki_text_reader *r, ilki_json_node node, bool special, ilki_added *a)
{
    const ilki_json *j = r->json;
    *a = (ilki_added){.special = true};
    a->content = ilki_base_json_string(j, node, &a->n);
    if (a->content)
        return a->n > ILKI_ADDED_MAX_BYTES ? too_long(r, a->n) : ILK_OK;
    ilk_status status = ilki_text_read_string(r, node, "content", NULL, &a->content, &a->n);
    if (status)
        return status;
    if (!a->content)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT,
                              "%s: an added token is neither a string nor an object with content", r->name);
    status = ilki_text_read_bool(r, node, "single_word", false, &a->single_word);
    if (!status)
        status = ilki_text_read_bool(r, node, "lstrip", false, &a->lstrip);
    if (!status)
        status = ilki_text_read_bool(r, node, "rstrip", false, &a->rstrip);
    if (!status && !special)
        status = ilki_text_read_bool(r, node, "special", false, &a->special);
    if (!status)
        status = ilki_text_read_bool(r, node, "normalized", !a->special, &a->normalized);
    if (!status && a->n > ILKI_ADDED_MAX_BYTES)
        status = too_long(r, a->n);
    return status;
}

static ilk_status grow_added(ilki_tokenizer *t, ilk_error *err)
{
    if (t->n_added < t->cap_added)
        return ILK_OK;
    size_t cap = t->cap_added ? t->cap_added * 2 : 16;
    ilki_added *added = realloc(t->added, cap * sizeof *added);
    if (!added)
        return ilki_base_fail_memory(err, cap * sizeof *added, "added tokens");
    t->added = added;
    t->cap_added = cap;
    return ILK_OK;
}

/* The id of a new one: that of the model's vocabulary, else the first above everything. */
static int64_t next_id(const checkpoint *c, const ilki_added *a)
{
    int32_t id = ilki_text_vocab_get(&c->t->vocab, a->content, a->n);
    if (id >= 0)
        return id;
    return c->max_added >= (int64_t)c->n_model ? c->max_added + 1 : (int64_t)c->n_model;
}

/* Adds a token; one that is there takes the new settings. An empty one is ignored. */
static ilk_status add_token(checkpoint *c, const ilki_text_reader *r, const ilki_added *a)
{
    ilki_tokenizer *t = c->t;
    if (a->n == 0)
        return ILK_OK;
    uint32_t i = ilki_base_map_get(&t->added_by_content, a->content, a->n);
    if (i != ILKI_MAP_NONE) {
        ilki_added *old = &t->added[i];
        old->single_word = a->single_word;
        old->lstrip = a->lstrip;
        old->rstrip = a->rstrip;
        old->normalized = a->normalized;
        old->special = a->special;
        return ILK_OK;
    }
    if (t->n_added == MAX_ADDED)
        return ilki_base_fail(r->err, ILK_LIMIT, "%s: more than %d added tokens", r->name, MAX_ADDED);
    ilk_status status = grow_added(t, r->err);
    if (status)
        return status;
    int64_t id = next_id(c, a);
    status = ilki_text_vocab_name(&t->vocab, a->content, a->n, id, r->name, r->err);
    if (status)
        return status;
    ilki_added *to = &t->added[t->n_added];
    *to = *a;
    to->id = (int32_t)id;
    to->content = t->vocab.strings[id]; /* the file's text does not outlive opening */
    if (!ilki_base_map_put(&t->added_by_content, to->content, to->n, (uint32_t)t->n_added, NULL))
        return ilki_base_fail_memory(r->err, to->n, "added tokens");
    t->n_added++;
    if (id > c->max_added)
        c->max_added = id;
    return ILK_OK;
}

static bool same_content(const ilki_added *a, const ilki_added *b)
{
    return a->n == b->n && memcmp(a->content, b->content, a->n) == 0;
}

/* A token of a list; one that the configuration names is special whatever its object says, and the name takes over its
 * settings. */
static ilk_status add_listed(checkpoint *c, const ilki_text_reader *r, ilki_json_node node)
{
    ilki_added a;
    ilk_status status = read_token(r, node, false, &a);
    for (size_t i = 0; i < N_SPECIALS && !status; i++) {
        named *s = &c->special[specials[i].which];
        if (s->present && same_content(&s->token, &a)) {
            a.special = true;
            s->token = a;
        }
    }
    return status ? status : add_token(c, r, &a);
}

typedef struct by_id {
    int64_t id;
    ilki_json_node node;
} by_id;

static int compare_ids(const void *a, const void *b)
{
    int64_t x = ((const by_id *)a)->id, y = ((const by_id *)b)->id;
    return (x > y) - (x < y);
}

/* Tokens in the order of their ids, as the reference adds them: the members of {"id": {token}, …} or the elements of
 * [{"id": …, token}, …]. The ids themselves do not count. */
static ilk_status add_by_id(checkpoint *c, const ilki_text_reader *r, ilki_json_node list)
{
    const ilki_json *j = r->json;
    size_t n = 0;
    ilk_status status = ILK_OK;
    by_id *order = ilki_base_zalloc(ilki_base_json_count(j, list), sizeof *order);
    if (!order)
        return ilki_base_fail_memory(r->err, ilki_base_json_count(j, list) * sizeof *order, "added tokens");
    for (ilki_json_node i = ilki_base_json_first(j, list); i; i = ilki_base_json_next(j, i)) {
        const char *key = ilki_base_json_key(j, i, NULL);
        char *end = NULL;
        int64_t id = key ? strtoll(key, &end, 10) : 0;
        bool good = key ? end != key && !*end
                        : ilki_base_json_int(j, ilki_base_json_get(j, i, "id"), 0, UINT32_MAX, &id);
        if (!good) {
            status = ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: an added token without an id", r->name);
            break;
        }
        order[n++] = (by_id){id, i};
    }
    qsort(order, n, sizeof *order, compare_ids);
    for (size_t i = 0; i < n && !status; i++)
        status = add_listed(c, r, order[i].node);
    free(order);
    return status;
}

/* Whether a name or a list of further specials says so. */
static bool is_listed_special(const checkpoint *c, const ilki_added *a)
{
    static const char *const lists[] = {"extra_special_tokens", "additional_special_tokens"};
    const ilki_json *files[] = {c->config, c->map};
    for (size_t i = 0; i < ILKI_SPECIAL_COUNT; i++)
        if (c->special[i].present && same_content(&c->special[i].token, a))
            return true;
    for (size_t f = 0; f < 2; f++)
        for (size_t k = 0; files[f] && k < 2; k++) {
            ilki_json_node list = ilki_base_json_get(files[f], ilki_base_json_root(files[f]), lists[k]);
            for (ilki_json_node i = ilki_base_json_first(files[f], list); i; i = ilki_base_json_next(files[f], i)) {
                size_t n = 0;
                const char *s = ilki_base_json_string(files[f], i, &n);
                if (!s)
                    s = ilki_base_json_string(files[f], ilki_base_json_get(files[f], i, "content"), &n);
                if (s && n == a->n && memcmp(s, a->content, n) == 0)
                    return true;
            }
        }
    return false;
}

static ilk_status add_extra(checkpoint *c, const ilki_text_reader *r, ilki_json_node node)
{
    ilki_added a;
    ilk_status status = read_token(r, node, true, &a);
    if (status || ilki_base_map_get(&c->t->added_by_content, a.content, a.n) != ILKI_MAP_NONE)
        return status;
    return add_token(c, r, &a);
}

static bool is_standard(const char *key)
{
    for (size_t i = 0; i < N_SPECIALS; i++)
        if (strcmp(specials[i].key, key) == 0)
            return true;
    return false;
}

/* Tokens of a model's own: members "…_token" of the file, and its lists of further specials. */
static ilk_status add_extras(checkpoint *c, const ilki_text_reader *r)
{
    static const char *const lists[] = {"extra_special_tokens", "additional_special_tokens"};
    const ilki_json *j = r->json;
    ilk_status status = ILK_OK;
    if (!j)
        return ILK_OK;
    for (ilki_json_node i = ilki_base_json_first(j, ilki_base_json_root(j)); i && !status;
         i = ilki_base_json_next(j, i)) {
        size_t n;
        const char *key = ilki_base_json_key(j, i, &n);
        ilki_json_type type = ilki_base_json_type(j, i);
        bool token = type == ILKI_JSON_STRING || (type == ILKI_JSON_OBJECT && ilki_base_json_get(j, i, "content"));
        if (key && n > 6 && strcmp(key + n - 6, "_token") == 0 && token && !is_standard(key))
            status = add_extra(c, r, i);
    }
    for (size_t k = 0; k < 2; k++) {
        ilki_json_node list = ilki_base_json_get(j, ilki_base_json_root(j), lists[k]);
        for (ilki_json_node i = ilki_base_json_first(j, list); i && !status; i = ilki_base_json_next(j, i))
            status = add_extra(c, r, i);
    }
    return status;
}

ilk_status ilki_text_add_list(checkpoint *c, ilki_json_node list)
{
    ilk_status status = ILK_OK;
    for (ilki_json_node i = ilki_base_json_first(c->tokenizer, list); i && !status;
         i = ilki_base_json_next(c->tokenizer, i)) {
        ilki_added a;
        status = read_token(&c->r, i, false, &a);
        if (!status)
            status = add_token(c, &c->r, &a);
    }
    return status;
}

ilk_status ilki_text_add_special(checkpoint *c, const char *content, size_t n)
{
    return add_token(c, &c->rc, &(ilki_added){.content = content, .n = n, .special = true});
}

ilk_status ilki_text_add_pieces(checkpoint *c)
{
    ilk_status status = ILK_OK;
    for (size_t i = 0; i < c->spm.n && !status; i++) {
        const ilki_spm_piece *p = &c->spm.pieces[i];
        bool special = p->type == ILKI_SPM_CONTROL;
        if ((!special && p->type != ILKI_SPM_USER_DEFINED) ||
            ilki_base_map_get(&c->t->added_by_content, p->text, p->n) != ILKI_MAP_NONE)
            continue;
        status = p->n > ILKI_ADDED_MAX_BYTES
                     ? too_long(&c->r, p->n)
                     : add_token(c, &c->r, &(ilki_added){.content = p->text, .n = p->n, .special = special});
    }
    return status;
}

/* ------------------------------------------------------------------ named specials */

/* The value of a name: what the class says, what the configuration says, what special_tokens_map.json says where the
 * configuration has no added_tokens_decoder; null means none. */
static ilk_status read_special(checkpoint *c, size_t i, const char *of_class)
{
    named *s = &c->special[specials[i].which];
    const ilki_text_reader *readers[] = {&c->rc, &c->rm};
    ilk_status status = ILK_OK;
    if (of_class) {
        s->present = true;
        s->token = (ilki_added){.content = of_class, .n = strlen(of_class), .special = true};
    }
    for (size_t k = 0; k < 2 && !status; k++) {
        const ilki_text_reader *r = readers[k];
        if (!r->json)
            continue;
        ilki_json_node root = ilki_base_json_root(r->json), v = ilki_base_json_get(r->json, root, specials[i].key);
        if (k == 0 && ilki_base_json_get(r->json, root, "added_tokens_decoder"))
            k = 1;
        if (!v)
            continue;
        s->present = ilki_base_json_type(r->json, v) != ILKI_JSON_NULL;
        if (s->present)
            status = read_token(r, v, true, &s->token);
    }
    return status;
}

ilk_status ilki_text_read_specials(checkpoint *c, const char *const of_class[ILKI_SPECIAL_COUNT])
{
    ilk_status status = ILK_OK;
    for (size_t i = 0; i < N_SPECIALS && !status; i++)
        status = read_special(c, i, of_class ? of_class[specials[i].which] : NULL);
    return status;
}

/* {"token": id, …}: one that a name or a list of specials has is special, the others are sought in normalised text. */
static ilk_status add_encoder(checkpoint *c)
{
    const ilki_json *j = c->added;
    const ilki_text_reader *r = &c->ra;
    ilki_json_node root = ilki_base_json_root(j);
    size_t n = 0;
    ilk_status status = ILK_OK;
    by_id *order = ilki_base_zalloc(ilki_base_json_count(j, root), sizeof *order);
    if (!order)
        return ilki_base_fail_memory(r->err, ilki_base_json_count(j, root) * sizeof *order, "added tokens");
    for (ilki_json_node i = ilki_base_json_first(j, root); i && !status; i = ilki_base_json_next(j, i)) {
        order[n].node = i;
        if (!ilki_base_json_int(j, i, 0, UINT32_MAX, &order[n++].id))
            status = ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: the id of \"%s\" is no integer", r->name,
                                    ilki_base_json_key(j, i, NULL));
    }
    qsort(order, n, sizeof *order, compare_ids);
    for (size_t i = 0; i < n && !status; i++) {
        ilki_added a = {0};
        a.content = ilki_base_json_key(j, order[i].node, &a.n);
        a.special = is_listed_special(c, &a);
        a.normalized = !a.special;
        status = a.n > ILKI_ADDED_MAX_BYTES ? too_long(r, a.n) : add_token(c, r, &a);
    }
    free(order);
    return status;
}

/* Adds what the configuration lists and names. */
ilk_status ilki_text_add_configured(checkpoint *c, bool of_class)
{
    ilk_status status = ILK_OK;
    ilki_json_node decoder = 0;
    if (c->config)
        decoder = ilki_base_json_get(c->config, ilki_base_json_root(c->config), "added_tokens_decoder");
    if (decoder)
        status = add_by_id(c, &c->rc, decoder);
    else if (of_class && c->tokenizer)
        status = add_by_id(c, &c->r,
                           ilki_base_json_get(c->tokenizer, ilki_base_json_root(c->tokenizer), "added_tokens"));
    else if (c->added)
        status = add_encoder(c);
    for (size_t i = 0; i < N_SPECIALS && !status; i++) {
        const named *s = &c->special[specials[i].which];
        if (s->present && ilki_base_map_get(&c->t->added_by_content, s->token.content, s->token.n) == ILKI_MAP_NONE)
            status = add_token(c, &c->rc, &s->token);
    }
    if (!status)
        status = add_extras(c, &c->rc);
    return !status && !decoder ? add_extras(c, &c->rm) : status;
}

void ilki_text_set_special_ids(checkpoint *c)
{
    for (int i = 0; i < ILKI_SPECIAL_COUNT; i++)
        if (c->special[i].present)
            c->t->special[i] = ilki_text_token_id(c->t, c->special[i].token.content, c->special[i].token.n);
    if (c->t->special[ILKI_SPECIAL_UNK] < 0 && c->t->model->get_unk)
        c->t->special[ILKI_SPECIAL_UNK] = c->t->model->get_unk(c->t->model_state);
}

/* ------------------------------------------------------------------ files */

static ilk_status parse(ilki_json **out, const ilki_text_file *f, const char *usual, ilki_text_reader *r)
{
    r->name = f->name ? f->name : usual;
    if (!f->data)
        return ILK_OK;
    ilk_status status = ilki_base_json_parse(out, f->data, f->n, r->name, NULL, r->err);
    if (status)
        return status;
    r->json = *out;
    if (ilki_base_json_type(*out, ilki_base_json_root(*out)) != ILKI_JSON_OBJECT)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: expected an object", r->name);
    return ILK_OK;
}

/* Limits and sides, which concern every class. */
static ilk_status read_limits(checkpoint *c)
{
    ilki_tokenizer *t = c->t;
    const char *side = NULL;
    ilk_status status = ILK_OK;
    if (c->tokenizer) {
        ilki_json_node cut = ilki_base_json_get(c->tokenizer, ilki_base_json_root(c->tokenizer), "truncation");
        status = ilki_text_read_string(&c->r, cut, "direction", NULL, &side, NULL);
        t->truncate_left = !status && side && strcmp(side, "Left") == 0;
    }
    if (!c->config || status || (c->files->mode == ILKI_TOKENIZER_LITERAL && c->tokenizer))
        return status;
    ilki_json_node root = ilki_base_json_root(c->config);
    ilki_json_node limit = ilki_base_json_get(c->config, root, "model_max_length");
    double max = ilki_base_json_double(c->config, limit ? limit : ilki_base_json_get(c->config, root, "max_len"), 0);
    t->max_length = max >= 1 && max < INT32_MAX ? (size_t)max : 0;
    status = ilki_text_read_string(&c->rc, root, "truncation_side", NULL, &side, NULL);
    if (!status && side)
        t->truncate_left = strcmp(side, "left") == 0;
    return status ? status : ilki_text_read_bool(&c->rc, root, "split_special_tokens", false, &t->split_special);
}

ilk_status ilki_text_read_checkpoint(ilki_tokenizer *t, const ilki_tokenizer_files *files, ilk_error *err)
{
    ilki_text_reader r = {.arena = &t->arena, .err = err};
    checkpoint c = {.t = t, .files = files, .r = r, .rc = r, .rm = r, .ra = r, .rv = r, .max_added = -1};
    ilk_status status = parse(&c.tokenizer, &files->tokenizer_json, "tokenizer.json", &c.r);
    if (!status)
        status = parse(&c.config, &files->tokenizer_config, "tokenizer_config.json", &c.rc);
    if (!status)
        status = parse(&c.map, &files->special_tokens_map, "special_tokens_map.json", &c.rm);
    if (!status)
        status = parse(&c.added, &files->added_tokens, "added_tokens.json", &c.ra);
    if (!status && !c.tokenizer)
        status = parse(&c.vocab, &files->vocab_json, "vocab.json", &c.rv);
    if (!status && !c.tokenizer && files->model.data) {
        c.r.name = files->model.name ? files->model.name : "tokenizer.model";
        status = ilki_text_spm_read(&c.spm, &files->model, &c.r);
    }
    if (!status)
        status = read_limits(&c);
    if (!status)
        status = ilki_text_read_class(&c);
    ilki_base_json_free(c.tokenizer);
    ilki_base_json_free(c.config);
    ilki_base_json_free(c.map);
    ilki_base_json_free(c.added);
    ilki_base_json_free(c.vocab);
    return status;
}
