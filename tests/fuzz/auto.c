/* SPDX-License-Identifier: Apache-2.0
 * Decisions about precisions, behind the fields that say what they are about. What is accepted names a precision that was
 * measured, and is read back from its own print. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "embed/auto.h"
#include "kern/ops.h"
#include "must.h"

/* By kernels with one form of attention or with two. */
static void read_one(const ilki_kern_ops *ops, const uint8_t *data, size_t n)
{
    static const ilki_auto_model model = {"f", false};
    ilk_runtime rt = {.features = "a", .kernels = "b", .ops = ops};
    ilk_calibration c = {.size = sizeof c}, again = {.size = sizeof again};
    ilk_error err;
    ilki_buf text, print;
    char cpu[64];
    ilk_error_init(&err);
    ilki_base_cpu_model(cpu, sizeof cpu);
    ilki_base_buf_init(&text, 1 << 20);
    ilki_base_buf_init(&print, 1 << 20);
    ilki_base_buf_addf(
        &text,
        "{\"version\":\"%s\",\"fingerprint\":\"f\",\"f32\":\"under the ceiling\",\"cpu\":\"%s\",\"features\":\"a\",\"kernels\":\"b\",\"attention\":\"%s\",",
        ILK_VERSION, cpu, ops->attn_bf16_pays ? "bf16" : "f32");
    ilki_base_buf_add(&text, data, n);
    if (!text.failed && ilki_embed_parse_auto(&c, &rt, &model, text.data, text.len, &err) == ILK_OK) {
        MUST(c.chosen > ILK_PRECISION_AUTO && c.tokens_per_second[c.chosen] > 0);
        MUST(ilk_attention_name(c.attention[c.chosen]));
        MUST((c.attention[c.chosen] == ILK_ATTENTION_AUTO) == (!ops->attn_bf16_pays || c.chosen == ILK_PRECISION_F32));
        MUST(ilki_embed_print_auto(&print, &rt, &model, &c, NULL) == ILK_OK);
        MUST(ilki_embed_parse_auto(&again, &rt, &model, print.data, print.len, NULL) == ILK_OK);
        MUST(memcmp(c.tokens_per_second, again.tokens_per_second, sizeof c.tokens_per_second) == 0);
        MUST(memcmp(c.attention, again.attention, sizeof c.attention) == 0);
        MUST(c.chosen == again.chosen);
    } else {
        MUST(text.failed || (err.message[0] && c.chosen == ILK_PRECISION_AUTO));
    }
    ilki_base_buf_deinit(&text);
    ilki_base_buf_deinit(&print);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const ilki_kern_ops one = {.attn_bf16_pays = false}, two = {.attn_bf16_pays = true};
    read_one(&one, data, n);
    read_one(&two, data, n);
    return 0;
}

#include "fuzz_main.h"
