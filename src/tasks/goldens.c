/* SPDX-License-Identifier: Apache-2.0
 * Rows ILKI_KNOWN_GOLDEN of known.def, and the texts and pictures that they name. */
#include "tasks/goldens.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"

#define MAX_PICTURE ((size_t)64 << 20)

static const char *const planets[] = {"Which planet is known as the Red Planet?",
                                      "Venus is often called Earth's twin because of its similar size and proximity.",
                                      "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
                                      "Jupiter, the largest planet in our solar system, has a prominent red spot.",
                                      "Saturn, famous for its rings, is sometimes mistaken for the Red Planet."};
static const char *const learning[] = {"What is Deep Learning?", "Deep Learning is..."};
static const char *const animals[] = {"I love cats", "I love dogs", "The stock market crashed"};
static const char *const hello[] = {"hello world"};
static const char *const pokemon[] = {"杰尼龟", "妙蛙种子", "小火龙", "皮卡丘"};
static const char *const pair_of_photos[] = {"a photo of a cat", "a photo of a dog"};
static const char *const pair_of_counts[] = {"a photo of 2 cats", "a photo of 2 dogs"};

static const ilki_golden_picture two_cats = {
    "000000039769.jpg", "COCO val2017 000000039769.jpg, which is qdrant/fastembed: tests/misc/image.jpeg",
    "dea9e7ef97386345f7cff32f9055da4982da5471c48d575146c796ab4563b04e"};
static const ilki_golden_picture pikachu = {"pokemon.jpeg", "OFA-Sys/Chinese-CLIP: examples/pokemon.jpeg",
                                            "0ad09b846ccfcee616c03fa8da9c55caa0613b9fd33b7711629846403ae21bb0"};

/* By the names that the rows have. */
static const ilki_golden_set PLANETS = {planets, 5, NULL};
static const ilki_golden_set LEARNING = {learning, 2, NULL};
static const ilki_golden_set ANIMALS = {animals, 3, NULL};
static const ilki_golden_set HELLO = {hello, 1, NULL};
static const ilki_golden_set CATS = {NULL, 0, &two_cats};
static const ilki_golden_set CAT_OR_DOG = {pair_of_photos, 2, &two_cats};
static const ilki_golden_set CATS_OR_DOGS = {pair_of_counts, 2, &two_cats};
static const ilki_golden_set POKEMON = {pokemon, 4, &pikachu};

static const ilki_golden_row goldens[] = {
#define ILKI_KNOWN_GOLDEN(id, set, kind, tolerance, source, ...)                                                       \
    {id, &set, ILKI_GOLDEN_##kind, tolerance, source, sizeof((double[]){__VA_ARGS__}) / sizeof(double), {__VA_ARGS__}},
#include "embed/known.def"
};

const ilki_golden_row *ilki_tasks_golden_at(size_t i)
{
    return i < sizeof goldens / sizeof *goldens ? &goldens[i] : NULL;
}

/* ------------------------------------------------------------------ pictures */

typedef struct search {
    const ilki_vfs *vfs;
    const char *dir, *sha256;
    char *data;
    size_t n;
    ilk_status status; /* NO_MEMORY: what does not fit is not taken for another file */
} search;

/* True where it is found, or memory is short. */
static bool try_file(search *s, const char *name)
{
    uint8_t digest[32];
    char hex[65], *path = ilki_base_path_join(s->dir, name);
    ilk_status st = path ? ilki_base_read_file(s->vfs, path, MAX_PICTURE, &s->data, &s->n, NULL) : ILK_NO_MEMORY;
    s->status = st == ILK_NO_MEMORY ? st : ILK_OK;
    if (st == ILK_OK) {
        ilki_base_sha256(s->data, s->n, digest);
        ilki_base_hex(digest, sizeof digest, hex);
        if (strcmp(hex, s->sha256) != 0) {
            free(s->data);
            s->data = NULL;
        }
    }
    free(path);
    return s->data != NULL || s->status != ILK_OK;
}

static bool look_at(void *user, const char *name, ilki_file_type type)
{
    return type == ILKI_FILE_DIR || !try_file(user, name);
}

ilk_status ilki_tasks_find_picture(const ilki_vfs *vfs, const char *dir, const ilki_golden_picture *picture,
                                   char **data, size_t *n, ilk_error *err)
{
    search s = {.vfs = vfs, .dir = dir, .sha256 = picture->sha256};
    ilk_status st = ILK_OK;
    *data = NULL;
    if (!try_file(&s, picture->name))
        st = vfs->list(vfs, dir, look_at, &s, err);
    if (st == ILK_NOT_FOUND)
        return ilki_base_fail(err, ILK_IO, "%s: expected a folder of pictures, found none", dir);
    if (st == ILK_OK && s.status != ILK_OK)
        return ilki_base_fail_memory(err, MAX_PICTURE, "a picture");
    if (st != ILK_OK || !s.data)
        return st != ILK_OK ? st : ilki_base_fail(err, ILK_NOT_FOUND, "%s: no file is %s", dir, picture->where);
    *data = s.data;
    *n = s.n;
    return ILK_OK;
}
