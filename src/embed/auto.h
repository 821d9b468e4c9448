/* SPDX-License-Identifier: Apache-2.0
 * What was decided about a model's precisions on this machine, kept in XDG_CACHE_HOME/ilk/auto: a small JSON file for each
 * (fingerprint, whether f32 fits, CPU, kernels, version of ilk). Which precision to take is tasks/calibrate.c's to say. */
#ifndef ILKI_EMBED_AUTO_H
#define ILKI_EMBED_AUTO_H

#include "embed/embed.h"

/* A folder as it lies there: a hash over name, device, inode, size and times of all files in it and in the folders right
 * below it. "" where it cannot be told. It costs no read of a file. */
void ilki_embed_glance(const ilki_vfs *vfs, const char *dir, const char *name, char hex[65]);

/* Which model a decision is about. It is another where f32 would not fit, since then f32 is not among the choices. */
typedef struct ilki_auto_model {
    const char *fingerprint;
    bool exceeds; /* its weights in f32 are more than the memory ceiling */
} ilki_auto_model;

/* False where nothing is cached, or what is cached is damaged or about something else; *out is then as it was. */
bool ilki_embed_read_auto(ilk_runtime *rt, const ilki_auto_model *of, ilk_calibration *out);
/* A cache that cannot be written costs time, nothing else. */
void ilki_embed_write_auto(ilk_runtime *rt, const ilki_auto_model *of, const ilk_calibration *c);

/* The precision that is cached for the folder that a model is about to be opened from, and its attention where that is AUTO
 * as it comes; both stay as they are where nothing is cached. The model's files are not read, so a folder whose fingerprint
 * was never asked for has nothing. */
void ilki_embed_cached_precision(const ilk_model *m, ilk_precision *precision, ilk_attention *attention);

/* Whether precisions under f32 have two forms of attention here. */
bool ilki_embed_has_attentions(const ilk_runtime *rt);

/* The text of such a file, and back; what the reader does not know is an error. Where precisions have two forms of attention, one
 * that does not say its own was measured with bf16: so were all before the form was decided. */
ilk_status ilki_embed_print_auto(ilki_buf *to, const ilk_runtime *rt, const ilki_auto_model *of,
                                 const ilk_calibration *c, ilk_error *err);
ilk_status ilki_embed_parse_auto(ilk_calibration *out, const ilk_runtime *rt, const ilki_auto_model *of,
                                 const char *text, size_t n, ilk_error *err);

#endif
