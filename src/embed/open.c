/* SPDX-License-Identifier: Apache-2.0
 * From a folder to a model: config.json and weights to a network, tokenizer files to a tokenizer, modules.json to what
 * comes behind the network. Every step names the file it stumbles over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed/auto.h"
#include "embed/state.h"
#include "embed/training.h"

#define MAX_TOKENIZER_BYTES ((size_t)256 << 20)
#define MAX_PATH_BYTES      8192
#define MAX_PARAMS_BYTES    ((size_t)1 << 20)

/* ------------------------------------------------------------------ weights and network */

bool ilki_embed_has_file(const ilki_vfs *vfs, const char *dir, const char *name)
{
    ilki_stat info;
    char path[MAX_PATH_BYTES]; /* on the stack, so that short memory is not taken for a file that is not there */
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    return n > 0 && (size_t)n < sizeof path && vfs->stat(vfs, path, true, &info, NULL) == ILK_OK &&
           info.type == ILKI_FILE_REGULAR;
}

/* Of the four that a checkpoint has its weights in, the first that is there. */
static const char *find_weights(const ilki_vfs *vfs, const char *dir, bool open_clip)
{
    static const char *const names[2][4] = {
        {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"},
        {"open_clip_model.safetensors", "open_clip_pytorch_model.bin", "model.safetensors", "pytorch_model.bin"}};
    for (size_t i = 0; i < 4; i++)
        if (ilki_embed_has_file(vfs, dir, names[open_clip][i]))
            return names[open_clip][i];
    return NULL;
}

bool ilki_embed_has_weights(const ilki_vfs *vfs, const char *dir)
{
    return find_weights(vfs, dir, false) || find_weights(vfs, dir, true);
}

static ilk_status open_weights(ilk_model *m, ilk_error *err)
{
    const ilki_vfs *vfs = m->rt->vfs;
    const char *name = m->weights_path ? m->weights_path : find_weights(vfs, m->dir, m->open_clip);
    if (m->weights)
        return ILK_OK;
    if (!name) {
        static const char *const others[] = {"tf_model.h5", "model.onnx"};
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            if (ilki_embed_has_file(vfs, m->dir, others[i]))
                return ilki_base_fail(
                    err, ILK_UNSUPPORTED,
                    "%s: expected model.safetensors or pytorch_model.bin, found %s, which is not read", m->dir,
                    others[i]);
        return ilki_base_fail(err, ILK_NOT_FOUND,
                              "%s: expected model.safetensors or pytorch_model.bin, found no weights", m->dir);
    }
    m->weights_path = name;
    char *path = ilki_base_path_join(m->dir, name);
    if (!path)
        return ilki_base_fail_memory(err, strlen(name), "a path");
    const char *paths[1] = {path};
    ilk_status st = ilki_format_open(&m->weights, vfs, paths, 1, m->no_mmap, err);
    free(path);
    if (st == ILK_OK && m->adapter)
        st = ilki_embed_merge_adapter(m->adapter, vfs, m->rt->ops, m->weights, err);
    return st;
}

static ilki_form form_of(ilk_precision precision)
{
    static const ilki_form forms[] = {[ILK_PRECISION_F32] = ILKI_FORM_F32,
                                      [ILK_PRECISION_BF16] = ILKI_FORM_BF16,
                                      [ILK_PRECISION_INT8] = ILKI_FORM_I8,
                                      [ILK_PRECISION_INT8W] = ILKI_FORM_I8W};
    return forms[precision];
}

/* With nothing decided f32 is used, unless its weights alone are more than the memory ceiling. */
static bool exceeds_ceiling(const ilk_model *m)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < ilki_format_count(m->weights); i++) {
        const ilki_tensor *t = ilki_format_view(m->weights, i);
        uint64_t n = strncmp(t->name, "optimizer.", strlen("optimizer.")) != 0; /* which is twice the weights, unread */
        for (uint32_t d = 0; d < t->rank; d++) /* whose product was checked when it was read */
            n *= t->shape[d];
        bytes += n * sizeof(float);
    }
    return bytes > m->rt->ceiling_bytes;
}

static void look_at_folder(ilk_model *m)
{
    m->glance_name = m->weights_path ? m->weights_path : "";
    ilki_embed_glance(m->rt->vfs, m->root, m->glance_name, m->glance);
    if (m->apart) /* a glance at one folder does not tell of two */
        m->glance[0] = 0;
}

