/* SPDX-License-Identifier: Apache-2.0
 * ilk_eval_zeroshot, ilk_eval_captions: argument checks before room tasks. */
#include "api/sized.h"
#include "base/runtime.h"
#include "tasks/tasks.h"

void ilk_zeroshot_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

void ilk_zeroshot_result_init_sized(void *result, size_t size)
{
    ilki_api_init_sized(result, size);
}

void ilk_captions_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

void ilk_captions_result_init_sized(void *result, size_t size)
{
    ilki_api_init_sized(result, size);
}

static ilk_status check(const char *call, const ilk_model *m, const char *place, ilk_error *err)
{
    if (m == NULL || place == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: %s is NULL", call, m == NULL ? "model" : "place");
    return ilki_base_runtime_check(ilki_embed_runtime(m), err);
}

ilk_status ilk_eval_zeroshot(ilk_model *m, const char *place, const ilk_zeroshot_options *opt, ilk_job *job,
                             ilk_zeroshot_result *result, ilk_error *err)
{
    ilk_zeroshot_options o;
    ilk_zeroshot_result all = {.size = sizeof all};
    ilk_zeroshot_options_init(&o);
    ilk_status st = check("ilk_eval_zeroshot", m, place, err);
    if (st == ILK_OK && opt != NULL)
        st = ilki_base_take_options(&o, sizeof o, opt, "zero-shot options", err);
    if (st == ILK_OK && o.templates != NULL && o.prompts != 0)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT,
                            "zero-shot options: expected prompts or a file of templates, found both");
    if (st == ILK_OK)
        st = ilki_tasks_zeroshot(m, place, &o, job, &all, err);
    return st == ILK_OK ? ilki_api_give_sized(result, &all, sizeof all, "zero-shot result", err) : st;
}

ilk_status ilk_eval_captions(ilk_model *m, const char *place, const ilk_captions_options *opt, ilk_job *job,
                             ilk_captions_result *result, ilk_error *err)
{
    ilk_captions_options o;
    ilk_captions_result all = {.size = sizeof all};
    ilk_captions_options_init(&o);
    ilk_status st = check("ilk_eval_captions", m, place, err);
    if (st == ILK_OK && opt != NULL)
        st = ilki_base_take_options(&o, sizeof o, opt, "captions options", err);
    if (st == ILK_OK)
        st = ilki_tasks_crossmodal(m, place, &o, job, &all, err);
    return st == ILK_OK ? ilki_api_give_sized(result, &all, sizeof all, "captions result", err) : st;
}
