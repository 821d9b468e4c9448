/* SPDX-License-Identifier: Apache-2.0
 * The choice among precisions, on figures made up for it: every bound on both sides, 15 %, ties. */
#include "tasks/calibrate.h"

#include <math.h>
#include <stdlib.h>

#include "tasks/tasks.h"
#include "test.h"

enum { SMALL = 6, DEEP = 24 };
static const uint64_t parameters = 22000000;

static void put(ilk_calibration *c, ilk_precision p, double speed, double mean, double least, double kept)
{
    c->tokens_per_second[p] = speed;
    c->cosine_mean[p] = mean;
    c->cosine_least[p] = least;
    c->nearest_kept[p] = kept;
}

static ilk_calibration begin(void)
{
    ilk_calibration c = {.size = sizeof c};
    put(&c, ILK_PRECISION_F32, 1000, 1, 1, 1);
    return c;
}

static void check_choice(ilk_calibration c, uint32_t n_layers, ilk_precision want, int line)
{
    ilki_tasks_settle(&c, n_layers, parameters);
    CHECK_THAT(c.chosen == want, "line %d: chosen %s, want %s", line, ilk_precision_name(c.chosen),
               ilk_precision_name(want));
    CHECK_THAT(c.why[0] != 0, "line %d: no reason", line);
}
#define CHOICE(c, layers, want) check_choice((c), (layers), ILK_PRECISION_##want, __LINE__)

static void bounds(void)
{
    static const struct {
        double mean, least, kept;
        ilk_precision small, deep;
    } rows[] = {{0.999, 0.995, 0.95, ILK_PRECISION_INT8, ILK_PRECISION_INT8},
                {0.99899, 0.995, 0.95, ILK_PRECISION_F32, ILK_PRECISION_INT8},
                {0.999, 0.99499, 0.95, ILK_PRECISION_F32, ILK_PRECISION_INT8},
                {0.998, 0.99, 0.95, ILK_PRECISION_F32, ILK_PRECISION_INT8},
                {0.99799, 0.99, 0.95, ILK_PRECISION_F32, ILK_PRECISION_F32},
                {0.998, 0.98999, 0.95, ILK_PRECISION_F32, ILK_PRECISION_F32},
                {0.9999, 0.999, 0.9499, ILK_PRECISION_INT8, ILK_PRECISION_F32},
                {(double)NAN, 0.999, 1, ILK_PRECISION_F32, ILK_PRECISION_F32}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ilk_calibration c = begin();
        put(&c, ILK_PRECISION_INT8, 3000, rows[i].mean, rows[i].least, rows[i].kept);
        check_choice(c, SMALL, rows[i].small, (int)i);
        check_choice(c, 12, rows[i].small, (int)i);
        check_choice(c, 13, rows[i].deep, (int)i);
        check_choice(c, DEEP, rows[i].deep, (int)i);
    }
}

static void speeds(void)
{
    ilk_calibration c = begin();
    CHOICE(c, SMALL, F32); /* nothing else was measured */
    put(&c, ILK_PRECISION_BF16, 1149, 0.99999, 0.9999, 1);
    CHOICE(c, SMALL, F32);
    put(&c, ILK_PRECISION_BF16, 1151, 0.99999, 0.9999, 1);
    CHOICE(c, SMALL, BF16);
    /* a faster one that keeps worse is taken for 15 % more than the better one, not than f32 */
    put(&c, ILK_PRECISION_INT8, 1300, 0.9995, 0.998, 1);
    CHOICE(c, SMALL, BF16);
    put(&c, ILK_PRECISION_INT8, 1400, 0.9995, 0.998, 1);
    CHOICE(c, SMALL, INT8);
    /* a better one that is not worth it does not stand in the way */
    put(&c, ILK_PRECISION_BF16, 1100, 0.99999, 0.9999, 1);
    put(&c, ILK_PRECISION_INT8, 1200, 0.9995, 0.998, 1);
    CHOICE(c, SMALL, INT8);
    /* one that does not keep the vectors does not count at all */
    put(&c, ILK_PRECISION_BF16, 9000, 0.99, 0.9, 0.5);
    CHOICE(c, SMALL, INT8);
    put(&c, ILK_PRECISION_INT8, 500, 0.9995, 0.998, 1);
    CHOICE(c, SMALL, F32);
}

