/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ILKI_TEXT_NORMAL_FORM_H
#define ILKI_TEXT_NORMAL_FORM_H

#include "text/part.h"

/* s->str into NFD, NFC (composed), NFKD (compat) or NFKC (both); false when memory is short. */
bool ilki_text_normal_form(ilki_text_scratch *s, bool compat, bool composed);

/* The characters of s->marks get their places from s->str, by what they say of themselves, and become s->str; false
 * when memory is short. */
bool ilki_text_take_places(ilki_text_scratch *s);

#endif
