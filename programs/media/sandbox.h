/* SPDX-License-Identifier: Apache-2.0
 * How a process locks itself in. All that depends on the system or the machine is in sandbox.c. */
#ifndef ILK_MEDIA_SANDBOX_H
#define ILK_MEDIA_SANDBOX_H

#include "media/protocol.h"

/* Memory of the address space, seconds of CPU, bytes of a file it writes; where 0, that limit is left as it is, but for
 * files, where 0 forbids. No core, few descriptors, no more rights by exec, no life without the parent. False where the
 * system refused, with errno. */
bool media_limit(uint64_t memory_bytes, uint64_t cpu_seconds, uint64_t file_bytes);

/* From here on: memory, the descriptors it has, threads of its own; nothing else. note: why it is not better. */
ilki_media_sandbox media_lock(char *note, size_t n_note);

/* For a program of others: what it can be, but no network, no other process, no file written or removed, and one exec, of
 * the string at this very address. The same answer; where it is LIMITS, the limits are all there is. */
ilki_media_sandbox media_lock_for(const char *program, char *note, size_t n_note);

/* Closes every descriptor from `first` on. */
void media_close_from(int first);

#endif
