/* SPDX-License-Identifier: Apache-2.0
 * Weights that are too large to stand in memory packed. Their linears have no packed form (ilki_tensor_linear_is_streamed);
 * with a stream in the context a layer packs what it needs when it needs it, a chain of layers all of its linears at once,
 * into the pass's workspace, which is measured for it like all else. A pass gives the same bits as one over packed weights. */
#ifndef ILKI_NN_STREAM_H
#define ILKI_NN_STREAM_H

#include "nn/nn.h"
#include "tensor/linear.h"

enum { ILKI_STREAM_LINEARS = 16 }; /* of a chain that are packed at once; those beyond each by itself */

/* One for each pass. */
typedef struct ilki_stream {
    void (*will_need)(void *user, const ilki_tensor *t); /* both may be NULL; from any thread */
    void (*done_with)(void *user, const ilki_tensor *t); /* read, not needed for now; on any thread */
    void *user;
    enum {
        ILKI_STREAM_IDLE = 0,
        ILKI_STREAM_NOTING,
        ILKI_STREAM_HELD
    } state; /* of a chain: what it needs, what it has */
    size_t n;
    const ilki_linear *linear[ILKI_STREAM_LINEARS];
    void *packed[ILKI_STREAM_LINEARS];
} ilki_stream;

/* A chain begins to measure itself; false where there is no stream, or a chain around it has begun already. */
bool ilki_nn_stream_note(ilki_nn *ctx);
/* What was noted is packed into the workspace. */
void ilki_nn_stream_hold(ilki_nn *ctx);
/* The chain is done; its packed forms go with the workspace's mark. */
void ilki_nn_stream_end(ilki_nn *ctx);

/* `l` as a layer can use it: itself, or `*shown`, packed by the chain around it or now. While measuring its packed form is
 * NULL. After a failure NULL. */
const ilki_linear *ilki_nn_stream_show(ilki_nn *ctx, const ilki_linear *l, ilki_linear *shown);

#endif
