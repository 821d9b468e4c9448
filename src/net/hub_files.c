/* SPDX-License-Identifier: Apache-2.0
 * Which files of a model are fetched: what ilk reads in the root and in each folder that modules.json names, and of the
 * weights one form: safetensors before torch's, one file before shards. Everything else stays at the hub (onnx, openvino,
 * gguf, tf, flax, training state), since it would only take room. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "net/hub.h"

enum { MAX_NAME = 1400, MAX_MODULES = 64, MAX_SHARDS = 2000 };

static const char *const read_names[] = {
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "colbert_linear.pt",
    "config.json",
    "config_sentence_transformers.json",
    "merges.txt",
    "modules.json",
    "open_clip_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "router_config.json",
    "sentence_bert_config.json",
    "sentence_camembert_config.json",
    "sentence_distilbert_config.json",
    "sentence_roberta_config.json",
    "sentence_xlm-roberta_config.json",
    "sentencepiece.bpe.model",
    "sparse_linear.pt",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "video_preprocessor_config.json",
    "vocab.json",
    "vocab.txt",
};

enum { N_WEIGHTS = 6 };

/* The first that is there. */
static const char *const weight_names[N_WEIGHTS] = {
    "model.safetensors", "model.safetensors.index.json", "open_clip_model.safetensors",
    "pytorch_model.bin", "pytorch_model.bin.index.json", "open_clip_pytorch_model.bin",
};

/* Where the others are timm's, one tower beside open_clip's two: transformers' would have a preprocessor's config. */
static const char *const weight_names_timm[N_WEIGHTS] = {
    "open_clip_model.safetensors",  "open_clip_pytorch_model.bin", "model.safetensors",
    "model.safetensors.index.json", "pytorch_model.bin",           "pytorch_model.bin.index.json",
};

static ilki_hub_file *find_in(const ilki_hub_model *m, const char *dir, const char *name)
{
    char path[MAX_NAME];
    int n = snprintf(path, sizeof path, "%s%s%s", dir, *dir ? "/" : "", name);
    return n > 0 && (size_t)n < sizeof path ? ilki_net_hub_find(m, path) : NULL;
}

void ilki_net_hub_choose(ilki_hub_model *m, const char *dir, const char **index)
{
    ilki_hub_file *f = NULL;
    if (index)
        *index = NULL;
    for (size_t i = 0; i < sizeof read_names / sizeof *read_names; i++)
        if ((f = find_in(m, dir, read_names[i])) != NULL)
            f->wanted = true;
    f = NULL;
    bool timm = find_in(m, dir, "open_clip_config.json") && !find_in(m, dir, "preprocessor_config.json");
    const char *const *names = timm ? weight_names_timm : weight_names;
    for (size_t i = 0; i < N_WEIGHTS && f == NULL; i++)
        if ((f = find_in(m, dir, names[i])) != NULL) {
            f->wanted = true;
            if (index && strstr(names[i], ".index.json"))
                *index = f->path;
        }
}

ilk_status ilki_net_hub_choose_shards(ilki_hub_model *m, const char *index, const char *text, size_t n, ilk_error *err)
{
    static const ilki_json_limits limits = {.max_bytes = (size_t)64 << 20, .max_depth = 8};
    ilki_json *j = NULL;
    char dir[MAX_NAME] = "";
    size_t n_shards = 0;
    const char *slash = strrchr(index, '/');
    if (slash != NULL && (size_t)(slash - index) < sizeof dir)
        memcpy(dir, index, (size_t)(slash - index));
    ilk_status st = ilki_base_json_parse(&j, text, n, index, &limits, err);
    ilki_json_node map = st == ILK_OK ? ilki_base_json_get(j, ilki_base_json_root(j), "weight_map") : 0;
    if (st == ILK_OK && ilki_base_json_count(j, map) == 0)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected a weight_map, found none", index);
    for (ilki_json_node i = st == ILK_OK ? ilki_base_json_first(j, map) : 0; i && st == ILK_OK;
         i = ilki_base_json_next(j, i)) {
        size_t len = 0;
        const char *name = ilki_base_json_string(j, i, &len);
        ilki_hub_file *f = name && ilki_net_hub_is_path(name, len) ? find_in(m, dir, name) : NULL;
        if (f == NULL)
            st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: it names \"%.200s\", which the model does not have", index,
                                name ? name : "(no string)");
        else if (!f->wanted && ++n_shards > MAX_SHARDS)
            st = ilki_base_fail(err, ILK_LIMIT, "%s: more than %d shards", index, MAX_SHARDS);
        else
            f->wanted = true;
    }
    ilki_base_json_free(j);
    return st;
}

ilk_status ilki_net_hub_modules(const char *text, size_t n,
                                ilk_status (*fn)(void *user, const char *dir, ilk_error *err), void *user,
                                ilk_error *err)
{
    static const ilki_json_limits limits = {.max_bytes = 1 << 20, .max_depth = 8};
    ilki_json *j = NULL;
    ilk_status st = ilki_base_json_parse(&j, text, n, "modules.json", &limits, err);
    ilki_json_node root = st == ILK_OK ? ilki_base_json_root(j) : 0;
    if (st == ILK_OK &&
        (ilki_base_json_type(j, root) != ILKI_JSON_ARRAY || ilki_base_json_count(j, root) > MAX_MODULES))
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "modules.json: expected an array of at most %d modules", MAX_MODULES);
    for (ilki_json_node i = st == ILK_OK ? ilki_base_json_first(j, root) : 0; i && st == ILK_OK;
         i = ilki_base_json_next(j, i)) {
        size_t len = 0;
        const char *path = ilki_base_json_string(j, ilki_base_json_get(j, i, "path"), &len);
        if (path == NULL || len == 0)
            continue; /* the root */
        if (!ilki_net_hub_is_path(path, len))
            st = ilki_base_fail(err, ILK_BAD_FORMAT, "modules.json: path \"%.200s\" leads out of the model", path);
        else
            st = fn(user, path, err);
    }
    ilki_base_json_free(j);
    return st;
}