/* From the cache where AUTO is asked for; with nothing decided F32 if it fits. */
static void settle_precision(ilk_model *m)
{
    m->exceeds = exceeds_ceiling(m);
    m->streamed &= m->exceeds;
    if (m->info.precision == ILK_PRECISION_AUTO)
        ilki_embed_cached_precision(m, &m->info.precision, &m->attention);
    m->undecided = m->info.precision == ILK_PRECISION_AUTO;
    if (m->undecided)
        m->info.precision = m->exceeds ? ILK_PRECISION_INT8W : ILK_PRECISION_F32;
}

static ilk_status open_family(ilk_model *m, ilk_error *err)
{
    ilki_model_source src = {.dir = m->dir,
                             .config = m->config,
                             .weights = m->weights,
                             .ops = m->rt->ops,
                             .pool = m->rt->pool,
                             .job = m->job,
                             .form = form_of(m->info.precision),
                             .streamed = m->streamed,
                             .packs = m->packs,
                             .rt = m->rt};
    return ilki_models_open(&m->net, &src, err);
}

/* With what was packed at an earlier start, unless that is damaged. */
static ilk_status open_packed(ilk_model *m, ilk_error *err)
{
    ilk_error first;
    ilk_error_init(&first);
    ilki_embed_packs_drop(m);
    ilki_embed_packs_find(m);
    ilk_status st = open_family(m, &first);
    if (st == ILK_CORRUPT && ilki_tensor_packs_mapped(m->packs)) {
        ilki_embed_packs_refuse(m, &first);
        return open_family(m, err);
    }
    if (st != ILK_OK && err)
        ilki_base_error_copy(err, &first);
    return st;
}

/* In what it attends, and what that makes of the precision's name. */
static ilk_status settle_attention(ilk_model *m, ilk_error *err)
{
    const char *name = ilk_precision_name(m->info.precision);
    bool under = m->info.precision != ILK_PRECISION_F32, has = under && m->rt->ops->attn_bf16_pays;
    char full[64];
    if (m->attention == ILK_ATTENTION_BF16 && !has)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: attention in bf16: expected %s, found %s", m->dir,
                              under ? "kernels with a fast form of it" : "a precision under f32",
                              under ? m->rt->kernels : name);
    m->info.attention = has && m->attention != ILK_ATTENTION_F32 ? ILK_ATTENTION_BF16 : ILK_ATTENTION_F32;
    snprintf(full, sizeof full, "%s%s", name, under && m->attention == ILK_ATTENTION_F32 ? ILKI_ATTENDS_F32 : "");
    m->info.precision_name = ilki_base_arena_strndup(&m->arena, full, strlen(full));
    return m->info.precision_name ? ILK_OK : ilki_base_fail_memory(err, sizeof full, "a precision's name");
}

/* A family that lacks a precision that nobody asked for is opened in f32. */
static ilk_status open_net(ilk_model *m, ilk_error *err)
{
    ilk_status st = open_weights(m, err);
    if (st != ILK_OK)
        return st;
    settle_precision(m);
    st = open_packed(m, err);
    if (st == ILK_UNSUPPORTED && m->undecided && m->info.precision != ILK_PRECISION_F32) {
        m->info.precision = ILK_PRECISION_F32;
        st = open_packed(m, err);
    }
    return st == ILK_OK ? settle_attention(m, err) : st;
}

/* ------------------------------------------------------------------ tokenizer */

/* Made on an idle thread while the weights are packed on the others: it takes as long as half of them. */
typedef struct tokenizer_job {
    ilk_model *m;
    ilk_status status;
    ilk_error err;
} tokenizer_job;

static ilk_status read_file(ilk_model *m, const char *name, ilki_text_file *to, ilk_error *err)
{
    char *text = NULL, *path = ilki_base_path_join(m->dir, name);
    *to = (ilki_text_file){.name = name};
    if (!path)
        return ilki_base_fail_memory(err, strlen(name), "a path");
    ilk_status st = ilki_base_read_file(m->rt->vfs, path, MAX_TOKENIZER_BYTES, &text, &to->n, err);
    to->data = text;
    free(path);
    return st == ILK_NOT_FOUND ? ILK_OK : st;
}

