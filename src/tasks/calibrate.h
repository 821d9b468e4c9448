/* SPDX-License-Identifier: Apache-2.0
 * Which precision keeps a model's vectors here, and which of those is worth it. */
#ifndef ILKI_TASKS_CALIBRATE_H
#define ILKI_TASKS_CALIBRATE_H

#include "tasks/texts.h"

/* ilk's own texts, a mixture of lengths and scripts in every part of the list. */
extern const char *const ilki_tasks_calibration_texts[];
extern const size_t ilki_tasks_n_calibration_texts;

/* Sets chosen and why from the figures, which are all that it looks at. */
void ilki_tasks_settle(ilk_calibration *c, uint32_t n_layers, uint64_t n_parameters);

#endif
