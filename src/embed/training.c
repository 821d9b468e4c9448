/* SPDX-License-Identifier: Apache-2.0
 * See training.h. open_clip's params.txt has a line "name: value" for each of the training's flags, as Python prints it, None where it
 * was not given; open_clip 3.3 src/open_clip_train/{params,main}.py. Of several checkpoints epoch_latest.pt is the newest,
 * which is written after every epoch where it is written at all, else the one of the highest epoch. */
#include "embed/training.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed/state.h"

#define CHECKPOINTS "checkpoints"
#define LATEST      "epoch_latest.pt"

enum { MAX_SIDE = 1 << 14 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ------------------------------------------------------------------ params.txt */

typedef struct line {
    const char *key, *value; /* not terminated */
    size_t n_key, n_value;
} line;

static ilk_status refuse(const line *l, const char *expected, ilk_error *err)
{
    return ilki_base_fail(err, ILK_BAD_FORMAT, ILKI_TRAINED_PARAMS ": %.*s: expected %s, found \"%.*s\"", (int)l->n_key,
                          l->key, expected, (int)(l->n_value < 64 ? l->n_value : 64), l->value);
}

static bool is_word(const line *l, const char *word)
{
    return l->n_value == strlen(word) && memcmp(l->value, word, l->n_value) == 0;
}

static ilk_status read_word(const line *l, void *to, size_t room, ilk_error *err)
{
    if (l->n_value >= room || memchr(l->value, 0, l->n_value))
        return refuse(l, "a shorter word", err);
    memcpy(to, l->value, l->n_value);
    ((char *)to)[l->n_value] = 0;
    return ILK_OK;
}

static ilk_status read_flag(const line *l, void *to, size_t room, ilk_error *err)
{
    (void)room;
    *(bool *)to = is_word(l, "True");
    return *(bool *)to || is_word(l, "False") ? ILK_OK : refuse(l, "True or False", err);
}

/* Python prints lists of numbers as JSON has them. */
static size_t read_numbers(const line *l, double *to, size_t most)
{
    ilki_json *j = NULL;
    size_t n = 0;
    if (ilki_base_json_parse(&j, l->value, l->n_value, ILKI_TRAINED_PARAMS, NULL, NULL) != ILK_OK)
        return 0;
    ilki_json_node root = ilki_base_json_root(j), first = ilki_base_json_first(j, root);
    for (ilki_json_node v = first ? first : root; v; v = ilki_base_json_next(j, v), n++) {
        bool number = ilki_base_json_type(j, v) == ILKI_JSON_NUMBER;
        if (n < most)
            to[n] = ilki_base_json_double(j, v, 0);
        if (!number || n == most) {
            n = 0;
            break;
        }
    }
    ilki_base_json_free(j);
    return n;
}

static ilk_status read_side(const line *l, void *to, size_t room, ilk_error *err)
{
    double sides[2] = {0, 0};
    size_t n = read_numbers(l, sides, 2);
    (void)room;
    if (n == 0 || !(sides[0] >= 1 && sides[0] <= MAX_SIDE) || (n == 2 && sides[1] != sides[0]) ||
        sides[0] != (uint32_t)sides[0])
        return refuse(l, "the side of a square", err);
    *(uint32_t *)to = (uint32_t)sides[0];
    return ILK_OK;
}

static ilk_status read_three(const line *l, void *to, size_t room, ilk_error *err)
{
    (void)room;
    return read_numbers(l, to, 3) == 3 ? ILK_OK : refuse(l, "three numbers", err);
}

typedef struct field {
    const char *name;
    ilk_status (*read)(const line *l, void *to, size_t room, ilk_error *err);
    size_t at, room, has; /* has: of a bool that is set; 0: none */
} field;

#define FIELD(name, read, member)                                                                                      \
    {                                                                                                                  \
        name, read, offsetof(ilki_trained, member), sizeof(((ilki_trained *)0)->member), 0                             \
    }
#define THREE(name, member)                                                                                            \
    {                                                                                                                  \
        name, read_three, offsetof(ilki_trained, member), 0, offsetof(ilki_trained, has_##member)                      \
    }
static const field fields[] = {
    FIELD("model", read_word, model),
    FIELD("pretrained", read_word, pretrained),
    FIELD("force_quick_gelu", read_flag, quick_gelu),
    FIELD("force_image_size", read_side, image_size),
    FIELD("image_interpolation", read_word, interpolation),
    FIELD("image_resize_mode", read_word, resize_mode),
    THREE("image_mean", mean),
    THREE("image_std", std),
};

static ilk_status read_line(ilki_trained *to, const char *s, size_t n, ilk_error *err)
{
    const char *colon = memchr(s, ':', n);
    if (n && s[n - 1] == '\r')
        n--;
    if (!colon || colon + 2 > s + n || colon[1] != ' ')
        return ILK_OK;
    line l = {.key = s, .n_key = (size_t)(colon - s), .value = colon + 2};
    l.n_value = (size_t)(s + n - l.value);
    if (is_word(&l, "None"))
        return ILK_OK;
    for (size_t i = 0; i < COUNT(fields); i++) {
        const field *f = &fields[i];
        if (strlen(f->name) != l.n_key || memcmp(f->name, s, l.n_key) != 0)
            continue;
        if (f->has)
            *(bool *)(void *)((char *)to + f->has) = true;
        return f->read(&l, (char *)to + f->at, f->room, err);
    }
    return ILK_OK;
}

ilk_status ilki_embed_read_training(ilki_trained *to, const char *text, size_t n, ilk_error *err)
{
    ilk_status st = ILK_OK;
    *to = (ilki_trained){0};
    for (size_t at = 0; at < n && st == ILK_OK;) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t len = end ? (size_t)(end - text) - at : n - at;
        st = read_line(to, text + at, len, err);
        at += len + 1;
    }
    if (st == ILK_OK && !to->model[0])
        st = ilki_base_fail(err, ILK_BAD_FORMAT,
                            ILKI_TRAINED_PARAMS
                            ": expected a line \"model: NAME\" of open_clip's training, found none");
    for (char *c = to->model; *c; c++) /* ViT-B/32 is ViT-B-32 */
        *c = *c == '/' ? '-' : *c;
    return st;
}

/* ------------------------------------------------------------------ the folder */

typedef struct newest {
    char name[64];
    uint64_t epoch;
} newest;

/* PREFIX, a number, SUFFIX. */
static bool is_numbered(const char *name, const char *prefix, const char *suffix, uint64_t *number)
{
    size_t n = strlen(prefix), digits = strncmp(name, prefix, n) == 0 ? strspn(name + n, "0123456789") : 0;
    *number = 0;
    for (size_t i = 0; i < digits && digits <= 18; i++)
        *number = *number * 10 + (uint64_t)(name[n + i] - '0');
    return digits > 0 && digits <= 18 && strcmp(name + n + digits, suffix) == 0;
}

static void keep_newest(newest *best, const char *name, uint64_t epoch)
{
    if (best->name[0] && epoch <= best->epoch)
        return;
    best->epoch = epoch;
    snprintf(best->name, sizeof best->name, "%s", name);
}

static bool look_at_checkpoint(void *user, const char *name, ilki_file_type type)
{
    uint64_t epoch;
    (void)type; /* links to files too; what is no file fails when it is opened */
    if (strcmp(name, LATEST) == 0)
        keep_newest(user, name, UINT64_MAX);
    else if (is_numbered(name, "epoch_", ".pt", &epoch))
        keep_newest(user, name, epoch);
    return true;
}

static ilk_status find_newest(ilk_model *m, ilk_error *err)
{
    newest best = {.name = ""};
    const ilki_vfs *vfs = m->rt->vfs;
    char *dir = ilki_base_path_join(m->dir, CHECKPOINTS), *path = NULL;
    ilki_stat info;
    if (!dir)
        return ilki_base_fail_memory(err, strlen(m->dir), "a path");
    ilk_status st = ILK_OK;
    bool there = vfs->stat(vfs, dir, true, &info, NULL) == ILK_OK && info.type == ILKI_FILE_DIR;
    if (there)
        st = vfs->list(vfs, dir, look_at_checkpoint, &best, err);
    if (st == ILK_OK && best.name[0]) {
        path = ilki_base_path_join(CHECKPOINTS, best.name);
        m->weights_path = path ? ilki_base_arena_strndup(&m->arena, path, strlen(path)) : NULL;
        if (!m->weights_path)
            st = ilki_base_fail_memory(err, sizeof best.name, "a path");
    }
    free(path);
    free(dir);
    return st;
}

static bool is_described(const ilki_vfs *vfs, const char *dir)
{
    return ilki_embed_has_file(vfs, dir, "config.json") || ilki_embed_has_file(vfs, dir, ILKI_OPEN_CLIP_CONFIG) ||
           ilki_embed_has_file(vfs, dir, "modules.json");
}

/* NAME/checkpoints, FILE to NAME, checkpoints/FILE, where NAME is such a folder. */
static ilk_status leave_checkpoints(ilk_model *m, ilk_error *err)
{
    const ilki_vfs *vfs = m->rt->vfs;
    for (size_t n = strlen(m->dir); n > 1 && m->dir[n - 1] == '/';)
        m->dir[--n] = 0;
    const char *last = ilki_base_path_name(m->dir);
    bool here = strcmp(last, ".") == 0 || strcmp(last, "..") == 0 || !*last;
    char *up = here ? ilki_base_path_join(m->dir, "..") : ilki_base_path_dir(m->dir);
    char *file = ilki_base_path_join(CHECKPOINTS, m->weights_path ? m->weights_path : ".");
    ilk_status st = up && file ? ILK_OK : ilki_base_fail_memory(err, strlen(m->dir), "a path");
    bool found = st == ILK_OK && (ilki_embed_has_file(vfs, up, ILKI_TRAINED_PARAMS) ||
                                  ilki_embed_has_file(vfs, up, ILKI_OPEN_CLIP_CONFIG));
    if (found && m->weights_path)
        found = ilki_embed_has_file(vfs, up, file);
    else if (found)
        found = strcmp(last, CHECKPOINTS) == 0;
    if (found && m->weights_path) {
        m->weights_path = ilki_base_arena_strndup(&m->arena, file, strlen(file));
        st = m->weights_path ? ILK_OK : ilki_base_fail_memory(err, strlen(file), "a path");
    }
    free(file);
    if (!found || st != ILK_OK) {
        free(up);
        return st;
    }
    free(m->dir);
    m->dir = up;
    return ILK_OK;
}

ilk_status ilki_embed_find_training(ilk_model *m, ilk_error *err)
{
    const ilki_vfs *vfs = m->rt->vfs;
    ilk_status st = ILK_OK;
    if (!is_described(vfs, m->dir) && !ilki_embed_has_file(vfs, m->dir, ILKI_TRAINED_PARAMS))
        st = leave_checkpoints(m, err);
    bool own = ilki_embed_has_file(vfs, m->dir, ILKI_OPEN_CLIP_CONFIG),
         found = ilki_embed_has_file(vfs, m->dir, ILKI_TRAINED_PARAMS);
    if (st != ILK_OK || ilki_embed_has_file(vfs, m->dir, "config.json") || (!own && !found))
        return st;
    if (!own)
        m->config_name = ILKI_TRAINED_PARAMS;
    return m->weights_path || ilki_embed_has_weights(vfs, m->dir) ? ILK_OK : find_newest(m, err);
}

/* ------------------------------------------------------------------ of transformers' training */

static bool look_at_folder(void *user, const char *name, ilki_file_type type)
{
    uint64_t step;
    (void)type;
    if (is_numbered(name, "checkpoint-", "", &step))
        keep_newest(user, name, step);
    return true;
}

ilk_status ilki_embed_fail_no_config(const ilk_model *m, ilk_error *err)
{
    newest best = {.name = ""};
    (void)m->rt->vfs->list(m->rt->vfs, m->dir, look_at_folder, &best, NULL);
    if (best.name[0])
        return ilki_base_fail(
            err, ILK_NOT_FOUND,
            "%s: expected a model's config.json, found only checkpoints of its training: name one, as %s/%s", m->dir,
            m->dir, best.name);
    return ilki_base_fail(err, ILK_NOT_FOUND, "%s: expected a model's config.json, found none", m->dir);
}