static ilk_status open_tokenizer(ilk_model *m, ilk_error *err)
{
    ilki_tokenizer_files f = {.mode = ILKI_TOKENIZER_DEFAULT};
    ilki_json_node root = ilki_base_json_root(m->config);
    f.model_type = ilki_base_json_string(m->config, ilki_base_json_get(m->config, root, "model_type"), NULL);
    if (m->open_clip)
        f.model_type = "clip";
    static const char *const models[] = {"sentencepiece.bpe.model", "spiece.model", "tokenizer.model"};
    struct {
        const char *name;
        ilki_text_file *to;
    } list[] = {{"tokenizer.json", &f.tokenizer_json},
                {"tokenizer_config.json", &f.tokenizer_config},
                {"special_tokens_map.json", &f.special_tokens_map},
                {"added_tokens.json", &f.added_tokens},
                {"vocab.txt", &f.vocab_txt},
                {"vocab.json", &f.vocab_json},
                {"merges.txt", &f.merges_txt}};
    size_t n_files = sizeof list / sizeof *list;
    ilk_status st = ILK_OK;
    for (size_t i = 0; i < n_files && st == ILK_OK; i++)
        if (i < 4 || !f.tokenizer_json.data)
            st = read_file(m, list[i].name, list[i].to, err);
    for (size_t i = 0; i < 3 && st == ILK_OK && !f.tokenizer_json.data && !f.model.data; i++)
        st = read_file(m, models[i], &f.model, err);
    if (st == ILK_OK && !f.tokenizer_json.data && !f.vocab_txt.data && !f.vocab_json.data && !f.model.data)
        st = ilki_base_fail(err, ILK_NOT_FOUND,
                            "expected tokenizer.json, vocab.txt, vocab.json or a model of SentencePiece, found none%s",
                            m->open_clip ? "; open_clip has CLIP's tokenizer in its program: put tokenizer.json, or "
                                           "vocab.json and merges.txt, of a CLIP in the folder"
                                         : "");
    if (st == ILK_OK)
        st = ilki_text_tokenizer_open(&m->tokenizer, &f, err);
    if (st != ILK_OK)
        ilki_base_error_prefix(err, "%s", m->dir);
    for (size_t i = 0; i < n_files; i++)
        free((void *)(uintptr_t)list[i].to->data);
    free((void *)(uintptr_t)f.model.data);
    return st;
}

static void run_tokenizer_job(void *arg, size_t index, unsigned slot)
{
    tokenizer_job *job = arg;
    (void)index;
    (void)slot;
    job->status = open_tokenizer(job->m, &job->err);
}

static void find_towers(ilk_model *m)
{
    m->text_tower = ilki_embed_tower(m, ILK_TEXT);
    m->image_tower = ilki_embed_tower(m, ILK_IMAGE);
    m->own = m->net->tower[0].embed_dim != 0;
}

/* That it fits the network, and how it pads where the network wants that. */
static ilk_status check_tokenizer(ilk_model *m, ilk_error *err)
{
    const ilki_tower_info *t = &m->net->tower[m->text_tower];
    ilki_json *j = NULL;
    size_t n = ilki_text_vocab_size(m->tokenizer);
    if (n > t->vocab_size)
        ilki_base_log(m->rt, ILK_LOG_WARN,
                      "%s: the tokenizer has %zu tokens, the network %u: texts with the others will fail", m->dir, n,
                      t->vocab_size);
    ilki_text_cleaning how = ILKI_CLEAN_NONE;
    ilk_status st = m->open_clip ? ilki_text_read_cleaning(&how, m->config, err) : ILK_OK;
    ilki_text_set_cleaning(m->tokenizer, how);
    if (st != ILK_OK || t->pad_to == 0)
        return st;
    st = ilki_embed_read_json(&j, m->rt->vfs, m->dir, "tokenizer_config.json", false, err);
    ilki_json_node root = j ? ilki_base_json_root(j) : 0;
    const char *side = j ? ilki_base_json_string(j, ilki_base_json_get(j, root, "padding_side"), NULL) : NULL;
    const char *class = j ? ilki_base_json_string(j, ilki_base_json_get(j, root, "tokenizer_class"), NULL) : NULL;
    /* the reference's classes for SigLIP 2 pad on the left where its file does not say */
    bool left = class && (strcmp(class, "Siglip2Tokenizer") == 0 || strcmp(class, "GemmaTokenizer") == 0 ||
                          strcmp(class, "GemmaTokenizerFast") == 0);
    m->pad_left = side ? strcmp(side, "left") == 0 : left;
    m->pad_id = ilki_text_special_id(m->tokenizer, ILKI_SPECIAL_PAD);
    if (m->pad_id < 0 || m->open_clip) /* whose own tokenizer pads with zeros, whatever the folder's says */
        m->pad_id = t->pad_id;
    ilki_base_json_free(j);
    return st;
}

/* Whether open_clip_config.json is to be read where config.json is there too: the named weights are open_clip's, or there are
 * no others, or config.json has no model_type, as timm writes it. */
