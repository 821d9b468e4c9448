/* SPDX-License-Identifier: Apache-2.0
 * A tokenizer of a checkpoint's folder, opened below embed/. */
#ifndef ILK_TEST_TOKENIZER_FILES_H
#define ILK_TEST_TOKENIZER_FILES_H

#include <stdlib.h>

#include "base/vfs.h"
#include "text/tokenizer.h"

static inline char *test_read_optional(const char *dir, const char *name, ilki_text_file *f)
{
    char *path = ilki_base_path_join(dir, name), *data = NULL;
    size_t n;
    if (path && ilki_base_read_file(&ilki_base_vfs_posix, path, 1U << 28, &data, &n, NULL) == ILK_OK)
        *f = (ilki_text_file){.data = data, .n = n};
    free(path);
    return data;
}

/* From whichever files of a tokenizer the folder has. */
static inline ilk_status test_open_tokenizer(ilki_tokenizer **t, const char *dir, ilki_tokenizer_mode mode,
                                             ilk_error *err)
{
    ilki_tokenizer_files files = {.mode = mode};
    char *data[] = {test_read_optional(dir, "tokenizer.json", &files.tokenizer_json),
                    test_read_optional(dir, "tokenizer_config.json", &files.tokenizer_config),
                    test_read_optional(dir, "special_tokens_map.json", &files.special_tokens_map),
                    test_read_optional(dir, "vocab.txt", &files.vocab_txt),
                    test_read_optional(dir, "added_tokens.json", &files.added_tokens),
                    test_read_optional(dir, "vocab.json", &files.vocab_json),
                    test_read_optional(dir, "merges.txt", &files.merges_txt),
                    test_read_optional(dir, "tokenizer.model", &files.model)};
    ilk_status status = ilki_text_tokenizer_open(t, &files, err);
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        free(data[i]);
    return status;
}

#endif
