/* SPDX-License-Identifier: Apache-2.0
 * Typed, ranged fields of a JSON object. */
#include "models/config.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"

static const char *describe(const ilki_json *j, ilki_json_node v, char *to, size_t n)
{
    static const char *const kinds[] = {"nothing", "null", "false", "true", "", "", "an array", "an object"};
    ilki_json_type type = ilki_base_json_type(j, v);
    if (type == ILKI_JSON_NUMBER)
        snprintf(to, n, "%.9g", ilki_base_json_double(j, v, 0));
    else if (type == ILKI_JSON_STRING)
        snprintf(to, n, "\"%.64s\"", ilki_base_json_string(j, v, NULL));
    else
        snprintf(to, n, "%s", kinds[type]);
    return to;
}

static ilk_status wrong(const ilki_json *j, ilki_json_node v, const char *file, const ilki_config_field *f,
                        const char *expected, ilk_error *err)
{
    char found[80];
    return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: %s: expected %s, found %s", file, f->key, expected,
                          describe(j, v, found, sizeof found));
}

static ilk_status read_number(const ilki_json *j, ilki_json_node v, const char *file, const ilki_config_field *f,
                              void *to, ilk_error *err)
{
    char expected[96];
    if (f->type == ILKI_CONFIG_U32) {
        int64_t i = 0;
        snprintf(expected, sizeof expected, "an integer of %.0f to %.0f", f->min, f->max);
        if (!ilki_base_json_int(j, v, (int64_t)f->min, (int64_t)f->max, &i))
            return wrong(j, v, file, f, expected, err);
        memcpy(to, &(uint32_t){(uint32_t)i}, sizeof(uint32_t));
        return ILK_OK;
    }
    double d = ilki_base_json_double(j, v, 0);
    snprintf(expected, sizeof expected, "a number of %g to %g", f->min, f->max);
    if (ilki_base_json_type(j, v) != ILKI_JSON_NUMBER || !(d >= f->min && d <= f->max))
        return wrong(j, v, file, f, expected, err);
    memcpy(to, &(float){(float)d}, sizeof(float));
    return ILK_OK;
}

static ilk_status read_word(const ilki_json *j, ilki_json_node v, const char *file, const ilki_config_field *f,
                            void *to, ilk_error *err)
{
    size_t len = 0;
    const char *word = ilki_base_json_string(j, v, &len);
    char list[256] = "", found[80];
    size_t at = 0;
    for (uint32_t i = 0; f->words[i]; i++) {
        if (word && strlen(f->words[i]) == len && memcmp(f->words[i], word, len) == 0) {
            memcpy(to, &i, sizeof i);
            return ILK_OK;
        }
        if (at < sizeof list)
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", f->words[i]);
    }
    return ilki_base_fail(err, word ? ILK_UNSUPPORTED : ILK_BAD_FORMAT, "%s: %s: expected one of %s; found %s", file,
                          f->key, list, describe(j, v, found, sizeof found));
}

static void set_default(const ilki_config_field *f, void *to)
{
    if (f->type == ILKI_CONFIG_FLOAT)
        memcpy(to, &(float){(float)f->otherwise}, sizeof(float));
    else if (f->type == ILKI_CONFIG_BOOL)
        memcpy(to, &(bool){f->otherwise != 0}, sizeof(bool));
    else
        memcpy(to, &(uint32_t){(uint32_t)f->otherwise}, sizeof(uint32_t));
}

ilk_status ilki_models_read_config(const ilki_json *j, ilki_json_node object, const char *file,
                                   const ilki_config_field *fields, size_t n_fields, void *out, ilk_error *err)
{
    if (ilki_base_json_type(j, object) != ILKI_JSON_OBJECT)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected an object, found another value", file);
    for (size_t i = 0; i < n_fields; i++) {
        const ilki_config_field *f = &fields[i];
        ilki_json_node v = ilki_base_json_get(j, object, f->key);
        ilki_json_type type = ilki_base_json_type(j, v);
        void *to = (char *)out + f->offset;
        ilk_status s = ILK_OK;
        if (type <= ILKI_JSON_NULL && !f->required)
            set_default(f, to);
        else if (f->type == ILKI_CONFIG_WORD)
            s = read_word(j, v, file, f, to, err);
        else if (f->type != ILKI_CONFIG_BOOL)
            s = read_number(j, v, file, f, to, err);
        else if (type == ILKI_JSON_TRUE || type == ILKI_JSON_FALSE)
            memcpy(to, &(bool){type == ILKI_JSON_TRUE}, sizeof(bool));
        else
            s = wrong(j, v, file, f, "true or false", err);
        if (s != ILK_OK)
            return s;
    }
    return ILK_OK;
}