static bool prefers_open_clip(const ilk_model *m)
{
    const ilki_vfs *vfs = m->rt->vfs;
    const char *name = m->weights_path ? m->weights_path : find_weights(vfs, m->dir, false);
    const char *dot = name ? strrchr(name, '.') : NULL;
    if (!name || strncmp(name, "open_clip", strlen("open_clip")) == 0 || (dot && strcmp(dot, ".pt") == 0))
        return true;
    ilki_json *j = NULL;
    bool timm = ilki_embed_read_json(&j, vfs, m->dir, "config.json", true, NULL) == ILK_OK &&
                !ilki_base_json_get(j, ilki_base_json_root(j), "model_type") &&
                ilki_base_json_get(j, ilki_base_json_root(j), "architecture");
    ilki_base_json_free(j);
    return timm;
}

/* Of what open_clip's training left. */
static ilk_status read_training(ilk_model *m, ilk_error *err)
{
    ilki_trained params;
    char *text = NULL, *path = ilki_base_path_join(m->dir, ILKI_TRAINED_PARAMS);
    size_t n = 0;
    if (!path)
        return ilki_base_fail_memory(err, strlen(m->dir), "a path");
    ilk_status st = ilki_base_read_file(m->rt->vfs, path, MAX_PARAMS_BYTES, &text, &n, err);
    if (st == ILK_OK) {
        st = ilki_embed_read_training(&params, text, n, err);
        if (st != ILK_OK)
            ilki_base_error_prefix(err, "%s", m->dir);
    }
    m->open_clip = true;
    if (st == ILK_OK)
        st = open_weights(m, err);
    if (st == ILK_OK)
        st = ilki_models_config_of_trained(&m->config, &params, m->weights, m->dir, err);
    free(text);
    free(path);
    return st;
}

/* Weights without anything that says what they are: where open_clip made them, the error tells what would. */
static ilk_status ask_for_config(ilk_model *m, ilk_error *err)
{
    ilk_error asked;
    ilk_error_init(&asked);
    m->open_clip = true;
    ilk_status st = open_weights(m, &asked);
    if (st == ILK_OK)
        st = ilki_models_config_of_trained(&m->config, NULL, m->weights, m->dir, &asked);
    m->open_clip = false;
    if (st != ILK_NOT_FOUND)
        return ILK_OK;
    if (err)
        ilki_base_error_copy(err, &asked);
    return st;
}

/* config.json, or open_clip_config.json where that is all there is or prefers_open_clip, or what stands in for it. */
static ilk_status open_config(ilk_model *m, ilk_error *err)
{
    const ilki_vfs *vfs = m->rt->vfs;
    bool usual = ilki_embed_has_file(vfs, m->dir, "config.json"),
         native = ilki_embed_has_file(vfs, m->dir, ILKI_OPEN_CLIP_CONFIG);
    ilk_status st = ILK_OK;
    if (m->config_name)
        return read_training(m, err);
    m->open_clip = native && (!usual || prefers_open_clip(m));
    m->config_name = m->open_clip ? ILKI_OPEN_CLIP_CONFIG : "config.json";
    if (!usual && !native && (m->weights_path || ilki_embed_has_weights(vfs, m->dir)))
        st = ask_for_config(m, err);
    if (st == ILK_OK && !usual && !native)
        st = ilki_embed_fail_no_config(m, err);
    if (st != ILK_OK)
        return st;
    return ilki_embed_read_json(&m->config, vfs, m->dir, m->config_name, true, err);
}

static ilk_status open_parts(ilk_model *m, ilk_error *err)
{
    tokenizer_job job = {.m = m};
    ilki_started_run tokenizer;
    ilk_status st = open_config(m, err);
    if (st != ILK_OK)
        return st;
    ilk_error_init(&job.err);
    ilki_base_pool_start(m->rt->pool, &tokenizer, &(ilki_run){.fn = run_tokenizer_job, .arg = &job, .n_tasks = 1});
    st = open_net(m, err);
    ilk_status finished = ilki_base_pool_finish(m->rt->pool, &tokenizer, st == ILK_OK ? err : NULL);
    if (st == ILK_OK)
        st = finished;
    if (st != ILK_OK)
        return st;
    find_towers(m);
    if (m->text_tower < 0) { /* and whatever the folder has of a tokenizer is for nothing */
        ilki_text_tokenizer_free(m->tokenizer);
        m->tokenizer = NULL;
    } else if (job.status != ILK_OK) {
        if (err)
            ilki_base_error_copy(err, &job.err);
        return job.status;
    }
    return m->text_tower < 0 ? ILK_OK : check_tokenizer(m, err);
}

/* ------------------------------------------------------------------ what it is */

/* sentence_bert_config.json, else min(model_max_length, positions or max_position_embeddings); the caller may ask for
 * less, or more up to what the network has positions for. */
