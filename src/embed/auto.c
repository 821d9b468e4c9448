/* SPDX-License-Identifier: Apache-2.0
 * See auto.h. A file is read back only where every field that it is about is this machine's and this version's; otherwise it
 * counts as absent, and is made again when somebody decides. Nothing of it is trusted beyond its shape: the worst that a
 * false one does is another precision. */
#include "embed/auto.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/hash.h"
#include "base/json.h"
#include "embed/state.h"

#define MAX_BYTES ((size_t)16 << 10)

/* ------------------------------------------------------------------ a folder at a glance */

typedef struct glance {
    const ilki_vfs *vfs;
    const char *dir, *below; /* below: of the folder in it that is being listed; "" */
    uint8_t sum[32];
    bool failed;
} glance;

/* Sums of hashes do not depend on the order in which a system lists names. */
static void add_entry(glance *g, const char *name, const ilki_stat *st)
{
    char line[512];
    uint8_t digest[32];
    ilki_sha256 sha;
    int n = snprintf(line, sizeof line, "%s/%s %llu %llu %llu %lld %lld", g->below, name, (unsigned long long)st->dev,
                     (unsigned long long)st->ino, (unsigned long long)st->size, (long long)st->mtime_ns,
                     (long long)st->ctime_ns);
    g->failed |= n < 0 || (size_t)n >= sizeof line;
    ilki_base_sha256_init(&sha);
    ilki_base_sha256_add(&sha, line, strnlen(line, sizeof line));
    ilki_base_sha256_end(&sha, digest);
    unsigned carry = 0;
    for (size_t i = 0; i < sizeof digest; i++) {
        carry += (unsigned)g->sum[i] + digest[i];
        g->sum[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

static bool look(void *user, const char *name, ilki_file_type type)
{
    glance *g = user;
    ilki_stat st;
    (void)type; /* a link in the hub's cache is what it leads to */
    if (name[0] == '.')
        return true;
    char *dir = ilki_base_path_join(g->dir, g->below), *path = dir ? ilki_base_path_join(dir, name) : NULL;
    if (!path)
        g->failed = true;
    else if (g->vfs->stat(g->vfs, path, true, &st, NULL) == ILK_OK) {
        if (st.type == ILKI_FILE_REGULAR)
            add_entry(g, name, &st);
        else if (st.type == ILKI_FILE_DIR && !*g->below) {
            g->below = name;
            g->failed |= g->vfs->list(g->vfs, path, look, g, NULL) != ILK_OK;
            g->below = "";
        }
    }
    free(dir);
    free(path);
    return !g->failed;
}

void ilki_embed_glance(const ilki_vfs *vfs, const char *dir, const char *name, char hex[65])
{
    glance g = {.vfs = vfs, .dir = dir, .below = ""};
    ilki_sha256 sha;
    hex[0] = 0;
    if (vfs->list(vfs, dir, look, &g, NULL) != ILK_OK || g.failed)
        return;
    ilki_base_sha256_init(&sha);
    ilki_base_sha256_add(&sha, g.sum, sizeof g.sum);
    ilki_base_sha256_add(&sha, name, strlen(name));
    ilki_base_sha256_end(&sha, g.sum);
    ilki_base_hex(g.sum, sizeof g.sum, hex);
}

/* ------------------------------------------------------------------ the text of a file */

bool ilki_embed_has_attentions(const ilk_runtime *rt)
{
    return rt->ops && rt->ops->attn_bf16_pays;
}

/* What a decision is about beside the model. */
enum { N_ABOUT = 7 };
typedef struct about {
    char cpu[64];
    const char *field[N_ABOUT][2];
} about;

static void describe(about *a, const ilk_runtime *rt, const ilki_auto_model *of)
{
    ilki_base_cpu_model(a->cpu, sizeof a->cpu);
    const char *const fields[N_ABOUT][2] = {
        {"version", ILK_VERSION},
        {"fingerprint", of->fingerprint},
        {"f32", of->exceeds ? "above the ceiling" : "under the ceiling"},
        {"cpu", a->cpu},
        {"features", rt->features},
        {"kernels", rt->kernels},
        /* the kernels' own of precisions under f32: which forms there were to decide between */
        {"attention", ilki_embed_has_attentions(rt) ? "bf16" : "f32"}};
    memcpy(a->field, fields, sizeof fields);
}

static const struct {
    const char *name;
    size_t at; /* of an array by precision */
} figures[] = {{"tokens_per_second", offsetof(ilk_calibration, tokens_per_second)},
               {"cosine_mean", offsetof(ilk_calibration, cosine_mean)},
               {"cosine_least", offsetof(ilk_calibration, cosine_least)},
               {"nearest_kept", offsetof(ilk_calibration, nearest_kept)}};
enum { N_FIGURES = sizeof figures / sizeof *figures };

static double *figure_of(ilk_calibration *c, size_t k, int precision)
{
    return (double *)(void *)((char *)c + figures[k].at) + precision;
}

static void put_precision(ilki_jsonw *w, ilk_calibration *c, int p)
{
    if (!(c->tokens_per_second[p] > 0))
        return;
    ilki_base_jsonw_key(w, ilk_precision_name((ilk_precision)p));
    ilki_base_jsonw_open(w, '{');
    for (size_t k = 0; k < N_FIGURES; k++) {
        ilki_base_jsonw_key(w, figures[k].name);
        ilki_base_jsonw_double(w, *figure_of(c, k, p));
    }
    if (c->attention[p] != ILK_ATTENTION_AUTO) {
        ilki_base_jsonw_key(w, "attention");
        ilki_base_jsonw_cstring(w, ilk_attention_name(c->attention[p]));
    }
    ilki_base_jsonw_close(w, '}');
}

ilk_status ilki_embed_print_auto(ilki_buf *to, const ilk_runtime *rt, const ilki_auto_model *of,
                                 const ilk_calibration *c, ilk_error *err)
{
    about a;
    ilki_jsonw w;
    ilk_calibration copy = *c;
    describe(&a, rt, of);
    ilki_base_jsonw_init(&w, to);
    ilki_base_jsonw_open(&w, '{');
    for (size_t i = 0; i < sizeof a.field / sizeof *a.field; i++) {
        ilki_base_jsonw_key(&w, a.field[i][0]);
        ilki_base_jsonw_cstring(&w, a.field[i][1]);
    }
    ilki_base_jsonw_key(&w, "chosen");
    ilki_base_jsonw_cstring(&w, ilk_precision_name(c->chosen));
    ilki_base_jsonw_key(&w, "why");
    ilki_base_jsonw_cstring(&w, c->why);
    ilki_base_jsonw_key(&w, "texts");
    ilki_base_jsonw_uint(&w, c->n_texts);
    ilki_base_jsonw_key(&w, "seconds");
    ilki_base_jsonw_double(&w, c->seconds);
    ilki_base_jsonw_key(&w, "attention_gain");
    ilki_base_jsonw_double(&w, c->attention_gain);
    ilki_base_jsonw_key(&w, "precisions");
    ilki_base_jsonw_open(&w, '{');
    for (int p = 1; ilk_precision_name((ilk_precision)p); p++)
        put_precision(&w, &copy, p);
    ilki_base_jsonw_close(&w, '}');
    ilki_base_jsonw_close(&w, '}');
    ilki_base_buf_addc(to, '\n');
    return ilki_base_buf_check(to, "a decision about precisions", err);
}

/* F32 and what follows; AUTO for a word that is none of them. */
static ilk_precision precision_named(const char *word)
{
    for (int p = 1; word && ilk_precision_name((ilk_precision)p); p++)
        if (strcmp(word, ilk_precision_name((ilk_precision)p)) == 0)
            return (ilk_precision)p;
    return ILK_PRECISION_AUTO;
}

/* `both`: there are two forms. */
static bool take_attention(ilk_attention *to, int p, bool both, const ilki_json *j, ilki_json_node member)
{
    const char *name = member ? ilki_base_json_string(j, member, NULL) : NULL;
    if (!both || p == ILK_PRECISION_F32)
        return !member;
    *to = name && strcmp(name, ilk_attention_name(ILK_ATTENTION_F32)) == 0 ? ILK_ATTENTION_F32 : ILK_ATTENTION_BF16;
    return !member || (name && strcmp(name, ilk_attention_name(*to)) == 0);
}

static bool take_precisions(ilk_calibration *c, bool both, const ilki_json *j, ilki_json_node all)
{
    for (ilki_json_node i = ilki_base_json_first(j, all); i; i = ilki_base_json_next(j, i)) {
        ilk_precision p = precision_named(ilki_base_json_key(j, i, NULL));
        if (p == ILK_PRECISION_AUTO)
            return false;
        for (size_t k = 0; k < N_FIGURES; k++) {
            double x = ilki_base_json_double(j, ilki_base_json_get(j, i, figures[k].name), (double)NAN);
            if (!isfinite(x))
                return false;
            *figure_of(c, k, (int)p) = x;
        }
        if (!(c->tokens_per_second[p] > 0) ||
            !take_attention(&c->attention[p], (int)p, both, j, ilki_base_json_get(j, i, "attention")))
            return false;
    }
    return true;
}

ilk_status ilki_embed_parse_auto(ilk_calibration *out, const ilk_runtime *rt, const ilki_auto_model *of,
                                 const char *text, size_t n, ilk_error *err)
{
    static const ilki_json_limits limits = {
        .max_bytes = MAX_BYTES, .max_nodes = 256, .max_depth = 4, .unique_keys = true};
    about a;
    ilki_json *j = NULL;
    int64_t n_texts = 0;
    ilk_calibration c = {.size = out->size, .cached = 1};
    ilk_status st = ilki_base_json_parse(&j, text, n, "a decision about precisions", &limits, err);
    ilki_json_node root = st == ILK_OK ? ilki_base_json_root(j) : 0;
    describe(&a, rt, of);
    for (size_t i = 0; i < sizeof a.field / sizeof *a.field && st == ILK_OK; i++) {
        const char *s = ilki_base_json_string(j, ilki_base_json_get(j, root, a.field[i][0]), NULL);
        if (!s || strcmp(s, a.field[i][1]) != 0)
            st = ilki_base_fail(err, ILK_MISMATCH, "a decision about precisions: %s: expected \"%s\", found \"%.64s\"",
                                a.field[i][0], a.field[i][1], s ? s : "");
    }
    if (st == ILK_OK) {
        const char *why = ilki_base_json_string(j, ilki_base_json_get(j, root, "why"), NULL);
        c.chosen = precision_named(ilki_base_json_string(j, ilki_base_json_get(j, root, "chosen"), NULL));
        c.seconds = ilki_base_json_double(j, ilki_base_json_get(j, root, "seconds"), (double)NAN);
        snprintf(c.why, sizeof c.why, "%s", why ? why : "");
        c.attention_gain = ilki_base_json_double(j, ilki_base_json_get(j, root, "attention_gain"), 0);
        bool whole = why && isfinite(c.seconds) && isfinite(c.attention_gain) &&
                     take_precisions(&c, ilki_embed_has_attentions(rt), j, ilki_base_json_get(j, root, "precisions")) &&
                     ilki_base_json_int(j, ilki_base_json_get(j, root, "texts"), 1, UINT32_MAX, &n_texts);
        if (!whole || c.chosen == ILK_PRECISION_AUTO || !(c.tokens_per_second[c.chosen] > 0))
            st = ilki_base_fail(
                err, ILK_CORRUPT,
                "a decision about precisions: expected a precision chosen among measured ones, found %s",
                whole ? "another" : "a member that is missing or malformed");
    }
    ilki_base_json_free(j);
    c.n_texts = (uint32_t)n_texts;
    if (st == ILK_OK)
        *out = c;
    return st;
}

/* ------------------------------------------------------------------ the files */

/* NULL: nowhere to keep it, or no memory. */
static char *path_of(const ilk_runtime *rt, const ilki_auto_model *of)
{
    about a;
    ilki_sha256 sha;
    uint8_t digest[32];
    char name[65 + 16], hex[65];
    describe(&a, rt, of);
    ilki_base_sha256_init(&sha);
    for (size_t i = 0; i < sizeof a.field / sizeof *a.field; i++)
        ilki_base_sha256_add(&sha, a.field[i][1], strlen(a.field[i][1]) + 1);
    ilki_base_sha256_end(&sha, digest);
    ilki_base_hex(digest, sizeof digest, hex);
    snprintf(name, sizeof name, "auto/%.32s.json", hex);
    return ilki_embed_cache_path(name);
}

bool ilki_embed_read_auto(ilk_runtime *rt, const ilki_auto_model *of, ilk_calibration *out)
{
    char *path = path_of(rt, of), *text = NULL;
    size_t n = 0;
    bool found = path && ilki_base_read_file(rt->vfs, path, MAX_BYTES, &text, &n, NULL) == ILK_OK &&
                 ilki_embed_parse_auto(out, rt, of, text, n, NULL) == ILK_OK;
    free(text);
    free(path);
    return found;
}

void ilki_embed_write_auto(ilk_runtime *rt, const ilki_auto_model *of, const ilk_calibration *c)
{
    ilki_buf b;
    char *path = path_of(rt, of), *dir = path ? ilki_base_path_dir(path) : NULL;
    ilki_base_buf_init(&b, MAX_BYTES);
    if (dir && ilki_embed_print_auto(&b, rt, of, c, NULL) == ILK_OK &&
        ilki_base_make_dirs(rt->vfs, dir, 0700, NULL) == ILK_OK)
        ilki_base_write_file(rt->vfs, path, b.data, b.len, NULL);
    ilki_base_buf_deinit(&b);
    free(dir);
    free(path);
}

void ilki_embed_cached_precision(const ilk_model *m, ilk_precision *precision, ilk_attention *attention)
{
    ilk_calibration c = {.size = sizeof c};
    char hex[65];
    const ilki_auto_model of = {hex, m->exceeds};
    if (!m->glance[0] || !ilki_embed_recall_folder(m, hex) || !ilki_embed_read_auto(m->rt, &of, &c))
        return;
    *precision = c.chosen;
    if (*attention == ILK_ATTENTION_AUTO)
        *attention = c.attention[c.chosen];
}
