/* SPDX-License-Identifier: Apache-2.0
 * One request: a list of operations on one input. */
#ifndef ILK_MEDIA_REQUEST_H
#define ILK_MEDIA_REQUEST_H

#include "media/protocol.h"

/* Runs the request in `payload` on the descriptor `input` (-1: none came). The answer's bytes are in
 * the window of the slot that it names. */
void media_answer(const ilki_buf *payload, int input, unsigned char *slots, ilki_media_answer *answer);

#endif