static ilk_status decide_length(ilk_model *m, uint32_t asked, ilk_error *err)
{
    if (m->text_tower < 0)
        return ILK_OK;
    const ilki_tower_info *t = &m->net->tower[m->text_tower];
    uint32_t positions = t->max_tokens, n = m->modules.max_seq_length;
    uint32_t usual = positions ? positions : t->usual_tokens;
    size_t said = ilki_text_max_length(m->tokenizer);
    if (asked && positions && asked > positions)
        return ilki_base_fail(err, ILK_LIMIT, "max_tokens: asked for %u, the network has %u positions", asked,
                              positions);
    if (asked)
        n = asked;
    else if (!n)
        n = said && (!usual || said < usual) ? (uint32_t)said : usual;
    if (positions && n > positions)
        n = positions;
    size_t specials = ilki_text_n_added(m->tokenizer, false);
    if (n && n <= specials)
        return ilki_base_fail(err, ILK_LIMIT, "max_tokens: %u leaves no room beside %zu special tokens", n, specials);
    m->info.max_tokens = n;
    return ILK_OK;
}

static const char *copy(ilk_model *m, const char *s)
{
    return s ? ilki_base_arena_strndup(&m->arena, s, strlen(s)) : NULL;
}

static ilk_status join_notes(ilk_model *m, ilk_error *err)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 65536);
    for (const char *const *n = m->net->notes; n && *n; n++)
        ilki_base_buf_addf(&b, "%s%s", b.len ? "\n" : "", *n);
    if (m->adapter)
        ilki_base_buf_addf(&b, "%sadapter %s: LoRA of rank %zu, merged into %zu matrices", b.len ? "\n" : "",
                           m->adapter->dir, m->adapter->rank, m->adapter->n_changed);
    const ilki_projection *p = m->projection;
    if (p)
        ilki_base_buf_addf(&b, "%sprojection %s: %u to %u entries%s%s", b.len ? "\n" : "", m->info.projection, p->n_in,
                           p->n_out, p->target[0] ? ", into the space of " : "",
                           !p->target[0]     ? ""
                           : p->target_model ? p->target_model
                                             : p->target);
    ilk_status st = ilki_base_buf_check(&b, "notes", err);
    if (st == ILK_OK && b.len)
        m->info.notes = copy(m, b.data);
    ilki_base_buf_deinit(&b);
    return st;
}

/* What the processor makes has to be what the tower reads. */
static ilk_status describe_pictures(ilk_model *m, ilk_error *err)
{
    const ilki_tower_info *t = &m->net->tower[m->image_tower];
    const ilki_image_spec *s = &m->image;
    char words[160];
    uint32_t w = s->crop ? s->crop_width : s->width, h = s->crop ? s->crop_height : s->height;
    if ((s->crop || s->resize == ILKI_RESIZE_EXACT) && (w != t->image_size || h != t->image_size))
        return ilki_base_fail(err, ILK_MISMATCH, "%s/%s: expected pictures of %u x %u, the network's, found %u x %u",
                              m->dir, m->processor ? m->processor : ILKI_OPEN_CLIP_CONFIG, t->image_size, t->image_size,
                              w, h);
    ilki_media_print_processor(s, words, sizeof words);
    m->info.image_size = t->image_size;
    m->info.patch_size = t->patch_size;
    m->info.image_layers = t->n_layers;
    m->info.image_pooling = t->embed_by;
    m->info.image_processing = copy(m, words);
    return m->info.image_processing ? ILK_OK : ilki_base_fail_memory(err, sizeof words, "a model's description");
}

