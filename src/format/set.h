/* SPDX-License-Identifier: Apache-2.0
 * The inside of ilki_weights, for the formats: a format is a file that defines one ilki_format and a row in format.c. */
#ifndef ILKI_FORMAT_SET_H
#define ILKI_FORMAT_SET_H

#include "base/map.h"
#include "format/format.h"

typedef struct ilki_format_file {
    const char *path; /* owned by the set's arena */
    ilki_mapped bytes;
} ilki_format_file;

struct ilki_weights {
    const ilki_vfs *vfs;
    bool no_mmap;
    ilki_arena arena; /* names and paths */
    ilki_map by_name; /* index into `tensors` */
    ilki_tensor *tensors;
    size_t n_tensors, cap_tensors;
    ilki_format_file *files;
    size_t n_files, cap_files;
};

typedef struct ilki_format {
    const char *name;
    /* by the first bytes (at most 16, fewer in a shorter file) and the path */
    bool (*probe)(const unsigned char *head, size_t n, const char *path);
    /* Adds the tensors of the set's last file, in order of offset. */
    ilk_status (*read)(ilki_weights *w, ilk_error *err);
} ilki_format;

extern const ilki_format ilki_format_safetensors, ilki_format_shards, ilki_format_torchzip, ilki_format_npy;

/* Maps a file, probes it and reads it. `as`: the format it has to be, NULL: any. */
ilk_status ilki_format_add_file(ilki_weights *w, const char *path, const ilki_format *as, ilk_error *err);

/* Room for n more tensors, so that a hostile count fails at once and adding does not reallocate. */
ilk_status ilki_format_reserve(ilki_weights *w, size_t n, ilk_error *err);

/* Takes a copy of `t` and of its name (`n_name` bytes, no NUL among them); `t->file` is set here. BAD_FORMAT where the
 * name is in the set already. */
ilk_status ilki_format_add(ilki_weights *w, const ilki_tensor *t, size_t n_name, ilk_error *err);

#endif