static void ties(void)
{
    ilk_calibration c = begin();
    put(&c, ILK_PRECISION_BF16, 2000, 0.9995, 0.998, 1);
    put(&c, ILK_PRECISION_INT8, 2000, 0.9995, 0.998, 1);
    CHOICE(c, SMALL, BF16); /* the first of equals */
    put(&c, ILK_PRECISION_INT8, 2000, 0.9996, 0.998, 1);
    CHOICE(c, SMALL, INT8); /* as fast, and nearer */
    put(&c, ILK_PRECISION_INT8, 2000, 0.9995, 0.9981, 1);
    CHOICE(c, SMALL, INT8);
}

static void tiny(void)
{
    ilk_calibration c = begin();
    put(&c, ILK_PRECISION_INT8, 3000, 0.9999, 0.999, 1);
    ilki_tasks_settle(&c, SMALL, 999999);
    CHECK_INT(c.chosen, ILK_PRECISION_F32);
    ilki_tasks_settle(&c, SMALL, 1000000);
    CHECK_INT(c.chosen, ILK_PRECISION_INT8);
}

static void above_the_ceiling(void)
{
    ilk_calibration c = {.size = sizeof c};
    put(&c, ILK_PRECISION_F32, 10, 1, 1, 1);
    CHECK(!ilki_tasks_settle_above(&c, SMALL)); /* nothing else was measured */
    put(&c, ILK_PRECISION_BF16, 900, 0.99, 0.9, 0.5);
    CHECK(ilki_tasks_settle_above(&c, SMALL)); /* none keeps the vectors, and int8w was not measured */
    CHECK_INT(c.chosen, ILK_PRECISION_BF16);
    put(&c, ILK_PRECISION_INT8, 3000, 0.98, 0.8, 0.5);
    put(&c, ILK_PRECISION_INT8W, 500, 0.97, 0.7, 0.5);
    CHECK(ilki_tasks_settle_above(&c, SMALL));
    CHECK_INT(c.chosen, ILK_PRECISION_INT8W);
    CHECK(strstr(c.why, "no other keeps") != NULL);
    put(&c, ILK_PRECISION_INT8W, 500, 0.9999, 0.999, 1); /* the only one that keeps them */
    CHECK(ilki_tasks_settle_above(&c, SMALL));
    CHECK_INT(c.chosen, ILK_PRECISION_INT8W);
    put(&c, ILK_PRECISION_INT8, 574, 0.9995, 0.998, 1); /* not worth what it loses */
    CHECK(ilki_tasks_settle_above(&c, SMALL));
    CHECK_INT(c.chosen, ILK_PRECISION_INT8W);
    put(&c, ILK_PRECISION_INT8, 576, 0.9995, 0.998, 1);
    CHECK(ilki_tasks_settle_above(&c, SMALL));
    CHECK_INT(c.chosen, ILK_PRECISION_INT8);
    CHECK(strstr(c.why, "1.15 times as fast as int8w") != NULL);
}