static ilk_status describe(ilk_model *m, const char *where, ilk_error *err)
{
    char pooling[128];
    ilk_model_info *i = &m->info;
    const ilki_tower_info *t = &m->net->tower[m->text_tower < 0 ? 0 : m->text_tower];
    m->pool_dim = m->own ? t->embed_dim : t->dim * (uint32_t)__builtin_popcount(m->modules.pooling);
    m->dim = ilki_embed_modules_dim(&m->modules, m->own ? t->embed_dim : t->dim);
    ilki_embed_pooling_name(m->modules.pooling, pooling, sizeof pooling);
    if (m->own)
        snprintf(pooling, sizeof pooling, "%s", t->embed_by);
    i->size = sizeof *i;
    i->id = copy(m, where);
    i->path = copy(m, m->root);
    i->family = m->net->family->name;
    i->dim = m->modules.truncate_dim && m->modules.truncate_dim < m->dim ? m->modules.truncate_dim : m->dim;
    i->heads = ILK_HEAD_DENSE | (t->n_labels == 1 ? ILK_HEAD_SCORE : 0);
    for (unsigned k = 0; k < m->net->n_towers; k++)
        i->modalities |= m->net->tower[k].modalities;
    i->vocab_size = t->vocab_size;
    i->n_layers = t->n_layers;
    i->n_parameters = m->net->n_parameters;
    i->weights_bytes = ilki_format_bytes(m->weights);
    i->pooling = copy(m, pooling);
    i->normalized = m->modules.n && m->modules.list[m->modules.n - 1].kind == ILKI_MODULE_NORMALIZE;
    i->similarity = m->modules.similarity;
    i->prompt_query = m->modules.prompt_query;
    i->prompt_document = m->modules.prompt_document;
    if (!m->projection) { /* what the scale was learned for are the vectors before it */
        i->compare_by = m->net->compare_by;
        i->compare_scale = m->net->compare_scale;
        i->compare_bias = m->net->compare_bias;
    }
    if (!i->id || !i->path || !i->pooling)
        return ilki_base_fail_memory(err, strlen(where), "a model's description");
    ilk_status st = m->image_tower < 0 ? ILK_OK : describe_pictures(m, err);
    return st == ILK_OK ? join_notes(m, err) : st;
}

/* `where` may name one weight file: the folder around it has the rest. */
static ilk_status split_file(ilk_model *m, ilk_error *err)
{
    ilki_stat info;
    ilk_status st = m->rt->vfs->stat(m->rt->vfs, m->dir, true, &info, err);
    if (st != ILK_OK || info.type == ILKI_FILE_DIR)
        return st;
    char *name = (char *)(uintptr_t)ilki_base_path_name(m->dir);
    m->weights_path = copy(m, name);
    if (!m->weights_path)
        return ilki_base_fail_memory(err, strlen(name), "a path");
    if (name == m->dir)
        memcpy(m->dir, ".", 2); /* a name has at least one byte */
    else if (name == m->dir + 1)
        name[0] = 0;
    else
        name[-1] = 0;
    return ILK_OK;
}

/* A folder of an adapter without a checkpoint's config.json: the base that its file names is opened instead, a path relative
 * to the folder or to where we are, or an id. */
static ilk_status find_base(ilk_model *m, ilk_error *err)
{
    const ilki_vfs *vfs = m->rt->vfs;
    char *dir = NULL, *beside = NULL, *name = NULL;
    ilki_stat info;
    ilk_status st = ilki_embed_read_adapter(&m->adapter, vfs, m->dir, err);
    if (st != ILK_OK || !m->adapter)
        return st;
    m->adapter_config = ilki_base_path_join(m->dir, ILKI_ADAPTER_CONFIG);
    if (!m->adapter_config)
        return ilki_base_fail_memory(err, strlen(m->dir), "a path");
    if (ilki_embed_has_file(vfs, m->dir, "config.json"))
        return ILK_OK;
    const char *base = m->adapter->base;
    if (!base)
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s: expected base_model_name_or_path of the checkpoint it belongs to, found none",
                              m->adapter_config);
    beside = ilki_base_path_join(m->dir, base);
    if (!beside)
        return ilki_base_fail_memory(err, strlen(base), "a path");
    bool there = vfs->stat(vfs, beside, true, &info, NULL) == ILK_OK && info.type == ILKI_FILE_DIR;
    st = ilki_embed_resolve(vfs, there ? beside : base, &dir, &name, err);
    free(name);
    free(beside);
    if (st != ILK_OK) {
        ilki_base_error_prefix(err, "%s: the base model", m->adapter_config);
        return st;
    }
    m->apart = true;
    if (ilki_embed_has_file(vfs, m->dir, "modules.json")) /* as sentence-transformers saves a model with an adapter */
        m->root = m->dir;
    else
        free(m->dir);
    m->dir = dir;
    return ILK_OK;
}

/* A folder of sentence-transformers may keep the checkpoint in the folder of its first module ("0_CLIPModel"). */
static ilk_status enter_module(ilk_model *m, ilk_error *err)
{
    const ilki_vfs *vfs = m->rt->vfs;
    ilki_json *j = NULL;
    ilk_status st = ILK_OK;
    if (!m->root)
        m->root = ilki_base_strndup(m->dir, strlen(m->dir));
    if (!m->root)
        return ilki_base_fail_memory(err, strlen(m->dir), "a path");
    if (ilki_embed_has_file(vfs, m->dir, "config.json") || ilki_embed_has_file(vfs, m->dir, ILKI_OPEN_CLIP_CONFIG))
        return ILK_OK;
    st = ilki_embed_read_json(&j, vfs, m->dir, "modules.json", false, err);
    ilki_json_node first = j ? ilki_base_json_first(j, ilki_base_json_root(j)) : 0;
    const char *path = j ? ilki_base_json_string(j, ilki_base_json_get(j, first, "path"), NULL) : NULL;
    if (st == ILK_OK && path && *path && *path != '/' && !strstr(path, "..")) {
        char *dir = ilki_base_path_join(m->dir, path);
        free(m->dir);
        m->dir = dir;
        st = dir ? ILK_OK : ilki_base_fail_memory(err, strlen(path), "a path");
    }
    ilki_base_json_free(j);
    return st;
}

