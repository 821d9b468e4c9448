/* SPDX-License-Identifier: Apache-2.0
 * Weight files: untrusted bytes to tensor views by name. A format is a row in format.c, chosen by magic bytes. */
#ifndef ILKI_FORMAT_FORMAT_H
#define ILKI_FORMAT_FORMAT_H

#include "base/vfs.h"
#include "tensor/tensor.h"

/* Every tensor of a checkpoint's weight files, found by name. Views point into mapped (or read) bytes that live until
 * close. Read-only after open, shared by threads. */
typedef struct ilki_weights ilki_weights;

/* Opens the given files as one set: a name that occurs twice is BAD_FORMAT. */
ilk_status ilki_format_open(ilki_weights **out, const ilki_vfs *vfs, const char *const *paths, size_t n_paths,
                            bool no_mmap, ilk_error *err);
void ilki_format_close(ilki_weights *w);

size_t ilki_format_count(const ilki_weights *w);
const ilki_tensor *ilki_format_view(const ilki_weights *w, size_t i);         /* in order of file and offset */
const ilki_tensor *ilki_format_find(const ilki_weights *w, const char *name); /* NULL where absent */
uint64_t ilki_format_bytes(const ilki_weights *w);                            /* on disk */

/* Gives a tensor of the set memory of its own, f32 and writable, in place of the file's bytes: what is found under its name
 * from now on. For changes at open, before the set is shared. */
ilk_status ilki_format_own_f32(ilki_weights *w, const ilki_tensor *t, float **data, ilk_error *err);

/* Maps the pages behind a tensor at once, instead of with a fault every few of them. */
void ilki_format_will_need(const ilki_weights *w, const ilki_tensor *t);

/* Tells the system that the pages behind a tensor are not needed any more (a packed copy exists); they are read again
 * when touched. */
void ilki_format_done_with(const ilki_weights *w, const ilki_tensor *t);

#endif