static void paces(void)
{
    ilk_calibration c = {.size = sizeof c};
    ilki_pace pace[ILK_CALIBRATION_PRECISIONS] = {[ILK_PRECISION_F32] = {1000, 500, true},
                                                  [ILK_PRECISION_INT8] = {1100, 1500, true},
                                                  [ILK_PRECISION_INT8W] = {900, 400, true}};
    ilki_tasks_take_paces(&c, pace); /* calm: the wall's */
    CHECK_NEAR(c.tokens_per_second[ILK_PRECISION_F32], 1000, 0);
    CHECK_NEAR(c.tokens_per_second[ILK_PRECISION_INT8], 1100, 0);
    CHECK_NEAR(c.tokens_per_second[ILK_PRECISION_BF16], 0, 0);
    pace[ILK_PRECISION_INT8].calm = false;
    ilki_tasks_take_paces(&c, pace); /* in the ratios of CPU time */
    CHECK_NEAR(c.tokens_per_second[ILK_PRECISION_F32], 1000, 0);
    CHECK_NEAR(c.tokens_per_second[ILK_PRECISION_INT8], 3000, 1e-9);
    CHECK_NEAR(c.tokens_per_second[ILK_PRECISION_INT8W], 800, 1e-9);
    CHECK_NEAR(c.tokens_per_second[ILK_PRECISION_BF16], 0, 0);
    pace[ILK_PRECISION_F32] = (ilki_pace){0}; /* left out: another is the measure */
    ilki_tasks_take_paces(&c, pace);
    CHECK_NEAR(c.tokens_per_second[ILK_PRECISION_F32], 0, 0);
    CHECK_NEAR(c.tokens_per_second[ILK_PRECISION_INT8], 1100, 0);
    CHECK_NEAR(c.tokens_per_second[ILK_PRECISION_INT8W], 1100 * 400 / 1500.0, 1e-9);
}

static void attention(void)
{
    ilki_pace f32 = {1000, 500, true}, bf16 = {1100, 450, true};
    ilk_calibration c = begin();
    CHECK_NEAR(ilki_tasks_attention_gain(&f32, &bf16), 1.1, 1e-9);
    bf16.calm = false; /* disturbed: by CPU time */
    CHECK_NEAR(ilki_tasks_attention_gain(&f32, &bf16), 0.9, 1e-9);
    bf16 = (ilki_pace){0};
    CHECK_NEAR(ilki_tasks_attention_gain(&f32, &bf16), 0, 0);
    CHECK(ilki_tasks_attention_pays(1.03) && !ilki_tasks_attention_pays(1.01) && !ilki_tasks_attention_pays(0.9));

    put(&c, ILK_PRECISION_INT8, 3000, 0.9995, 0.998, 1);
    ilki_tasks_settle(&c, SMALL, parameters);
    size_t n = strlen(c.why);
    ilki_tasks_say_attention(&c); /* there is but one */
    CHECK_INT(strlen(c.why), n);
    c.attention[ILK_PRECISION_INT8] = ILK_ATTENTION_F32;
    ilki_tasks_say_attention(&c);
    CHECK(strstr(c.why, "bf16 does not keep the vectors") != NULL);
    c.why[n] = 0;
    c.attention_gain = 0.87;
    ilki_tasks_say_attention(&c);
    CHECK(strstr(c.why, "attention in f32") && strstr(c.why, "0.87"));
    c.why[n] = 0;
    c.attention[ILK_PRECISION_INT8] = ILK_ATTENTION_BF16;
    c.attention_gain = 1.3;
    ilki_tasks_say_attention(&c);
    CHECK(strstr(c.why, "attention in bf16") && strstr(c.why, "1.30"));
    memset(c.why, 'x', sizeof c.why - 1); /* no room */
    ilki_tasks_say_attention(&c);
    CHECK_INT(strlen(c.why), sizeof c.why - 1);
}

/* ------------------------------------------------------------------ time, by a clock of our own */

static const uint64_t second_ns = 1000000000;

typedef struct machine {
    uint64_t now, until, cost[ILK_CALIBRATION_PRECISIONS]; /* cost: seconds */
    ilk_status status;                                     /* of what does not run out of time */
    int order[8];                                          /* what was begun */
    bool done[ILK_CALIBRATION_PRECISIONS];
    int n, missing; /* not a candidate */
} machine;

static uint64_t clock_of(void *user)
{
    return ((machine *)user)->now;
}