/* A family's own vectors are of unit length, as the reference compares them; in a folder of sentence-transformers they are
 * what its modules make of them. */
static ilk_status open_modules(ilk_model *m, ilk_error *err)
{
    uint32_t dim = m->own ? m->net->tower[0].embed_dim : m->net->tower[0].dim;
    m->modules.own = m->own;
    return ilki_embed_read_modules(&m->modules, m->rt->vfs, m->root, m->rt->ops, dim, &m->arena, err);
}

static ilk_status read_processor(ilk_model *m, const char *model_type, ilk_error *err)
{
    static const char *const names[] = {"preprocessor_config.json", "processor_config.json"};
    ilki_json *j = NULL;
    ilk_status st = ILK_OK;
    for (size_t i = 0; i < 2 && st == ILK_OK && !j; i++) {
        st = ilki_embed_read_json(&j, m->rt->vfs, m->dir, names[i], false, err);
        m->processor = names[i];
    }
    if (st == ILK_OK && !j)
        return ilki_base_fail(err, ILK_NOT_FOUND, "%s: expected preprocessor_config.json, found none", m->dir);
    if (st == ILK_OK) {
        st = ilki_media_read_processor(&m->image, j, m->processor, model_type, err);
        if (st != ILK_OK)
            ilki_base_error_prefix(err, "%s", m->dir);
    }
    ilki_base_json_free(j);
    return st;
}

static ilk_status open_processor(ilk_model *m, ilk_error *err)
{
    const ilki_json *j = m->config;
    const char *type = ilki_base_json_string(j, ilki_base_json_get(j, ilki_base_json_root(j), "model_type"), NULL);
    ilk_status st;
    if (m->open_clip)
        st = ilki_media_read_preprocess_cfg(&m->image, j, m->net->tower[m->image_tower].image_size, err);
    else
        st = read_processor(m, type, err);
    if (st != ILK_OK)
        return st;
    m->pixel_values = ilki_base_arena_alloc(&m->arena, 3, sizeof *m->pixel_values);
    if (!m->pixel_values)
        return ilki_base_fail_memory(err, 3 * sizeof *m->pixel_values, "a processor's table");
    ilki_media_pixel_values(&m->image, m->pixel_values);
    return ILK_OK;
}

/* The folder of the model and what it is called, with its projection: "NAME#projection=PATH", which opens it again. */
static ilk_status find_model(ilk_model *m, const char *where, const char *projection, char **name, ilk_error *err)
{
    char *model = NULL, *path = NULL, *own = NULL;
    ilki_buf b;
    ilki_base_buf_init(&b, 65536);
    ilk_status st = ilki_embed_split_where(m->rt->vfs, where, &model, &path, err);
    if (st == ILK_OK && path && projection)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: expected one projection, found another beside it: %s", where,
                            projection);
    const char *given = projection ? projection : path;
    if (st == ILK_OK)
        st = ilki_embed_resolve(m->rt->vfs, model, &m->dir, &own, err);
    if (st == ILK_OK && given) {
        ilki_base_buf_addf(&b, "%s" ILKI_PROJECTION_MARK "%s", own, given);
        m->info.projection = copy(m, given);
        st = m->info.projection ? ilki_base_buf_check(&b, "a name", err)
                                : ilki_base_fail_memory(err, strlen(given), "a path");
    }
    if (st == ILK_OK)
        *name = given ? ilki_base_strndup(b.data, b.len) : ilki_base_strndup(own, strlen(own));
    if (st == ILK_OK && !*name)
        st = ilki_base_fail_memory(err, strlen(own), "a name");
    ilki_base_buf_deinit(&b);
    free(model);
    free(path);
    free(own);
    return st;
}

static ilk_status open_projection(ilk_model *m, ilk_error *err)
{
    const ilki_tower_info *t = &m->net->tower[m->text_tower < 0 ? 0 : m->text_tower];
    uint32_t dim = ilki_embed_modules_dim(&m->modules, m->own ? t->embed_dim : t->dim);
    m->glance[0] = 0; /* of one folder, and the vectors are of two */
    return ilki_embed_open_projection(&m->projection, &m->modules, m->rt->vfs, m->info.projection, dim, m->rt->ops,
                                      &m->arena, err);
}

