/* SPDX-License-Identifier: Apache-2.0
 * A folder as open_clip's training leaves it: NAME/params.txt and NAME/checkpoints/epoch_K.pt, without a config. */
#ifndef ILKI_EMBED_TRAINING_H
#define ILKI_EMBED_TRAINING_H

#include "models/trained.h"

struct ilk_model;

/* BAD_FORMAT names the line and what it should be. Lines that are not of interest are not looked at. */
ilk_status ilki_embed_read_training(ilki_trained *to, const char *text, size_t n, ilk_error *err);

/* Where such a folder, its checkpoints or one of them is named: dir becomes the folder, weights_path
 * "checkpoints/FILE", the newest where none is named, and config_name params.txt where no config is there. */
ilk_status ilki_embed_find_training(struct ilk_model *m, ilk_error *err);

/* NOT_FOUND of a folder that has no config; names the newest of a Trainer's checkpoints where there are any. */
ilk_status ilki_embed_fail_no_config(const struct ilk_model *m, ilk_error *err);

#endif
