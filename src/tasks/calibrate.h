/* SPDX-License-Identifier: Apache-2.0
 * Which precision keeps a model's vectors here, and which of those is worth it. */
#ifndef ILKI_TASKS_CALIBRATE_H
#define ILKI_TASKS_CALIBRATE_H

#include "tasks/texts.h"

/* ilk's own texts, a mixture of lengths and scripts in every part of the list. */
extern const char *const ilki_tasks_calibration_texts[];
extern const size_t ilki_tasks_n_calibration_texts;

/* Picture number `picture` of any number, RGB [side][side][3]. */
void ilki_tasks_draw_picture(uint8_t *pixels, uint32_t side, uint32_t picture);

/* With more layers a model counts as deep: the bounds are wider, but neighbours count. */
enum { ILKI_SHALLOW_LAYERS = 12 };

/* Whether a precision was measured and keeps the vectors. */
bool ilki_tasks_keeps(const ilk_calibration *c, int p, uint32_t n_layers);

/* Sets chosen and why from the figures, which are all that it looks at. */
void ilki_tasks_settle(ilk_calibration *c, uint32_t n_layers, uint64_t n_parameters);
/* The same where f32 exceeds the memory ceiling, and so is no choice: the fastest of those that keep the vectors, int8w where
 * none does, what keeps best where that was not measured. False: nothing else was measured. */
bool ilki_tasks_settle_above(ilk_calibration *c, uint32_t n_layers);

/* How fast a precision was by two clocks, in tokens a second, each the best of its turns. */
typedef struct ilki_pace {
    double wall; /* on the wall */
    double cpu;  /* of CPU time, all threads together */
    bool calm;   /* a turn ran all but undisturbed: the wall's best is one of this machine */
} ilki_pace;

/* Speeds from paces, by precision. Where a precision had no calm turn, something else uses the machine, and chance decides
 * whom it hits; then they are in the ratios of CPU time. */
void ilki_tasks_take_paces(ilk_calibration *c, const ilki_pace pace[ILK_CALIBRATION_PRECISIONS]);

/* The speed of one precision with attention in bf16 over that with f32; 0: it cannot be told. */
double ilki_tasks_attention_gain(const ilki_pace *f32, const ilki_pace *bf16);
/* Whether that is enough for bf16 to stay: more than clocks of two equal forms differ by. */
bool ilki_tasks_attention_pays(double gain);
/* Adds to the reasons which form the chosen one has, where there were two. */
void ilki_tasks_say_attention(ilk_calibration *c);

/* ---- time: no candidate is begun that would not end in it, and what does not end is cut off */

typedef struct ilki_trials {
    uint64_t (*now_ns)(void *user);
    /* Opens and measures one, which is the same for all but in time. DEADLINE at until_ns at the latest. */
    ilk_status (*measure)(void *user, int precision, ilk_error *err);
    bool (*may)(void *user, int precision); /* whether it is a candidate at all */
    void *user;
    const ilk_job *job; /* the caller's: whose stop is no lack of time */
    uint64_t begin_ns, until_ns;
    bool short_of_time; /* out: some were not begun, or cut off */
} ilki_trials;

/* F32, then int8, which the others seldom beat, and so on. OK also where time was short. A candidate is begun where the
 * longest so far would end in 85 % of the time; the first one always. */
ilk_status ilki_tasks_try(ilki_trials *t, ilk_error *err);

/* ilki_tasks_calibrate within so many seconds from now. 0: those of the interface. */
ilk_status ilki_tasks_calibrate_within(ilk_runtime *rt, const char *where, const ilk_model_options *opt, double seconds,
                                       ilk_job *job, ilk_calibration *out, ilk_error *err);

#endif
