/* SPDX-License-Identifier: Apache-2.0
 * How a checkpoint wants its pictures. */
#ifndef ILKI_EMBED_PROCESSOR_H
#define ILKI_EMBED_PROCESSOR_H

#include "base/json.h"
#include "base/vfs.h"
#include "media/image_spec.h"

/* Reads the processor's file of a folder; *file is its name, for the fingerprint. `model_type` of config.json, or NULL.
 * NOT_FOUND where there is none, UNSUPPORTED for a class that is not known. */
ilk_status ilki_embed_read_processor(ilki_image_spec *spec, const ilki_vfs *vfs, const char *dir,
                                     const char *model_type, const char **file, ilk_error *err);

/* The same of open_clip_config.json's preprocess_cfg; `side`: the network's picture, where it names no size. */
ilk_status ilki_embed_read_preprocess_cfg(ilki_image_spec *spec, const ilki_json *config, uint32_t side,
                                          ilk_error *err);

/* "shorter side 224 bicubic, centre 224 x 224 (torchvision)" */
void ilki_embed_print_processor(const ilki_image_spec *s, char *to, size_t n);

/* What each byte of each channel becomes: rescaled, normalised, with the roundings of the family. */
void ilki_embed_pixel_values(const ilki_image_spec *s, float table[3][256]);

#endif
