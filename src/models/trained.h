/* SPDX-License-Identifier: Apache-2.0
 * What open_clip_config.json would say of a checkpoint that open_clip's training left without one. */
#ifndef ILKI_MODELS_TRAINED_H
#define ILKI_MODELS_TRAINED_H

#include "base/json.h"
#include "format/format.h"

#define ILKI_TRAINED_PARAMS "params.txt"

/* The lines of params.txt that decide a vector. Empty or 0: None. */
typedef struct ilki_trained {
    char model[64], pretrained[256], interpolation[16], resize_mode[16];
    bool quick_gelu; /* forced */
    uint32_t image_size;
    bool has_mean, has_std;
    double mean[3], std[3];
} ilki_trained;

/* UNSUPPORTED where it is none of open_clip's own ViT, or its name is not known; the error says what a config would have to
 * say. `params` NULL: there is no params.txt, which is NOT_FOUND with such an example. `where` stands in messages. */
ilk_status ilki_models_config_of_trained(ilki_json **config, const ilki_trained *params, const ilki_weights *w,
                                         const char *where, ilk_error *err);

#endif