static ilk_status measure_made_up(void *user, int p, ilk_error *err)
{
    machine *m = user;
    const uint64_t cost = m->cost[p] * second_ns;
    m->order[m->n++] = p;
    (void)err;
    if (m->now + cost > m->until) { /* as a job stops everything */
        m->now = m->until;
        return ILK_DEADLINE;
    }
    m->now += cost;
    m->done[p] = m->status == ILK_OK;
    return m->status;
}

static bool is_candidate(void *user, int p)
{
    return p != ((machine *)user)->missing;
}

static bool spend(machine *m, uint64_t limit, ilk_status want)
{
    ilki_trials t = {.now_ns = clock_of, .measure = measure_made_up, .may = is_candidate, .user = m, .begin_ns = 1000};
    m->now = t.begin_ns;
    m->until = t.until_ns = t.begin_ns + limit * second_ns;
    CHECK_INT(ilki_tasks_try(&t, NULL), want);
    CHECK_THAT(m->now <= t.until_ns, "%llu ns of %llu s", (unsigned long long)(m->now - t.begin_ns),
               (unsigned long long)limit);
    return t.short_of_time;
}

#define COSTS(f32, int8, int8w, bf16)                                                                                  \
    .cost = {[ILK_PRECISION_F32] = (f32),                                                                              \
             [ILK_PRECISION_INT8] = (int8),                                                                            \
             [ILK_PRECISION_INT8W] = (int8w),                                                                          \
             [ILK_PRECISION_BF16] = (bf16)}

static void within_the_time(void)
{
    machine calm = {COSTS(4, 5, 6, 3)};
    CHECK(!spend(&calm, 60, ILK_OK));
    CHECK_INT(calm.n, 4);
    CHECK(calm.order[0] == ILK_PRECISION_F32 && calm.order[1] == ILK_PRECISION_INT8);

    machine loaded = {COSTS(30, 25, 40, 20)}; /* 115 of 60, as it was met: the rest is not begun */
    CHECK(spend(&loaded, 60, ILK_OK));
    CHECK_INT(loaded.n, 2);
    CHECK(loaded.done[ILK_PRECISION_INT8]);

    machine third = {COSTS(10, 20, 20, 20)}; /* int8w ends at 50 of 60, bf16 would not */
    CHECK(spend(&third, 60, ILK_OK));
    CHECK(third.n == 3 && third.done[ILK_PRECISION_INT8W] && !third.done[ILK_PRECISION_BF16]);

    machine worse = {
        COSTS(10, 15, 60, 15)}; /* foretold too short: cut off where the time ends, and no other is begun */
    CHECK(spend(&worse, 60, ILK_OK));
    CHECK(worse.n == 3 && worse.done[ILK_PRECISION_INT8] && !worse.done[ILK_PRECISION_INT8W]);

    machine slow = {COSTS(50, 20, 1, 1)}; /* int8 is begun all the same, and cut off */
    CHECK(spend(&slow, 60, ILK_OK));
    CHECK(slow.n == 2 && !slow.done[ILK_PRECISION_INT8]);

    machine hopeless = {COSTS(90, 1, 1, 1)};
    CHECK(spend(&hopeless, 60, ILK_OK));
    CHECK(hopeless.n == 1 && !hopeless.done[ILK_PRECISION_F32]);

    machine without = {COSTS(4, 5, 6, 3), .missing = ILK_PRECISION_INT8};
    CHECK(!spend(&without, 60, ILK_OK));
    CHECK(without.n == 3 && without.order[1] == ILK_PRECISION_INT8W);

    machine broken = {COSTS(4, 5, 6, 3), .status = ILK_NO_MEMORY};
    spend(&broken, 60, ILK_NO_MEMORY);
    CHECK_INT(broken.n, 1);
}

/* The caller's own end is no lack of time. */
static void stopped_by_the_caller(void)
{
    ilk_job *job = ilk_job_new(NULL);
    machine m = {COSTS(90, 1, 1, 1)};
    ilki_trials t = {.now_ns = clock_of, .measure = measure_made_up, .may = is_candidate, .user = &m, .job = job};
    m.until = t.until_ns = 60;
    ilk_job_cancel(job);
    CHECK_INT(ilki_tasks_try(&t, NULL), ILK_DEADLINE);
    ilk_job_free(job);
}