static ilk_status open_model(ilk_model **out, ilk_runtime *rt, const char *where, const ilk_model_options *opt,
                             bool streamed, ilk_job *job, ilk_error *err)
{
    *out = NULL;
    ilk_model *m = ilki_base_zalloc(1, sizeof *m);
    if (!m)
        return ilki_base_fail_memory(err, sizeof *m, "a model");
    m->rt = rt;
    m->no_mmap = opt->no_mmap;
    m->packed_cache = opt->packed_cache;
    m->info.precision = opt->precision;
    m->attention = opt->attention;
    m->job = job;
    m->streamed = streamed; /* if it need be */
    m->batch_tokens = opt->batch_tokens ? opt->batch_tokens : 1024;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->idle, NULL);
    char *name = NULL;
    ilk_status st = find_model(m, where, opt->projection, &name, err);
    if (st == ILK_OK)
        st = split_file(m, err);
    if (st == ILK_OK)
        st = find_base(m, err);
    if (st == ILK_OK)
        st = ilki_embed_find_training(m, err);
    if (st == ILK_OK)
        st = enter_module(m, err);
    if (st == ILK_OK)
        look_at_folder(m);
    if (st == ILK_OK)
        st = open_parts(m, err);
    if (st == ILK_OK)
        st = open_modules(m, err);
    if (st == ILK_OK && m->info.projection)
        st = open_projection(m, err);
    if (st == ILK_OK && m->image_tower >= 0)
        st = open_processor(m, err);
    if (st == ILK_OK)
        st = describe(m, name, err);
    if (st == ILK_OK)
        st = ilki_embed_read_score(m, err);
    if (st == ILK_OK)
        st = decide_length(m, opt->max_tokens, err);
    free(name);
    if (st != ILK_OK) {
        ilki_embed_close(m);
        return st;
    }
    m->job = NULL;
    ilki_embed_packs_keep(m);
    m->info.packed_file = m->packed_file;
    m->info.packed_bytes = m->packs ? ilki_tensor_packs_bytes(m->packs) : 0;
    if (m->modules.lower_case)
        ilki_base_log(rt, ILK_LOG_WARN, "%s: do_lower_case of sentence_bert_config.json is left to the tokenizer",
                      m->dir);
    *out = m;
    return ILK_OK;
}

ilk_status ilki_embed_open(ilk_model **out, ilk_runtime *rt, const char *where, const ilk_model_options *opt,
                           ilk_error *err)
{
    return open_model(out, rt, where, opt, false, NULL, err);
}

ilk_status ilki_embed_open_under(ilk_model **out, ilk_runtime *rt, const char *where, const ilk_model_options *opt,
                                 ilk_job *job, ilk_error *err)
{
    return open_model(out, rt, where, opt, false, job, err);
}

ilk_status ilki_embed_open_reference(ilk_model **out, ilk_runtime *rt, const char *where, const ilk_model_options *opt,
                                     ilk_job *job, ilk_error *err)
{
    ilk_model_options o = *opt;
    o.precision = ILK_PRECISION_F32;
    o.attention = ILK_ATTENTION_AUTO;
    return open_model(out, rt, where, &o, true, job, err);
}

void ilki_embed_close(ilk_model *m)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    while (m->draining && ilki_base_runtime_check(m->rt, NULL) == ILK_OK)
        pthread_cond_wait(&m->idle, &m->lock);
    pthread_mutex_unlock(&m->lock);
    ilki_embed_free_modules(&m->modules);
    ilki_embed_free_projection(m->projection);
    ilki_text_tokenizer_free(m->tokenizer);
    ilki_models_close(m->net);
    ilki_embed_packs_drop(m);
    ilki_format_close(m->weights);
    ilki_embed_free_adapter(m->adapter);
    free(m->adapter_config);
    ilki_base_json_free(m->config);
    pthread_cond_destroy(&m->idle);
    pthread_mutex_destroy(&m->lock);
    ilki_base_arena_deinit(&m->arena);
    free(m->dir);
    free(m->root);
    free(m);
}

const ilk_model_info *ilki_embed_info(const ilk_model *m)
{
    return &m->info;
}

const ilki_tokenizer *ilki_embed_tokenizer(const ilk_model *m)
{
    return m->tokenizer;
}

ilk_runtime *ilki_embed_runtime(const ilk_model *m)
{
    return m->rt;
}
