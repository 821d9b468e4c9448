/* SPDX-License-Identifier: Apache-2.0
 * Uses of vectors: the calls behind ilk_eval_… and ilk_verify…, whose contracts stand in ilk.h. */
#ifndef ILKI_TASKS_TASKS_H
#define ILKI_TASKS_TASKS_H

#include "embed/embed.h"

/* result->size and the cuts are set here; a struct is filled from the start. */
ilk_status ilki_tasks_retrieval(ilk_runtime *rt, ilk_model *m, const char *dir, const ilk_eval_options *opt,
                                ilk_job *job, ilk_eval_result *result, ilk_error *err);
ilk_status ilki_tasks_sts(ilk_model *m, const char *file, const ilk_eval_options *opt, ilk_job *job,
                          ilk_sts_result *result, ilk_error *err);

ilk_status ilki_tasks_zeroshot(ilk_model *m, const char *place, const ilk_zeroshot_options *opt, ilk_job *job,
                               ilk_zeroshot_result *result, ilk_error *err);
ilk_status ilki_tasks_crossmodal(ilk_model *m, const char *place, const ilk_captions_options *opt, ilk_job *job,
                                 ilk_captions_result *result, ilk_error *err);

ilk_status ilki_tasks_against(ilk_model *m, const char *texts, const char *vectors, const ilk_against_options *opt,
                              ilk_job *job, ilk_against_result *result, ilk_error *err);
ilk_status ilki_tasks_known(ilk_model *m, const ilk_verify_options *opt, ilk_job *job, ilk_golden_result *result,
                            ilk_error *err);

ilk_status ilki_tasks_calibrate(ilk_runtime *rt, const char *where, const ilk_model_options *opt, ilk_job *job,
                                ilk_calibration *out, ilk_error *err);
ilk_status ilki_tasks_get_calibration(ilk_model *m, ilk_calibration *out, ilk_error *err);

#endif
