/* SPDX-License-Identifier: Apache-2.0
 * A projection as sentence-transformers saves a Dense module, with a note of ilk's beside it. */
#ifndef ILKI_TRAIN_DENSE_FOLDER_H
#define ILKI_TRAIN_DENSE_FOLDER_H

#include "base/buf.h"
#include "base/vfs.h"
#include "train/moments.h"

/* BUSY where the folder has something in it already. */
ilk_status ilki_train_check_folder(const ilki_vfs *vfs, const char *folder, ilk_error *err);
/* config.json, model.safetensors and `about` as ilk.json; the config last, without which the folder is none. */
ilk_status ilki_train_write_dense(const ilki_vfs *vfs, const char *folder, const ilki_fit *fit, const ilki_buf *about,
                                  ilk_error *err);

#endif
