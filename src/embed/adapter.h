/* SPDX-License-Identifier: Apache-2.0
 * Adapters of PEFT: low-rank changes beside a checkpoint, added to its weights at open. */
#ifndef ILKI_EMBED_ADAPTER_H
#define ILKI_EMBED_ADAPTER_H

#include "base/vfs.h"
#include "format/format.h"

#define ILKI_ADAPTER_CONFIG "adapter_config.json"

typedef struct ilki_adapter {
    char *dir;     /* that holds it */
    char *base;    /* directory or id of the checkpoint that it belongs to, as its file says; NULL: it does not */
    char *weights; /* path of its file of weights */
    double alpha;  /* a change counts alpha / rank, with rslora alpha / sqrt(rank) */
    bool rslora;
    size_t n_changed; /* matrices */
    size_t rank;      /* the largest */
} ilki_adapter;

/* The adapter of a folder; *out NULL where it holds none. UNSUPPORTED names what is not LoRA. */
ilk_status ilki_embed_read_adapter(ilki_adapter **out, const ilki_vfs *vfs, const char *dir, ilk_error *err);
/* Adds it to the weights it names, in f32. BAD_FORMAT: a tensor that belongs to none of them, or has another shape. */
ilk_status ilki_embed_merge_adapter(ilki_adapter *a, const ilki_vfs *vfs, const ilki_kern_ops *ops, ilki_weights *w,
                                    ilk_error *err);
void ilki_embed_free_adapter(ilki_adapter *a);

#endif
