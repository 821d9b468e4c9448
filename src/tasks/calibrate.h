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

#endif
