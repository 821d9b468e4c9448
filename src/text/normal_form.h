/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ILKI_TEXT_NORMAL_FORM_H
#define ILKI_TEXT_NORMAL_FORM_H

#include "text/part.h"

/* s->str into NFD, NFC (composed), NFKD (compat) or NFKC (both); false when memory is short. */
bool ilki_text_normal_form(ilki_text_scratch *s, bool compat, bool composed);

#endif