/* Drawn the same every time, unlike each other, neighbours alike, and not all of one kind. */
static void the_pictures(void)
{
    enum { SIDE = 32, N = 24, BYTES = SIDE * SIDE * 3 };
    static uint8_t pixels[N][BYTES], again[BYTES];
    size_t n_flat = 0;
    for (uint32_t p = 0; p < N; p++) {
        size_t steps = 0, spread = 0;
        ilki_tasks_draw_picture(pixels[p], SIDE, p);
        ilki_tasks_draw_picture(again, SIDE, p);
        CHECK_MEM(again, pixels[p], BYTES);
        for (size_t i = 3; i < BYTES; i++) {
            steps += (size_t)abs(pixels[p][i] - pixels[p][i - 3]);
            spread += (size_t)abs(pixels[p][i] - pixels[p][(i * 7919) % BYTES]);
        }
        CHECK_THAT(steps < BYTES * 40, "picture %u: steps of %zu", p, steps / BYTES);
        n_flat += spread < BYTES * 30;
        for (uint32_t q = 0; q < p; q++)
            CHECK(memcmp(pixels[p], pixels[q], BYTES) != 0);
    }
    CHECK(n_flat > 0 && n_flat < N / 2);
}

/* A model of two towers is measured by pictures and by texts; this one is too small to be worth another precision. */
static void two_towers(void)
{
    ilk_runtime *rt = NULL;
    ilk_runtime_options opt;
    ilk_model_options mo;
    ilk_calibration c;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options_init(&opt);
    ilk_model_options_init(&mo);
    opt.n_threads = 1;
    REQUIRE(CHECK_OK(ilk_runtime_open(&rt, &opt, &err), &err));
    const char *const folders[] = {"clip-quick", "clip-vision"};
    for (size_t i = 0; i < 2; i++) {
        char path[512];
        snprintf(path, sizeof path, ILK_TEST_DIR "/fixtures/%s", folders[i]);
        if (!CHECK_OK(ilki_tasks_calibrate(rt, path, &mo, NULL, &c, &err), &err))
            continue;
        CHECK_INT(c.chosen, ILK_PRECISION_F32);
        CHECK(c.n_texts >= 24 && c.tokens_per_second[ILK_PRECISION_F32] > 0);
        for (int p = ILK_PRECISION_F32 + 1; p < ILK_CALIBRATION_PRECISIONS; p++)
            CHECK_THAT(!(c.tokens_per_second[p] > 0) || (c.cosine_mean[p] > 0.99 && c.cosine_mean[p] < 1),
                       "%s: precision %d: cosine %g", folders[i], p, c.cosine_mean[p]);
    }
    ilk_runtime_close(rt);
}

static void the_texts(void)
{
    size_t n_long = 0;
    CHECK(ilki_tasks_n_calibration_texts >= 64);
    for (size_t i = 0; i < ilki_tasks_n_calibration_texts; i++) {
        const char *s = ilki_tasks_calibration_texts[i];
        CHECK(s[0] != 0);
        n_long += strlen(s) > 600;
        for (size_t k = 0; k < i; k++)
            CHECK_THAT(strcmp(s, ilki_tasks_calibration_texts[k]) != 0, "texts %zu and %zu are the same", k, i);
    }
    CHECK(n_long >= 4);
}

TEST_MAIN({"the_pictures", the_pictures}, {"two_towers", two_towers}, {"bounds", bounds}, {"speeds", speeds},
          {"ties", ties}, {"tiny", tiny}, {"above_the_ceiling", above_the_ceiling}, {"paces", paces},
          {"attention", attention}, {"within_the_time", within_the_time},
          {"stopped_by_the_caller", stopped_by_the_caller}, {"the_texts", the_texts})
