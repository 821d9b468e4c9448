/* SPDX-License-Identifier: Apache-2.0
 * Which channels a net's linears of 8 bits keep exact. */
#ifndef ILKI_MODELS_SETTLE_H
#define ILKI_MODELS_SETTLE_H

#include "models/model.h"

/* Which linears are packed, in what order and stacked how, and which channels are exact: to be raised with any change of
 * these, since packed weights are kept on disk (embed/packs.c). Of the bytes themselves kern's tables have numbers. */
#define ILKI_MODELS_LAYOUT 2

/* Runs every tower once over made-up input, watching, and settles every linear of 8 bits that it met. Deterministic: the
 * same weights, kernels and form give the same channels. */
ilk_status ilki_models_settle(const ilki_net *net, const ilki_model_source *src, ilk_error *err);

#endif
