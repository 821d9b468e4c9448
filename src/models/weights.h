/* SPDX-License-Identifier: Apache-2.0
 * The declarative weight list. A family states which tensors it reads, into which member, in which shape; one loader
 * walks the list and reports what is absent, mis-shaped and unused. */
#ifndef ILKI_MODELS_WEIGHTS_H
#define ILKI_MODELS_WEIGHTS_H

#include "models/model.h"
#include "nn/layers.h"

#define ILKI_WEIGHT_PARTS 3

typedef enum ilki_weight_kind {
    ILKI_WEIGHT_LINEAR, /* ilki_linear: NAME.weight [rows][cols] and NAME.bias [rows]; parts stacked along the rows */
    ILKI_WEIGHT_NORM, /* ilki_norm, w and b and dim of it: NAME.weight [cols], NAME.bias [cols], or .gamma and .beta */
    ILKI_WEIGHT_VECTOR, /* const float *: NAME [cols] */
    ILKI_WEIGHT_TABLE   /* const ilki_tensor *: NAME [rows][cols], read where it lies, row by row */
} ilki_weight_kind;

/* How a LINEAR lies in the file; a FLAT VECTOR has any shape of cols elements. */
typedef enum ilki_weight_stored {
    ILKI_STORED_PLAIN = 0,  /* [rows][cols] */
    ILKI_STORED_FLAT,       /* [rows][...], the rest together cols: a convolution whose stride is its width */
    ILKI_STORED_TRANSPOSED, /* [cols][rows]; a copy is made */
} ilki_weight_stored;

typedef enum ilki_weight_bias { ILKI_BIAS_REQUIRED = 0, ILKI_BIAS_OPTIONAL, ILKI_BIAS_NONE } ilki_weight_bias;

/* Sizes are symbols: indices into the family's array of dims, whose entry 0 is not used. */
typedef struct ilki_weight {
    ilki_weight_kind kind;
    const char *name; /* "encoder.layer.%u.attention.self.%s": %u is the layer, %s the part. A leading '/' says that the
                         name does not take the list's prefix; it may */
    size_t offset;    /* of the member: in the layer's struct where the name has a %u, else in the net's */
    unsigned cols;
    unsigned rows[ILKI_WEIGHT_PARTS];           /* one per part */
    const char *const parts[ILKI_WEIGHT_PARTS]; /* of a LINEAR, up to the first NULL; none: one part without %s */
    ilki_weight_bias bias;                      /* of LINEAR and NORM */
    ilki_weight_stored stored;                  /* of LINEAR and VECTOR */
    const char *suffixes[2];                    /* of LINEAR, where they are not ".weight" and ".bias" */
    bool optional;                              /* all of it may be absent: the member stays zero. Half of it may not */
} ilki_weight;

typedef struct ilki_weight_list {
    const char *family;
    const ilki_weight *rows;
    size_t n_rows;
    const char *const *
        prefixes; /* NULL-terminated: one of them stands before the list's first row, and before it in turn what programs
                      wrap a model in ("state_dict.", "module.", "model.", …), found once. Two such rows are an error */
    const char *const *ignored; /* NULL-terminated: names that may be there unused, behind any prefix; a '*' at either
                                    end stands for anything */
} ilki_weight_list;

/* Where the members are, and what they own. */
typedef struct ilki_weight_target {
    void *net;
    void *layers; /* [n_layers] structs of layer_size bytes, zeroed */
    size_t layer_size;
    uint32_t n_layers;
    const uint64_t *dims;
    ilki_arena *arena;     /* vectors and packed forms live here */
    uint64_t n_parameters; /* out: elements of the tensors used */
    uint64_t memory_bytes; /* out: packed forms and vectors */
} ilki_weight_target;

/* Whether the list's first row is found under one of its prefixes: how a family with two layouts of names chooses. */
bool ilki_models_list_fits(const ilki_weight_list *list, const ilki_model_source *src);

/* Fills every member. Errors name file, tensor, expected and found: BAD_FORMAT for an absent or mis-shaped tensor, what
 * reading and packing give. Unused tensors that the list does not ignore are one warning. Linears are packed on
 * src->pool. */
ilk_status ilki_models_load(const ilki_weight_list *list, const ilki_model_source *src, ilki_weight_target *to,
                            ilk_error *err);
/* Frees what load filled, also half of it. */
void ilki_models_unload(const ilki_weight_list *list, const ilki_weight_target *to);

#endif
