/* SPDX-License-Identifier: Apache-2.0
 * Rows ILKI_KNOWN_GOLDEN of known.def, and the sets of texts that they name. */
#include "tasks/goldens.h"

static const ilki_golden_row goldens[] = {
#define ILKI_KNOWN_GOLDEN(id, set, kind, tolerance, source, ...)                                                       \
    {id,                                                                                                               \
     ILKI_GOLDEN_##set,                                                                                                \
     ILKI_GOLDEN_##kind,                                                                                               \
     tolerance,                                                                                                        \
     source,                                                                                                           \
     sizeof((double[]){__VA_ARGS__}) / sizeof(double),                                                                 \
     {__VA_ARGS__}},
#include "embed/known.def"
};

static const char *const planets[] = {"Which planet is known as the Red Planet?",
                                      "Venus is often called Earth's twin because of its similar size and proximity.",
                                      "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
                                      "Jupiter, the largest planet in our solar system, has a prominent red spot.",
                                      "Saturn, famous for its rings, is sometimes mistaken for the Red Planet."};
static const char *const learning[] = {"What is Deep Learning?", "Deep Learning is..."};
static const char *const animals[] = {"I love cats", "I love dogs", "The stock market crashed"};
static const char *const hello[] = {"hello world"};
static const char *const pokemon[] = {"杰尼龟", "妙蛙种子", "小火龙", "皮卡丘"};

static const struct {
    const char *const *texts;
    size_t n;
    const char *picture;
} sets[] = {
    [ILKI_GOLDEN_PLANETS] = {planets, 5, NULL},
    [ILKI_GOLDEN_LEARNING] = {learning, 2, NULL},
    [ILKI_GOLDEN_ANIMALS] = {animals, 3, NULL},
    [ILKI_GOLDEN_HELLO] = {hello, 1, NULL},
    [ILKI_GOLDEN_STREET] = {NULL, 0, "qdrant/fastembed: tests/misc/image.jpeg"},
    [ILKI_GOLDEN_POKEMON] = {pokemon, 4, "OFA-Sys/Chinese-CLIP: examples/pokemon.jpeg"},
};

const ilki_golden_row *ilki_tasks_golden_at(size_t i)
{
    return i < sizeof goldens / sizeof *goldens ? &goldens[i] : NULL;
}

size_t ilki_tasks_golden_texts(ilki_golden_set set, const char *const **texts, const char **picture)
{
    *texts = sets[set].texts;
    *picture = sets[set].picture;
    return sets[set].n;
}
