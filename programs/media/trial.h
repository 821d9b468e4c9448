/* SPDX-License-Identifier: Apache-2.0
 * Trying out what the sandbox forbids. */
#ifndef ILK_MEDIA_TRIAL_H
#define ILK_MEDIA_TRIAL_H

/* Enters the sandbox and tries one thing: 0, it was refused; 1, it could be done; 3, there is no sandbox here; 2, no such
 * trial. Some end by a signal instead. */
int media_try(const char *what);

#endif
