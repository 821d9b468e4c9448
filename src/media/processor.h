/* SPDX-License-Identifier: Apache-2.0
 * How a checkpoint wants its pictures, by its processor's file. */
#ifndef ILKI_MEDIA_PROCESSOR_H
#define ILKI_MEDIA_PROCESSOR_H

#include "base/json.h"
#include "media/image_spec.h"

/* Of preprocessor_config.json, or the object image_processor of processor_config.json; `file` stands in messages.
 * `model_type` of config.json, or NULL. UNSUPPORTED for a class that is not known. */
ilk_status ilki_media_read_processor(ilki_image_spec *spec, const ilki_json *j, const char *file,
                                     const char *model_type, ilk_error *err);

/* The same of open_clip_config.json's preprocess_cfg; `side`: the network's picture, where it names no size. */
ilk_status ilki_media_read_preprocess_cfg(ilki_image_spec *spec, const ilki_json *config, uint32_t side,
                                          ilk_error *err);

/* "shorter side 224 bicubic, centre 224 x 224 (torchvision)" */
void ilki_media_print_processor(const ilki_image_spec *s, char *to, size_t n);

/* What each byte of each channel becomes: rescaled, normalised, with the roundings of the family. */
void ilki_media_pixel_values(const ilki_image_spec *s, float table[3][256]);

#endif
